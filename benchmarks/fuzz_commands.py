"""Random command lines over all commands and options: how each ends, and what it leaves behind.

    python benchmarks/fuzz_commands.py [--count 2000] [--seed 0] [--short] [--out FILE] [--only NUMBER]

Writes ``reports/reliability/commands.md``. Exits with 1 if a line did not survive.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Lock

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.command_lines import SOUND, Line, commands, contents, furnish, options, random_line, trespasses  # noqa: E402
from support.forking import ABROAD, Ended, Forker  # noqa: E402
from support.fuzz_folders import SUITE_FILES, folder_of, suite_seeds  # noqa: E402
from support.survival import publish  # noqa: E402

REPORT = ROOT / "reports" / "reliability" / "commands.md"
LIMIT = 120.0  # seconds of a processor; power counts for 20
MOST_WAITING = 900.0  # seconds, however busy the machine is
CODES = set(range(6))
SHORT = 100
HEAVY = ("torch", "transformers", "trl", "mgsd_bench.report.html", "scipy.stats", "pydantic", "pyarrow.parquet")

INTRODUCTION = f"""\
Random command lines: a command, drawn evenly; a line that it ends well with; and in it one to six options of the
command, read from the command line itself, words put in, left out or exchanged. Values are empty, huge, negative, not a
number, 10,000 letters long, in other scripts, control characters, bytes that are no text, paths to devices, pipes,
folders, links, loops, missing files, files of other commands, and `..`. Each runs in a process and in a folder of its
own, with a home and a folder for temporary files of its own. Survived means: it ends within {LIMIT:g} s of a processor
and {MOST_WAITING:g} s in all with an exit code from 0 to 5; no traceback and no control character but tabs is shown,
and something is said where it fails; files are made, changed or removed only where the line asked for it, and no
temporary file is left (caches of matplotlib, torch and vLLM aside); no connection leaves this machine."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a line ended, and what is wrong with that, if anything."""

    number: int
    line: Line
    ended: Ended
    problems: tuple[str, ...]


def make_ready(forker: Forker, folder: Path) -> None:
    """Runs and files of every kind that commands read."""
    folder.mkdir()
    asked = ["--suite", "smoke", "--tasks", "frozenlake,maze", "--levels", "3", "--prompts", "compact"]
    asked += ["--condition", "visual,symbolic,perceive", "--backend", "scripted"]
    lines = [
        ["eval", "--model", "random", *asked, "--out", "run"],
        ["eval", "--model", "oracle", *asked, "--out", "other"],
        ["eval", "--model", "oracle", "--backend", "scripted", "--suite", "smoke", "--out", "whole"],
        ["baseline", "save", "run", "kept", "--dir", "baselines"],
        ["report", "run", "--out", "report.html"],
        *(["eval", "--model", "oracle", *asked, "--shard", f"{i}/2", "--out", "shards"] for i in (1, 2)),
        ["generate", "dataset", *asked[:6], "--limit", "1", "--format", "parquet"],
        [
            *("eval", "--model", "oracle", "--backend", "scripted", "--suite", "tiny-p1-quick", "--tasks", "maze"),
            *("--levels", "3", "--limit", "1", "--prompts", "compact", "--out", "looks"),
        ],
    ]
    for words in lines:
        ended = forker.run(words, folder / "shown", 120, folder=folder)
        assert ended.code == 0, ended.shown
    (folder / "shown").unlink()
    shutil.copytree(folder / "baselines" / "kept", folder / "kept")
    shutil.copytree(folder_of(suite_seeds()[1], SUITE_FILES)[1], folder / "data")
    (folder / "data" / "maps" / "img" / "0.png").rename(folder / "picture.png")
    shutil.copy(folder / "picture.png", folder / "data" / "maps" / "img" / "0.png")
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)) * 40)
    (folder / "nested.yaml").write_text("a: " + "[" * 5000)
    aliases = "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    (folder / "bomb.yaml").write_text("a0: &a0 [x]\n" + aliases)
    (folder / "policy.yaml").write_text("metrics: {e2e: 30}\nlimits: {min_episodes: 1, truncated: 100}\n")
    (folder / "eval.yaml").write_text("model: oracle\nbackend: scripted\nsuite: smoke\nlevels: 3\nlimit: 1\n")
    (folder / "table.yaml").write_text(
        "runs: runs/table\nfigures: false\nmodels:\n  random: {model: random, backend: scripted}\n"
        "tables:\n  main: {suite: smoke, tasks: [maze], levels: [3], rows: [random]}\n"
    )
    (folder / "suite.yaml").write_text("name: own\ncount: 2\nparts: [{task: maze, levels: [3]}]\n")
    tiny = (ROOT / "baselines" / "recipes" / "tiny.yaml").read_text()
    (folder / "recipe.yaml").write_text(re.sub(r"count: *[0-9_]+", "count: 6", tiny))
    rows = [json.loads(row) for row in (folder / "run" / "episodes.jsonl").read_text().splitlines()]
    answers = "".join(json.dumps({"episode": row["id"], "text": "<answer>R</answer>"}) + "\n" for row in rows[:2])
    (folder / "answers.jsonl").write_text(answers)


def lines(count: int, seed: int) -> list[Line]:
    """The lines of a seed: the commands in turn."""
    known = commands()
    assert known.keys() == SOUND.keys(), known.keys() ^ SOUND.keys()
    names = list(known)
    return [
        random_line(Random(f"{seed}:{i}"), names[i % len(names)], options(known[names[i % len(names)]]))
        for i in range(count)
    ]


def outcome(forker: Forker, number: int, line: Line, ready: Path, root: Path) -> Outcome:
    """Run a line in a folder of its own below ``root``."""
    root.mkdir()
    work, home, temporary = (root / name for name in ("work", "home", "temporary"))
    furnish(work, ready)
    home.mkdir()
    temporary.mkdir()
    before = contents(root)
    shown = root.with_suffix(".txt")
    environment = {
        "HOME": str(home), "TMPDIR": str(temporary), "HF_HUB_OFFLINE": "1", "HF_TOKEN": "", "NO_PROXY": "*",
        "OPENAI_API_KEY": "", "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"), "MGSD_DEBUG": "",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }  # fmt: skip
    ended = forker.run(line.words, shown, MOST_WAITING, folder=work, processor=LIMIT, **environment)
    problems = [*_shown(line, ended), *trespasses(line, work, before, contents(root))]
    shutil.rmtree(root)
    shown.unlink()
    return Outcome(number, line, ended, tuple(problems))


def _shown(line: Line, ended: Ended) -> list[str]:
    problems = []
    if ended.code is None:
        problems.append(f"did not end within {MOST_WAITING:g} s")
    elif ended.code not in CODES:
        problems.append(f"ended with {ended.code}: {ended.shown[-300:]!r}")
    if "Traceback" in ended.shown:
        problems.append(f"traceback: {ended.shown[-300:]!r}")
    if odd := {c for c in ended.shown if not (c.isprintable() or c in "\n\t")}:
        problems.append(f"what was shown holds {odd}")
    if ended.code not in (0, None) and not ended.shown.strip():
        problems.append("nothing was said")
    if ABROAD in ended.shown:
        problems.append(f"no network was asked for: {ended.shown[:200]!r}")
    return problems


def run(count: int, seed: int, at_once: int, only: int | None, seconds: float) -> list[Outcome]:
    """Run the lines of a seed; none is begun after so many seconds."""
    done: list[Outcome] = []
    lock = Lock()
    with (
        Forker(*HEAVY) as forker,
        TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name,
    ):
        ready = Path(name) / "ready"
        make_ready(forker, ready)

        end = time.monotonic() + seconds

        def one(number: int, line: Line) -> None:
            if time.monotonic() > end:
                return
            found = outcome(forker, number, line, ready, Path(name) / f"line-{number}")
            with lock:
                done.append(found)
                if found.problems or only is not None:
                    print(f"{number}: {shown(line)}: {'; '.join(found.problems)}", flush=True)
                if only is not None:
                    print(found.ended)
                elif len(done) % 100 == 0:
                    print(f"{len(done)} of {count}", flush=True)

        with ThreadPoolExecutor(at_once) as pool:
            for job in [pool.submit(one, i, line) for i, line in enumerate(lines(count, seed)) if only in (None, i)]:
                job.result()
    return sorted(done, key=lambda each: each.number)


def shown(line: Line) -> str:
    """A line as it may be typed, shortened."""
    words = (ascii(word)[1:-1] for word in line.words)
    return " ".join(shlex.quote(word if len(word) <= 60 else f"{word[:57]}...") for word in words)


def page(done: Sequence[Outcome], seed: int) -> str:
    """The report: a row a command."""
    known = commands()
    rows = [
        "# Random command lines", "", INTRODUCTION, "",
        "| class | what | n | survived | exit codes | worst wall, s | worst memory, MB |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: |",
    ]  # fmt: skip
    for name in [*known, None]:
        these = [each for each in done if name in (None, each.line.command)]
        if not these:
            continue
        codes = Counter(each.ended.code for each in these if each.ended.code is not None)
        survived = sum(not each.problems for each in these)
        ends = ", ".join(f"{code}: {number}" for code, number in sorted(codes.items()))
        wall, memory = max(each.ended.seconds for each in these), max(each.ended.rss for each in these)
        title, what = (f"`{name}`", f"{len(options(known[name]))} options") if name else ("**all**", "")
        rows.append(f"| {title} | {what} | {len(these)} | {survived} | {ends} | {wall:.1f} | {memory:.0f} |")
    used = {(each.line.command, option) for each in done for option in each.line.options}
    missing = [
        f"{name} {option}"
        for name, command in known.items()
        for option in options(command)
        if (name, option) not in used
    ]
    every = sum(len(options(command)) for command in known.values())
    rows += [
        "", f"Made by `python benchmarks/fuzz_commands.py --count {len(done)} --seed {seed}`. {every - len(missing)} "
        f"of {every} options were on a line{': all but ' if missing else ''}{', '.join(missing)}. Memory counts what "
        "the process that starts them has imported. Training is run with `--dry-run`, `play` with nobody at the page; "
        "models are scripted ones, or behind a server that is not there.",
    ]  # fmt: skip
    lost = [f"- {each.number}: `{shown(each.line)}`: {'; '.join(each.problems)}" for each in done if each.problems]
    return "\n".join([*rows, *(["", "Not survived:", "", *lost] if lost else []), ""])


def main() -> None:
    """Run the lines and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no line after this time")
    parser.add_argument("--short", action="store_true", help=f"{SHORT} lines")
    parser.add_argument("--only", type=int, help="run this one line and show all of it")
    parser.add_argument("--at-once", type=int, default=2, help="lines side by side")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    done = run(SHORT if given.short else given.count, given.seed, given.at_once, given.only, given.seconds)
    if given.only is None:
        publish(page(done, given.seed), given.out or (None if given.short else REPORT))
    sys.exit(any(each.problems for each in done))


if __name__ == "__main__":
    main()
