"""The `eval` command's work: one model, one suite, one run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

from mgsd_bench.analysis.frame import SampleTable
from mgsd_bench.analysis.unread import EARLY, Unread
from mgsd_bench.backends import (
    NOT_DECODED,
    Backend,
    BackendConfig,
    Bounded,
    EngineError,
    Informed,
    Metered,
    Sampling,
    StoppedError,
    answering,
    check_settings,
    open_backend,
)
from mgsd_bench.errors import Exit, UserError, command_line, option, spell
from mgsd_bench.evaluation.asked import Asked
from mgsd_bench.evaluation.settings import EvaluationSettings
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS, Condition
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs import provenance
from mgsd_bench.runs.closed_loop import Loop
from mgsd_bench.runs.folder import RunFolder
from mgsd_bench.runs.progress import RunProgress
from mgsd_bench.runs.questions import Questions
from mgsd_bench.runs.runner import Asking, run_questions
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import Outcome
from mgsd_bench.runs.shards import Shard
from mgsd_bench.suites.choose import choose_suite
from mgsd_bench.suites.packed import Packed
from mgsd_bench.suites.suite import Suite

if TYPE_CHECKING:
    from mgsd_bench.analysis.summary import Summary


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What to run.

    Attributes:
        suite: the suite, already cut to the wanted tasks and levels.
        limit: episodes a level; all if None.
        conditions: how episodes are put to the model.
        repeats: how often each question is asked.
        prompts: shipped prompt set, or a folder.
        backend: name of the backend.
        config: what the backend gets.
        out: the run folder.
        loop: how the closed loop goes, for its conditions.
        shard: the part of it that is asked; all if None.
    """

    suite: Suite
    limit: int | None
    conditions: list[Condition]
    repeats: int
    prompts: str
    backend: str
    config: BackendConfig
    out: Path
    loop: LoopSettings = field(default_factory=LoopSettings)
    shard: Shard | None = None

    @property
    def acts(self) -> bool:
        """Whether some of it is asked in the closed loop."""
        return not CLOSED_LOOP.isdisjoint(self.conditions)

    @property
    def answering(self) -> str:
        """The backend that answers: in a cluster, the one in each worker."""
        return answering(self.backend, self.config.engine_args)

    @classmethod
    def from_settings(
        cls, settings: EvaluationSettings, on_note: Callable[[str], None] = lambda note: None
    ) -> Evaluation:
        """What checked settings come to.

        Args:
            settings: of which model, what, and how.
            on_note: told in one line each what there is to know of a suite that is read from a folder.

        Raises:
            UserError: there is no such suite, task or level, or two settings contradict each other.
        """
        if not settings.conditions:
            raise UserError(f"{option('conditions')}: name at least one of {', '.join(CONDITIONS)}")
        if settings.min_pixels > settings.max_pixels:
            most = option("max_pixels", settings.max_pixels)
            raise UserError(f"{option('min_pixels', settings.min_pixels)}: must not exceed {most}")
        conditions = cast(list[Condition], list(dict.fromkeys(settings.conditions)))
        if "act-blind" in conditions and settings.feedback == "none":
            raise UserError(f"{option('feedback', 'none')}: act-blind has nothing else to go by; leave it out")
        loop, engine_args = settings.loop(), settings.engine_args()
        shard = None if settings.shard is None else Shard.parse(settings.shard, os.environ)
        suite = choose_suite(settings, on_note)
        out = settings.out or Path("runs") / f"{suite.name}-{model_slug(settings.model)}"
        config = BackendConfig(
            model=settings.model,
            sampling=Sampling(
                settings.temperature,
                settings.top_p,
                settings.top_k,
                max_tokens=settings.max_tokens,
                seed=settings.seed,
            ),
            min_pixels=settings.min_pixels,
            max_pixels=settings.max_pixels,
            engine_args=engine_args,
            trust_remote_code=settings.trust_remote_code,
            images=_most_images(conditions, loop),
        )
        return cls(
            suite=suite,
            limit=settings.limit,
            conditions=conditions,
            repeats=settings.repeats,
            prompts=settings.prompts,
            backend=settings.backend,
            config=config,
            out=out if shard is None else out / shard.folder,
            loop=loop,
            shard=shard,
        )


def model_slug(model: str) -> str:
    """The part of a default folder's name that says which model was asked."""
    return Path(model).name.replace(":", "-")


@dataclass(frozen=True, slots=True)
class Blocks:
    """In which order episodes are asked about, and when to stop.

    Attributes:
        episodes: ids of the episodes, block by block; each episode in one block.
        enough: asked after each block but the last, when its answers are in the run folder; True ends the run there.
    """

    episodes: Sequence[Sequence[str]]
    enough: Callable[[], bool] = lambda: False


def _most_images(conditions: Sequence[Condition], loop: LoopSettings) -> int:
    """The most pictures that one request holds: those of the turns that are shown and, with all of them, of no more."""
    if not {"act", "act-stale"} & set(conditions):
        return 1
    return MOST_IMAGES if loop.history is None else min(MOST_IMAGES, 1 + loop.history)


MOST_IMAGES = 256
"""Pictures that a request may hold at most where all turns are shown; a longer episode fails, and says so."""


def evaluate(
    job: Evaluation, console: Console, blocks: Blocks | None = None, backend: Backend | None = None
) -> tuple[Summary, Exit]:
    """Run or resume an evaluation, and write its metrics.

    Args:
        job: what to run.
        console: where to show progress.
        blocks: ask block by block, and stop when there is enough; the run's status is then ``stopped``.
        backend: who is asked, where that is there already; else the job's backend is started, if there is anything
            to ask.

    Returns:
        The figures, and ``Exit.ENGINE`` if requests failed, else ``Exit.OK``.

    Raises:
        UserError: bad settings, or a run folder or model that cannot be used.
    """
    asked, to_ask, asking = prepare(job, as_listed=isinstance(backend, Informed))
    so_far = _SoFar()
    with RunFolder.open(job.out, asked.identity(job, asking.loop), asked.episodes, so_far.add) as run:
        made_from = {} if asked.made_from is None else {"made_from": asked.made_from}
        run.write_record(prompts=asked.prompts.by_question(), **made_from)
        stages, stopped = _stages(to_ask, blocks), False
        while stages and not stopped and all(key in run.answered for key in stages[0].asked_keys()):
            stages = stages[1:]
            stopped = _stops(stages, blocks)
        if stages and not stopped:
            if run.answered:
                there = f"{len(run.answered)} of {len(to_ask)} answers are there"
                console.print(f"resuming {job.out}: {there}", highlight=False, soft_wrap=True)
            stopped = _ask(job, run, stages, to_ask, blocks, asking, so_far, console, backend)
        summary = so_far.summary()
        run.write_metrics(summary.to_json())
        run.write_record(status="errors" if summary.errors else "stopped" if stopped else "complete")
    return summary, Exit.ENGINE if summary.errors else Exit.OK


def prepare(job: Evaluation, *, as_listed: bool = False) -> tuple[Asked, Questions, Asking]:
    """What a job asks, all its questions, and how they are put; no model is asked, and nothing is written.

    Args:
        job: what to run.
        as_listed: in the suite's order; who acts one board after the other would learn from the longest ones' coming
            first.

    Raises:
        UserError: bad settings, or a suite or prompts that cannot be used.
    """
    if job.repeats < 1:
        raise UserError(f"{option('repeats', job.repeats)}: must be at least 1")
    greedy = job.config.sampling.temperature == 0 and job.answering not in NOT_DECODED
    if job.repeats > 1 and greedy:
        raise UserError(
            f"{option('repeats')} above 1 needs {option('temperature')} above 0: greedy answers only repeat themselves"
        )
    check_settings(job.backend, job.config)
    asked = Asked.of(job)
    to_ask = Questions(asked.episodes, job.conditions, job.repeats, as_listed=as_listed)
    return asked, to_ask, Asking(asked.prompts, job.config.sampling.seed, Loop(job.loop, asked.limits, greedy))


class _SoFar:
    """What is known of the answers so far: their table, and of the first few the texts too."""

    def __init__(self) -> None:
        self.table = SampleTable(brief=True)
        self.solved = 0
        self.first: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """There is one more."""
        self.table.append(sample)
        self.solved += sample.outcome == Outcome.SOLVED
        if len(self.first) < EARLY:
            self.first.append(sample)

    def summary(self) -> Summary:
        """The figures of all of them."""
        from mgsd_bench.analysis.summary import summarise  # pandas, which nothing before this needs

        return summarise(self.table.frame())


def _stages(to_ask: Questions, blocks: Blocks | None) -> list[Questions]:
    """All questions, block by block; within a block those that share their instructions stay neighbours."""
    if blocks is None:
        return [to_ask]
    places = {name: place for place, name in enumerate(to_ask.episodes.ids)}
    return [
        Questions(
            Packed(to_ask.episodes[places[name]] for name in block if name in places),
            to_ask.conditions,
            to_ask.repeats,
            as_listed=True,
        )
        for block in blocks.episodes
    ]


def _stops(left: list[Questions], blocks: Blocks | None) -> bool:
    return blocks is not None and bool(left) and blocks.enough()


def _ask(
    job: Evaluation,
    run: RunFolder,
    stages: list[Questions],
    to_ask: Questions,
    blocks: Blocks | None,
    asking: Asking,
    so_far: _SoFar,
    console: Console,
    given: Backend | None,
) -> bool:
    """Ask stage by stage what of all questions is left; whether it stopped before the last."""
    total = len(to_ask)
    kept = f"answers are kept in {job.out}: run the same command again to go on"
    stopped = False
    session = {**provenance.provenance(), "started": provenance.now(), "config": job.config.to_json()}
    if job.suite.origin is not None:
        session["origin"] = dict(job.suite.origin)
    status = "failed"
    try:
        with given or open_backend(job.backend, job.config) as backend:
            session["backend"] = backend.describe()
            _check_weights(job, run, session["backend"])
            if isinstance(backend, Bounded):
                backend.check_asked(to_ask.asked_keys())
            run.write_record(sessions=[*run.record["sessions"], session])
            began = time.monotonic()
            if isinstance(backend, Informed):
                backend.progress(len(run.answered), total)
            try:
                with RunProgress(console, total, len(run.answered), so_far.solved) as progress:

                    def told(sample: Sample) -> None:
                        so_far.add(sample)
                        progress.advance(sample)
                        if isinstance(backend, Informed):
                            backend.progress(len(run.answered), total)
                        if len(run.answered) == EARLY:
                            _say_if_unread(so_far.first, console)

                    for i, stage in enumerate(stages, 1):
                        run_questions(run, backend, stage, asking, told)
                        stopped = _stops(stages[i:], blocks)
                        if stopped:
                            break
            finally:
                if isinstance(backend, Metered):  # what was spent is worth knowing however the session ends
                    session["usage"] = backend.usage()
            session["seconds"] = round(time.monotonic() - began, 3)
        status = "answered"
    except KeyboardInterrupt as stop:
        status = "interrupted"
        raise UserError(f"interrupted; {len(run.answered)} of {total} {kept}", Exit.INTERRUPTED) from stop
    except StoppedError as stop:
        status = "interrupted"
        raise UserError(f"{stop}; {len(run.answered)} of {total} {kept}", stop.code) from stop
    except EngineError as error:
        raise UserError(
            f"the {job.backend} engine died: {error}; {len(run.answered)} of {total} {kept}", Exit.ENGINE
        ) from error
    finally:
        session["ended"] = provenance.now()
        run.write_record(status=status)
    return stopped


def _say_if_unread(samples: list[Sample], console: Console) -> None:
    """Say early in a run that nothing can be read, while little has been spent."""
    if (unread := Unread.of(samples)).all:
        console.print(spell(unread.line(), command_line), style="yellow", highlight=False, soft_wrap=True)


def _check_weights(job: Evaluation, run: RunFolder, described: dict[str, Any]) -> None:
    """Refuse to go on with a run whose model is another one by now, under the same name."""
    for session in run.record["sessions"]:
        if session["backend"].get("fingerprint") != described.get("fingerprint"):
            raise UserError(
                f"{option('out', job.out)}: was begun with other weights or settings of {job.config.model}; name "
                "another folder",
                Exit.NOT_COMPARABLE,
            )
