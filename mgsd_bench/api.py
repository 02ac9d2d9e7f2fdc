"""The Python API: what the commands do, as functions that return typed results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgsd_bench.analysis.run import Run, load_run

if TYPE_CHECKING:
    from rich.console import Console

    from mgsd_bench.analysis.closed_loop import LoopDiagnosis
    from mgsd_bench.analysis.comparison import Comparison
    from mgsd_bench.analysis.diagnosis import Diagnosis
    from mgsd_bench.analysis.robustness import Robustness
    from mgsd_bench.gating.result import GateDecision

RunLike = Run | str | Path
"""A run, or its folder."""


def evaluate(
    model: str,
    *,
    suite: str = "mgsd-v1",
    conditions: Sequence[str] = ("visual",),
    out: str | Path | None = None,
    console: Console | None = None,
    **settings: Any,
) -> Run:
    """Ask a model every question of a suite and score the answers, as ``mgsd-bench eval`` does; or go on with a run.

    Args:
        model: folder or name of a model: on the hub, of a server, or scripted.
        suite: name of a suite; see ``mgsd-bench suites``.
        conditions: how episodes are put to the model: ``visual``, ``symbolic``, ``perceive``, ``direct``.
        out: the run folder; one that holds this run already is resumed. By default ``runs/SUITE-MODEL``.
        console: where progress is shown; nowhere by default.
        settings: the other fields of :class:`mgsd_bench.evaluation.settings.EvaluationSettings`, by name.

    Returns:
        The finished run. Requests that failed are in it as samples with the outcome ``error``.

    Raises:
        UserError: a setting, the model or the run folder cannot be used.

    Example::

        run = mb.evaluate(model="straight", backend="scripted", suite="smoke", out="runs/straight")
    """
    from rich.console import Console

    from mgsd_bench.config.settings import make_settings
    from mgsd_bench.evaluation import evaluate as evaluation
    from mgsd_bench.evaluation.settings import EvaluationSettings

    found = make_settings(
        EvaluationSettings, model=model, suite=suite, conditions=tuple(conditions), out=out, **settings
    )
    job = evaluation.Evaluation.from_settings(found)
    evaluation.evaluate(job, console or Console(quiet=True))
    return load_run(job.out)


def diagnose(runs: RunLike | Sequence[RunLike], *, allow: Iterable[str] = ()) -> Diagnosis:
    """Why a model fails: see :func:`mgsd_bench.analysis.diagnose.diagnose`.

    Args:
        runs: one run or several of one model, or their folders.
        allow: aspects in which the runs may differ; docs/comparability.md.

    Example::

        mb.diagnose("runs/straight").macro.state.f1
    """
    from mgsd_bench.analysis.diagnose import diagnose

    several = [runs] if isinstance(runs, Run | str | Path) else runs
    return diagnose([_run(run) for run in several], allow)


def diagnose_loops(runs: RunLike | Sequence[RunLike], *, allow: Iterable[str] = ()) -> LoopDiagnosis:
    """How a model acts step by step: see :func:`mgsd_bench.analysis.diagnose_loops.diagnose_loops`.

    Args:
        runs: one run or several of one model, or their folders; they may differ in the view.
        allow: aspects in which the runs may differ; docs/comparability.md.

    Example::

        mb.diagnose_loops("runs/acted").arm("act").macro.solved
    """
    from mgsd_bench.analysis.diagnose_loops import diagnose_loops

    several = [runs] if isinstance(runs, Run | str | Path) else runs
    return diagnose_loops([_run(run) for run in several], allow)


def compare(a: RunLike, b: RunLike, *, condition: str = "visual", allow: Iterable[str] = ()) -> Comparison:
    """What changed from run a to run b: see :func:`mgsd_bench.analysis.comparison.compare`.

    Example::

        mb.compare("runs/straight", "runs/oracle").macro.difference
    """
    from mgsd_bench.analysis.comparison import compare

    return compare(_run(a), _run(b), condition, allow)


def robustness(run: RunLike, *, condition: str = "visual") -> Robustness:
    """What every look of a run costs: see :func:`mgsd_bench.analysis.robustness.robustness`.

    Example::

        mb.robustness("runs/mgsd-p1-oracle").worst
    """
    from mgsd_bench.analysis.robustness import robustness

    return robustness(_run(run), condition)


def gate(
    baseline: RunLike, candidate: RunLike, *, policy: str | Path | None = None, allow: Iterable[str] = ()
) -> GateDecision:
    """Is the candidate worse than the baseline? As ``mgsd-bench gate --candidate``.

    Args:
        baseline: the run to compare with.
        candidate: the new run.
        policy: a YAML file; the default policy if None.
        allow: aspects in which the runs may differ; docs/comparability.md.

    Raises:
        UserError: the policy cannot be read, the runs may not be set side by side (exit code ``NOT_COMPARABLE``), or
            there are too few episodes (``INCONCLUSIVE``).

    Example::

        mb.gate("runs/straight", "runs/oracle").verdict
    """
    from mgsd_bench.gating.job import choose_policy
    from mgsd_bench.gating.result import gate

    chosen = choose_policy(None if policy is None else Path(policy))
    return gate(_run(baseline), _run(candidate), chosen, allow)


def _run(run: RunLike) -> Run:
    return run if isinstance(run, Run) else load_run(run)
