"""Random command lines: every command and option that the command line itself knows, with values that are odd."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import typer.main

from mgsd_bench.cli import app

SOUND: dict[str, tuple[str, ...]] = {
    "eval": (
        "--model random --backend scripted --suite smoke --levels 3 --limit 2 --prompts compact --out new",
        "--config eval.yaml --out new",
        "--config eval.yaml --dry-run --out new",
        "--model fake --backend openai --base-url http://127.0.0.1:9/v1 -M patience=0.1 --suite smoke --limit 1",
    ),
    "score": (
        "--answers answers.jsonl --suite smoke --tasks frozenlake --levels 3 --limit 2 --out new",
        "--rescore run --out new",
    ),
    "play": (
        "--suite smoke --tasks maze --levels 3 --limit 1 --out new",
        "--suite smoke --condition act --limit 1 --name ann --port 0 --out new",
    ),
    "merge": ("shards/shard-1-of-2 shards/shard-2-of-2 --out new",),
    "verify": ("run", "run other kept"),
    "diagnose": ("run", "--model random --backend scripted --suite smoke --levels 3 --limit 1 --out new"),
    "report": (
        "run other",
        "run other --format csv --out new.csv",
        "run --format html --out new.html",
        "run --figures new",
    ),
    "export": (
        "run --format eee --out new",
        "run --out new.csv",
        "run --out new.parquet",
        "whole --format hf-results --dataset lab/mgsd --out new",
    ),
    "robustness": ("run", "looks --format md --out new.md", "looks --figures new"),
    "compare": ("run other", "run other --out new.json"),
    "gate": (
        "--baseline run --candidate other",
        "--baseline run --candidate other --policy policy.yaml --json new.json",
        "--baseline kept --dir baselines --model oracle --backend scripted --out new --junit new.xml --markdown new.md",
    ),
    "power": ("--discordance 5 --suite smoke", "--from run other"),
    "noise": ("--runs run other", "--model random --backend scripted --suite smoke --levels 3 --limit 1 --out new"),
    "baseline save": ("run again --dir baselines", "run kept --dir baselines --force"),
    "baseline list": ("--dir baselines",),
    "baseline show": ("kept --dir baselines", "run"),
    "generate": (
        "new --suite smoke --tasks maze --levels 3 --limit 1 --size 64",
        "new --tasks frozenlake --levels 4 --count 2",
        "new --suite smoke --tasks maze --levels 3 --limit 1 --format parquet --prompts compact --train 1 "
        "--condition visual,symbolic",
        "new --tasks frozenlake --levels 3 --count 2 --format verl --condition visual,symbolic",
    ),
    "publish": ("dataset --dry-run", "dataset --repo me/lakes --public --message lakes --dry-run"),
    "show": (
        "frozenlake/4/0007",
        "frozenlake/4/0000 --suite smoke --plan RDD --out new.png --size 128",
        "run frozenlake/3/0000 --condition visual --repeat 0",
    ),
    "tasks": ("",),
    "models tiny": ("new",),
    "suites": ("",),
    "suites new": ("new.yaml",),
    "suites check": ("smoke", "suite.yaml --condition visual --prompts compact"),
    "suites verify": ("data", "data --image original --strict"),
    "train run": ("tiny-smoke --dry-run --set data.count=5", "recipe.yaml --dry-run"),
    "train data": (
        "recipe.yaml --stage cold-start --out new",
        "recipe.yaml --stage self-distill --out new --format ms-swift",
    ),
    "train recipes": ("",),
    "table1": ("--config table.yaml --limit 1 --out new", "--config table.yaml --rows random --out new"),
    "schema": ("policy", "recipe --out new.json"),
    "path": ("lmms-eval",),
}
"""Of every command, lines that end well."""

FITTING = {
    "--repeats": "2", "--temperature": "0.5", "--top-p": "0.9", "--top-k": "5", "--seed": "7", "--theme": "dark",
    "--limit": "3", "--condition": "symbolic", "--tasks": "maze", "--levels": "3,4", "--prompts": "default",
    "--max-tokens": "64", "-M": "a=1", "--min-pixels": "1024", "--max-pixels": "65536", "--set": "seed=3",
    "--allow": "prompts", "--measure": "state", "--format": "md", "--figures": "new", "--inconclusive": "fail",
    "--stage": "pretrain", "--devices": "8", "--teraflops": "400", "--count": "2", "--split": "val", "--stream": "mine",
    "--length": "3-4", "--density": "0.2", "--straight": "0.5", "--split-by": "orbit", "--size": "128",
    "--image": "classic", "--data-root": "data", "--suite": "mgsd-v2", "--rows": "random", "--config": "eval.yaml",
    "--discordance": "10", "--policy": "policy.yaml", "--baseline": "other", "--candidate": "run", "--plan": "DDRR",
    "--model": "straight", "--backend": "scripted", "--out": "new/inner", "--dir": "baselines", "--json": "new.json",
    "--markdown": "new.md", "--junit": "new.xml", "--answers": "answers.jsonl", "--rescore": "other",
    "--base-url": "http://127.0.0.1:9/v1", "--repeat": "0", "--name": "ann", "--port": "0",
    "--dataset": "lab/mgsd", "--revision": "abc",
    "--source-url": "https://example.org", "--model-id": "lab/model", "--organization": "lab",
    "--relationship": "other", "--repo": "me/mazes", "--message": "mazes", "--train": "2",
}  # fmt: skip
"""For options, values that are no mistake by themselves; for arguments of engines, a name that none has."""

ODD = (
    "", " ", ".", "..", "/", "~", "-", "--", "-1", "0", "1", "3", "1.5", "1e9", "nan", "inf", "-inf", "1e-400", "true",
    "null", "[]", "{}", "[1,2", "a=b", "=", "a.b.c=1", "seed=1", "out=new", "x" * 10_000, "9" * 5000, "9" * 20,
    "2147483648", "-99999999999999999999", "é", "日本", "\u202eabc", "\ud7ff\u200b", "\udcff\udcfe", "a\nb", "a\tb",
    "a\rb", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x85", "a\x7fb", "%s%n", "{0}", "${HOME}", "$(id)", "`id`",
    "; ls", "'", '"', "<b>", "&amp;", "=1+1", "../outside", "../outside/victim.txt", "/nonexistent/x", "missing",
    "missing.yaml", "folder", "null-device", "pipe", "zeros", "loop", "dangling", "link-to-run", "link-outside",
    "empty", "binary", "folder/", "run/", "run/run.json", "run/samples.jsonl", "run/metrics.json", "other", "kept",
    "answers.jsonl", "policy.yaml", "recipe.yaml", "table.yaml", "eval.yaml", "nested.yaml", "bomb.yaml", "picture.png",
    "report.html", "x/" * 100, "x" * 300, "new", "data", "frozenlake", "maze", "smoke", "paper", "oracle", "scripted",
    "recorded", "openai", "hf", "visual", "symbolic,visual", "text", "html", "md", "csv", "hf", "1,2,3", ",,,", "3-4",
    "4-3", "RDD", "frozenlake/3/0000", "maze/9999/0", "a/b", "http://127.0.0.1:9", "http://127.0.0.1:9/v1?key=x",
    "http://[::1", "file:///etc/passwd", "ftp://127.0.0.1", "timeout=1",
)  # fmt: skip

WRITTEN = {"--out", "--dir", "--figures", "--json", "--markdown", "--junit"}
"""Options that name what is written."""

MADE = {"generate": 1, "models tiny": 1, "suites new": 1}
"""Commands whose argument names what is written."""

BESIDE = {"diagnosis.json", "noise.json", "verdict.json"}
"""Files that commands write into run folders that they are given."""

DEFAULTS = ("runs", "reports")
"""Folders that are written to where nothing is named."""


_CACHES = re.compile(
    r"home/\.(cache|config)(/matplotlib|/vllm|$)|temporary/(torchinductor_|vllm_dist_)"
)  # of libraries, which make them themselves


@dataclass(frozen=True, slots=True)
class Line:
    """A command line.

    Attributes:
        command: the command's words, with a blank between.
        words: all that follows the program's name.
        options: the options on it.
    """

    command: str
    words: tuple[str, ...]
    options: frozenset[str]


def commands() -> dict[str, Any]:
    """Every command that does something, by its words."""

    def below(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", {})
        if not inner or command.invoke_without_command:
            yield " ".join(words), command
        for name, each in inner.items():
            yield from below(each, (*words, name))

    return dict(below(typer.main.get_command(app), ()))


def options(command: Any) -> dict[str, Any]:
    """The options of a command by their first names."""
    found = {each.opts[0]: each for each in command.params if each.param_type_name == "option"}
    return {**found, "--help": None, "-h": None}


def random_line(rng: Random, command: str, known: dict[str, Any]) -> Line:
    """A line that ends well with one or a few things put in, taken out or exchanged; or one of odd things alone."""
    words = rng.choice(SOUND[command]).split() if rng.random() < 0.9 else []
    names = [name for name in known if name != "--idle"]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randint(0, len(words))
        match rng.randrange(11):
            case 0 | 1 | 2 | 3 | 4 | 5 | 6:
                name = rng.choice(names)
                count = 0 if known[name] is None or known[name].is_flag else known[name].nargs
                fits = name in FITTING and rng.random() < 0.6
                values = [FITTING[name] if fits else rng.choice(ODD) for _ in range(count)]
                joined = count == 1 and name.startswith("--") and rng.random() < 0.3
                words[at:at] = [f"{name}={values[0]}"] if joined else [name, *values]
            case 7 | 8 if words:
                words[rng.randrange(len(words))] = rng.choice(ODD)
            case 9 if words:
                del words[rng.randrange(len(words))]
            case _:
                words.insert(at, rng.choice((*ODD, "--nonsense", "--suite", "-x")))
    if command == "train run" and "--dry-run" not in words:  # training takes its time
        words.insert(0, "--dry-run")
    if command == "play":  # nobody comes to answer
        words.insert(0, "--idle=0.1")
    before = [rng.choice(("--debug", "--version", "--nonsense"))] if rng.random() < 0.02 else []
    used = {word.partition("=")[0] for word in (*before, *words) if word.startswith("-")}
    return Line(command, (*before, *command.split(), *words), frozenset(used))


def furnish(work: Path, ready: Path) -> None:
    """Make a folder to run a line in: runs and files to work on, and things that are none.

    Args:
        work: the folder.
        ready: a folder with all that is a file in it.
    """
    shutil.copytree(ready, work, symlinks=True)
    outside = work.parent / "outside"
    outside.mkdir()
    (outside / "victim.txt").write_text("not to be touched\n")
    for name, target in (
        ("loop", "loop"),
        ("dangling", "nowhere"),
        ("link-to-run", "run"),
        ("link-outside", "../outside"),
    ):
        (work / name).symlink_to(target)
    os.mkfifo(work / "pipe")
    for name, device in (("null-device", 3), ("zeros", 5)):
        try:
            os.mknod(work / name, 0o666 | stat.S_IFCHR, os.makedev(1, device))
        except PermissionError:  # only root may
            (work / name).symlink_to("/dev/null" if device == 3 else "/dev/zero")


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """What is below a folder: kind and content of each by its path; links are not followed."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            kind = stat.S_IFMT(path.lstat().st_mode)
            data = (
                path.read_bytes() if kind == stat.S_IFREG else bytes(path.readlink()) if kind == stat.S_IFLNK else b""
            )
            found[str(path.relative_to(folder))] = kind, data
    return found


def asked_for(line: Line, work: Path) -> list[Path]:
    """Where a line may write."""
    words = list(line.words[len(line.command.split()) :])
    named = [word.partition("=")[2] for word in words if word.partition("=")[0] in {*WRITTEN, "out"}]
    named += [value for name, value in pairwise(words) if name in WRITTEN]
    if line.command in MADE:
        named += [word for word in words if not word.startswith("--")]
    paths = [work / name for name in (*named, *DEFAULTS)]  # what is empty names the folder that it runs in
    if line.command.startswith("baseline"):
        paths.append(work / "baselines")
    return [each for path in paths for each in (Path(os.path.normpath(path)), Path(os.path.realpath(path)))]


def trespasses(
    line: Line, work: Path, before: dict[str, tuple[int, bytes]], after: dict[str, tuple[int, bytes]]
) -> Iterator[str]:
    """What a line has left where nobody asked for it; folders above what was asked for are asked for."""
    allowed = asked_for(line, work)
    root = work.parent
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        path = root / name
        if name.endswith(".tmp"):
            yield f"left {name}"
        elif new is None:
            yield f"removed {name}"
        elif old is not None and old[0] != new[0]:
            yield f"made another kind of thing of {name}"
        elif path.name in BESIDE or _CACHES.match(name):
            continue
        elif not any(each == path or each in path.parents or path in each.parents for each in allowed):
            yield f"{'changed' if old else 'made'} {name}"
