"""A fault in every writing system call of a command, one after another: what is lost, and does the command go on?

python benchmarks/reliability_faults.py --out reports/reliability/faults.md
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.faults import KINDS, build, run

QUESTIONS = ("--backend", "scripted", "--model", "faulty:0.1,0.2,0.1", "--suite", "smoke", "--limit", "1")
DOCUMENTED = {0, 2, 3, 5, -9}


def matrix(folder: Path, step: int) -> dict[str, Counter[str]]:
    """Outcomes by kind of fault; every ``step``-th call is tried."""
    library = build(folder)
    if library is None:
        raise SystemExit("needs a C compiler and Linux")
    whole = folder / "whole"
    code, shown, calls = run(library, whole, ["eval", *QUESTIONS, "--out", str(whole)])
    if code:
        raise SystemExit(shown)
    expected = {name: (whole / name).read_bytes() for name in ("metrics.json", "episodes.jsonl")}
    answers = sorted((whole / "samples.jsonl").read_bytes().splitlines())
    found = {}
    for kind in KINDS:
        counts: Counter[str] = Counter()
        for at in range(1, calls + 1, step):
            out = folder / f"{kind.replace(' ', '-')}-{at}"
            command = ["eval", *QUESTIONS, "--out", str(out)]
            code, shown, _ = run(library, out, command, at, kind)
            counts["runs"] += 1
            counts["traceback"] += "Traceback" in shown
            counts["other exit code"] += code not in DOCUMENTED
            code, shown, _ = run(library, out, command)
            counts["does not go on"] += code != 0
            same = all((out / name).is_file() and (out / name).read_bytes() == of for name, of in expected.items())
            counts["other metrics"] += not same
            counts["other answers"] += sorted((out / "samples.jsonl").read_bytes().splitlines()) != answers
            counts["leftovers"] += any(path.name.startswith(".") for path in out.iterdir())
        found[kind] = counts
    return found


def main() -> None:
    """Try every fault at every call and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step", type=int, default=1, help="try every n-th call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = matrix(Path(folder), options.step)
    columns = ("runs", "traceback", "other exit code", "does not go on", "other metrics", "other answers", "leftovers")
    lines = ["| fault | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    lines += [
        f"| {kind} | " + " | ".join(str(counts[name]) for name in columns) + " |" for kind, counts in found.items()
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)


if __name__ == "__main__":
    main()
