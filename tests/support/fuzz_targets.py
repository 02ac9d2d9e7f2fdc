"""What is fuzzed: readers of what others write, each with its promises as a function of bytes.

A check returns whether the bytes were taken for something valid, and raises where a promise is broken: nothing but a
``UserError`` may come out of a reader, and what it accepts is well-formed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import process_time

from mgsd_baselines.recipe_file import load_recipe
from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.backends import BackendConfig, Sampling, recorded
from mgsd_bench.backends.model_card import card_of
from mgsd_bench.config.layers import Layers, read_layer
from mgsd_bench.config.settings import read_settings
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.settings import EvaluationSettings
from mgsd_bench.gating.policy_file import load_policy
from mgsd_bench.reproduce.config_file import load_config
from mgsd_bench.suites.suite_file import EXAMPLE, asked_by, read_suite
from mgsd_envs import get_task
from support.fuzz_folders import ROOT, run_seeds, runs, says_something, scratch, suite_seeds, suites
from support.fuzz_replies import replies, reply_seeds

MOST_SECONDS = 2.0
"""Seconds of a processor that one input may take."""

Check = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads bytes.

    Attributes:
        name: what it is called.
        what: what the bytes are, and what is promised of reading them.
        check: reads them; whether they are valid. Raises where a promise is broken.
        seeds: valid inputs to start from.
        words: pieces of inputs, for a mutator.
    """

    name: str
    what: str
    check: Check
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[str, ...]


def broken(target: Target, data: bytes) -> str | None:
    """The promise that an input breaks, in one line; None if it breaks none."""
    began = process_time()
    try:
        target.check(data)
    except Exception as error:
        places = [f"{Path(each.filename).name}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
        return f"{type(error).__name__} at {' '.join(places[-2:])}: {str(error)[:200]!r}"
    seconds = process_time() - began
    return f"took {seconds:.1f} s" if seconds > MOST_SECONDS else None


# ---- answers and states

_ROOMS = ("minigrid-doorkey",) if find_spec("minigrid") else ()
_TASKS = tuple(get_task(name) for name in ("frozenlake", "maze", "minibehaviour", "sokoban", *_ROOMS))
_ACTIONS = {action for task in _TASKS for action in task.actions}  # "pick" on a lake is a plan, and an illegal one
_LENGTHS = {"number": 1, "cell": 2, "cells": 2, "sides": 3, "objects": 3}
_KINDS = {one.fact: one.kind for task in _TASKS for one in task.fields}


def answers(data: bytes) -> bool:
    """The first byte chooses the task and whether the text is whole."""
    mode, text = _text(data)
    task, whole = _TASKS[mode % len(_TASKS)], not mode & 8
    answer = parse_answer(text, task, whole=whole)
    assert (answer.form == "none") == (answer.plan is None), answer.form
    assert answer.plan is None or (answer.plan and set(answer.plan) <= _ACTIONS), answer.plan
    assert whole or answer.plan is None or parse_answer(text, task).plan in (answer.plan, None)
    _well_formed(answer.facts)
    return answer.plan is not None


def states(data: bytes) -> bool:
    """The first byte chooses the task."""
    mode, text = _text(data)
    facts = _TASKS[mode % len(_TASKS)].parse(text)
    _well_formed(facts)
    return bool(facts)


def _well_formed(facts: frozenset[tuple[str | int, ...]]) -> None:
    for name, *values in facts:
        kind = _KINDS[str(name)]
        if kind == "phrase":
            assert len(values) == 1, (name, values)
            assert type(values[0]) is str, (name, values)
            continue
        assert len(values) == _LENGTHS[kind], (name, values)
        assert all(type(value) is int and 0 <= value <= 9999 for value in values[:2]), (name, values)
        assert kind != "sides" or values[2] in ("left", "down", "right", "up"), values
        assert all(type(value) is str and value for value in values[2:]), values


def _text(data: bytes) -> tuple[int, str]:
    mode, text = (data[0], data[1:]) if data else (0, b"")
    try:
        return mode, text.decode("utf-8", "surrogatepass" if mode & 16 else "replace")
    except UnicodeDecodeError:
        return mode, text.decode("latin-1")


def _answer_seeds() -> list[bytes]:
    bodies = [
        "<answer>R,D,D</answer>", '{"answer": ["right", "down"]}', "So \\boxed{R → D}.", "Plan: right x2, then down",
        "1. right\n2. down\n<answer>RD", "<think>or <answer>L</answer></think>**Answer:** U, PICK, DROP",
    ]  # fmt: skip
    return [bytes([i % 3]) + body.encode() for i, body in enumerate(bodies)]


def _state_seeds() -> list[bytes]:
    bodies = [
        "size: 4\nplayer: (0,0)\ngoal: (3,3)\nholes: (1,1), (2,2)",
        "size: 3\nplayer: (0,0)\ngoal: (2,2)\nopen: (0,0) DR, (0,1) L",
        "size: 5\nagent: (0,1)\nprinter: (2,2)\ntable: (3,3), (3,4)",
        '{"size": 4, "player": [0, 0], "goal": {"row": 3, "col": 3}, "holes": [[1, 1]]}',
        "| field | value |\n| --- | --- |\n| player | (1, 2) |\n| goal | r2c2 |",
        "- **agent**: row 1, column 2\n- table: (x=1, y=0) and (x=2, y=0)",
        "size: 6\nplayer: (3,1)\ngoals: (1,4), (2,4)\nboxes: (1,4), (3,2)\nwalls: (1,3), (4,4)",
        "size: 6\nheight: 6\nagent: (4,1)\nfacing: right\ncarrying: none\ngoal: (4,4)\nwalls: (1,2)\nlava: none\n"
        "objects: (1,1) yellow key, (3,2) yellow door locked\nmission: use the key",
    ]
    tasks = (0, 1, 2, 0, 0, 2, 3, 4)
    return [bytes([task]) + body.encode() for task, body in zip(tasks, bodies, strict=True) if task < len(_TASKS)]


# ---- files of settings


def policies(data: bytes) -> bool:
    """A gate's policy."""
    try:
        policy = load_policy(_file("policy.yaml", data))
    except UserError as error:
        says_something(error)
        return False
    assert policy.metrics
    assert 0 < policy.alpha <= 0.5
    assert all(0 < rule.margin <= 1 and 0 <= rule.tolerance <= rule.margin for rule in policy.metrics)
    assert all(0 <= floor.minimum <= 1 for floor in policy.floors)
    return True


def configs(data: bytes) -> bool:
    """A recipe, tables of a report, settings, a suite, a model's card or answers; the first byte says."""
    kind, body = data[:1], data[1:]
    sets = [line[5:].decode(errors="replace") for line in body.splitlines() if line.startswith(b"#set ")]
    try:
        if kind == b"r":
            recipe = load_recipe(str(_file("recipe.yaml", body)), sets)
            assert recipe.stages
        elif kind == b"t":
            report = load_config(str(_file("report.yaml", body)), sets)
            assert report.tables
            assert all(table.rows for table in report.tables)
        elif kind == b"s":
            suite = read_suite(_file("suite.yaml", body))
            assert suite.parts
            assert asked_by(_file("suite.yaml", body)).values.keys() <= {"conditions", "prompts"}
        elif kind == b"c":
            folder = _file("card/mgsd-bench.yaml", body).parent
            card_of(Layers({"model": str(folder)}, {(): "eval"}))
        elif kind == b"a":
            with recorded.open_backend(BackendConfig(str(_file("answers.jsonl", body)), Sampling())) as backend:
                backend.describe()
        else:
            layers = read_layer(_file("eval.yaml", body))
            for pair in sets:
                layers = layers.assign(pair, "")
            read_settings(EvaluationSettings, layers)
    except UserError as error:
        says_something(error)
        return False
    return True


def _file(name: str, data: bytes) -> Path:
    path = scratch() / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def _policy_seeds() -> list[bytes]:
    return [
        (ROOT / "baselines/gate/policy.yaml").read_bytes(),
        b"alpha: 1e-2\nmetrics: {e2e: {margin: 3, tolerance: 1}}\nsequential: {looks: 4, spending: pocock}\n"
        b"inconclusive: pass\nfloors:\n- metric: state_f1\n  min: 40\n  task: maze\n  level: 4\n",
    ]


def _config_seeds() -> list[bytes]:
    tiny = (ROOT / "baselines/recipes/tiny.yaml").read_bytes()
    whole = b"\n".join(line for line in tiny.splitlines() if b"trainer" not in line and b"#" not in line[:9])
    return [
        b"r" + whole + b"\n#set seed=3\n",
        b"textends: models.yaml\ntables:\n  main:\n    suite: smoke\n    rows: [oracle]\n"
        b"models:\n  oracle: {model: oracle, backend: scripted}\n",
        b"emodel: oracle\nbackend: scripted\nsuite: smoke\ntasks: [maze, frozenlake]\nlevels: 3,4\nengine: {seed: 1}\n"
        b"conditions: visual,symbolic\ntemperature: 1e-1\n#set top_p=0.5\n",
        b"s" + EXAMPLE.format(name="fuzzed-v1").encode(),
        b"csuite: tiny-v1\nprompts: compact\nmax_tokens: 160\ntop_k: 3\n",
        b'a{"episode": "maze/3/0007", "text": "<answer>RRD</answer>"}\n'
        b'{"episode": "maze/3/0008", "text": "", "condition": "symbolic", "repeat": 1, "prompt_tokens": 7}\n',
    ]


_YAML = (
    "{", "}", "[", "]", ": ", "- ", "null", "~", "true", "1e-4", ".inf", ".nan", "0x10", "0o7", "1_0", "1:30", "&a ",
    "*a", "<<: ", "!!python/object:os.system ", "!!binary ", "!!set ", "!!omap ", "!!timestamp ", "? ", "|\n ", ">-\n ",
    "---\n", "%YAML 1.1\n", "2026-01-01", "'", '"', "\t", "\u2028", "\x85", "-1", "99999999999999999999", "0.5", "[]",
    "{}", "''", "extends: ", "stages", "tables", "metrics", "levels", "settings", "\ufeff", "\ud7ff",
)  # fmt: skip
_JSON = (
    "null", "true", "false", "0", "-1", "1.5", "1e999", "NaN", "-Infinity", "9007199254740993", "\\ud800", '""', "[]",
    "{}", "[[[[", '{"a":', "9" * 5000, "\\u0000", '"x"', "3", "-0.0", "\n",
)  # fmt: skip
_MOVES = (
    "<answer>", "</answer>", "<think>", "</think>", "\\boxed{", "Answer: ", "Plan:", "R", "down", "pick up", "drop",
    "→", " x2", "(", ")", "\n", "1. ", "```", "&lt;", "or ", "not ", "{", "}", "[", '"answer": ', "×", "\ud7ff", "９",
    "\u200b",
)  # fmt: skip
_FIELDS = (
    "size", "player", "goal", "holes", "boxes", "facing", "carrying", "objects", "blue key", "door open", "mission",
    "agent", "printer", "table", "open", "none", ": ", "(1,2)", "[0, 3]", "r0c1",
    "| ", "|---|", "\n", "row ", "column ", "x=", "→ ", "DR", "left", "**", "- ", "not ", "(x,y)", "{", "}", '"',
    "99999", "²", "\u2028", "~~", "…", "0.5", "# ",
)  # fmt: skip
_RUN = (
    "seal", "plain", "=== samples.jsonl\n", "=== episodes.jsonl\n", "=== run.json\n", "=== metrics.json\n", "DIGEST",
    '"solved"', '"error"', '"wrong"', '"visual"', '"symbolic"', '"frozenlake"', '"level":', '"repeat":1', '"stop"',
    *_JSON,
)  # fmt: skip
_SUITE = (
    "=== maps/table/0.txt\n", "=== maps/metadata.json\n", "=== mazes_test/path.json\n", "=== mazes_test/8_3_001.txt\n",
    "=== frozenlake/test_dataset.jsonl\n", "| ", "@", "#", "_", "*", "15 ", "-1 ", "level", "layout", "input_state",
    *_JSON,
)  # fmt: skip
_REPLY = (
    "HTTP/1.1 200 OK\r\n", "HTTP/1.1 429 \r\n", "HTTP/1.1 103 \r\n\r\n", "Content-Length: ",
    "Transfer-Encoding: chunked\r\n", "Content-Encoding: gzip\r\n", "Retry-After: ", "retry-after-ms: ",
    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "\r\n", "1e9", "Mon, 01 Jan 9999 00:00:00 +9999", '"choices":',
    '"message":', '"content":', '"finish_reason":', '"error":', '"code":', '"usage":', '"refusal":', '"reasoning":',
    '"length"', '"stop"', "sk-a-secret-that-nobody-may-see", *_JSON,
)  # fmt: skip

TARGETS = {
    each.name: each
    for each in (
        Target("answers", "answers of models: a plan of known actions or none", answers, _answer_seeds, _MOVES),
        Target("states", "stated states: facts that are well-formed", states, _state_seeds, _FIELDS),
        Target("runs", "files of run folders: refused in one line, or figures in range", runs, run_seeds, _RUN),
        Target("suites", "others' test sets: records left out, or episodes", suites, suite_seeds, _SUITE),
        Target("policies", "gate policies: refused in one line, or in range", policies, _policy_seeds, _YAML),
        Target(
            "configs",
            "recipes, tables, settings, suites, model cards, collected answers: refused in one line, or read",
            configs,
            _config_seeds,
            (*_YAML, *_JSON[:8]),
        ),
        Target(
            "replies",
            "bytes of a server's responses: an answer or a fault, within bounds",
            replies,
            reply_seeds,
            _REPLY,
        ),
    )
}
