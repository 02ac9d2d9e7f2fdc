"""What more answers cost: every command that reads or writes a run, at ten thousand, a hundred thousand and a million.

    python benchmarks/scale.py --answers 10000,100000,1000000 [--keep FOLDER]

A scripted model is asked a quarter as many episodes under four conditions. Each step is a command in a
process of its own, whose seconds, processor seconds and peak of memory the kernel tells. ``resume`` is the time from
the start of the command to its first new answer, with half of the answers there. The shards of ``merge`` are the
own answers of the run, divided by seven.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mgsd_bench.runs.shards import Shard
from mgsd_bench.suites.suite import digests
from mgsd_bench.suites.suite_folder import read_episodes

CONDITIONS = 4
LEVELS = 10
SHARDS = 7
SUITE = """\
name: scale-{count}
about: many episodes
count: {count}
parts:
  - {{task: frozenlake, levels: [8, 9, 10, 11, 12]}}
  - {{task: maze, levels: [8, 9, 10, 11, 12]}}
conditions: [visual, symbolic, perceive, direct]
"""
MODEL = ("--backend", "scripted", "--model", "oracle")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds, seconds of processors, and the most memory, in bytes."""

    step: str
    seconds: float
    processor: float
    peak: int


def run(step: str, *words: str, stop_at: Path | None = None) -> Cost:
    """Run a command; with ``stop_at`` only until that file grows."""
    command = [sys.executable, "-m", "mgsd_bench", *words]
    before = stop_at.stat().st_size if stop_at else 0
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while stop_at and process.poll() is None and stop_at.stat().st_size <= before:
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    if stop_at:
        process.kill()
    said = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if not stop_at and process.returncode not in (0, 1, 4):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said.decode()[-500:]}")
    seconds = seconds if stop_at else time.perf_counter() - started
    return Cost(step, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def measure(answers: int, folder: Path) -> Iterator[Cost]:
    """Every step at one size."""
    suite = folder / "suite.yaml"
    suite.write_text(SUITE.format(count=answers // CONDITIONS // LEVELS))
    asked = ("--suite", str(suite), "--prompts", "compact")
    whole, half, other = folder / "run", folder / "half", folder / "other"
    yield run("eval", "eval", *MODEL, *asked, "--out", str(whole))
    copy(whole, half, answers // 2)
    yield run("resume", "eval", *MODEL, *asked, "--out", str(half), stop_at=half / "samples.jsonl")
    shutil.rmtree(half)
    with (folder / "answers.jsonl").open("w") as out, (whole / "samples.jsonl").open() as lines:
        for line in lines:
            row = json.loads(line)
            out.write(json.dumps({key: row[key] for key in ("episode", "condition", "repeat", "text")}) + "\n")
    yield run("score", "score", "--answers", str(folder / "answers.jsonl"), *asked, "--out", str(folder / "scored"))
    shutil.rmtree(folder / "scored")
    parts = [str(part) for part in divide(whole, folder)]
    yield run("merge", "merge", *parts, "--out", str(folder / "merged"))
    same = (folder / "merged" / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    assert same, "the merged run has other figures"
    for part in [*parts, str(folder / "merged")]:
        shutil.rmtree(part)
    copy(whole, other, answers, model="other")
    yield run("report", "report", str(whole))
    yield run("report html", "report", str(whole), "--out", str(folder / "page.html"))
    yield run("compare", "compare", str(whole), str(other))
    yield run("gate", "gate", "--baseline", str(whole), "--candidate", str(other))


def copy(source: Path, target: Path, answers: int, model: str | None = None) -> None:
    """A run with its first answers alone, or of another name."""
    target.mkdir()
    shutil.copy(source / "episodes.jsonl", target)
    record = json.loads((source / "run.json").read_text())
    if model is None:
        record["status"] = "interrupted"
    else:
        record["identity"]["model"] = model
    (target / "run.json").write_text(json.dumps(record))
    with (source / "samples.jsonl").open() as lines, (target / "samples.jsonl").open("w") as out:
        out.writelines(line for _, line in zip(range(answers), lines, strict=False))


def divide(whole: Path, folder: Path) -> list[Path]:
    """The shards that a run would have had."""
    episodes = read_episodes(whole).episodes
    record = json.loads((whole / "run.json").read_text())
    identity, texts = record["identity"], record["prompts"].values()
    of_run = {"episodes_digest": identity["episodes_digest"], "digest": identity["digest"]}
    number_of = {name: place % SHARDS for place, name in enumerate(episodes.ids)}
    parts = [folder / Shard(number + 1, SHARDS).folder for number in range(SHARDS)]
    for number, part in enumerate(parts):
        part.mkdir()
        own = episodes[number::SHARDS]
        alone, with_prompts = digests(own, texts)
        shard = {"number": number + 1, "of": SHARDS, **of_run}
        mine = {**identity, "episodes_digest": alone, "digest": with_prompts, "shard": shard}
        (part / "run.json").write_text(json.dumps({**record, "identity": mine}))
        with (part / "episodes.jsonl").open("w") as out:
            out.writelines(episode.canonical() + "\n" for episode in own)
    files = [(part / "samples.jsonl").open("w") for part in parts]
    with (whole / "samples.jsonl").open() as lines:
        for line in lines:
            files[number_of[json.loads(line)["episode"]]].write(line)
    for file in files:
        file.close()
    return parts


def main() -> None:
    """Print a row a step and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", default="10000,100000,1000000")
    parser.add_argument("--keep", type=Path, help="a folder for the runs")
    arguments = parser.parse_args()
    print("| answers | step | seconds | processor, s | answers a second and core | peak, MiB |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for answers in map(int, arguments.answers.split(",")):
        with TemporaryDirectory() as made:
            folder = (arguments.keep or Path(made)) / str(answers)
            folder.mkdir(parents=True)
            for cost in measure(answers, folder):
                rate = answers / cost.processor
                print(
                    f"| {answers:,} | {cost.step} | {cost.seconds:.1f} | {cost.processor:.1f} | {rate:,.0f} | "
                    f"{cost.peak / 2**20:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
