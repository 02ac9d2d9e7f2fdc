"""Answers that were collected elsewhere, read from a file, so that they are scored as any model's are.

The file is JSONL, one answer a line::

    {"episode": "maze/3/0007", "text": "... <answer>RRD</answer>"}

``condition`` (default ``visual``), ``repeat`` (0) and ``finish_reason`` (``stop``) may be given too, and ``turn`` (from
0) where the condition is one of the closed loop: so a run's ``turns.jsonl`` can be answered from. A question without an
answer becomes an error, and stays in the denominator.
"""

from __future__ import annotations

import json
from collections.abc import Set
from hashlib import sha256
from pathlib import Path
from typing import Any

from mgsd_bench.backends import BackendConfig, FinishReason, Request, Response, request_key, turn_key
from mgsd_bench.backends.shared import Queue
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
    answers: dict[str, tuple[int, str, Response]] = {}
    try:
        with open_regular(path) as stream:
            for number, line in enumerate(read_lines(stream, LONGEST_LINE), 1):
                digest.update(line)
                if not line.strip():
                    continue
                question, response = _answer(path, number, line)
                key = response.key
                if key in answers:
                    raise UserError(
                        f"{path}:{number}: a second answer to {key}, after line {answers[key][0]}; remove one"
                    )
                answers[key] = number, question, response
    except OSError as error:
        raise UserError(f"{option('answers', path)}: cannot be read ({error.strerror or error})") from error
    return RecordedBackend(path, answers, digest.hexdigest())


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


class RecordedBackend(Queue):
    """Looks answers up."""

    def __init__(self, path: Path, answers: dict[str, tuple[int, str, Response]], fingerprint: str) -> None:
        super().__init__()
        self._path, self._answers, self._fingerprint = path, answers, fingerprint

    def describe(self) -> dict[str, Any]:
        """The file and its SHA-256."""
        return {"engine": "recorded", "model": str(self._path), "fingerprint": self._fingerprint}

    def check_asked(self, keys: Set[str]) -> None:
        """Refuse answers to questions that are not among the run's.

        Raises:
            UserError: there is one.
        """
        for number, question, _ in self._answers.values():
            if question not in keys:
                raise UserError(f"{self._path}:{number}: answers {question}, which this suite and condition do not ask")

    def answer(self, batch: list[Request]) -> list[Response]:
        """The answers to some requests."""
        return [self.respond(request) for request in batch]

    def respond(self, request: Request) -> Response:
        """The recorded answer to a request."""
        if request.key in self._answers:
            return self._answers[request.key][2]
        return Response(request.key, "", "error", error="no answer was recorded")
