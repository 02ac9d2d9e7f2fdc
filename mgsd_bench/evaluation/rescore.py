"""An old run's texts read and scored anew, so that nobody has to ask a model again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.summary import Summary
from mgsd_bench.backends import FinishReason, Response
from mgsd_bench.errors import UserError, option
from mgsd_bench.evaluation.evaluate import summary_of
from mgsd_bench.prompts import CONDITIONS
from mgsd_bench.runs import provenance
from mgsd_bench.runs.conversation import Question, score_response
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import SCORER_VERSION
from mgsd_envs import Episode


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

    Everything but plans, facts, forms and outcomes stays as it was recorded.

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
    pairs = [(old, score_again(episodes[old.episode], old)) for old in run.samples]
    with RunFolder.open(out, {**run.identity, "scorer": SCORER_VERSION}, list(episodes.values())) as folder:
        for old, new in pairs:
            if old.key not in folder.samples:
                folder.append(new)
        summary = summary_of(folder)
        folder.write_metrics(summary.to_json())
        origin = {"run": run.path.resolve().name, "scorer": run.identity["scorer"], "at": provenance.now()}
        folder.write_record(**{**run.record, "identity": folder.record["identity"], "rescored": origin})
    return Rescored(
        out,
        summary,
        found=sum(old.plan is None and new.plan is not None for old, new in pairs),
        lost=sum(old.plan is not None and new.plan is None for old, new in pairs),
        replanned=sum(None not in (old.plan, new.plan) and old.plan != new.plan for old, new in pairs),
        restated=sum(old.stated != new.stated for old, new in pairs),
        outcomes=sum(old.outcome != new.outcome for old, new in pairs),
    )


def score_again(episode: Episode, old: Sample) -> Sample:
    """A sample with its text read and its plan simulated anew."""
    question = Question(episode, next(c for c in CONDITIONS if c == old.condition), old.repeat)
    reason: FinishReason = "error" if old.outcome == "error" else "length" if old.finish_reason == "length" else "stop"
    response = Response(
        old.key, old.text, reason, old.prompt_tokens, old.completion_tokens, error=old.error, seconds=old.seconds
    )
    return replace(score_response(question, old.prompt_digest, response), finish_reason=old.finish_reason)
