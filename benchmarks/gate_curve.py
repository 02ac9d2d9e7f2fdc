"""What the gate says of a checkpoint whose weights were disturbed, ever more; a table, a CSV file and a figure.

    python benchmarks/gate_curve.py [--baseline tiny-mgsd] [--policy baselines/gate/policy.yaml] [--out reports/gate]

Normally distributed noise is added to every weight, scaled to the standard deviation of its tensor. Each disturbed
checkpoint is gated by the command that CI uses, on the same engine as the baseline.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.package_data import shipped_folder
from mgsd_bench.report.figures import save
from mgsd_bench.report.plotting import COLOURS, GREY, MARKERS, new, style
from mgsd_bench.report.tables import as_markdown

Json = dict[str, Any]

NOISES = (0.0, 0.02, 0.04, 0.08, 0.12, 0.16, 0.2, 0.3)
SEED = 20260606


def disturb(source: Path, noise: float, target: Path) -> Path:
    """A copy of a checkpoint whose weights w became w + noise std(w) z, with z standard normal."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target, dirs_exist_ok=True)
    random = torch.Generator().manual_seed(SEED)
    for file in source.glob("*.safetensors"):
        weights = load_file(file)
        for name in sorted(weights):
            full = weights[name].float()
            if full.numel() > 1:
                full += noise * full.std() * torch.randn(full.shape, generator=random)
            weights[name] = full.to(weights[name].dtype)
        save_file(weights, target / file.name, metadata={"format": "pt"})
    return target


def gate(model: Path, baseline: str, policy: Path, out: Path) -> Json:
    """The content of verdict.json; anything but a verdict ends the program."""
    command = ["gate", "--model", str(model), "--baseline", baseline, "--policy", str(policy), "--out", str(out)]
    done = subprocess.run([sys.executable, "-m", "mgsd_bench", *command], capture_output=True, text=True)
    if done.returncode not in (0, 1, 4):
        raise SystemExit(done.stdout + done.stderr)
    found: Json = json.loads((out / "verdict.json").read_text())
    return found


def draw(found: Sequence[tuple[float, Json]], out: Path) -> None:
    """Change of each metric with its one-sided bounds, and the verdicts."""
    with style():
        figure, [[ax]] = new("curve", 1, 1, 2.8)
        for i, metric in enumerate(row["metric"] for row in found[0][1]["metrics"]):
            rows = [verdict["metrics"][i] for _, verdict in found]
            ys = [100 * row["change"] for row in rows]
            spans = [
                [100 * (row["change"] - row["low"]) for row in rows],
                [100 * (row["high"] - row["change"]) for row in rows],
            ]
            ax.errorbar(
                [x + 0.12 * (i - 1) for x in range(len(found))],
                ys,
                spans,
                color=COLOURS[i],
                marker=MARKERS[i],
                label=METRICS[metric].title,
            )
        ax.set_xticks(range(len(found)), [f"{100 * noise:g} %\n{verdict['verdict']}" for noise, verdict in found])
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set_ylabel("change, points")
        ax.set_xlabel("noise, share of each tensor's standard deviation; below it the verdict")
        ax.legend(loc="lower left")
        save(figure, out / "curve")


def main() -> None:
    """Disturb, gate, and write what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="tiny-mgsd", help="a shipped checkpoint")
    parser.add_argument("--baseline", default="tiny-mgsd")
    parser.add_argument("--policy", type=Path, default=Path("baselines/gate/policy.yaml"))
    parser.add_argument("--runs", type=Path, default=Path("runs/gate-curve"))
    parser.add_argument("--out", type=Path, default=Path("reports/gate"))
    args = parser.parse_args()
    source = shipped_folder("checkpoints") / args.model
    found = []
    for noise in NOISES:
        folder = args.runs / f"{noise:g}"
        found.append(
            (noise, gate(disturb(source, noise, folder / "model"), args.baseline, args.policy, folder / "run"))
        )
        print(f"{noise:g}: {found[-1][1]['verdict']}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    titles = [METRICS[row["metric"]].title for row in found[0][1]["metrics"]]
    shown = [["noise", *(f"{title}, change" for title in titles), "verdict", "exit code"]]
    for noise, verdict in found:
        changes = (
            f"{100 * r['change']:+.1f} ({100 * r['low']:+.1f} to {100 * r['high']:+.1f})" for r in verdict["metrics"]
        )
        shown.append([f"{100 * noise:g} %", *changes, verdict["verdict"], str(verdict["exit_code"])])
    text = f"{as_markdown(shown)}\nPoints, with one-sided bounds; {found[0][1]['metrics'][0]['n']} episodes a gate.\n"
    (args.out / "curve.md").write_text(text)
    with (args.out / "curve.csv").open("w", newline="") as file:
        keys = [key for key in found[0][1]["metrics"][0] if key != "metric"]
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["noise", "verdict", "exit_code", "metric", *keys])
        for noise, verdict in found:
            for row in verdict["metrics"]:
                head = [noise, verdict["verdict"], verdict["exit_code"], row["metric"]]
                table.writerow([*head, *(row[key] for key in keys)])
    draw(found, args.out)
    print(text)


if __name__ == "__main__":
    main()
