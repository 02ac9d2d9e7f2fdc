"""One answer of a run, found by its episode."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.transcript import Transcript, read_transcripts
from mgsd_bench.backends import request_key
from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.turns import TURNS

if TYPE_CHECKING:
    from mgsd_envs import Episode


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer; at least one of sample and transcript is there.

    Attributes:
        episode: the episode.
        sample: what it came to; None of an episode that is still being acted in.
        transcript: its turns; None of an answer that was given at once, or where the first request failed.
    """

    episode: Episode
    sample: Sample | None
    transcript: Transcript | None


def find_answer(run: Run, episode_id: str, condition: str | None = None, repeat: int | None = None) -> StoredAnswer:
    """The answer of a run to an episode, with its turns where it was acted in.

    Args:
        run: the run.
        episode_id: the episode's name.
        condition: how it was put; None where there is one answer alone.
        repeat: which try, from 0; None where there is one answer alone.

    Raises:
        UserError: there is none, there are several, or the run is damaged.
    """
    episode = run.episodes.get(episode_id)
    if episode is None:
        near = [*get_close_matches(episode_id, run.episodes, 1), *run.episodes][:1]
        raise UserError(f"{run.path}: no episode {episode_id!r}{f'; there is {near[0]}' if near else ''}")
    questions = {
        request_key(episode_id, name, number): (name, number)
        for name in CONDITIONS
        for number in range(run.identity.get("repeats", 1))
        if name == (condition or name) and number == (number if repeat is None else repeat)
    }
    samples = {sample.key: sample for sample in run.read_samples() if sample.key in questions}
    acted = {key: samples.get(key) for key, (name, _) in questions.items() if name in CLOSED_LOOP}
    transcripts = read_transcripts(run, acted)
    found = [key for key in questions if key in samples or key in transcripts]
    if not found:
        asked = "" if condition is None and repeat is None else " under this condition and repeat"
        raise UserError(f"{run.path}: no answer to {episode_id}{asked}; what was asked is {_conditions(run)}")
    if len(found) > 1:
        names: set[str] = {questions[key][0] for key in found}
        numbers = {str(questions[key][1]) for key in found}
        what = _one_of("condition", names) if len(names) > 1 else _one_of("repeat", numbers)
        raise UserError(f"{run.path}: several answers to {episode_id}; choose {what}")
    sample, transcript = samples.get(found[0]), transcripts.get(found[0])
    if transcript is None and sample is not None and sample.loop is not None and sample.loop.turns:
        raise UserError(f"{run.path / TURNS}: the turns of {found[0]} are missing; copy the whole run folder")
    return StoredAnswer(episode, sample, transcript)


def _conditions(run: Run) -> str:
    return ", ".join(map(str, run.identity.get("conditions", []))) or "not recorded"


def _one_of(name: str, values: set[str]) -> str:
    return " or ".join(option(name, value) for value in sorted(values))
