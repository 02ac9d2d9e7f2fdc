"""The command line on files that mean harm: how many attacks of each class it survives, at what cost.

Writes `reports/reliability/files.md`. Exits with 1 if an attack was not survived.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.forking import ENGINE_MODULES, Forker  # noqa: E402
from support.hostile_file_runs import (  # noqa: E402
    ENGINES,
    LIMIT,
    MOST_MEMORY,
    MOST_OF_ENGINE,
    FileOutcome,
    kinds,
    outcomes,
    spread,
)
from support.hostile_files import FILE_ATTACKS, FileAttack  # noqa: E402
from support.survival import publish  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "files.md"
TINY = ROOT / "baselines" / "checkpoints" / "tiny-mgsd"
MEANINGS = {
    "device": "pipes, sockets, devices and files of the kernel in place of each file that is read",
    "link": "links, `..` and folders in place of each file that is read or written",
    "size": "holes of 100 GB, endless lines, NULs, deep nesting and nothing in place of each file that is read",
    "name": "paths of 300 and 5,000 letters, with NULs, surrogates and escape sequences, in every option",
    "yaml": "tags, alias bombs, nesting and numbers in settings, policies, recipes, tables and model cards",
    "checkpoint": "pipes, devices, holes and nothing in place of a checkpoint's files",
    "pickle": "checkpoints whose weights are pickles with a call in them",
    "code": "checkpoints with code of their own, and files that would switch it on",
    "plugin": "installed tasks that raise, leave, or are none: the other tasks' commands go on",
}

INTRODUCTION = f"""\
Each attack is a command of `mgsd-bench` in a process of its own that reads or writes one file that means harm. Survived
means: it ends within {LIMIT:g} s with a documented exit code, without a traceback, in less than {MOST_MEMORY:g} MB
({MOST_OF_ENGINE:g} MB where an engine is loaded); what is shown holds no control characters and no line without
measure; no file beside the command's own folder has changed, nothing half written is left, and no code was carried
out."""


def run(attacks: Sequence[FileAttack]) -> list[FileOutcome]:
    """Run attacks one after another, the quick ones first."""
    done: list[FileOutcome] = []
    for engines in (False, True):
        these = [attack for attack in attacks if (attack.kind in ENGINES) == engines]
        if not these:
            continue
        # a bar of an engine's library has control characters; the library asks once, as it is imported
        quiet = Forker(*(ENGINE_MODULES if engines else ()), TQDM_DISABLE="1")
        with quiet as forker, TemporaryDirectory() as folder:
            for each in outcomes(forker, these, Path(folder), TINY):
                done.append(each)
                if each.problems:
                    print(f"{each.attack.name}: {'; '.join(each.problems)}", flush=True)
                elif len(done) % 50 == 0:
                    print(f"{len(done)} of {len(attacks)}", flush=True)
    return done


def table(done: Sequence[FileOutcome]) -> str:
    """The report: a row a class."""
    rows = [
        "# Files of others",
        "",
        INTRODUCTION,
        "",
        "| class | what | n | survived | worst wall, s | worst memory, MB |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for kind in [*kinds(), None]:
        if these := [each for each in done if kind in (None, each.attack.kind)]:
            name, what = (kind, MEANINGS[kind]) if kind else ("**all**", "")
            survived = sum(not each.problems for each in these)
            wall, memory = max(each.ended.seconds for each in these), max(each.ended.rss for each in these)
            rows.append(f"| {name} | {what} | {len(these)} | {survived} | {wall:.1f} | {memory:.0f} |")
    rows += [
        "",
        "Made by `python benchmarks/reliability_files.py`. Walls hang on the machine and on what else it does.",
    ]
    lost = [f"- {each.attack.name}: {'; '.join(each.problems)}" for each in done if each.problems]
    return "\n".join([*rows, *(["", "Not survived:", "", *lost] if lost else []), ""])


def main() -> None:
    """Run the attacks and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--short", action="store_true", help="a sample of each class, without engines; writes nothing")
    parser.add_argument("--only", help="attacks whose class or name holds this")
    given = parser.parse_args()
    attacks = spread(8) if given.short else list(FILE_ATTACKS.values())
    if given.only:
        attacks = [attack for attack in attacks if given.only in f"{attack.kind} {attack.name}"]
    done = run(attacks)
    publish(table(done), given.out or (None if given.short or given.only else REPORT))
    sys.exit(any(each.problems for each in done))


if __name__ == "__main__":
    main()
