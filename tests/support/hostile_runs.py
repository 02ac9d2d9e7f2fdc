"""Runs of the real command line against the hostile server, and what must hold of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import support.hostile_attacks
import support.hostile_texts  # noqa: F401
from mgsd_bench.errors import Exit
from support.chat_server import KEY
from support.forking import Ended, Forker
from support.hostile_server import ATTACKS, Attack, HostileServer
from support.key_search import files_with_key, holds_key

QUICK = {
    "timeout": 4.0, "connect_timeout": 3.0, "read_timeout": 4.0, "retries": 1, "backoff": 0.01, "patience": 0.3,
    "longest_wait": 2.0,
}  # fmt: skip
LIMIT, HEAVY_LIMIT = 60.0, 240.0
"""Seconds that a run may take: machines may be busy, and the slowest attacks use up both tries of two questions."""

MOST_MEMORY = 400.0
"""MB of resident memory that a run may take."""

CODES = {Exit.OK, Exit.USAGE, Exit.NOT_COMPARABLE, Exit.ENGINE}
LONGEST_LINE = 600  # characters on the terminal: the quoted words of a server, and ours around them
LONGEST_STORED = 5 * 2**20  # bytes of a line in a run folder: a reply, and what is known of it


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run against an attack ended, and what is wrong with that, if anything."""

    attack: Attack
    ended: Ended
    calls: int
    problems: tuple[str, ...]


def outcome(forker: Forker, attack: Attack, folder: Path) -> Outcome:
    """Run an attack in an empty folder: an evaluation, and a report in HTML where the key is at stake."""
    folder.mkdir(parents=True)
    engine = {**QUICK, **attack.quick}
    levels = "3,4,5,6" if attack.questions > 6 else "3"  # up to 6 episodes of each
    with HostileServer(attack) as server:
        words = [
            "eval", "--backend", "openai", "--model", "fake", "--base-url", server.url, "--suite", "smoke",
            "--tasks", "frozenlake", "--levels", levels, "--limit", str(attack.questions // len(levels.split(","))),
            "--prompts", "compact", "--out", str(folder / "run"),
            *(part for name, value in engine.items() for part in ("-M", f"{name}={value}")),
        ]  # fmt: skip
        limit = HEAVY_LIMIT if attack.heavy else LIMIT
        ended = forker.run(words, folder / "shown.txt", limit, OPENAI_API_KEY=KEY, NO_PROXY="*")
    problems = list(_problems(attack, ended, folder, limit))
    if server.calls == 0:
        problems.append("the attack was never asked")
    if attack.kind == "key" and (folder / "run" / "metrics.json").exists():
        words = ["report", str(folder / "run"), "--out", str(folder / "report.html")]
        reported = forker.run(words, folder / "report.txt", limit)
        if reported.code not in (Exit.OK, Exit.USAGE):
            problems.append(f"report ended with {reported.code}: {reported.shown[-300:]}")
    if quoting := files_with_key(folder, KEY):
        problems.append(f"the key is in {', '.join(quoting)}")
    return Outcome(attack, ended, server.calls, tuple(problems))


def outcomes(forker: Forker, attacks: Iterable[Attack], folder: Path, at_once: int = 4) -> Iterator[Outcome]:
    """Run attacks, several at once, in folders of their own below ``folder``."""
    with ThreadPoolExecutor(at_once) as pool:
        jobs = [pool.submit(outcome, forker, each, folder / str(i)) for i, each in enumerate(attacks)]
        for job in jobs:
            yield job.result()


def _problems(attack: Attack, ended: Ended, folder: Path, limit: float) -> Iterator[str]:
    if ended.code is None:
        yield f"did not end within {limit:g} s"
    elif ended.code not in CODES:
        yield f"ended with {ended.code}"
    if "Traceback" in ended.shown:
        yield f"traceback: {ended.shown[-300:]}"
    if ended.rss > MOST_MEMORY:
        yield f"took {ended.rss:.0f} MB"
    if holds_key(ended.shown, KEY):
        yield "the key was shown"
    if any(not (c.isprintable() or c == "\n") for c in ended.shown):
        yield "what was shown holds control characters"
    longest = max((len(line) for line in ended.shown.splitlines()), default=0)
    if longest > LONGEST_LINE:
        yield f"a line of {longest:,} characters was shown"
    if ended.code not in (Exit.OK, None) and not ended.shown.strip():
        yield "nothing was said"
    for path in (folder / "run").glob("*"):
        longest = max((len(line) for line in path.read_bytes().split(b"\n")), default=0)
        if longest > LONGEST_STORED:
            yield f"a line of {longest:,} bytes in {path.name}"


def spread(kind: str, most: int) -> list[Attack]:
    """At most so many light attacks of a class, spread evenly over it."""
    light = [attack for attack in ATTACKS.values() if attack.kind == kind and not attack.heavy]
    return light[:: -(-len(light) // most)]


def kinds() -> list[str]:
    """The classes of attacks."""
    return list(dict.fromkeys(attack.kind for attack in ATTACKS.values()))
