"""Runs a suite: asks what has not been answered yet, scores each answer as it arrives, and stores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mgsd_bench.backends import Backend, hold
from mgsd_bench.prompts import CLOSED_LOOP, WITH_IMAGE, Condition, PromptSet
from mgsd_bench.runs.closed_loop import Loop, closed_loop
from mgsd_bench.runs.conversation import Conversation, Question, one_shot
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.runs.sample import Sample
from mgsd_envs.looks import id_without_look, is_turned

if TYPE_CHECKING:
    from mgsd_envs import Episode

IMAGE_SIZE = 256
"""Side of the test image in pixels, as in the paper."""


def questions(episodes: list[Episode], conditions: list[Condition], repeats: int) -> list[Question]:
    """Everything that a run asks. Questions that share their instructions are neighbours, for the prefix cache.

    In the closed loop those with the longest plans come first, so that no long episode is left over at the end.
    """

    def ordered(condition: Condition) -> list[Episode]:
        return sorted(episodes, key=lambda episode: -episode.shortest) if condition in CLOSED_LOOP else episodes

    return [
        Question(episode, condition, repeat)
        for condition in conditions
        for episode in ordered(condition)
        if is_asked(episode.id, condition)
        for repeat in range(repeats)
    ]


def is_asked(episode: str, condition: str) -> bool:
    """Whether a condition is asked of an episode: one that shows no picture once a state, however many looks."""
    return condition in WITH_IMAGE or id_without_look(episode) == episode or is_turned(episode)


@dataclass(frozen=True, slots=True)
class Asking:
    """How questions are put.

    Attributes:
        prompts: the prompt set, with the texts of the questions' conditions.
        seed: of the run's sampling.
        loop: how the closed loop goes; only for its conditions.
        image_size: side of the pictures in pixels; that of each episode if None.
    """

    prompts: PromptSet
    seed: int
    loop: Loop = field(default_factory=Loop)
    image_size: int | None = None

    def conversation(self, question: Question, run: RunFolder | None = None) -> Conversation:
        """The conversation about a question; turns that a run has stored are not asked again, new ones are stored."""
        if question.condition not in CLOSED_LOOP:
            return one_shot(question, self.prompts, self.seed, self.image_size)
        if run is None:
            return closed_loop(question, self.prompts, self.seed, self.loop, image_size=self.image_size)
        past = run.turns.pop(question.key, ())
        return closed_loop(question, self.prompts, self.seed, self.loop, past, run.append_turn, self.image_size)


def run_questions(
    run: RunFolder, backend: Backend, to_ask: list[Question], asking: Asking, on_sample: Callable[[Sample], None]
) -> None:
    """Ask everything that the run has no answer to yet, and store each sample the moment its answer is there.

    Args:
        run: where samples and turns are stored, and what has been answered before.
        backend: the model.
        to_ask: the questions; those with a sample in ``run`` are left out.
        asking: how they are put.
        on_sample: told each new sample once it is stored.

    Raises:
        EngineError: the engine died; what it had answered is stored.
        UserError: the run folder cannot be written, or an original picture cannot be read, any more, or a stored turn
            is not one of this run.
    """
    unanswered = (question for question in to_ask if question.key not in run.samples)
    for sample in hold(backend, (asking.conversation(question, run) for question in unanswered)):
        run.append(sample)
        on_sample(sample)


def ask(backend: Backend, to_ask: Iterable[Question], asking: Asking) -> Iterator[Sample]:
    """Ask questions, no two of them the same, and yield the scored sample of each as it is done, in any order.

    Raises:
        EngineError: the engine died.
        UserError: an original picture cannot be read.
    """
    return hold(backend, map(asking.conversation, to_ask))
