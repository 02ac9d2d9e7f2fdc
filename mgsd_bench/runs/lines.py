"""Lines of the files of a run folder: JSON objects with a checksum, which anybody may have written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any
from zlib import crc32

from mgsd_bench.errors import UserError
from mgsd_envs import Fact
from mgsd_envs.files import open_regular, read_lines

_TYPES: dict[str, set[type]] = {
    "str": {str},
    "int": {int},
    "bool": {bool},
    "float": {float, int},
    "list[str]": {list},
    "list[list[str | int]]": {list},
    "LoopScore": {dict},
}


def types_of(row: type) -> dict[str, set[type]]:
    """What JSON values the fields of a dataclass are read from, by their names."""
    found: dict[str, set[type]] = {}
    for field in fields(row):
        annotation = str(field.type)
        optional = annotation.removesuffix(" | None")
        found[field.name] = _TYPES[optional] | ({NoneType} if optional != annotation else set())
    return found


def sealed(line: bytes) -> bytes:
    """A JSON object as a line whose last field ``crc`` is the CRC-32 of all bytes before its comma."""
    body = line[:-1]
    return b'%s%s%08x"}\n' % (body, _SEAL, crc32(body))


def seal_of(line: bytes) -> bool | None:
    """Whether a line's checksum fits; None if it has none, as those of release 0.1."""
    body, mark, rest = line.rpartition(_SEAL)
    return rest == b'%08x"}\n' % crc32(body) if mark else None


_SEAL = b',"crc":"'
"""It stands in no other place of a line: within a JSON text its quotes would have backslashes."""


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers, from 1, read as they are asked for; a half-written last one is left out.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        with open_regular(path) as stream:
            for number, line in enumerate(read_lines(stream), 1):
                if not line.endswith(b"\n"):
                    return
                yield number, line
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def facts_row(facts: Iterable[Fact]) -> list[list[str | int]]:
    """Facts as they stand in a line, sorted."""
    return sorted((list(fact) for fact in facts), key=str)


def is_fact(fact: Any) -> bool:
    """Whether it is a name alone, with one value, or with a row, a column and values."""
    match fact:
        case [str()] | [str(), str() | int()]:
            return True
        case [str(), int(), int(), *rest]:
            return all(isinstance(value, (str, int)) for value in rest)
    return False
