"""A fault in every system call of a command that writes, one after another: is anything lost, does it go on?

Writes `reports/reliability/faults.md`. Exits with 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.durable import FEW, LIMIT, Case, Expected, cases, faults_after, faults_of, make_given, undisturbed  # noqa: E402
from support.faults import KINDS, build, environment  # noqa: E402
from support.forking import Forker  # noqa: E402
from support.survival import Trial, page  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "faults.md"
IN_TURN = {"score", "score --rescore", "gate --model", "report --figures"}
"""Cases that write in the way of another, or many files in the same way: each call meets one kind of fault."""
SHORT_STEP = 37
MEANINGS = {
    "eval": "a run of two conditions",
    "score": "answers of a file; each call meets one of the faults in turn, as in the next two and with figures",
    "score --rescore": "a run's texts read anew",
    "gate --model": "a candidate's run, its verdict, JUnit",
    "report html": "the page",
    "report md": "a table",
    "report csv": "a table",
    "report --figures": "a table and 14 figures",
    "baseline save": "a new baseline",
    "baseline save --force": "another run's baseline overwritten",
    "generate": "a folder of episodes and pictures",
}
INTRODUCTION = f"""\
Each trial runs a command of which one system call that writes (open for writing, write, fsync, ftruncate, rename,
close, mkdir, unlink of files below its output) is at fault, from the first call to the last: the process is killed
before it or after it, a write is cut to half, or the call fails with ENOSPC, EIO or EINTR ({len(KINDS)} kinds). Then
the same command is run again, undisturbed. Survived means: the first ends with exit code 0, 2, 3 or 5 unless it was
killed, without a traceback and with one line that says why; the second ends as if there had been no first: the same
exit code (or 2, "exists", where all had been done), the same files with the same bytes (but for times, and the order of
answers), none beside them, and no answer asked again that was stored."""


def trials(library: Path, folder: Path, step: int) -> Iterator[Trial]:
    """Try every fault at every ``step``-th call of every case."""
    with Forker(LD_PRELOAD=str(library)) as forker, ThreadPoolExecutor(2) as pool:
        given = folder / "given"
        make_given(forker, given, FEW)
        for case in (case for case in cases(FEW) if case.kind in MEANINGS):
            whole = folder / case.kind.replace(" ", "-")
            whole.mkdir()
            count = whole / "count"
            expected = undisturbed(forker, case, given, whole, **environment(whole / "out", count, 0, "kill"))
            planned = planned_faults(case, int(count.read_text()))[::step]
            for done in pool.map(partial(trial, forker, case, given, whole, expected), planned):
                if done.faults:
                    print(f"{done.kind}, {done.name}: {'; '.join(done.faults)}", flush=True)
                yield done
            print(f"{case.kind}: {len(planned)} faults", flush=True)


def planned_faults(case: Case, calls: int) -> list[tuple[int, str]]:
    """Which faults are tried: number of the call, and kind."""
    each = list(KINDS)
    return [(at, k) for at in range(1, calls + 1) for k in ([each[at % len(each)]] if case.kind in IN_TURN else each)]


def trial(forker: Forker, case: Case, given: Path, whole: Path, expected: Expected, planned: tuple[int, str]) -> Trial:
    """One fault, and the same command again."""
    at, kind = planned
    folder = whole / f"{kind.replace(' ', '-')}-{at}"
    out = folder / "out"
    case.fresh(given, out)
    told = environment(out, folder / "count", at, kind)
    ended = forker.run(case.command(given, out), folder / "shown.txt", LIMIT, **told)
    faults = [*faults_of(ended, -9), *faults_after(forker, case, given, folder, expected)]
    rmtree(folder)
    return Trial(
        case.kind, f"{kind} at call {at}", faults, {"killed": ended.code == -9, "refused": ended.code in (2, 5)}
    )


def main() -> None:
    """Try all faults and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=REPORT)
    parser.add_argument("--short", action="store_true", help=f"only every {SHORT_STEP}th trial")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        library = build(Path(folder))
        if library is None:
            sys.exit("needs a C compiler and Linux")
        done = list(trials(library, Path(folder).resolve(), SHORT_STEP if given.short else 1))
    made_by = "Made by `python benchmarks/reliability_faults.py`; refused: ended with exit code 2 or 5 and one line."
    text = page("Faults in system calls", INTRODUCTION, MEANINGS, done, made_by)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(any(trial.faults for trial in done))


if __name__ == "__main__":
    main()
