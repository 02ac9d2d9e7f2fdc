"""Guided by coverage, look for an answer on which the reader raises or says what cannot be; needs atheris.

    python benchmarks/fuzz_answers_guided.py CORPUS [-max_total_time=3600] [any option of libFuzzer]

New inputs that reach new branches are kept in the folder CORPUS. One line a second goes to the terminal.
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["mgsd_bench.answers"]):
    from mgsd_bench.answers.reader import parse_answer

from mgsd_envs import get_task

TASKS = [get_task(name) for name in ("frozenlake", "minibehaviour")]


def one(data: bytes) -> None:
    """Read one input as an answer; its first byte chooses the task and whether the text is whole."""
    if not data:
        return
    task, whole = TASKS[data[0] & 1], bool(data[0] & 2)
    text = data[1:].decode("utf-8", "surrogatepass" if data[0] & 4 else "replace") if valid(data) else ""
    answer = parse_answer(text, task, whole=whole)
    assert (answer.form == "none") == (answer.plan is None)
    assert answer.plan is None or (answer.plan and set(answer.plan) <= {*TASKS[1].actions})
    assert whole or answer.plan is None or parse_answer(text, task).plan in (answer.plan, None)


def valid(data: bytes) -> bool:
    """Whether the bytes are text, lone surrogates allowed."""
    try:
        data[1:].decode("utf-8", "surrogatepass" if data[0] & 4 else "replace")
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
