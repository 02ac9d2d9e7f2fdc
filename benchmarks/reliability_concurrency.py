"""Several processes at once, drives that fill up or vanish, and clocks that jump: is anything lost?

Writes `reports/reliability/concurrency.md`. Exits with 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import Error, copytree, rmtree
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.durable import (  # noqa: E402
    FEW,
    LIMIT,
    MODEL,
    Case,
    Expected,
    cases,
    faults_after,
    faults_of,
    make_given,
    stored,
    undisturbed,
)
from support.faults import LASTING, build, environment  # noqa: E402
from support.forking import Forker  # noqa: E402
from support.survival import Trial, page, publish  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "concurrency.md"
MEANINGS = {
    "two writers": "the same command twice at once into one place",
    "two runs": "two runs of two models at once into one folder: one of them is stored, whole",
    "reader": "report, verify and baseline save of a run that is being written",
    "many": "20 runs (5 in the short form) at once into as many folders",
    "full": "the disk is full from one call on",
    "over quota": "the same by a quota",
    "read-only": "the disk can only be read from one call on",
    "stale": "a network drive is gone from one call on: reading and writing fail with ESTALE",
    "gone": "the same with ENODEV",
    "broken": "the same with EIO",
    "full, real": "a memory disk of 4, 40 or 100 kB",
    "read-only, real": "a disk that is mounted read-only before the first or before a second session",
    "clock": "the clock of the wall jumps by up to 3 days or 30 years, back and forth, each time that it is read",
}
SHORT = {"eval", "report csv", "baseline save", "generate"}
"""Commands that the short form tries."""
INTRODUCTION = """\
Each trial runs commands that write (eval, score, score --rescore, gate --model, report, baseline save, generate) side
by side, on a drive that fails for good from a random system call on, or with a clock that jumps; then the same command
once more where it was disturbed. Survived means: every command ends with a documented exit code, without a traceback
and, if it is refused, with one line that says why; in the end there are the same files with the same bytes as of a
command that nothing disturbed (but for times, and the order of answers), with none beside them, and no answer that was
stored is asked again; times that were measured are not negative."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all trials need.

    Attributes:
        forker: runs commands.
        folder: for files of the trials.
        given: see :func:`support.durable.make_given`.
        expected: of each case, by its class.
        calls: system calls that write, likewise.
        rng: chooses calls.
        few: fewer trials of each class.
        cases: the commands.
    """

    forker: Forker
    folder: Path
    given: Path
    expected: dict[str, Expected]
    calls: dict[str, int]
    rng: random.Random
    few: bool
    cases: tuple[Case, ...]

    @contextmanager
    def place(self, case: Case) -> Iterator[Path]:
        """A folder for one trial, with ``out`` in it as the command expects it."""
        folder = self.folder / "trial"
        case.fresh(self.given, folder / "out")
        yield folder
        rmtree(folder)

    def after(self, case: Case, folder: Path) -> list[str]:
        """See :func:`support.durable.faults_after`."""
        return faults_after(self.forker, case, self.given, folder, self.expected[case.kind])

    def side_by_side(self, commands: Sequence[Sequence[str]], folder: Path) -> list[str]:
        """Run commands at once; what is wrong with how they ended."""
        with ThreadPoolExecutor(len(commands)) as pool:
            files = [folder / f"shown-{number}.txt" for number in range(len(commands))]
            ends = pool.map(lambda *of: self.forker.run(*of, LIMIT), commands, files)
            return [fault for end in ends for fault in faults_of(end)]


def writers(bench: Bench) -> Iterator[Trial]:
    """The same command twice."""
    for case in bench.cases:
        for number in range(1 if bench.few else 2):
            with bench.place(case) as folder:
                ends = bench.side_by_side([case.command(bench.given, folder / "out")] * 2, folder)
                faults = [*ends, *bench.after(case, folder)]
                yield Trial("two writers", f"{case.kind}, {number}", faults, {})


def two_runs(bench: Bench) -> Iterator[Trial]:
    """Two models in one folder."""
    case = bench.cases[0]
    for number in range(1 if bench.few else 10):
        with bench.place(case) as folder:
            words = [case.command(bench.given, folder / "out")] * 2
            words[number % 2] = ["oracle" if word == MODEL[-1] else word for word in words[0]]
            faults = bench.side_by_side(words, folder)
            won = json.loads((folder / "out/run/run.json").read_text())
            faults += [] if won["status"] == "complete" else ["no run was finished"]
            if won["identity"]["model"] == MODEL[-1]:
                faults += bench.after(case, folder)
            elif (shown := bench.forker.run(["verify", str(folder / "out/run")], folder / "v.txt", LIMIT)).code:
                faults.append(shown.shown)
            yield Trial("two runs", str(number), faults, {})


def readers(bench: Bench) -> Iterator[Trial]:
    """Readers beside a writer."""
    case = bench.cases[0]
    for number in range(1 if bench.few else 10):
        with bench.place(case) as folder:
            run = str(folder / "out/run")
            (folder / "read").mkdir()
            reading = [
                ["report", run],
                ["verify", run],
                ["report", run, "--out", str(folder / "read" / "report.csv")],
                ["baseline", "save", run, "kept", "--dir", str(folder / "read")],
            ]
            ends = bench.side_by_side([case.command(bench.given, folder / "out"), *reading, *reading[:2]], folder)
            yield Trial("reader", str(number), [*ends, *bench.after(case, folder)], {})


def many(bench: Bench) -> Iterator[Trial]:
    """20 runs at once."""
    case, count = bench.cases[0], 5 if bench.few else 20
    folder = bench.folder / "many"
    places = [folder / str(number) / "out" for number in range(count)]
    for out in places:
        case.fresh(bench.given, out)
    ends = bench.side_by_side([case.command(bench.given, out) for out in places], folder)
    for number, out in enumerate(places):
        same = stored(out) == bench.expected[case.kind].files
        yield Trial("many", str(number), [*ends, *([] if same else ["not as alone"])], {})


def lasting(bench: Bench) -> Iterator[Trial]:
    """Drives that fail for good."""
    for kind in LASTING:
        for case in bench.cases:
            calls = bench.calls[case.kind]
            moments = [1, *bench.rng.sample(range(2, calls + 1), min(1, calls - 1))] if calls else []
            for at in bench.rng.sample(moments, min(1, len(moments))) if bench.few else moments:
                with bench.place(case) as folder:
                    told = environment(folder / "out", folder / "count", at, kind)
                    words = case.command(bench.given, folder / "out")
                    ended = bench.forker.run(words, folder / "shown.txt", LIMIT, **told)
                    faults = [*faults_of(ended), *bench.after(case, folder)]
                    yield Trial(kind, f"{case.kind}, from call {at} of {calls}", faults, {})


def mounted(bench: Bench) -> Iterator[Trial]:
    """The same on real memory disks, for whoever may mount them."""
    if os.geteuid() != 0:
        return
    for case in (case for case in bench.cases if bench.calls[case.kind]):
        for size in (40,) if bench.few else (4, 40, 100):
            with bench.place(case) as folder, _disk(folder / "disk", f"size={size}k") as disk:
                try:
                    copytree(folder / "out", disk / "out")
                except Error:  # what is there before does not fit
                    continue
                ended = bench.forker.run(case.command(bench.given, disk / "out"), folder / "shown.txt", LIMIT)
                _mount("-o", "remount,size=100m", str(disk))
                yield Trial("full, real", f"{case.kind}, {size} kB", [*faults_of(ended), *bench.after(case, disk)], {})
        for sessions in (0, 1):
            with bench.place(case) as folder, _disk(folder / "disk", "size=100m") as disk:
                copytree(folder / "out", disk / "out")
                words = case.command(bench.given, disk / "out")
                for _ in range(sessions):
                    bench.forker.run(words, folder / "first.txt", LIMIT)
                _mount("-o", "remount,ro", str(disk))
                ended = bench.forker.run(words, folder / "shown.txt", LIMIT)
                faults = [*faults_of(ended), *([] if ended.code else ["exit code 0, and nothing could be written"])]
                _mount("-o", "remount,rw", str(disk))
                yield Trial("read-only, real", f"{case.kind}, {sessions}", [*faults, *bench.after(case, disk)], {})


@contextmanager
def _disk(at: Path, options: str) -> Iterator[Path]:
    at.mkdir()
    _mount("-t", "tmpfs", "-o", options, "none", str(at))
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def clocks(bench: Bench) -> Iterator[Trial]:
    """Clocks that jump."""
    for case in bench.cases:
        for seconds in (86_400,) if bench.few else (86_400, 315_360_000):
            with bench.place(case) as folder:
                words = case.command(bench.given, folder / "out")
                ended = bench.forker.run(words, folder / "shown.txt", LIMIT, FAULT_CLOCK=str(seconds))
                faults = [*faults_of(ended), *([f"exit code {ended.code}"] if ended.code else [])]
                if stored(folder / "out") != bench.expected[case.kind].files:
                    faults.append("not as with a steady clock")
                record = folder / "out/run/run.json"
                sessions = json.loads(record.read_text())["sessions"] if record.exists() else ()
                seconds_each = [session.get("seconds", 0) for session in sessions]
                faults += [f"took {each} s" for each in seconds_each if not 0 <= each < LIMIT]
                yield Trial("clock", f"{case.kind}, {seconds} s", faults, {})


def trials(library: Path, folder: Path, few: bool) -> Iterator[Trial]:
    """All of them."""
    with Forker(LD_PRELOAD=str(library)) as forker:
        given = folder / "given"
        make_given(forker, given, FEW)
        chosen = tuple(case for case in cases(FEW) if not few or case.kind in SHORT)
        bench = Bench(forker, folder, given, {}, {}, random.Random(0), few, chosen)
        for case in chosen:
            with bench.place(case) as place:
                rmtree(place / "out")
                count = folder / "count"
                count.write_text("0")
                told = environment(place / "out", count, 0, "full")
                bench.expected[case.kind] = undisturbed(forker, case, given, place, **told)
                bench.calls[case.kind] = int(count.read_text())
        before = stored(given)
        for kind in (writers, two_runs, readers, many, lasting, mounted, clocks):
            for done in kind(bench):
                said = "; ".join(done.faults)
                print(f"{done.kind}, {done.name}: {said or 'survived'}", flush=True)
                yield done
        if stored(given) != before:
            yield Trial("reader", "what all commands read", ["was changed"], {})


def main() -> None:
    """Try everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--short", action="store_true", help="a trial or two of each kind")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        library = build(Path(folder))
        if library is None:
            sys.exit("needs a C compiler and Linux")
        done = list(trials(library, Path(folder).resolve(), given.short))
    short = " --short" if given.short else ""
    made_by = (
        f"Made by `python benchmarks/reliability_concurrency.py{short}`; real disks are mounted for root alone, "
        f"and the short form tries {', '.join(sorted(SHORT))} alone."
    )
    text = page("Concurrency, drives and clocks", INTRODUCTION, MEANINGS, done, made_by)
    publish(text, given.out or (None if given.short else REPORT))
    sys.exit(any(trial.faults for trial in done))


if __name__ == "__main__":
    main()
