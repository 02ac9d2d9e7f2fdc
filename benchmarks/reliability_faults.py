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
from support.survival import Trial, page, publish  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "faults.md"
SHORT_STEP = 37
MEANINGS = {
    "eval": "a run of two conditions",
    "eval act": "a run in the closed loop",
    "score": "answers of a file",
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
            planned = [(at, kind) for at in range(1, int(count.read_text()) + 1) for kind in KINDS][::step]
            for done in pool.map(partial(trial, forker, case, given, whole, expected), planned):
                if done.faults:
                    print(f"{done.kind}, {done.name}: {'; '.join(done.faults)}", flush=True)
                yield done
            print(f"{case.kind}: {len(planned)} faults", flush=True)


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
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step", type=int, default=1, help="try every n-th fault")
    parser.add_argument("--short", action="store_const", dest="step", const=SHORT_STEP, help=f"--step {SHORT_STEP}")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        library = build(Path(folder))
        if library is None:
            sys.exit("needs a C compiler and Linux")
        done = list(trials(library, Path(folder).resolve(), given.step))
    step = f" --step {given.step}" if given.step > 1 else ""
    left_out = f", which tries one fault in {given.step} over all calls" if given.step > 1 else ""
    made_by = (
        f"Made by `python benchmarks/reliability_faults.py{step}`{left_out}. Refused: ended with exit code 2 or 5 and "
        "one line."
    )
    text = page("Faults in system calls", INTRODUCTION, MEANINGS, done, made_by)
    publish(text, given.out or (REPORT if given.step == 1 else None))
    sys.exit(any(trial.faults for trial in done))


if __name__ == "__main__":
    main()
