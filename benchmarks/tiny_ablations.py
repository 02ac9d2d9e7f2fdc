"""Ablations of self-distillation at tiny scale, each trained with several seeds and evaluated through vLLM.

    python benchmarks/tiny_ablations.py [--seeds 0,1,2] [--set stages.self-distill.trainer.max_steps=150]
        [--out runs/ablations] [--table reports/tiny/ablations.md]

All variants start from the shipped checkpoints and run for the same number of steps. Whatever is finished is kept, so
the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, stdev

from mgsd_bench.diagnosis import diagnose
from mgsd_bench.report.tables import as_markdown, estimate
from mgsd_bench.runs import read_run

VARIANTS = {
    "tiny-distill": "full KL, true state and plan",
    "tiny-no-cold-start": "no cold start",
    "tiny-sampled": "sampled instead of full KL",
    "tiny-shuffled": "teacher told about another episode",
}
MEASURES = {"state": "State F1", "plan_on_gt": "Plan-on-GT", "e2e": "E2E"}
QUESTIONS = ("--suite", "tiny-v1", "--condition", "visual,symbolic", "--prompts", "compact", "--max-tokens", "160")


def main() -> None:
    """Train, evaluate, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--table", type=Path, default=Path("reports/tiny/ablations.md"))
    parser.add_argument("--workers", type=int, default=1, help="trainings at a time")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    jobs = [(variant, seed) for seed in seeds for variant in VARIANTS]
    with ThreadPoolExecutor(args.workers) as pool:
        list(pool.map(lambda job: one(*job, args.out, args.changes), jobs))
    rows = [["variant", "seeds", *MEASURES.values(), "E2E of each seed"]]
    for variant, about in VARIANTS.items():
        found = [measured(args.out / f"{variant}-{seed}" / "eval") for seed in seeds]
        cells = [mean_and_spread([values[name] for values in found]) for name in MEASURES]
        rows.append([about, str(len(seeds)), *cells, ", ".join(f"{100 * values['e2e']:.1f}" for values in found)])
    args.table.parent.mkdir(parents=True, exist_ok=True)
    args.table.write_text(
        as_markdown(rows) + "\nMacro averages over the tasks in %, mean ± standard deviation over seeds.\n"
    )
    print(args.table.read_text())


def one(variant: str, seed: int, out: Path, changes: list[str]) -> None:
    """Train and evaluate one variant with one seed."""
    folder = out / f"{variant}-{seed}"
    sets = [word for change in (f"seed={seed}", *changes) for word in ("--set", change)]
    run("train", variant, "--out", str(folder / "train"), "--resume", *sets)
    model = str(folder / "train" / "self-distill")
    run("diagnose", "--model", model, *QUESTIONS, "--out", str(folder / "eval"))


def run(*arguments: str) -> None:
    """One command of mgsd-bench; its output is shown only if it fails."""
    done = subprocess.run([sys.executable, "-m", "mgsd_bench", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"mgsd-bench {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def measured(folder: Path) -> dict[str, float]:
    """Macro averages of a run, as shares of 1."""
    macro = diagnose([read_run(folder)])["macro"]
    found = {name: estimate(macro, name) for name in MEASURES}
    return {name: float(value["value"]) for name, value in found.items() if value}


def mean_and_spread(values: list[float]) -> str:
    """``61.3 ± 1.2``, in percent."""
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * fmean(values):.1f}{spread}"


if __name__ == "__main__":
    main()
