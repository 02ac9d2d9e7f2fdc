"""Commands killed at random moments, and the same commands again: is anything lost, does anything stay behind?

Writes `reports/reliability/kills.md`. Exits with 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.commands import mgsd  # noqa: E402
from support.durable import (  # noqa: E402
    LIMIT,
    MANY,
    Case,
    Expected,
    cases,
    faults_after,
    make_given,
    stored,
    undisturbed,
)
from support.forking import Forker  # noqa: E402
from support.survival import Trial, page, publish  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "kills.md"
KILLS = {
    "eval": (51, "one-shot questions under two conditions"),
    "eval act": (30, "the closed loop"),
    "score": (20, "answers of a file"),
    "score --rescore": (20, "a run's texts read anew; the run itself stays as it was"),
    "verify": (15, "the run stays as it was"),
    "gate --model": (25, "a candidate's run, its verdict, JUnit"),
    "report html": (10, "the page"),
    "report md": (5, "a table"),
    "report csv": (5, "a table"),
    "report --figures": (8, "a table and 14 figures"),
    "baseline save": (10, "a new baseline"),
    "baseline save --force": (10, "another run's baseline overwritten"),
    "generate": (15, "a folder of episodes and pictures"),
    "train": (6, "two stages of a tiny model, then `--resume`: losses and weights"),
}
"""How often each is killed, and what it writes."""
TRAINING = (
    "precision=fp32",
    "attention=sdpa",
    "data={levels: {frozenlake: [3], maze: [3], minibehaviour: [5]}, count: 16}",
    "validation={count: 1, max_tokens: 16}",
    "stages.cold-start=null",
    "stages.self-distill.max_completion=16",
    *(
        f"stages.{stage}.{change}"
        for stage in ("pretrain", "self-distill")
        for change in (
            "batch=4",
            "micro_batch=4",
            "validation.every=2",
            "trainer.max_steps=4",
            "trainer.logging_steps=1",
        )
    ),
    "stages.self-distill.data.count=16",
    "stages.self-distill.teacher.model=pretrain",
)
TRIES = 20
INTRODUCTION = """\
Each trial kills a command (SIGKILL) at a random moment of its life, by turns after a random share of the time that it
takes undisturbed, and once its files hold a random share of the bytes that they hold at the end; processes are forked
from one that has imported everything, so no kill falls on imports. Then the same command is run again. Survived means:
it ends as if nothing had been killed, with the same exit code (or 2, "exists", where all had been done) and no
traceback; its files hold the same bytes (but for times, and the order of answers), with none beside them; what it
reads is untouched; and no answer is asked again that was stored. `begun` counts the kills that found files of the
command."""


def trials(folder: Path, rng: random.Random, share: float) -> Iterator[Trial]:
    """Kill every command but training."""
    with Forker() as forker:
        given = folder / "given"
        make_given(forker, given, MANY)
        before = stored(given)
        for case in cases(MANY):
            whole = folder / case.kind.replace(" ", "-")
            whole.mkdir()
            walls = []
            for _ in range(2):
                rmtree(whole / "out", ignore_errors=True)
                expected = undisturbed(forker, case, given, whole)
                walls.append(expected.ended.seconds)
            for number in range(max(1, round(share * KILLS[case.kind][0]))):
                done = trial(forker, case, given, whole / str(number), expected, median(walls), number, rng)
                yield done if stored(given) == before else Trial(done.kind, done.name, ["changed what it reads"], {})


def trial(
    forker: Forker,
    case: Case,
    given: Path,
    folder: Path,
    expected: Expected,
    wall: float,
    number: int,
    rng: random.Random,
) -> Trial:
    """One kill, and the same command again."""
    out = folder / "out"
    for _ in range(TRIES):
        rmtree(folder, ignore_errors=True)
        case.fresh(given, out)
        begun = set(out.rglob("*"))
        moment, full = rng.random(), None
        if number % 2 and expected.size:
            full = (out, 1 + round(moment * expected.size) + _size(out))
        limit = LIMIT if full else moment * wall
        ended = forker.run(case.command(given, out), folder / "shown.txt", limit, full=full)
        if ended.code is None:  # and not over before
            break
    else:
        return Trial(case.kind, f"kill {number}", [f"was never killed in {TRIES} tries"], {})
    figures = {"begun": bool(set(out.rglob("*")) - begun), "by time": full is None}
    faults = faults_after(forker, case, given, folder, expected)
    name = f"kill {number} at {moment:.2f} of its {'bytes' if full else 'time'}"
    rmtree(folder)
    return Trial(case.kind, name, faults, figures)


def trainings(folder: Path, rng: random.Random, count: int) -> Iterator[Trial]:
    """Kill trainings."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["mgsd_baselines.training.sft", "mgsd_baselines.training.self_distill"])

    def start(out: Path, *more: str):  # type: ignore[no-untyped-def]
        sets = [word for change in TRAINING for word in ("--set", change)]
        process = context.Process(target=mgsd, args=("train", "tiny-smoke", "--out", str(out), *sets, *more))
        process.start()
        return process

    for warm in ("warm", "whole"):  # the first waits for imports
        began = time.monotonic()
        whole = start(folder / warm)
        whole.join()
        wall = time.monotonic() - began
        if whole.exitcode:
            raise SystemExit("the training fails undisturbed")
    expected, size = trained(folder / "whole"), _size(folder / "whole")
    for number in range(count):
        out = folder / f"killed-{number}"
        moment, by_time = rng.uniform(0.02, 0.7), number % 2 == 0  # the times of trainings differ
        process, began = start(out), time.monotonic()
        while process.is_alive():
            if (time.monotonic() - began > moment * wall) if by_time else (_size(out) > moment * size):
                process.kill()
            time.sleep(0.005)
        killed = process.exitcode == -9
        figures = {"begun": out.is_dir(), "by time": by_time}
        again = start(out, *(["--resume"] if out.is_dir() else []))
        again.join()
        faults = [] if killed else ["was over before"]
        if again.exitcode:
            faults.append(f"does not go on: exit code {again.exitcode}")
        elif (found := trained(out)) != expected:
            names = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
            faults.append(f"not as undisturbed: {', '.join(names)}")
        yield Trial("train", f"kill {number} at {moment:.2f} of its {'time' if by_time else 'bytes'}", faults, figures)
        rmtree(out)


def trained(out: Path) -> dict[str, object]:
    """All files of a training by name: losses, digests of weights and tokenizers, and no more than names of records."""
    found: dict[str, object] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(path.relative_to(out))
        if path.name == "metrics.jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [(row["step"], row["loss"]) for row in rows if "loss" in row]
        elif path.name == "training.json":
            record = json.loads(path.read_text())  # the start's fingerprint knows the name of the folder
            found[name] = [record["steps"], record["best"], record["data"], record["start"]["model"]]
        else:
            found[name] = hashlib.sha256(path.read_bytes().replace(str(out).encode(), b"OUT")).hexdigest()
    return found


def _size(folder: Path) -> int:
    """Bytes of all files below a folder, some of which may be gone by now."""
    total = 0
    for place, _, names in os.walk(folder):  # which passes over folders that are gone
        for name in names:
            with suppress(OSError):
                total += Path(place, name).stat().st_size
    return total


def main() -> None:
    """Kill everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="of the kills; below 1 none of a training")
    parser.add_argument("--short", action="store_const", dest="share", const=0.1, help="--share 0.1")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, done = random.Random(given.seed), []
    with TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        every = [trials(root / "commands", rng, given.share)]
        for kind in every if given.share < 1 else [*every, trainings(root, rng, KILLS["train"][0])]:
            for each in kind:
                done.append(each)
                print(f"{len(done)}: {each.kind}, {each.name}: {'; '.join(each.faults) or 'survived'}", flush=True)
    meanings = {kind: what for kind, (_, what) in KILLS.items()}
    share = f" --share {given.share:g}" if given.share < 1 else ""
    made_by = f"Made by `python benchmarks/reliability_kills.py --seed {given.seed}{share}`."
    text = page("Kills at random moments", INTRODUCTION, meanings, done, made_by)
    publish(text, given.out or (REPORT if given.share >= 1 else None))
    sys.exit(any(each.faults for each in done))


if __name__ == "__main__":
    main()
