"""A whole gate, from what a user names to a verdict: the one way that the command and the pytest plugin go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from mgsd_bench.analysis.run import load_run
from mgsd_bench.errors import UserError, option
from mgsd_bench.evaluation.evaluate import model_slug
from mgsd_bench.gating.baselines import find_baseline
from mgsd_bench.gating.candidate import evaluation_like, gate_model
from mgsd_bench.gating.policy import Policy, Verdict
from mgsd_bench.gating.policy_file import load_policy
from mgsd_bench.gating.result import GateDecision, gate
from mgsd_bench.gating.settings import FOLDER


@dataclass(frozen=True, slots=True)
class GateJob:
    """What is gated, against what.

    Attributes:
        baseline: name of a saved baseline, or a run folder.
        candidate: finished run of the new checkpoint; either this or ``model``.
        model: the new checkpoint, to be asked first, just as the baseline was.
        policy: YAML file; the default policy if None.
        inconclusive: what an undecided gate counts as, ``pass``, ``fail`` or ``inconclusive``; None leaves it to the
            policy.
        folder: where saved baselines are.
        sequential: with ``model``: stop as soon as the decision is certain.
        backend: with ``model``: instead of the baseline's.
        out: with ``model``: the candidate's run folder; ``runs/gate-<model>`` if None.
        engine_args: with ``model``: arguments of the backend.
        trust_remote_code: with ``model``: run code that comes with the checkpoint.
        allow: aspects in which the runs may differ; see :mod:`mgsd_bench.analysis.comparable`.
    """

    baseline: str
    candidate: Path | None = None
    model: str | None = None
    policy: Path | None = None
    inconclusive: str | None = None
    folder: Path = FOLDER
    sequential: bool = False
    backend: str | None = None
    out: Path | None = None
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False
    allow: tuple[str, ...] = ()


def run_gate(job: GateJob, console: Console) -> GateDecision:
    """Ask the candidate, unless it is a run already, and decide.

    Args:
        job: what is gated.
        console: where to show progress.

    Raises:
        UserError: something in the job cannot be used, the runs cannot be compared (``NOT_COMPARABLE``), there are too
            few episodes (``INCONCLUSIVE``), or requests failed (``ENGINE``).
    """
    if (job.model is None) == (job.candidate is None):
        raise UserError(f"gate: give either {option('candidate')} or {option('model')}")
    policy = choose_policy(job.policy, job.inconclusive)
    baseline = find_baseline(job.baseline, job.folder)
    if job.model is None:
        _only_for_models(job)
        return gate(baseline, load_run(Path(str(job.candidate))), policy, job.allow)
    out = job.out or Path("runs") / f"gate-{model_slug(job.model)}"
    evaluation = evaluation_like(
        baseline, job.model, out, policy, backend=job.backend, engine_args=job.engine_args,
        trust_remote_code=job.trust_remote_code,
    )  # fmt: skip
    return gate_model(baseline, evaluation, policy, console, sequential=job.sequential, allow=job.allow)


def choose_policy(path: Path | None, inconclusive: str | None = None) -> Policy:
    """The policy of a file, or the default one, with another reading of an undecided gate if one is given.

    Raises:
        UserError: the file cannot be read or is not a policy, or there is no such reading.
    """
    policy = Policy() if path is None else load_policy(path)
    if inconclusive is None:
        return policy
    if inconclusive not in list(Verdict):
        raise UserError(f"{option('inconclusive', inconclusive)}: choose from {', '.join(Verdict)}")
    return replace(policy, inconclusive=Verdict(inconclusive))


def _only_for_models(job: GateJob) -> None:
    given = {
        option("sequential"): job.sequential,
        option("backend"): job.backend,
        option("out"): job.out,
        f"{option('engine')} or {option('base_url')}": job.engine_args,
        option("trust_remote_code"): job.trust_remote_code,
    }
    for name, value in given.items():
        if value:
            raise UserError(
                f"{name}: has a meaning with {option('model')} only; leave it out or give {option('model')}"
            )
