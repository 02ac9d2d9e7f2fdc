"""Answers that were collected elsewhere, read from a file, so that they are scored as any model's are.

The file is JSONL, one answer a line::

    {"episode": "maze/3/0007", "text": "... <answer>RRD</answer>"}

``condition`` (default ``visual``), ``repeat`` (0) and ``finish_reason`` (``stop``) may be given too. A question without
an answer becomes an error, and stays in the denominator.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Set
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from mgsd_bench.backends import BackendConfig, FinishReason, Request, Response, request_key
from mgsd_bench.errors import UserError, option
from mgsd_envs.files import open_regular, read_lines, well_formed

LONGEST_LINE = 2**22
"""The most bytes of a line, as of a server's reply."""

_LARGEST = 2**53  # every whole number below it is a JSON number that all readers agree on


def open_backend(config: BackendConfig) -> RecordedBackend:
    """The answers of the file ``config.model``.

    Raises:
        UserError: the file cannot be read, or a line is no answer or answers a question for the second time.
    """
    path, digest = Path(config.model), sha256()
    if path.is_char_device() or path.is_block_device():
        raise UserError(f"{option('answers', path)}: is a device, which has no end; give a file")
    answers: dict[str, tuple[int, Response]] = {}
    try:
        with open_regular(path) as stream:
            for number, line in enumerate(read_lines(stream, LONGEST_LINE), 1):
                digest.update(line)
                if not line.strip():
                    continue
                key, response = _answer(path, number, line)
                if key in answers:
                    raise UserError(
                        f"{path}:{number}: a second answer to {key}, after line {answers[key][0]}; remove one"
                    )
                answers[key] = number, response
    except OSError as error:
        raise UserError(f"{option('answers', path)}: cannot be read ({error.strerror or error})") from error
    return RecordedBackend(path, answers, digest.hexdigest())


def _answer(path: Path, number: int, line: bytes) -> tuple[str, Response]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{path}:{number}: not JSON ({error})") from error
    except RecursionError:
        raise UserError(f"{path}:{number}: no answer, but JSON that is nested too deeply") from None
    match row:
        case {"episode": str(episode), "text": str(text)}:
            for name in ("repeat", "prompt_tokens", "completion_tokens"):
                if row.get(name) is not None and not (type(row[name]) is int and 0 <= row[name] < _LARGEST):
                    raise UserError(f"{path}:{number}: {name} must be a whole number of at least 0")
            key = request_key(well_formed(episode), str(row.get("condition", "visual")), row.get("repeat") or 0)
            reason: FinishReason = "length" if row.get("finish_reason") == "length" else "stop"
            return key, Response(key, text, reason, row.get("prompt_tokens"), row.get("completion_tokens"))
    raise UserError(f"{path}:{number}: an answer needs the texts episode and text")


class RecordedBackend:
    """Looks answers up."""

    def __init__(self, path: Path, answers: dict[str, tuple[int, Response]], fingerprint: str) -> None:
        self._path, self._answers, self._fingerprint = path, answers, fingerprint

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def describe(self) -> dict[str, Any]:
        """The file and its SHA-256."""
        return {"engine": "recorded", "model": str(self._path), "fingerprint": self._fingerprint}

    def check_asked(self, keys: Set[str]) -> None:
        """Refuse answers to questions that are not among the run's.

        Raises:
            UserError: there is one.
        """
        for key, (number, _) in self._answers.items():
            if key not in keys:
                raise UserError(f"{self._path}:{number}: answers {key}, which this suite and condition do not ask")

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield the recorded answer to each request."""
        for request in requests:
            if request.key in self._answers:
                yield self._answers[request.key][1]
            else:
                yield Response(request.key, "", "error", error="no answer was recorded")
