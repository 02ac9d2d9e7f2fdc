"""Shards of a run made one again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mgsd_bench.analysis.frame import NOT_SUMMED_UP, SampleTable
from mgsd_bench.analysis.summary import Summary, summarise
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.files import pretty_json, whole_folder
from mgsd_bench.runs import provenance
from mgsd_bench.runs.folder import Answered
from mgsd_bench.runs.lines import whole_lines
from mgsd_bench.runs.questions import is_asked
from mgsd_bench.runs.shards import Shard, shard_of
from mgsd_bench.runs.stored import FINISHED, METRICS, RECORD, SAMPLES, read_record, read_samples
from mgsd_bench.runs.turns import TURNS
from mgsd_bench.suites.suite_folder import EPISODES
from mgsd_envs.files import open_regular, read_lines

_OF_A_SHARD = ("shard", "digest", "episodes_digest")
"""What the identity of a shard has of its own."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A shard, as its folder holds it."""

    folder: Path
    shard: Shard
    record: Mapping[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the run that it is of from others."""
        identity = self.record["identity"]
        whole = {key: identity["shard"][key] for key in ("digest", "episodes_digest")}
        return {**{key: value for key, value in identity.items() if key not in _OF_A_SHARD}, **whole}

    @property
    def fingerprints(self) -> set[str]:
        """Of the weights that answered."""
        return {str(session.get("backend", {}).get("fingerprint")) for session in self.record["sessions"]}


def merge(folders: Sequence[Path], out: Path) -> Summary:
    """Make shards one run folder, as if nothing had been divided; the shards stay as they are.

    Lines are copied as they are, so memory does not grow with the texts.

    Args:
        folders: those of all shards of one run, in any order.
        out: the new run folder.

    Returns:
        The figures of the run.

    Raises:
        UserError: a folder is no shard, is damaged, or not finished; one is missing, or there twice; they are not of
            one run or were not answered by the same weights (``NOT_COMPARABLE``); or the new folder holds something.
    """
    parts = _parts(folders)
    identity = parts[0].identity
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{option('out', out)}: already holds something; name a new folder")
    try:
        with whole_folder(out) as folder:
            _join_episodes(parts, folder / EPISODES)
            table = SampleTable(without=NOT_SUMMED_UP)
            for part in parts:
                _check_answers(part, table)
                for name in (SAMPLES, TURNS):
                    _copy_lines(part.folder / name, folder / name)
            summary = summarise(table.frame())
            status = "errors" if summary.errors else "complete"
            sessions = [{**session, "shard": str(part.shard)} for part in parts for session in part.record["sessions"]]
            merged = {"from": [part.folder.resolve().name for part in parts], "at": provenance.now()}
            record = {**parts[0].record, "status": status, "identity": identity, "sessions": sessions, "merged": merged}
            (folder / RECORD).write_text(pretty_json(record))
            (folder / METRICS).write_text(pretty_json(summary.to_json()))
    except OSError as error:
        raise UserError(f"{option('out', out)}: cannot be written ({error.strerror or error}); name another") from error
    return summary


def _parts(folders: Sequence[Path]) -> list[_Part]:
    """The shards in their order, each there once, all of one run and finished."""
    found: dict[int, _Part] = {}
    for folder in folders:
        record = read_record(folder)
        shard = shard_of(record["identity"])
        if shard is None:
            raise UserError(f"{folder}: is a whole run, no shard of one; leave it out")
        part = _Part(folder, shard, record)
        if found:
            _check_one_run(next(iter(found.values())), part)
        if shard.number in found:
            raise UserError(f"{folder}: shard {shard} is in {found[shard.number].folder} too; leave one of them out")
        found[shard.number] = part
    if not found:
        raise UserError("merge: name the folders of all shards")
    parts = [found[number] for number in sorted(found)]
    of = parts[0].shard.of
    if missing := [str(number) for number in range(1, of + 1) if number not in found]:
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise UserError(f"merge: of {of} shards there is no {', '.join(missing[:8])}{more}; name their folders too")
    for part in parts:
        if part.record["status"] not in FINISHED:
            raise UserError(
                f"{part.folder}: shard {part.shard} is not finished ({part.record['status']}); run its command again"
            )
    return parts


def _check_one_run(first: _Part, part: _Part) -> None:
    if part.shard.of != first.shard.of:
        raise UserError(
            f"{part.folder}: is shard {part.shard}, but {first.folder} is {first.shard}", Exit.NOT_COMPARABLE
        )
    wanted, found = first.identity, part.identity
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise UserError(f"{part.folder}: is of another run than {first.folder}: {key} differs", Exit.NOT_COMPARABLE)
    if part.fingerprints - first.fingerprints:
        raise UserError(
            f"{part.folder}: was answered by other weights than {first.folder}, or with other settings of the engine",
            Exit.NOT_COMPARABLE,
        )


def _join_episodes(parts: Sequence[_Part], target: Path) -> None:
    """Write the episodes of all shards by turns, which is the run's order, and check that it is the run's."""
    running = sha256()
    with ExitStack() as stack, target.open("wb") as out:
        files = [stack.enter_context(open_regular(part.folder / EPISODES)) for part in parts]
        lines: list[Iterator[bytes]] = [iter(read_lines(file)) for file in files]
        line, turn = next(lines[0], None), 0
        while line is not None:
            out.write(line)
            running.update(_canonical(line))
            turn = (turn + 1) % len(lines)
            line = next(lines[turn], None)
    running.update(b"\n")
    if running.hexdigest() != parts[0].identity["episodes_digest"]:
        for part in parts:
            _check_episodes(part)
        raise UserError(f"merge: the shards' {EPISODES} do not make the episodes of their run; one was changed")


def _check_episodes(part: _Part) -> None:
    """Refuse a shard whose episodes are not its own."""
    running = sha256()
    with open_regular(part.folder / EPISODES) as file:
        for line in read_lines(file):
            running.update(_canonical(line))
    running.update(b"\n")
    if running.hexdigest() != part.record["identity"]["episodes_digest"]:
        raise UserError(f"{part.folder / EPISODES}: does not hold the episodes of {RECORD}; one was changed")


def _canonical(line: bytes) -> bytes:
    """What a line adds to a digest: the episode without its source, which another machine may read elsewhere."""
    try:
        row = {key: value for key, value in json.loads(line).items() if key != "source"}
    except (ValueError, AttributeError, RecursionError):
        return line
    return json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _check_answers(part: _Part, table: SampleTable) -> None:
    """Refuse a shard that does not answer just its own questions; each question's last answer goes into the table."""
    identity = part.record["identity"]
    with open_regular(part.folder / EPISODES) as file:
        ids = [json.loads(line)["id"] for line in read_lines(file)]
    conditions, repeats = identity["conditions"], identity["repeats"]
    asked = repeats * sum(is_asked(name, condition) for name in ids for condition in conditions)
    own, answered = frozenset(ids), Answered()
    for sample in read_samples(part.folder, texts=False):
        if sample.episode not in own or sample.condition not in conditions or sample.repeat >= repeats:
            raise UserError(f"{part.folder / SAMPLES}: answers {sample.key}, which shard {part.shard} does not ask")
        answered.add(sample.key)
        table.append(sample)
    if len(answered) < asked:
        raise UserError(
            f"{part.folder / SAMPLES}: holds answers to {len(answered)} of {asked} questions; run its command again"
        )


def _copy_lines(source: Path, target: Path) -> None:
    """Add the lines of a file to another."""
    if source.exists():
        with target.open("ab") as out:
            for _, line in whole_lines(source):
                out.write(line)
