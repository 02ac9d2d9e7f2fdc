"""Runs of the real command line on files that mean harm, and what must hold of each."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import support.hostile_loads
import support.hostile_plugins  # noqa: F401
from mgsd_bench.errors import Exit
from support.forking import MOST_DATA, Ended, Forker
from support.hostile_files import FILE_ATTACKS, POLICY, QUESTIONS, SCRIPTED, Box, FileAttack, snapshot

LIMIT = 120.0
"""Seconds that a command may take: machines may be busy."""

MOST_MEMORY, MOST_OF_ENGINE = 600.0, 2000.0
"""MB of resident memory that a command may take, and one for which an engine is loaded."""

CODES = {Exit.OK, Exit.REGRESSION, Exit.USAGE, Exit.NOT_COMPARABLE, Exit.INCONCLUSIVE, Exit.ENGINE}
ENGINES = ("checkpoint", "pickle", "code")
LONGEST_LINE = 700  # characters on the terminal


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """How a command ended, and what is wrong with that, if anything."""

    attack: FileAttack
    ended: Ended
    problems: tuple[str, ...]


def finished_run(forker: Forker, folder: Path) -> Path:
    """A finished run to be copied."""
    words = ["eval", *SCRIPTED, *QUESTIONS, "--out", str(folder / "run")]
    ended = forker.run(words, folder / "shown.txt", LIMIT)
    assert ended.code == 0, ended.shown
    return folder / "run"


def outcome(forker: Forker, attack: FileAttack, box: Box) -> FileOutcome:
    """Run an attack in a new box, and remove what is left of it."""
    box.lay_out()
    words = attack.prepare(box)
    before = snapshot(box.outside)
    shown = box.folder.parent / f"{box.folder.name}-shown.txt"
    if attack.environment is None:
        ended = forker.run(words, shown, LIMIT, folder=box.folder)
    else:
        ended = _alone(words, shown, box.folder, attack.environment(box))
    problems = list(_problems(attack, ended))
    if snapshot(box.outside) != before:
        problems.append("something outside was changed")
    if box.harm.exists():
        problems.append("code was carried out")
    if left := [str(path) for path in box.folder.rglob("*") if path.name.endswith(".tmp")]:
        problems.append(f"left behind: {', '.join(left)[:200]}")
    for path in (box.folder, box.outside):
        shutil.rmtree(path)
    return FileOutcome(attack, ended, tuple(problems))


def outcomes(forker: Forker, attacks: list[FileAttack], folder: Path, tiny: Path | None) -> Iterator[FileOutcome]:
    """Run attacks one after another in boxes below ``folder``."""
    finished = finished_run(forker, folder)
    for number, attack in enumerate(attacks):
        yield outcome(forker, attack, Box(folder / str(number), finished, tiny))


def spread(most: int, *, engines: bool = False) -> list[FileAttack]:
    """At most so many attacks of each class, spread evenly over it; those that load an engine if asked for."""
    found = []
    for kind in kinds():
        these = [attack for attack in FILE_ATTACKS.values() if attack.kind == kind]
        if engines or kind not in ENGINES:
            found += these[:: -(-len(these) // most)]
    return found


def kinds() -> list[str]:
    """The classes of attacks."""
    return list(dict.fromkeys(attack.kind for attack in FILE_ATTACKS.values()))


def policy(folder: Path) -> Path:
    """A policy that any run may be held against."""
    path = folder / "policy.yaml"
    path.write_text(POLICY)
    return path


def _alone(words: list[str], shown: Path, folder: Path, environment: dict[str, str]) -> Ended:
    """A command in an interpreter of its own."""
    began = time.monotonic()
    with shown.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "mgsd_bench", *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=stream, env={**os.environ, "COLUMNS": "100", **environment},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MOST_DATA, MOST_DATA)),
        )  # fmt: skip
        code: int | None = None
        try:
            while time.monotonic() - began < LIMIT:
                gone, status, used = os.wait4(process.pid, os.WNOHANG)
                if gone:
                    process.returncode = code = os.waitstatus_to_exitcode(status)
                    break
                time.sleep(0.02)
            else:
                process.kill()
                _, _, used = os.wait4(process.pid, 0)
                process.returncode = -9
        except BaseException:
            process.kill()
            raise
    text = shown.read_bytes().decode(errors="backslashreplace")
    return Ended(code, time.monotonic() - began, used.ru_maxrss / 1024, text)


def _problems(attack: FileAttack, ended: Ended) -> Iterator[str]:
    if ended.code is None:
        yield f"did not end within {LIMIT:g} s"
    elif ended.code not in (CODES if attack.code is None else {attack.code}):
        yield f"ended with {ended.code}: {ended.shown[-200:]!r}"
    if "Traceback" in ended.shown:
        yield f"traceback: {ended.shown[-300:]}"
    if ended.rss > (MOST_OF_ENGINE if attack.kind in ENGINES else MOST_MEMORY):
        yield f"took {ended.rss:.0f} MB"
    if any(not (c.isprintable() or c in "\n\t") for c in ended.shown):
        yield f"what was shown holds control characters: {ended.shown[-300:]!r}"
    if max((len(line) for line in ended.shown.splitlines()), default=0) > LONGEST_LINE:
        yield "a line without measure was shown"
    if attack.said not in ended.shown:
        yield f"said nothing of {attack.said!r}, but {ended.shown[-300:]!r}"
    last = ended.shown.strip().rpartition("\n")[2]
    otherwise_said = "Usage: " in ended.shown or "does not hold" in ended.shown  # the words of typer, and of verify
    if ended.code == Exit.USAGE and not last.startswith("mgsd-bench: ") and not otherwise_said:
        yield f"did not say what is wrong, but {ended.shown[-300:]!r}"
