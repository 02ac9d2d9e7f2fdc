"""The command line against the hostile server of the tests: how many attacks of each class it survives, at what cost.

Writes `reports/reliability/server.md`. Exits with 1 if an attack was not survived.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.forking import Forker  # noqa: E402
from support.hostile_runs import HEAVY_LIMIT, LIMIT, MOST_MEMORY, Outcome, kinds, outcomes  # noqa: E402
from support.hostile_server import ATTACKS, Attack  # noqa: E402
from support.survival import publish  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "server.md"
MEANINGS = {
    "timing": "drips and silence without end: bytes, headers, status lines, interim responses, chunks",
    "size": "bodies of 1 GB and without end, floods of large answers, huge headers",
    "compression": "bombs of gzip, gzip in gzip, damaged and unknown codings",
    "framing": "resets, wrong lengths and chunks, other protocols, garbage before and behind a response",
    "status": "status codes and lines of every kind",
    "retry-after": "times to wait of every form and size",
    "nesting": "JSON nested up to 200,000 deep",
    "numbers": "counts that are none, or beyond all bounds",
    "shape": "replies of other shapes, types and encodings",
    "text": "escape sequences, surrogates, directions, lengths in errors, answers and pages",
    "names": "the same in names of models, lists of models and versions",
    "redirect": "redirects to elsewhere",
    "key": "the API key quoted in every place, and spelled in 22 ways",
}

INTRODUCTION = f"""\
Each attack is a run of `mgsd-bench eval --backend openai` in a process of its own against a server that answers a list
of models, a version, first questions or questions in a way that means harm. Survived means: it ends within {LIMIT:g} s
({HEAVY_LIMIT:g} s for floods) with exit code 0, 2, 3 or 5, without a traceback, in less than {MOST_MEMORY:g} MB;
what is shown holds no control characters and no line without measure; and the key is in no file of the run, on no
screen and, where a key is quoted, not in the report in HTML, as it is or spelled in another way."""


def run(attacks: Sequence[Attack], at_once: int = 2) -> list[Outcome]:
    """Run attacks, those with floods one by one."""
    done: list[Outcome] = []
    with Forker() as forker, TemporaryDirectory() as folder:
        for heavy in (False, True):
            these = [attack for attack in attacks if attack.heavy == heavy]
            for each in outcomes(forker, these, Path(folder) / str(heavy), 1 if heavy else at_once):
                done.append(each)
                if each.problems:
                    print(f"{each.attack.name}: {'; '.join(each.problems)}", flush=True)
                elif len(done) % 50 == 0:
                    print(f"{len(done)} of {len(attacks)}", flush=True)
    return done


def sample(seed: int, most: int = 3) -> list[Attack]:
    """At most so many attacks of each class, none of them a flood."""
    drawn = Random(seed)
    light = [[attack for attack in ATTACKS.values() if attack.kind == kind and not attack.heavy] for kind in kinds()]
    return [attack for these in light for attack in drawn.sample(these, min(most, len(these)))]


def table(done: Sequence[Outcome]) -> str:
    """The report: a row a class."""
    rows = [
        "# Hostile servers",
        "",
        INTRODUCTION,
        "",
        "| class | what | n | survived | worst wall, s | worst memory, MB |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for kind in [*kinds(), None]:
        if not (these := [each for each in done if kind in (None, each.attack.kind)]):
            continue
        name, what = (kind, MEANINGS[kind]) if kind else ("**all**", "")
        survived = sum(not each.problems for each in these)
        wall, memory = max(each.ended.seconds for each in these), max(each.ended.rss for each in these)
        rows.append(f"| {name} | {what} | {len(these)} | {survived} | {wall:.1f} | {memory:.0f} |")
    rows += [
        "",
        "Made by `python benchmarks/reliability_server.py`. Walls hang on the machine: here "
        f"{os.cpu_count()} cores with a load of {os.getloadavg()[1]:.0f}.",
        "An attack without end uses up two tries of a second or more for each of its questions.",
    ]
    lost = [f"- {each.attack.name}: {'; '.join(each.problems)}" for each in done if each.problems]
    return "\n".join([*rows, *(["", "Not survived:", "", *lost] if lost else []), ""])


def main() -> None:
    """Run all attacks and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--short", action="store_true", help="a sample of each class, without floods; writes nothing")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--at-once", type=int, default=2, help="runs side by side")
    given = parser.parse_args()
    done = run(sample(given.seed) if given.short else list(ATTACKS.values()), given.at_once)
    publish(table(done), given.out or (None if given.short else REPORT))
    sys.exit(any(each.problems for each in done))


if __name__ == "__main__":
    main()
