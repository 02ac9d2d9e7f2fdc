"""Many thousands of stated states: nothing raises, what was written comes back, and nothing is read that is not there.

Four kinds of text, a quarter each, over all tasks:

- a state in a form drawn at random, which must come back exactly;
- the same among lines that state nothing (prose, routes, steps, other labels), likewise;
- the same with one field spoiled (negated, doubted, contradicted, cut off): no fact of that field may come back, and
  what stands behind it on the same line may be lost;
- any of these with random pieces cut, doubled, swapped or put in: every fact must have its numbers and its field's name
  in the text.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from functools import cache
from random import Random
from typing import Any

import numpy as np

from mgsd_envs import Fact, get_task
from mgsd_envs.stated_text import plain
from state_forms import FIELDS, write

STATES = 3000
"""States drawn for each task; what is random beyond is how they are written."""
NOISE = (
    "Route: I go from (0,1) over (0,2) to (2,2).",
    "I see the player next to a hole at (1,1), and the goal is at (2,2).",
    "The hole nearest to the goal: (0,0)",
    "There is no table at (0,0) and no hole at (1,1).",
    "Step 1: the player moves to (0,2)",
    "1. Move right to (0,2), then the player is at (0,2).",
    "(0,0) is the top left corner",
    "Note: rows and columns are counted from 0.",
    "safe: (0,0), (0,1)",
    "So the agent walks over (1,0), takes the printer and goes on.",
    "## State",
    "```",
    "If I go down, player: (3,3)",
    "Is the printer at (1,1)? No: it is elsewhere.",
    "path: [[0,0],[0,1]]",
)
PIECES = (
    *(
        "size",
        "player",
        "goal",
        "holes",
        "agent",
        "printer",
        "table",
        "open",
        "hole",
        "none",
        "LDRU",
        "left",
        "not ",
        "or ",
    ),
    *(
        ":",
        "=",
        ";",
        "\n",
        " ",
        "**",
        "- ",
        "1. ",
        "(1,2)",
        "[0, 3]",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "7",
        "99999",
        "|",
    ),
    *(
        "->",
        "→",
        "row ",
        "column ",
        "r0c1",
        "x=",
        '"',
        "'",
        "`",
        "~~",
        "?",
        "(x,y)",
        "\n\n",
        "| --- |",
        "：",
        "（",
        "٣",
        "²",
        ".",
    ),
    *("\\n", "<br>", "\u2028", "0,1", "null", "is ", "at ", "0.5", "-1", "#", "//", "…", "é", "\u0130", "9" * 5000),
)


@cache
def state_of(task: str, number: int) -> Any:
    """One of many random states, most of 2 to 9 cells a side, a few of 32."""
    generator = np.random.default_rng(number)
    smallest = get_task(task).min_level
    largest = get_task(task).max_level
    level = largest if number % 500 == 0 else smallest + number % (min(10, largest) - smallest)
    while (state := get_task(task).sample(level, generator)) is None:
        pass
    return state


def among_noise(text: str, rng: Random) -> str:
    """The text between lines that state nothing."""
    before, after = (rng.choices(NOISE, k=rng.randint(0, 3)) for _ in range(2))
    return "\n".join([*before, "", text, "", *after])


def mutated(text: str, rng: Random) -> str:
    """The text with a few random pieces cut, doubled, swapped or put in."""
    for _ in range(rng.randint(1, 6)):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.randint(0, 12))
        way = rng.randrange(4)
        if way == 0:
            text = text[:start] + text[end:]
        elif way == 1:
            text = text[:end] + text[start:]
        elif way == 2:
            text = text[:start] + "".join(rng.choices(PIECES, k=rng.randint(1, 4))) + text[end:]
        else:
            other = rng.randint(0, len(text))
            text = text[:other] + text[start:end] + text[other:]
    return text


def invented(facts: frozenset[Fact], text: str, task: str) -> list[Fact]:
    """The facts of which a number or the field's name does not stand in the text."""
    told = plain(text).lower()
    numbers = {int(digits) for digits in re.findall("[0-9]+", told) if len(digits) <= 4}
    names = {name: name for name in FIELDS[task].values()}
    return [
        fact
        for fact in facts
        if names[str(fact[0])] not in told or not numbers.issuperset(v for v in fact[1:] if isinstance(v, int))
    ]


def check(task: str, seed: str) -> tuple[str, str | None, str]:
    """Make one text and read it.

    Returns:
        Its kind, what is wrong if anything is, and the text.
    """
    rng = Random(seed)
    state = state_of(task, rng.randrange(STATES))
    facts = get_task(task).facts(state)
    kind = rng.choice(("written", "among noise", "spoiled", "mutated"))
    spoiled = rng.choice(list(FIELDS[task])) if kind == "spoiled" else None
    text = write(task, state, rng, spoiled)
    if kind == "among noise" or rng.random() < 0.3:
        text = among_noise(text, rng)
    if kind == "mutated":
        text = mutated(text, rng)
    try:
        read = get_task(task).parse(text)
    except Exception as error:
        return kind, f"raised {error!r:.200}", text
    if kind == "mutated":
        return kind, f"invented {found}" if (found := invented(read, text, task)) else None, text
    true = {fact for fact in facts if spoiled is None or fact[0] != FIELDS[task][spoiled]}
    if read - true:
        return kind, f"false {sorted(read - true, key=str)[:5]}", text
    lost = true - read if kind != "spoiled" else ()
    return kind, f"lost {sorted(lost, key=str)[:5]}" if lost else None, text


def main() -> None:
    """Check ``--count`` texts and print how many of each kind were read wrong; the first such texts go to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop earlier after this time")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--show", type=int, default=5, help="texts to show of each kind of failure")
    arguments = parser.parse_args()
    made: Counter[str] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    start = time.perf_counter()
    for i in range(arguments.count):
        task = list(FIELDS)[i % len(FIELDS)]
        kind, what, text = check(task, f"{arguments.seed}:{i}")
        made[kind] += 1
        if what:
            key = kind, what.split()[0]
            wrong[key] += 1
            if wrong[key] <= arguments.show:
                print(f"--- {task} {arguments.seed}:{i} {kind}: {what}\n{text:.1500}\n", file=sys.stderr)
        if time.perf_counter() - start > arguments.seconds:
            break
    seconds = time.perf_counter() - start
    for kind, count in sorted(made.items()):
        told = ", ".join(f"{number} {what}" for (its, what), number in sorted(wrong.items()) if its == kind)
        print(f"{kind}: {count:,} texts, {told or 'none wrong'}")
    print(f"{made.total():,} texts in {seconds:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
