"""Conversations: what is asked next, and what comes of it at last.

A condition makes a conversation of an episode. It yields requests, is sent the response to each, and returns the
sample. A conversation knows no backend, and the runner knows no condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from mgsd_bench.backends import Draw, Response, Talk, request_key, single_turn
from mgsd_bench.backends.wire import Drawn
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import WITH_IMAGE, Condition, PromptSet
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import score

if TYPE_CHECKING:
    from mgsd_envs import Episode

Conversation = Talk[Sample]
"""Yields what to ask next, is sent what came back, and returns the sample."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask: an episode under a condition, for the n-th time."""

    episode: Episode
    condition: Condition
    repeat: int

    @property
    def key(self) -> str:
        """What names the question, and its sample, within the run."""
        return request_key(self.episode.id, self.condition, self.repeat)


def one_shot(question: Question, prompts: PromptSet, seed: int, image_size: int | None = None) -> Conversation:
    """Ask once, and score the answer.

    Args:
        question: what to ask.
        prompts: the prompt set, with the text of the question's condition.
        seed: of the run's sampling.
        image_size: side of the picture in pixels; that of the episode if None.

    Raises:
        UserError: an original picture cannot be read.
    """
    text, draw, digest = prompt_of(question, prompts, image_size)
    key = question.key
    response = yield single_turn(key, text, draw, request_seed(seed, key), question.condition, question.episode)
    return score_response(question, digest, response)


def prompt_of(question: Question, prompts: PromptSet, image_size: int | None = None) -> tuple[str, Draw | None, str]:
    """What a question that is asked once shows: its text, what draws its picture, and the SHA-256 of both.

    Args:
        question: the question.
        prompts: as of :func:`one_shot`.
        image_size: as of :func:`one_shot`.

    Raises:
        UserError: an original picture cannot be read.
    """
    text = prompts.render(question.episode, question.condition)
    if question.condition not in WITH_IMAGE:
        return text, None, turn_digest(text, b"")
    draw, content = _test_image(question.episode, image_size)
    return text, draw, turn_digest(text, content)


def _test_image(episode: Episode, size: int | None) -> tuple[Draw, bytes]:
    """What draws an episode's test image, and the bytes that tell it from others."""
    if episode.original is None:
        picture = episode.draw(size)
        return Drawn(picture, episode, size), picture.content()
    try:
        pixels = episode.shown(size)
    except ValueError as error:
        raise UserError(f"{error}; put the file back and run the same command again") from error
    return lambda: pixels, pixels.tobytes()


def turn_digest(text: str, content: bytes) -> str:
    """SHA-256 of a turn: its text, and the bytes that tell its picture from others."""
    running = sha256(text.encode() + b"\0")
    running.update(content)  # rather than a copy of it
    return running.hexdigest()


def request_seed(seed: int, key: str) -> int:
    """The sampling seed of one request: a hash of the run's seed and the request's key, below 2**31."""
    return int.from_bytes(sha256(f"{seed}/{key}".encode()).digest()[:4], "big") >> 1


def score_response(question: Question, prompt_digest: str, response: Response) -> Sample:
    """The sample that a response to a one-shot question makes."""
    return Sample.of(
        question.episode,
        question.condition,
        question.repeat,
        score(question.episode, question.condition, response),
        prompt_digest=prompt_digest,
        text=response.text,
        finish_reason=response.finish_reason,
        prompt_tokens=response.prompt_tokens,
        completion_tokens=response.completion_tokens,
        error=response.error,
        seconds=response.seconds,
    )
