"""An old run's texts read and scored anew, so that nobody has to ask a model again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.summary import Summary, summarise
from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.backends import FinishReason, Response
from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs import provenance
from mgsd_bench.runs.conversation import Question, score_response
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.runs.lines import facts_row
from mgsd_bench.runs.loop_sample import loop_sample
from mgsd_bench.runs.loop_scoring import ending_of
from mgsd_bench.runs.sample import Sample, last_of_each
from mgsd_bench.runs.scoring import SCORER_VERSION
from mgsd_bench.runs.stored import read_samples
from mgsd_bench.runs.turns import TURNS, TurnRecord, read_turns
from mgsd_envs import Episode, get_task


@dataclass(frozen=True, slots=True)
class Rescored:
    """What another reading of the same texts came to.

    Attributes:
        out: the new run folder.
        summary: its figures.
        found: samples with a plan that had none before.
        lost: samples without a plan that had one before.
        replanned: samples with another plan than before.
        restated: samples with other stated facts than before.
        outcomes: samples with another outcome than before.
    """

    out: Path
    summary: Summary
    found: int
    lost: int
    replanned: int
    restated: int
    outcomes: int


def rescore(run: Run, out: Path | None = None) -> Rescored:
    """Score the texts of a run with today's reader and simulator, into a new run folder.

    Everything but plans, facts, forms and outcomes stays as it was recorded. Texts are read and written one by one; of
    closed loop all turns are held at once.

    Args:
        run: the run; it is only read.
        out: the new folder; by default beside the run, ``NAME-scorer-VERSION``.

    Raises:
        UserError: the run is damaged or is the folder to be written, or the new one holds something else.
    """
    out = out or run.path.parent / f"{run.path.resolve().name}-scorer-{SCORER_VERSION}"
    if out.resolve() == run.path.resolve():
        raise UserError(f"{option('out', out)}: is the run itself, which stays as it is; name another folder")
    episodes = run.episodes
    transcripts = Transcripts.of(run.path, run.identity)
    acted = _acted_again(run, episodes, transcripts)  # before anything is written
    changed: Counter[str] = Counter()
    with RunFolder.open(out, {**run.identity, "scorer": SCORER_VERSION}, episodes.episodes) as folder:
        for old in last_of_each(run.read_samples()):
            new = acted.get(old.key) or score_again(episodes[old.episode], old)
            changed.update(_changes(old, new))
            if old.key not in folder.answered:
                for turn in transcripts.turns.get(old.key, ())[len(folder.turns.get(old.key, ())) :]:
                    folder.append_turn(turn)
                folder.append(new)
        summary = summarise(sample_frame(read_samples(out, texts=False)))
        folder.write_metrics(summary.to_json())
        origin = {"run": run.path.resolve().name, "scorer": run.identity["scorer"], "at": provenance.now()}
        folder.write_record(**{**run.record, "identity": folder.record["identity"], "rescored": origin})
    return Rescored(out, summary, **{name: changed[name] for name in _CHANGES})


_CHANGES = ("found", "lost", "replanned", "restated", "outcomes")
"""Fields of :class:`Rescored` that count."""


def _changes(old: Sample, new: Sample) -> list[str]:
    """Which of the counts a sample is in."""
    differs = {
        "found": old.plan is None and new.plan is not None,
        "lost": old.plan is not None and new.plan is None,
        "replanned": None not in (old.plan, new.plan) and old.plan != new.plan,
        "restated": old.stated != new.stated,
        "outcomes": old.outcome != new.outcome,
    }
    return [name for name in _CHANGES if differs[name]]


def _acted_again(run: Run, episodes: Mapping[str, Episode], transcripts: Transcripts) -> dict[str, Sample]:
    """The new samples of closed loop by key; they hold no more texts than the transcripts.

    Raises:
        UserError: the turns of one are missing, or are not those that it counts.
    """
    found: dict[str, Sample] = {}
    if CLOSED_LOOP.isdisjoint(run.identity["conditions"]):
        return found
    for old in last_of_each(run.read_samples(texts=False)):
        if old.condition in CLOSED_LOOP:
            try:
                found[old.key] = score_again(episodes[old.episode], old, transcripts)
            except ValueError as error:
                raise UserError(
                    f"{run.path / TURNS}: {old.key}: {error}; copy the whole run folder, or see what mgsd-bench verify "
                    "says"
                ) from error
    return found


@dataclass(frozen=True, slots=True)
class Transcripts:
    """What was said and done in the closed loop, read anew.

    Attributes:
        settings: those that were asked with.
        turns: the turns by the key of their question, with forms and facts as they are read today. What was done stays
            done, also where its text is read otherwise today: later turns followed from it.
        otherwise: by key the first turn in whose text other actions are read today.
    """

    settings: LoopSettings
    turns: Mapping[str, Sequence[TurnRecord]]
    otherwise: Mapping[str, int]

    @classmethod
    def of(cls, folder: Path, identity: Mapping[str, Any], wanted: Callable[[str], bool] = lambda key: True) -> Self:
        """The transcripts of a run; none where nothing was asked in the closed loop.

        Args:
            folder: the run folder.
            identity: what its record says of what was asked.
            wanted: of which questions, by their keys.

        Raises:
            UserError: the turns cannot be read.
        """
        if CLOSED_LOOP.isdisjoint(identity["conditions"]):
            return cls(LoopSettings(), {}, {})
        settings = LoopSettings.from_json(identity["loop"])
        turns: dict[str, list[TurnRecord]] = {}
        otherwise: dict[str, int] = {}
        for key, of_question in read_turns(folder, wanted).items():
            anew = [read_anew(turn, say_state=settings.say_state) for turn in of_question]
            turns[key] = [new or old for new, old in zip(anew, of_question, strict=True)]
            if None in anew:
                otherwise[key] = anew.index(None)
        return cls(settings, turns, otherwise)


def read_anew(turn: TurnRecord, *, say_state: bool) -> TurnRecord | None:
    """A turn with form and facts as they are read today; None where other actions are."""
    answer = parse_answer(turn.text, get_task(turn.episode.partition("/")[0]), whole=turn.finish_reason != "length")
    if list(answer.plan or ())[: max(1, len(turn.actions))] != turn.actions:
        return None
    facts = facts_row(answer.facts) if say_state else []
    return replace(turn, form=answer.form, facts=facts)


def score_again(episode: Episode, old: Sample, transcripts: Transcripts | None = None) -> Sample:
    """A sample with its text, or those of its turns, read anew, and its plan simulated anew.

    Raises:
        ValueError: its turns are missing, or cannot be what it comes to.
    """
    if old.condition in CLOSED_LOOP:
        if transcripts is None:
            raise ValueError("its turns are missing")
        condition = next(c for c in CONDITIONS if c == old.condition)
        turns, ending = transcripts.turns.get(old.key, ()), ending_of(old.outcome)
        again = loop_sample(
            episode,
            condition,
            old.repeat,
            transcripts.settings,
            turns,
            ending,
            prompt_digest=old.prompt_digest,
            error=old.error,
        )
        return replace(again, seconds=old.seconds)
    question = Question(episode, next(c for c in CONDITIONS if c == old.condition), old.repeat)
    reason: FinishReason = "error" if old.outcome == "error" else "length" if old.finish_reason == "length" else "stop"
    response = Response(
        old.key, old.text, reason, old.prompt_tokens, old.completion_tokens, error=old.error, seconds=old.seconds
    )
    return replace(score_response(question, old.prompt_digest, response), finish_reason=old.finish_reason)
