"""What ten times as much costs: CPU seconds for N and for 10 N in turns, and their ratio; 10 is linear.

Answers whose text is made to be slow to read, the intervals of a run, and the HTML report, written and, where there is
a Chromium (``CHROMIUM`` names one), until the page says that it is ready.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console

from mgsd_baselines.training.rollouts import label
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.backends import BackendConfig
from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
from mgsd_bench.report.html import write_html
from mgsd_bench.statistics.intervals import f1, macro, paired_difference
from mgsd_bench.suites.choose import find_suite
from mgsd_bench.suites.suite import digest
from mgsd_bench.suites.suite_folder import read_episodes

UNITS = ("\n", " ", "1.", "*", "<answer>", "Route:\n", "\nroute ", "<")
TOKENS, EPISODES, ANSWERS = 10_000, 1_200, 1_000
LEVELS = (6, 4, 2)  # of the three tasks, as in mgsd-v1
MODELS, ROUNDS = 5, 5


def main() -> None:
    """Print a line a kind of work."""
    for unit in UNITS:
        row(f"label {TOKENS:,} tokens {unit!r}", *(labelling(unit, TOKENS * k) for k in (1, 10)))
    row(f"three intervals of {EPISODES:,} episodes", *(intervals(EPISODES * k) for k in (1, 10)))
    with tempfile.TemporaryDirectory() as name:
        pages(Path(name))


def row(name: str, small: Callable[[], object], large: Callable[[], object]) -> None:
    """Medians of ROUNDS rounds in turns; the first turn warms both up."""
    pairs = [(seconds(small), seconds(large)) for _ in range(ROUNDS + 1)][1:]
    one, ten = (median(column) for column in zip(*pairs, strict=True))
    print(f"{name:40} {1000 * one:9.2f} ms, ten times as much {1000 * ten:9.2f} ms, ratio {ten / one:5.1f}")


def seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, which other work on the machine does not lengthen much."""
    start = time.process_time()
    work()
    return time.process_time() - start


def labelling(unit: str, count: int) -> Callable[[], object]:
    """Find the parts of an answer of so many equal tokens."""
    return lambda: label([unit] * count)


def intervals(episodes: int) -> Callable[[], object]:
    """A macro average, an F1 and a paired difference, each with its interval."""
    rng = np.random.default_rng(0)
    size = episodes // sum(LEVELS)
    a, b = ([[rng.integers(0, 2, size).astype(float) for _ in range(n)] for n in LEVELS] for _ in range(2))
    counts = [[rng.integers(0, 9, (size, 3)) for _ in range(n)] for n in LEVELS]
    return lambda: (macro(a), f1(counts), paired_difference(a, b))


def pages(folder: Path) -> None:
    """Write the HTML report of so many answers, and open it."""
    config = BackendConfig("faulty:0.1,0.2,0.1")
    job = Evaluation(find_suite("smoke"), None, ["visual"], 1, "compact", "scripted", config, folder / "run")
    evaluate(job, Console(quiet=True))
    run = load_run(folder / "run")
    runs = [copies(run, folder / str(ANSWERS * k), ANSWERS * k) for k in (1, 10)]
    written = [written_by(run) for run in runs]
    row(f"HTML report of {ANSWERS:,} answers", *written)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        print("no Chromium: nothing to open the report with")
        return
    ready = [[milliseconds_until_ready(chromium, run.path / "report.html") for _ in range(ROUNDS)] for run in runs]
    one, ten = map(median, ready)
    sizes = " and ".join(megabytes(run.path / "report.html") for run in runs)
    print(
        f"{'... ready in Chromium':40} {one:9.2f} ms, ten times as much {ten:9.2f} ms, ratio {ten / one:5.1f} ({sizes})"
    )
    several = [copies(run, folder / f"model{i}", 10 * ANSWERS // MODELS) for i in range(MODELS)]
    page = folder / "several.html"
    write_html(page, title="Answers", verdict=None, runs=several, figures={})
    shown = median(milliseconds_until_ready(chromium, page) for _ in range(ROUNDS))
    print(f"{f'... ten times as much of {MODELS} models':40} {shown:9.2f} ms ({megabytes(page)})")


def copies(run: Run, folder: Path, count: int) -> Run:
    """The answers of a run over and over, each about an episode of another name."""
    folder.mkdir()
    rows = [json.loads(line) for line in (run.path / "episodes.jsonl").read_text().splitlines()]
    answers = {sample.episode: sample for sample in run.samples}
    chosen = [(rows[i % len(rows)], f"{rows[i % len(rows)]['id']}/{i}") for i in range(count)]
    (folder / "episodes.jsonl").write_text("".join(json.dumps({**row, "id": name}) + "\n" for row, name in chosen))
    identity = {**run.identity, "episodes_digest": digest(read_episodes(folder).values())}
    return Run(
        folder,
        {**run.record, "identity": identity},
        [replace(answers[row["id"]], episode=name) for row, name in chosen],
    )


def megabytes(page: Path) -> str:
    """The size of a file, in words."""
    return f"{page.stat().st_size / 2**20:.1f} MiB"


def written_by(run: Run) -> Callable[[], object]:
    """Write the report of a run beside it."""
    return lambda: write_html(run.path / "report.html", title="Answers", verdict=None, runs=[run], figures={})


def milliseconds_until_ready(chromium: str, page: Path) -> int:
    """What the page itself measures from its opening."""
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]
    shown = subprocess.run([*command, page.as_uri()], check=True, capture_output=True, text=True).stdout
    found = re.search(r'data-ready="(\d+)"', shown)
    if not found:
        raise RuntimeError(f"{page}: never ready")
    return int(found[1])


if __name__ == "__main__":
    main()
