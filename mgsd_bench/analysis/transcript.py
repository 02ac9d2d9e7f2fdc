"""Episodes that were acted in step by step, played once more: what was seen, said and done in every turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import UserError
from mgsd_bench.runs.loop_score import CAUSES, FAULTY, UNREAD
from mgsd_bench.runs.loop_scoring import Step, known_distance, replay
from mgsd_bench.runs.loop_view import shown_in_turn
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.turns import TURNS, TurnRecord, read_turns
from mgsd_envs import Cursor, get_task
from mgsd_envs.views import View, check_view

if TYPE_CHECKING:
    from mgsd_envs import Episode
    from mgsd_envs.rendering import Picture, Pixels


@dataclass(frozen=True, slots=True)
class PlayedTurn:
    """One turn.

    Attributes:
        record: the turn as it is stored.
        trail: the cursors before it, from the first on; blocked actions add none.
        steps: its actions.
        to_go: fewest actions from there to success, after its last action; infinite where it is out of reach, or the
            action was fatal, None where the state is too large to know.
        again: of its action that is tried most often in one state: which time this is, and of how many in the episode;
            None where none is tried twice.
        causes: of each faulty action what it is due to; empty where no state was stated.
    """

    record: TurnRecord
    trail: tuple[Cursor, ...]
    steps: tuple[Step, ...]
    to_go: float | None
    again: tuple[int, int] | None
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """An episode, turn by turn.

    Attributes:
        episode: the episode.
        condition: how it was put.
        repeat: 0-based number of the try.
        view: how much of the board was shown.
        to_go: fewest actions to success at the start; None where the state is too large to know.
        turns: its turns.
    """

    episode: Episode
    condition: str
    repeat: int
    view: View
    to_go: float | None
    turns: tuple[PlayedTurn, ...]

    @property
    def kinds(self) -> str:
        """What each turn's actions were, as in :class:`mgsd_bench.runs.loop_score.LoopScore`."""
        return " ".join("".join(step.kind for step in turn.steps) or UNREAD for turn in self.turns)

    def shown(self, turn: int, size: int | None = None) -> Picture | Pixels | str | None:
        """What the model was shown in a turn: a picture, the state as text, or None where nothing was.

        Args:
            turn: its number, from 0.
            size: side of a picture in pixels; that of the episode if None.
        """
        trail = self.turns[turn].trail
        return shown_in_turn(self.episode, self.condition, self.view, trail, turn, size)


def read_transcripts(run: Run, wanted: Mapping[str, Sample | None]) -> dict[str, Transcript]:
    """The stored turns of some questions, played once more; a question without a turn is left out.

    Args:
        run: the run; of its turns no others than those wanted are kept.
        wanted: samples by their keys; None for a question that has none yet.

    Raises:
        UserError: the turns are damaged or are not those of the run's episodes.
    """
    if not wanted:
        return {}
    view = View.parse(run.view)
    found: dict[str, Transcript] = {}
    for key, records in read_turns(run.path, wanted.__contains__).items():
        episode, sample = run.episodes.get(records[0].episode), wanted[key]
        loop = None if sample is None else sample.loop
        try:
            if episode is None:
                raise ValueError("its episode is not in episodes.jsonl")
            found[key] = play(episode, view, records, None if loop is None else loop.causes)
            if loop is not None and found[key].kinds != loop.kinds:
                raise ValueError("its steps are not those that samples.jsonl counts")
        except ValueError as error:
            raise UserError(
                f"{run.path / TURNS}: {key} cannot be played again: {error}; mgsd-bench verify says what was changed"
            ) from error
    return found


def play(episode: Episode, view: View, records: Sequence[TurnRecord], causes: str | None = None) -> Transcript:
    """Play an episode's stored turns once more.

    Args:
        episode: the episode.
        view: how much of the board was shown.
        records: its turns, at least one.
        causes: of every faulty action a letter of :data:`mgsd_bench.runs.loop_score.CAUSES`, if known.

    Raises:
        ValueError: the turns cannot be those of this episode, or it has no such view; one line.
    """
    task = get_task(episode.task)
    check_view(task, view, episode.perturbation)
    by_turn = replay(task, episode.state, records)
    tried = Counter((step.before, step.action) for steps in by_turn for step in steps)
    before: Counter[tuple[Cursor, str]] = Counter()
    due = iter(CAUSES[letter] for letter in causes or "")
    trail: tuple[Cursor, ...] = (task.start(episode.state),)
    now = start = known_distance(task, episode.state, trail[0])
    turns = []
    for record, steps in zip(records, by_turn, strict=True):
        before.update((step.before, step.action) for step in steps)
        most = max(((step.before, step.action) for step in steps), key=tried.__getitem__, default=None)
        again = (before[most], tried[most]) if most is not None and tried[most] > 1 else None
        if steps:
            now = float("inf") if steps[-1].effect == "fatal" else steps[-1].to_go
        named = tuple(cause for step in steps if step.kind in FAULTY and (cause := next(due, None)))
        turns.append(PlayedTurn(record, trail, tuple(steps), now, again, named))
        trail = (*trail, *(step.after for step in steps if step.effect == "done"))
    return Transcript(episode, records[0].condition, records[0].repeat, view, start, tuple(turns))
