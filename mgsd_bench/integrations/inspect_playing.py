"""The closed loop as a solver of inspect: the model acts, sees what came of it, and acts again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from inspect_ai.event import ModelEvent
from inspect_ai.log import transcript
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import Store

from mgsd_bench.backends import Request
from mgsd_bench.config.settings import make_settings
from mgsd_bench.evaluation.settings import LoopOptions
from mgsd_bench.integrations.inspect_messages import chat, read_output
from mgsd_bench.prompts import Condition, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import Loop, closed_loop
from mgsd_bench.runs.conversation import Conversation, Question
from mgsd_bench.runs.turns import TurnRecord
from mgsd_envs import episode_from_json

_PLAYED = "closed_loop"
"""What the store calls what was played."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of an episode, as the log keeps it for scoring.

    Attributes:
        settings: how it was played.
        turns: the turns.
        outcome: how it ended; ``error`` as long as it has not.
        error: why there is no next turn; None where there need not be one.
    """

    settings: LoopSettings
    turns: tuple[TurnRecord, ...]
    outcome: str = "error"
    error: str | None = "there is no output: the request failed, or a limit ended it"

    def keep(self, store: Store) -> None:
        """Put it into a sample's store."""
        turns = [asdict(turn) for turn in self.turns]
        told = {"settings": self.settings.to_json(), "turns": turns, "outcome": self.outcome, "error": self.error}
        store.set(_PLAYED, told)

    @classmethod
    def kept(cls, store: Store) -> Self:
        """What a sample's store has.

        Raises:
            ValueError: that is nothing that was played; one line.
        """
        match store.get(_PLAYED):
            case {"settings": dict(settings), "turns": list(turns), "outcome": str(outcome), "error": error}:
                records = tuple(TurnRecord.from_row(turn) for turn in turns)
                return cls(LoopSettings.from_json(settings), records, outcome, error)
        raise ValueError("the sample holds no turns: it was not played by the solver mgsd_bench/play")


@solver
def play(
    prompts: str = "default",
    view: str = "full",
    history: str | int = "4",
    feedback: str = "result",
    remember: str = "answers",
    chunk: str | int = "1",
    say_state: bool = False,
    no_stop_stuck: bool = False,
) -> Solver:
    """Let the model act until the episode ends; the arguments are as the options of ``mgsd-bench eval``.

    What is asked in each turn is what ``mgsd-bench eval`` asks. The messages of the sample are the whole episode, with
    the model's answers as they were; what was sent of it in each turn is in the events.
    """
    settings = make_settings(
        LoopOptions,
        view=view,
        history=history,
        feedback=feedback,
        remember=remember,
        chunk=chunk,
        say_state=say_state,
        no_stop_stuck=no_stop_stuck,
    ).loop()

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        episode = episode_from_json(state.metadata["episode"])
        condition: Condition = state.metadata["condition"]
        question = Question(episode, condition, state.epoch - 1)
        texts = load_prompts(prompts, [episode], [condition], say_state=say_state)
        limits = {(episode.task, episode.level): state.metadata["steps"]}
        turns: list[TurnRecord] = []

        def conversation(*, greedy: bool) -> Conversation:
            return closed_loop(question, texts, 0, Loop(settings, limits, greedy), on_turn=turns.append)

        state.messages = []
        Played(settings, ()).keep(state.store)
        request = next(conversation(greedy=False))
        output = await _ask(request, state)
        talk = conversation(greedy=_greedy())
        next(talk)  # the same request: how it is answered changes nothing before that
        while True:
            try:
                request = talk.send(read_output(output))
            except StopIteration as end:
                Played(settings, tuple(turns), end.value.outcome, end.value.error).keep(state.store)
                return state
            Played(settings, tuple(turns)).keep(state.store)
            output = await _ask(request, state)

    return solve


async def _ask(request: Request, state: TaskState) -> ModelOutput:
    """The model's output, which with the request's last turn becomes the sample's."""
    messages = chat(request.turns)
    output = await get_model().generate(messages)
    state.messages.append(messages[-1])
    state.messages.extend(choice.message for choice in output.choices[:1])
    state.output = output
    return output


def _greedy() -> bool:
    """Whether the model is asked at temperature 0; what settings come to is told by events alone."""
    asked = [event for event in transcript().events if isinstance(event, ModelEvent)]
    return asked[-1].config.temperature == 0
