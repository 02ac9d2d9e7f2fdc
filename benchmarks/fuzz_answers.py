"""Fuzz the reader with answers made from the grammar, where the plan is known, and with mutated ones.

    python benchmarks/fuzz_answers.py [--answers FORMS.jsonl] [--count 1000000] [--seed 0]

Of every answer: reading it never raises; its form fits its plan; facts come from the state alone. An answer made from
the grammar is read as its plan, or as none. Half of the answers are made, half are mutated; a line of FORMS.jsonl has
``task``, ``text`` and ``plan``, and an answer made that is read gives more to mutate. The first answers that break a
promise are printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.answers.reader import parse_answer
from mgsd_envs import get_task

LETTER = {"left": "L", "down": "D", "right": "R", "up": "U", "pick": "PICK", "drop": "DROP"}
ARROW = {"left": "←", "down": "↓", "right": "→", "up": "↑", "pick": "PICK", "drop": "DROP"}
SEPARATORS = (
    *(
        ", ",
        ",",
        " ",
        "\n",
        "; ",
        " -> ",
        " => ",
        " | ",
        "-",
        " - ",
        "/",
        "、",
        "，",
        " • ",
        " · ",
        "_",
        "+",
        ">",
        ". ",
    ),
    *("\u3000", "\u2009", "\u200b", "\r\n", "\t", ", then ", " then ", " and ", ", and then ", ",\n", " ⇒ ", "<br>"),
)
SPOILERS = (
    " or ",
    "? ",
    " not ",
    " (1), ",
    " 7 ",
    " ... ",
    " / maybe ",
    " instead of ",
    " = ",
    ", or ",
    " (0,1) ",
    " ¬ ",
)
WRAPPERS = (
    *(
        "{}",
        " {} ",
        "\n{}\n",
        "**{}**",
        "`{}`",
        "```\n{}\n```",
        "[{}]",
        "({})",
        '"{}"',
        "{}.",
        "Moves: {}",
        "Answer: {}",
    ),
    *("\\boxed{{{}}}", "$\\text{{{}}}$", "<|begin_of_box|>{}<|end_of_box|>", "<plan>{}</plan>", "{}<|im_end|>", "- {}"),
    *("{{{}}}", "“{}”", "【{}】", "\ufeff{}", "Final plan: {}", "**Plan:** {}", "{}!", "> {}"),
)
PLACES = (
    *("<answer>{}</answer>",) * 4,
    *(
        "<ANSWER>{}</ANSWER>",
        "< answer >{}</ answer >",
        "&lt;answer&gt;{}&lt;/answer&gt;",
        "<answer>{}",
        "<answer>{}</",
    ),
    *("<answer>{}</answer>\n<answer></answer>", "<answer>{}</answer><|im_end|>", "**Answer:** <answer>{}</answer>"),
    *("<think>So.\n<answer>{}</answer>", "<think>or <answer>L</answer></think><answer>{}</answer>", "Plan: {}"),
    *("I use no <think> here.\n<answer>{}</answer>", "Let me see.\n\n**Final Answer:** {}", "### Answer\n{}"),
    *("So it is \\boxed{{{}}}", "<|begin_of_box|>{}<|end_of_box|>", "<answer>U, D</answer> No: <answer>{}</answer>"),
    *("<answer>{}</answer> which is short.", "<answer>{}</answer>\nholes: (9,9)", "<thinking>D</thinking>\nAnswer: {}"),
)
DOCUMENTS = ('{{"answer": {}}}', '```json\n{{"plan": {}}}\n```', "<answer>{}</answer>", "{}", 'So:\n{{"moves": {}}}')
PIECES = (
    *(
        "R",
        "D",
        "right",
        "down",
        "pick",
        "pick up",
        "drop",
        "→",
        "↓",
        "←",
        " x2",
        "(x2)",
        "2",
        "1.",
        "2.",
        "(1)",
        "Step 1:",
    ),
    *(
        " or ",
        " not ",
        " then ",
        ", ",
        "\n",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        "...",
        "?",
        "<answer>",
        "</answer>",
    ),
    *(
        "<think>",
        "</think>",
        "\\boxed{",
        "Answer: ",
        "Plan: ",
        "```",
        "<|im_end|>",
        "\\to ",
        "&gt;",
        "×",
        ":",
        "=",
        "\\n",
    ),
    *("(right)", "(down)", '{"answer": "', '"plan": ', "\ud800", "\u0301", "①", "９", "0" * 5000, "[" * 2000, "move "),
)


def made(rng: random.Random, actions: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """An answer out of the grammar, and its plan; now and then one that is spoiled, without a plan."""
    plan = tuple(rng.choices(actions, k=rng.choice((1, 2, 2, 3, 3, 4, 5, 8, 13))))
    if rng.random() < 0.12:
        return rng.choice(DOCUMENTS).format(json.dumps([rng.choice((LETTER[a], a, a.upper())) for a in plan])), plan
    items = _items(rng, plan)
    separator = rng.choice(SEPARATORS)
    mixed = rng.random() < 0.1
    if "pick up" in " ".join(plan) or "PICK" in items or "DROP" in items:  # "pick_up" is one action, "PICK → DROP" two
        separator, mixed = ", ", False
    text = items[0] + "".join((rng.choice(SEPARATORS) if mixed else separator) + item for item in items[1:])
    if rng.random() < 0.15:
        text = write_plan(plan)
    elif rng.random() < 0.1 and len(items) > 1:  # not a plan any more
        cut = rng.randrange(1, len(items))
        text = separator.join(items[:cut]) + rng.choice(SPOILERS) + separator.join(items[cut:])
        plan = ()
    for _ in range(rng.choice((0, 1, 1, 2))):
        text = rng.choice(WRAPPERS).format(text)
    return rng.choice(PLACES).format(text), plan


def _items(rng: random.Random, plan: tuple[str, ...]) -> list[str]:
    style = rng.randrange(12)
    words = [rng.choice((a, a.capitalize(), a.upper())) for a in plan]
    if style == 0:
        return [LETTER[a] for a in plan]
    if style == 1:
        return [ARROW[a] for a in plan]
    if style == 2:
        forms = ("{1} ({0})", "{0} {1}", "{2} ({0})")
        return [rng.choice(forms).format(a, ARROW[a], LETTER[a]) if ARROW[a] in "←↓→↑" else a for a in plan]
    if style == 3:
        mark, first = rng.choice(("{}. ", "{}) ", "({}) ", "{}: ", "Step {}: ", "**Step {}:** Move ")), rng.randrange(2)
        return [mark.format(k) + word for k, word in enumerate(words, first)]
    if style == 4:
        return [f"move {a}" if a not in ("pick", "drop") else a for a in plan]
    if style == 5:
        runs: list[list[Any]] = []
        for a in plan:
            if runs and runs[-1][0] == a:
                runs[-1][1] += 1
            else:
                runs.append([a, 1])
        mark = rng.choice((" x{}", " ×{}", "x{}", " (x{})", " (×{})", "*{}"))
        return [a + (mark.format(n) if n > 1 or rng.random() < 0.2 else "") for a, n in runs]
    if style == 6:
        return [f"({LETTER[a]})" for a in plan]
    if style == 7:
        return [rng.choice(("Pick up", "PICK_UP", "PickUp")) if a == "pick" else a for a in plan]
    if style == 8:
        return [f"**{word}**" for word in words]
    return words


def mutated(rng: random.Random, text: str, other: str) -> str:
    """A text with some pieces put in, taken out, doubled, moved or taken from another text."""
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        a, b = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        match rng.randrange(7):
            case 0 | 1:
                text = text[:a] + rng.choice(PIECES) + text[a:]
            case 2:
                text = text[:a] + text[min(b, a + 8) :]
            case 3:
                text = text[:b] + text[a:b] + text[b:]
            case 4:
                text = text[:a] + rng.choice(PIECES) + text[min(b, a + 4) :]
            case 5:
                text = text[:a] + other[len(other) // 2 :]
            case _:
                text = (
                    text[:a]
                    + chr(rng.choice((rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x110000))))
                    + text[a:]
                )
    return text[:20000]


STATE = "size: 6\nagent: (1,2)\nplayer: (3,4)\n"
STATED = {("size", 6), ("agent", 1, 2), ("player", 3, 4)}


def main() -> int:
    """Read the answers, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    tasks = {name: get_task(name) for name in ("frozenlake", "minibehaviour")}
    pool = []
    if options.answers:
        pool = [(row["task"], row["text"]) for row in map(json.loads, options.answers.read_text().splitlines())]
    counts: Counter[str] = Counter()
    broken: list[tuple[str, str, Any]] = []
    start = time.perf_counter()
    for number in range(options.count):
        plan: tuple[str, ...] | None = None
        if number % 2 and pool:
            name, text = rng.choice(pool)
            text, kind = mutated(rng, text, rng.choice(pool)[1]), "mutated"
        else:
            name = rng.choice(tuple(tasks))
            text, plan = made(rng, tasks[name].actions)
            kind = "made"
        stated = rng.random() < 0.2 and kind == "made"
        if stated:
            text = STATE + text
        try:
            answer = parse_answer(text, tasks[name])
        except Exception as error:  # that there is none is what is looked for
            broken.append(("raised", text, repr(error)))
            continue
        counts[f"{kind}, {answer.form}"] += 1
        if (answer.plan is None) != (answer.form == "none") or answer.plan == ():
            broken.append(("form", text, answer))
        if plan is not None and answer.plan not in (plan, None):
            broken.append(("misread", text, (answer.plan, plan)))
        if kind == "made" and not answer.facts <= (STATED if stated else set()):
            broken.append(("facts", text, answer.facts))
        if kind == "made" and answer.plan is not None and len(pool) < 20_000:
            pool.append((name, text))
    seconds = time.perf_counter() - start
    print(f"{options.count:,} answers in {seconds:,.0f} s, seed {options.seed}")
    for kind, count in sorted(counts.items()):
        print(f"  {kind}: {count:,}")
    print(f"  promises broken: {len(broken)} {dict(Counter(what for what, _, _ in broken))}")
    for what, text, found in broken[:40]:
        print(f"{what}: {text[:300]!r} {found}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
