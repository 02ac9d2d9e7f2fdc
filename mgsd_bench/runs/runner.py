"""Runs a suite: asks what has not been answered yet, scores each answer as it arrives, and stores it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from mgsd_bench.backends import Backend, hold
from mgsd_bench.prompts import CLOSED_LOOP, PromptSet
from mgsd_bench.runs.closed_loop import Loop, closed_loop
from mgsd_bench.runs.conversation import Conversation, Question, one_shot
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.runs.questions import Questions
from mgsd_bench.runs.sample import Sample

IMAGE_SIZE = 256
"""Side of the test image in pixels, as in the paper."""


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
    run: RunFolder, backend: Backend, to_ask: Questions, asking: Asking, on_sample: Callable[[Sample], None]
) -> None:
    """Ask everything that the run has no answer to yet, and store each sample the moment its answer is there.

    Args:
        run: where samples and turns are stored, and what has been answered before.
        backend: the model.
        to_ask: the questions; those that ``run`` has an answer to are left out.
        asking: how they are put.
        on_sample: told each new sample once it is stored.

    Raises:
        EngineError: the engine died; what it had answered is stored.
        UserError: the run folder cannot be written, or an original picture cannot be read, any more, or a stored turn
            is not one of this run.
    """
    unanswered = to_ask.without(run.answered)
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
