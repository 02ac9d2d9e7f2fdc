"""Fuzzed folders of others: a whole folder as one text, each file behind a line ``=== NAME``."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from mgsd_bench.analysis.diagnose import diagnose
from mgsd_bench.analysis.run import load_run
from mgsd_bench.analysis.summary import ConditionSummary, summarise
from mgsd_bench.errors import UserError
from mgsd_bench.evaluation.verify import verify
from mgsd_bench.runs.lines import sealed
from mgsd_bench.runs.stored import read_episodes
from mgsd_bench.statistics.intervals import Estimate
from mgsd_bench.suites.external_sets import SETS, Shelf
from mgsd_bench.suites.suite import digest
from mgsd_envs.grid import MAX_LEVEL

ROOT = Path(__file__).parents[2]
_RUN_FILES = ("run.json", "episodes.jsonl", "samples.jsonl", "metrics.json")
SUITE_FILES = (
    "maps/metadata.json", "maps/table/0.txt", "maps/table/1.txt", "maps/img/0.png", "mazes_test/path.json",
    "mazes_test/8_3_001.txt", "frozenlake/test_dataset.jsonl", "maze/test_dataset.jsonl",
    "minibehaviour/test_dataset.jsonl",
)  # fmt: skip


@cache
def scratch() -> Path:
    """A folder for files that are written again and again; in memory where that is to be had."""
    in_memory = os.access("/dev/shm", os.W_OK) and "TMPDIR" not in os.environ
    folder = mkdtemp(dir="/dev/shm" if in_memory else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def folder_of(data: bytes, names: tuple[str, ...]) -> tuple[bytes, Path]:
    """Make the folder that a text describes; its first line, and the folder. Names that are not known are left out."""
    mode, *parts = data.split(b"\n=== ")
    root = scratch() / "folder"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for part in parts:
        name, _, body = part.partition(b"\n")
        if (path := name.decode(errors="replace").strip()) in names:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(body)
    return mode, root


def says_something(error: UserError) -> None:
    """What is said is one line that is not empty."""
    said = str(error)
    assert said.strip()
    assert "\n" not in said, said[:200]


def as_text(files: dict[str, bytes], mode: str = "") -> bytes:
    """The inverse of :func:`folder_of`."""
    return mode.encode() + b"".join(b"\n=== %s\n%s" % (name.encode(), body) for name, body in files.items())


# ---- runs


def runs(data: bytes) -> bool:
    """A run folder: where its first line says ``seal``, samples get checksums that fit, and run.json the digest."""
    mode, folder = folder_of(data, _RUN_FILES)
    samples = folder / "samples.jsonl"
    if samples.exists() and mode.startswith((b"seal", b"plain")):
        samples.write_bytes(b"".join(_line(line, mode) for line in samples.read_bytes().splitlines(keepends=True)))
    try:
        if b"DIGEST" in (record := (folder / "run.json").read_bytes()):
            found = digest(read_episodes(folder).values())
            (folder / "run.json").write_bytes(record.replace(b"DIGEST", found.encode()))
    except (OSError, UserError):
        pass
    accepted = 0
    for step in (_figures, _diagnosis, _verification):
        try:
            step(folder)
            accepted += 1
        except UserError as error:
            says_something(error)
    return accepted == 3


def _line(line: bytes, mode: bytes) -> bytes:
    body = re.sub(rb',"crc":"[^"]*"\}\n$', b"}\n", line)
    if mode.startswith(b"plain") or not body.endswith(b"}\n"):
        return body
    return sealed(body[:-1])


def _figures(folder: Path) -> None:
    run = load_run(folder)
    frame = run.frame
    summary = summarise(frame)
    assert summary.samples == len(frame)
    assert 0 <= summary.errors <= summary.samples
    assert sum(sum(row.outcomes.values()) for each in summary.conditions.values() for row in each.tasks) == len(frame)
    for condition in summary.conditions.values():
        _in_range(condition)
    json.dumps(summary.to_json(), allow_nan=False)
    assert run.model is not None
    assert all(isinstance(text, str) for text in run.prompts.values())


def _in_range(condition: ConditionSummary) -> None:
    for row in (*condition.levels, *condition.tasks):
        assert row.level is None or row.level > 0, row.level
        assert 0 < row.n <= row.samples, (row.n, row.samples)
        for estimate in (row.accuracy, row.accuracy_asked, row.optimal_accuracy, row.accuracy_answered):
            _is_share(estimate)
        assert row.optimal_accuracy.value <= row.accuracy.value + 1e-9, row
        assert row.accuracy_asked.value <= row.accuracy.value + 1e-9, row
    for estimate in (condition.macro.accuracy, condition.macro.accuracy_asked, condition.macro.optimal_accuracy):
        _is_share(estimate)


def _is_share(estimate: Estimate | None) -> None:
    if estimate is not None:
        assert 0 <= estimate.low <= estimate.value + 1e-9, estimate
        assert estimate.value <= estimate.high + 1e-9, estimate
        assert estimate.high <= 1 + 1e-9, estimate


def _diagnosis(folder: Path) -> None:
    json.dumps(diagnose([load_run(folder)]).to_json(), allow_nan=False)


def _verification(folder: Path) -> None:
    found = verify(folder)
    assert 0 <= found.sealed <= found.samples
    assert all(fault.strip() for fault in found.faults)


@cache
def run_seeds() -> tuple[bytes, ...]:
    """A small run as it is written, as one of release 0.1 was, and one of several conditions."""
    from mgsd_bench.backends import scripted  # noqa: F401
    from mgsd_bench.config.settings import make_settings
    from mgsd_bench.evaluation.evaluate import Evaluation, evaluate
    from mgsd_bench.evaluation.settings import EvaluationSettings
    from mgsd_bench.terminal import Terminal

    seeds = []
    for mode, conditions, tasks in (
        ("seal", ("visual", "perceive"), ("frozenlake",)),
        ("plain", ("visual",), ("maze",)),
    ):
        out = scratch() / f"run-{mode}"
        settings = make_settings(
            EvaluationSettings, model="random", backend="scripted", suite="smoke", tasks=tasks, levels=(3,), limit=2,
            prompts="compact", conditions=conditions, out=out,
        )  # fmt: skip
        with Path(os.devnull).open("w") as nowhere:
            evaluate(Evaluation.from_settings(settings, lambda note: None), Terminal(file=nowhere))
        files = {name: (out / name).read_bytes() for name in _RUN_FILES}
        record = json.loads(files["run.json"])
        record["identity"]["episodes_digest"] = "DIGEST"
        record = {key: record[key] for key in ("format", "status", "identity")} | {"sessions": record["sessions"][:1]}
        seeds.append(as_text({**files, "run.json": json.dumps(record).encode() + b"\n"}, mode))
    return tuple(seeds)


# ---- suites


def suites(data: bytes) -> bool:
    """Others' test sets; with their own pictures where the first line says ``original``."""
    mode, folder = folder_of(data, SUITE_FILES)
    seen = 0
    try:
        shelf = Shelf(folder)
        for each in SETS:
            found = shelf.load(each, each.counts, image="original" if mode.startswith(b"original") else "classic")
            for episode in found.episodes:
                assert 0 < episode.level <= MAX_LEVEL
                assert episode.shortest == len(episode.plan) > 0
                json.dumps(episode.to_json(), allow_nan=False)
                seen += 1
            for row in found.rows():
                assert row.records == row.loaded + row.bad
            assert all(finding.why.strip() and "\n" not in finding.why for finding in found.findings)
    except UserError as error:
        says_something(error)
    return seen > 0


def suite_seeds() -> list[bytes]:
    """Small sets in every format."""
    from io import BytesIO

    from PIL import Image

    picture = BytesIO()
    Image.new("RGB", (8, 8), "blue").save(picture, "PNG")
    lake = b"|  | Col 1 | Col 2 | Col 3 |\n| Row 1 | @ | _ | # |\n| Row 2 | _ | _ | _ |\n| Row 3 | # | # | * |\n"
    walls = [[15] * 8 for _ in range(8)]
    for column in range(3):  # a corridor of four cells in the first row
        walls[0][column] &= ~8
        walls[0][column + 1] &= ~4
    numbers = "\n".join(" ".join(map(str, row)) for row in walls)
    rooms = [[{"north": 1, "south": 1, "west": int(c == 0), "east": int(c == 2)} for c in range(3)] for _ in range(3)]
    records: dict[str, Any] = {
        "frozenlake": {
            "meta": {"level": 3, "layout": ["SFH", "FFF", "HHG"], "start_pos": 0, "target_pos": 8},
            "input_state": [0, 3, 4, 5, 8],
        },
        "maze": {"meta": {"level": 3, "layout": rooms, "start_pos": 0, "target_pos": 2}, "input_state": [0, 1, 2]},
        "minibehaviour": {
            "meta": {
                "level": 5,
                "start_pos": [0, 0],
                "printer_pos": [0, 2],
                "table_pos": [[r, c] for r in (2, 3) for c in (1, 2, 3)],
            },
            "input_state": [[[0, 0], False], [[0, 1], False], [[0, 1], True], [[1, 1], True], [[1, 1], False]],
        },
    }
    lakes = {"maps/metadata.json": b'{"0.png": "DRRD"}', "maps/table/0.txt": lake}
    mazes = {
        "mazes_test/path.json": b'{"8_3_001": "RRR"}',
        "mazes_test/8_3_001.txt": f"8\n0 0\n0 3\n{numbers}\n".encode(),
    }
    lines = {f"{task}/test_dataset.jsonl": json.dumps(record).encode() + b"\n" for task, record in records.items()}
    return [
        as_text(lakes),
        as_text({**lakes, "maps/img/0.png": picture.getvalue()}, "original"),
        as_text(mazes),
        as_text(lines),
    ]
