"""Shards of a run made one again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, BinaryIO

from mgsd_bench.analysis.frame import NOT_SUMMED_UP, SampleTable
from mgsd_bench.analysis.summary import Summary, summarise
from mgsd_bench.digests import KeySet
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.files import new_folder, pretty_json
from mgsd_bench.runs import provenance
from mgsd_bench.runs.lines import whole_lines
from mgsd_bench.runs.shards import Shard, shard_of
from mgsd_bench.runs.stored import FINISHED, METRICS, RECORD, SAMPLES, read_record, read_samples
from mgsd_bench.runs.turns import TURNS
from mgsd_bench.suites.looks import is_asked
from mgsd_bench.suites.suite import line_digests
from mgsd_bench.suites.suite_folder import EPISODES

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
    with new_folder(out, option("out", out)) as folder:
        ids = _join_episodes(parts, folder / EPISODES)
        table = SampleTable(without=NOT_SUMMED_UP)
        for part, own in zip(parts, ids, strict=True):
            _check_answers(part, own, table)
            for name in (SAMPLES, TURNS):
                _copy_lines(part.folder / name, folder / name)
        summary = summarise(table.frame())
        status = "errors" if summary.errors else "complete"
        sessions = [{**session, "shard": str(part.shard)} for part in parts for session in part.record["sessions"]]
        merged = {"from": [part.folder.resolve().name for part in parts], "at": provenance.now()}
        record = {**parts[0].record, "status": status, "identity": identity, "sessions": sessions, "merged": merged}
        (folder / RECORD).write_text(pretty_json(record))
        (folder / METRICS).write_text(pretty_json(summary.to_json()))
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


def _join_episodes(parts: Sequence[_Part], target: Path) -> list[frozenset[str]]:
    """Write the episodes of all shards by turns, which is the run's order, and check that it is the run's.

    Returns:
        The ids of each shard's episodes.
    """
    ids: list[list[str]] = [[] for _ in parts]

    def joined(out: BinaryIO) -> Iterator[str]:
        lines = [whole_lines(part.folder / EPISODES) for part in parts]
        for turn in cycle(range(len(parts))):
            if (found := next(lines[turn], None)) is None:
                return
            number, line = found
            out.write(line)
            name, canonical = _read_episode(parts[turn].folder / EPISODES, number, line)
            ids[turn].append(name)
            yield canonical

    with target.open("wb") as out:
        alone, _ = line_digests(joined(out))
    if alone != parts[0].identity["episodes_digest"]:
        for part in parts:
            path = part.folder / EPISODES
            own, _ = line_digests(_read_episode(path, number, line)[1] for number, line in whole_lines(path))
            if own != part.record["identity"]["episodes_digest"]:
                raise UserError(f"{path}: does not hold the episodes of {RECORD}; one was changed")
        raise UserError(f"merge: the shards' {EPISODES} do not make the episodes of their run; one was changed")
    return list(map(frozenset, ids))


def _read_episode(path: Path, number: int, line: bytes) -> tuple[str, str]:
    """An episode's id, and its canonical line: without its source, which another machine may read elsewhere."""
    try:
        row = json.loads(line)
        row.pop("source", None)
        return str(row["id"]), json.dumps(row, sort_keys=True, separators=(",", ":"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}:{number}: not an episode ({type(error).__name__}: {error})") from error


def _check_answers(part: _Part, ids: frozenset[str], table: SampleTable) -> None:
    """Refuse a shard that does not answer just its own questions; each question's last answer goes into the table."""
    identity = part.record["identity"]
    conditions, repeats = identity["conditions"], identity["repeats"]
    asked = repeats * sum(is_asked(name, condition) for name in ids for condition in conditions)
    answered = KeySet()
    for sample in read_samples(part.folder, texts=False):
        if sample.episode not in ids or sample.condition not in conditions or sample.repeat >= repeats:
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
