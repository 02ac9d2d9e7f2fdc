"""The vocabulary of the tiny models: every piece of the suite's texts that keeps coming back is one token.

A tiny model is to learn perception and planning on a CPU, not spelling: with one token for an instruction, a cell or a
field name, a question with its answer takes 30 to 180 tokens instead of 300 to 900. Other text still works, byte by
byte.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import combinations, product

import numpy as np

from mgsd_baselines.data.examples import KINDS, PRIVILEGED_PLAN, PRIVILEGED_STATE, make_example
from mgsd_bench.prompts import CLOSED_LOOP, ONE_SHOT, Condition, in_order, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings, opening, result_line, said
from mgsd_envs import Episode, Task, get_task, make_episode
from mgsd_envs.grid import LETTERS

LARGEST_LEVEL = 8
_STEPS = 9_999  # a limit of steps that is no other number of a text
_FIELD = re.compile(r"^(?:\d+\. )?[a-z ]+: ", re.MULTILINE)


def phrases(prompts: str, tasks: Iterable[str], conditions: Collection[Condition] = ONE_SHOT) -> tuple[str, ...]:
    """Texts to make one token each.

    Args:
        prompts: name or folder of the prompt set that the model will be asked with.
        tasks: names of the tasks that it will be asked about.
        conditions: those that it will be asked under; of closed loop with the settings that are usual.

    Raises:
        UserError: the prompt set is missing or not whole.
    """
    pieces = {", ", "none", "Route: ", "\nRoute: ", ".\n<answer>", "<answer>", "</answer>"}
    pieces |= {f"\n{PRIVILEGED_STATE}\n", f"\n{PRIVILEGED_PLAN} "}
    pieces |= {f"({row},{column})" for row in range(LARGEST_LEVEL) for column in range(LARGEST_LEVEL)}
    pieces |= {f" {letter} " for letter in LETTERS} | {f",{letter}" for letter in LETTERS}
    pieces |= {" " + "".join(some) for n in range(1, 5) for some in combinations(LETTERS, n)}  # open sides of a cell
    for name in tasks:
        task = get_task(name)
        episode = _any_episode(task)
        pieces |= set(_instructions(episode, prompts)) | set(_fields(episode, prompts))
        pieces |= set(_turns(episode, prompts, [each for each in in_order(conditions) if each in CLOSED_LOOP]))
        words = [action.upper() for action in task.actions if action not in LETTERS.values()]
        pieces |= {mark + word for word in words for mark in (" ", ",")}
    return tuple(sorted(pieces))


def _any_episode(task: Task[object]) -> Episode:
    rng = np.random.default_rng(0)
    while (state := task.sample(task.levels[0], rng)) is None:
        pass
    return make_episode(task, task.levels[0], "example", state)


def _instructions(episode: Episode, prompts: str) -> Iterator[str]:
    """What stays the same in the questions about a task, whole or between the places that are filled in."""
    loaded = load_prompts(prompts, [episode], in_order(ONE_SHOT))
    for template in loaded.texts.values():
        yield from (part for part in re.split(r"\{look\}|\{state\}", template) if part)
    yield make_example("questions", episode, loaded).prompt


def _turns(episode: Episode, prompts: str, conditions: Collection[Condition]) -> Iterator[str]:
    """What stays the same in closed loops: the first text between the places that are filled in, and later lines."""
    task = get_task(episode.task)
    for condition, say_state in product(conditions, (False, True)):
        loaded = load_prompts(prompts, [episode], [condition], say_state=say_state)
        text = opening(loaded, episode, condition, LoopSettings(say_state=say_state), _STEPS)
        look, mission = loaded.texts.get((episode.task, f"look.{episode.theme}")), task.mission(episode.state)
        filled_in = "|".join(re.escape(part) for part in (look, mission, str(_STEPS)) if part)
        yield from (part for part in re.split(filled_in, text) if part)
    if conditions:
        yield result_line("done", "", task)
        yield result_line(None, "", task)
        yield from (result_line("blocked", rule, task) for rule in task.rules)
        yield from (said((action,), task) for action in task.actions)


def _fields(episode: Episode, prompts: str) -> Iterator[str]:
    """Names of the fields in answers, at the start of a text and after a line's end."""
    loaded = load_prompts(prompts, [episode], in_order(ONE_SHOT))
    for kind in KINDS:
        for field in _FIELD.findall(make_example(kind, episode, loaded, picture=episode).completion or ""):
            yield field
            yield f"\n{field}"
