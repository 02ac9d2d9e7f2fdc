"""Runs a suite: asks what has not been answered yet, scores each answer as it arrives, and stores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from mgsd_bench.backends import Backend, Request, Response, request_key
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import WITH_IMAGE, Condition, PromptSet
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import score
from mgsd_envs.looks import id_without_look, is_turned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mgsd_envs import Episode

IMAGE_SIZE = 256
"""Side of the test image in pixels, as in the paper."""


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


def questions(episodes: list[Episode], conditions: list[Condition], repeats: int) -> list[Question]:
    """Everything that a run asks. Questions that share their instructions are neighbours, for the prefix cache."""
    return [
        Question(episode, condition, repeat)
        for condition in conditions
        for episode in episodes
        if is_asked(episode.id, condition)
        for repeat in range(repeats)
    ]


def is_asked(episode: str, condition: str) -> bool:
    """Whether a condition is asked of an episode: one that shows no picture once a state, however many looks."""
    return condition in WITH_IMAGE or id_without_look(episode) == episode or is_turned(episode)


def run_questions(
    run: RunFolder,
    backend: Backend,
    to_ask: list[Question],
    prompts: PromptSet,
    seed: int,
    on_sample: Callable[[Sample], None],
) -> None:
    """Ask everything that the run has no answer to yet, and store each sample the moment its answer is there.

    Args:
        run: where samples are stored, and what has been answered before.
        backend: the model.
        to_ask: the questions; those with a sample in ``run`` are left out.
        prompts: the prompt set, with the texts of the questions' conditions.
        seed: of the run's sampling.
        on_sample: told each new sample once it is stored.

    Raises:
        EngineError: the engine died; what it had answered is stored.
        UserError: the run folder cannot be written, or an original picture cannot be read, any more.
    """
    unanswered = [question for question in to_ask if question.key not in run.samples]
    for sample in ask(backend, unanswered, prompts, seed):
        run.append(sample)
        on_sample(sample)


def ask(
    backend: Backend, to_ask: Iterable[Question], prompts: PromptSet, seed: int, image_size: int | None = None
) -> Iterator[Sample]:
    """Ask questions, and yield the scored sample of each as its answer comes, in any order.

    Args:
        backend: the model.
        to_ask: the questions, no two with the same key.
        prompts: the prompt set, with the texts of the questions' conditions.
        seed: of the run's sampling.
        image_size: side of the pictures in pixels; that of each episode if None.

    Raises:
        EngineError: the engine died.
        UserError: an original picture cannot be read.
    """
    asked = {question.key: question for question in to_ask}
    digests: dict[str, str] = {}

    def requests() -> Iterator[Request]:
        for question in asked.values():
            text = prompts.render(question.episode, question.condition)
            with_image = question.condition in WITH_IMAGE
            image, pixels = _test_image(question.episode, image_size) if with_image else (None, b"")
            digests[question.key] = sha256(text.encode() + b"\0" + pixels).hexdigest()
            yield Request(
                key=question.key,
                text=text,
                image=image,
                seed=request_seed(seed, question.key),
                condition=question.condition,
                episode=question.episode,
            )

    for response in backend.generate(requests()):
        yield score_response(asked[response.key], digests.pop(response.key), response)


def _test_image(episode: Episode, size: int | None) -> tuple[Callable[[], NDArray[np.uint8]], bytes]:
    """What draws an episode's test image, and the bytes that tell it from others."""
    if episode.original is None:
        picture = episode.draw(size)
        return picture.rgb, picture.content()
    try:
        pixels = episode.shown(size)
    except ValueError as error:
        raise UserError(f"{error}; put the file back and run the same command again") from error
    return lambda: pixels, pixels.tobytes()


def request_seed(seed: int, key: str) -> int:
    """The sampling seed of one question: a hash of the run's seed and the question's key, below 2**31."""
    return int.from_bytes(sha256(f"{seed}/{key}".encode()).digest()[:4], "big") >> 1


def score_response(question: Question, prompt_digest: str, response: Response) -> Sample:
    """The sample that a response to a question makes."""
    episode = question.episode
    scored = score(episode, question.condition, response)
    return Sample(
        episode=episode.id,
        task=episode.task,
        level=episode.level,
        condition=question.condition,
        repeat=question.repeat,
        prompt_digest=prompt_digest,
        text=response.text,
        finish_reason=response.finish_reason,
        prompt_tokens=response.prompt_tokens,
        completion_tokens=response.completion_tokens,
        plan=None if scored.plan is None else list(scored.plan),
        form=scored.form,
        facts=sorted((list(fact) for fact in scored.facts), key=str),
        outcome=scored.outcome.value,
        optimal=scored.optimal,
        illegal=scored.illegal,
        steps=scored.steps,
        dead_end=scored.dead_end,
        shortest=episode.shortest,
        straight=episode.straight,
        detour=episode.detour,
        error=response.error,
        seconds=None if response.seconds is None else round(response.seconds, 4),
    )
