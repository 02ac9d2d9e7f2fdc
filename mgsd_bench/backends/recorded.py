"""Answers that were collected elsewhere, read from a file, so that they are scored as any model's are.

The file is JSONL, one answer a line::

    {"episode": "maze/3/0007", "text": "... <answer>RRD</answer>"}

``condition`` (default ``visual``), ``repeat`` (0) and ``finish_reason`` (``stop``) may be given too, and ``turn`` (from
0) where the condition is one of the closed loop: so a run's ``turns.jsonl`` can be answered from. A question without an
answer becomes an error, and stays in the denominator.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Self
from zlib import crc32

import numpy as np

from mgsd_bench.backends import BackendConfig, FinishReason, Request, Response, request_key, turn_key
from mgsd_bench.backends.shared import Queue
from mgsd_bench.digests import short_digest
from mgsd_bench.errors import UserError, option
from mgsd_envs.files import open_regular, read_lines, well_formed

LONGEST_LINE = 2**22
"""The most bytes of a line, as of a server's reply."""

_LARGEST = 2**53  # every whole number below it is a JSON number that all readers agree on


def open_backend(config: BackendConfig) -> RecordedBackend:
    """The answers of the file ``config.model``. They stay there: what is in memory is where each of them is.

    Raises:
        UserError: the file cannot be read, or a line is no answer or answers a question for the second time.
    """
    path, digest = Path(config.model), sha256()
    if path.is_char_device() or path.is_block_device():
        raise UserError(f"{option('answers', path)}: is a device, which has no end; give a file")
    index, place = _Index(path), 0
    try:
        with _opened(path) as stream:
            for number, line in enumerate(read_lines(stream, LONGEST_LINE), 1):
                digest.update(line)
                if line.strip():
                    question, response = _answer(path, number, line)
                    index.add(response.key, question, number, place, line)
                place += len(line)
    except (OSError, UserError) as error:
        index.finish()  # what is wrong with the lines before is said first
        raise error if isinstance(error, UserError) else _unreadable(path, error) from error
    index.finish()
    return RecordedBackend(index, digest.hexdigest())


def _answer(path: Path, number: int, line: bytes) -> tuple[str, Response]:
    """The key of the question that a line answers, and the answer."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}:{number}: not JSON ({error})") from error
    except RecursionError:
        raise UserError(f"{path}:{number}: no answer, but JSON that is nested too deeply") from None
    match row:
        case {"episode": str(episode), "text": str(text)}:
            for name in ("repeat", "turn", "prompt_tokens", "completion_tokens"):
                if row.get(name) is not None and not (type(row[name]) is int and 0 <= row[name] < _LARGEST):
                    raise UserError(f"{path}:{number}: {name} must be a whole number of at least 0")
            question = request_key(well_formed(episode), str(row.get("condition", "visual")), row.get("repeat") or 0)
            key = question if row.get("turn") is None else turn_key(question, row["turn"])
            reason: FinishReason = "length" if row.get("finish_reason") == "length" else "stop"
            return question, Response(key, text, reason, row.get("prompt_tokens"), row.get("completion_tokens"))
    raise UserError(f"{path}:{number}: an answer needs the texts episode and text")


class _Index:
    """Where in a file the answers are, in 36 bytes an answer, whatever their texts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, Any] = {name: array(kind) for name, kind in _COLUMNS.items()}

    def add(self, key: str, question: str, number: int, place: int, line: bytes) -> None:
        """Take the answer to the request of that key, and to the question, of a line that begins at a byte."""
        row = (short_digest(key), short_digest(question), number, place, crc32(line))
        for column, value in zip(self._rows.values(), row, strict=True):
            column.append(value)

    def finish(self) -> None:
        """Make answers ready to be found.

        Raises:
            UserError: there are two to one question.
        """
        columns = {name: np.frombuffer(column, column.typecode) for name, column in self._rows.items()}
        order = np.argsort(columns["key"], kind="stable")
        self._rows = {name: column[order] for name, column in columns.items()}
        keys, numbers = self._rows["key"], self._rows["number"]
        second = 1 + np.flatnonzero(keys[1:] == keys[:-1])
        if len(second):
            first = second[numbers[second].argmin()]
            _, response = self.read(first)
            raise UserError(
                f"{self.path}:{numbers[first]}: a second answer to {response.key}, after line {numbers[first - 1]}; "
                "remove one"
            )

    def find(self, key: str) -> int | None:
        """The place of the answer to a request; None where there is none."""
        keys, wanted = self._rows["key"], np.uint64(short_digest(key))
        place = int(np.searchsorted(keys, wanted))
        return place if place < len(keys) and keys[place] == wanted else None

    def line(self, place: int) -> int:
        """The number, from 1, of an answer's line."""
        return int(self._rows["number"][place])

    def not_among(self, questions: Iterable[str]) -> int | None:
        """The place of the first answer in the file that is to none of these questions; None where there is none."""
        known = np.fromiter(map(short_digest, questions), np.uint64)
        others = np.flatnonzero(~np.isin(self._rows["question"], known))
        return int(others[self._rows["number"][others].argmin()]) if len(others) else None

    def read(self, place: int, stream: BinaryIO | None = None) -> tuple[str, Response]:
        """The key of the question that an answer is to, and the answer, from the file or from where it is open.

        Raises:
            UserError: the line is another one by now.
        """
        number, byte, checksum = self.line(place), int(self._rows["byte"][place]), self._rows["checksum"][place]
        try:
            with nullcontext(stream) if stream else _opened(self.path) as file:
                file.seek(byte)
                line = file.readline(LONGEST_LINE)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if crc32(line) != checksum:
            raise UserError(
                f"{self.path}:{number}: was changed after its answers were counted; put the old file back and run the "
                "same command again, or name another run folder"
            )
        return _answer(self.path, number, line)


_COLUMNS = {"key": "Q", "question": "Q", "number": "Q", "byte": "Q", "checksum": "I"}


def _opened(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{option('answers', path)}: cannot be read ({error.strerror or error})")


class RecordedBackend(Queue):
    """Looks answers up."""

    def __init__(self, index: _Index, fingerprint: str) -> None:
        super().__init__()
        self._index, self._fingerprint = index, fingerprint
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._stream = _opened(self._index.path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def describe(self) -> dict[str, Any]:
        """The file and its SHA-256."""
        return {"engine": "recorded", "model": str(self._index.path), "fingerprint": self._fingerprint}

    def check_asked(self, keys: Iterable[str]) -> None:
        """Refuse answers to questions that are not among the run's.

        Raises:
            UserError: there is one.
        """
        place = self._index.not_among(keys)
        if place is not None:
            question, _ = self._index.read(place, self._stream)
            raise UserError(
                f"{self._index.path}:{self._index.line(place)}: answers {question}, which this suite and condition do "
                "not ask"
            )

    def answer(self, batch: list[Request]) -> list[Response]:
        """The answers to some requests."""
        return [self.respond(request) for request in batch]

    def respond(self, request: Request) -> Response:
        """The recorded answer to a request.

        Raises:
            UserError: the file is another one by now.
        """
        place = self._index.find(request.key)
        if place is None:
            return Response(request.key, "", "error", error="no answer was recorded")
        return self._index.read(place, self._stream)[1]
