"""Asking a candidate just what its baseline was asked, at once or block by block."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from mgsd_bench.analysis.metrics import METRICS
from mgsd_bench.analysis.run import Run, load_run
from mgsd_bench.backends import BackendConfig, Sampling
from mgsd_bench.backends.checkpoints import fingerprint, locate
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.evaluation.evaluate import Blocks, Evaluation, evaluate
from mgsd_bench.gating.decision import Decision
from mgsd_bench.gating.measurement import check, decide_part, measure
from mgsd_bench.gating.policy import Policy, Verdict
from mgsd_bench.gating.result import GateDecision, gate, gate_decision
from mgsd_bench.gating.sequential import blocks, sequential_decision
from mgsd_bench.prompts import CONDITIONS, load_prompts
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.scoring import SCORER_VERSION
from mgsd_bench.runs.stored import read_samples
from mgsd_bench.suites.suite import Part, Suite, digest
from mgsd_bench.suites.suite import episodes as suite_episodes


def evaluation_like(
    baseline: Run,
    model: str,
    out: Path,
    policy: Policy,
    *,
    backend: str | None = None,
    engine_args: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> Evaluation:
    """The evaluation of another model on a baseline's exact episodes, prompts, sampling and pixel limits.

    Args:
        baseline: a finished run.
        model: the candidate.
        out: its run folder.
        policy: only the conditions that its metrics need are asked.
        backend: instead of the baseline's.
        engine_args: arguments of the backend.
        trust_remote_code: run code that comes with the checkpoint.

    Raises:
        UserError: the baseline's record lacks a setting, it has none of the conditions, it showed pictures that are not
            ours, servers are named to a backend that asks none, or (``NOT_COMPARABLE``) its prompts or the scorer have
            changed since.
    """
    identity = baseline.identity
    asked = baseline.conditions()
    wanted = {METRICS[name].condition for name in policy.names}
    for name in policy.names:
        if METRICS[name].condition not in asked:
            condition = METRICS[name].condition
            raise UserError(
                f"{baseline.path}: missing metric {name}; run it with {option('conditions', condition)}, or leave "
                f"{name} out of the policy",
                Exit.NOT_COMPARABLE,
            )
    try:
        config = BackendConfig(
            model=model,
            sampling=Sampling(**identity["sampling"]),
            min_pixels=int(identity["pixels"][0]),
            max_pixels=int(identity["pixels"][1]),
            engine_args=dict(engine_args or {}),
            trust_remote_code=trust_remote_code,
        )
        name, repeats, theme = str(identity["prompts"]), int(identity["repeats"]), str(identity["theme"])
        engine = backend or str(identity["backend"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{baseline.path / 'run.json'}: lacks a setting of the run ({error}); save it anew") from error
    if "base_url" in config.engine_args and engine != "openai":
        raise UserError(
            f"{option('base_url')}: {engine}, the backend of {baseline.path}, asks no server; add "
            f"{option('backend', 'openai')}"
        )
    if identity["scorer"] != SCORER_VERSION:
        raise UserError(
            f"{baseline.path}: scored by version {identity['scorer']}, answers are now scored by {SCORER_VERSION}; "
            "read the baseline anew, with `mgsd-bench score --rescore`",
            Exit.NOT_COMPARABLE,
        )
    suite = _suite(baseline, theme)
    conditions = [condition for condition in CONDITIONS if condition in wanted]
    episodes = suite_episodes(suite)
    if identity["episodes_digest"] != digest(episodes):
        raise UserError(f"{baseline.path / 'episodes.jsonl'}: not the episodes of its run.json", Exit.NOT_COMPARABLE)
    everything = [condition for condition in CONDITIONS if condition in identity.get("conditions", conditions)]
    if identity["digest"] != digest(episodes, load_prompts(name, episodes, everything).canonical()):
        raise UserError(
            f"{baseline.path}: prompts {name} have changed since; make the baseline anew", Exit.NOT_COMPARABLE
        )
    return Evaluation(suite, None, conditions, repeats, name, engine, config, out)


def _suite(baseline: Run, theme: str) -> Suite:
    episodes = list(baseline.episodes.values())
    if any(episode.original for episode in episodes):
        raise UserError(
            f"{baseline.path}: shows other people's pictures; run `mgsd-bench eval --data-root ...` on the candidate "
            f"yourself, and give the run with {option('candidate')}"
        )
    counts: dict[tuple[str, int], int] = {}
    for episode in episodes:
        counts[episode.task, episode.level] = counts.get((episode.task, episode.level), 0) + 1
    parts = tuple(Part(task, level, count) for (task, level), count in counts.items())
    name = str(baseline.identity["suite"])
    looks = tuple(baseline.identity.get("looks", ()))
    return Suite(name, "the episodes of a baseline", parts, theme=theme, given=tuple(episodes), looks=looks)


def gate_model(
    baseline: Run,
    job: Evaluation,
    policy: Policy,
    console: Console,
    *,
    sequential: bool = False,
    allow: Collection[str] = (),
) -> GateDecision:
    """Evaluate a candidate and decide.

    Args:
        baseline: what to compare with.
        job: of :func:`evaluation_like`.
        policy: what is asked.
        console: where to show progress.
        sequential: ask block by block, and stop as soon as the decision is certain.
        allow: aspects in which the runs may differ.

    Raises:
        UserError: the runs cannot be compared, the run folder holds answers of other weights (``NOT_COMPARABLE``), or
            requests failed (``ENGINE``).
    """
    _usable_baseline(baseline, policy)
    _same_weights(job)
    if not sequential:
        _, code = evaluate(job, console)
        candidate = load_run(job.out)
        _no_errors(candidate, policy, code)
        return gate(baseline, candidate, policy, allow)
    episodes = baseline.episodes
    ids: dict[tuple[str, int], list[str]] = {}
    for episode in episodes.values():
        ids.setdefault((episode.task, episode.level), []).append(episode.id)
    in_blocks = blocks(ids, policy.looks)
    record = {**baseline.record, "status": "complete"}

    def seen(samples: Iterable[Sample]) -> int:
        """How many blocks the samples cover."""
        there = {sample.episode for sample in samples}
        return next((i for i, block in enumerate(in_blocks) if not there.issuperset(block)), len(in_blocks))

    def enough() -> bool:
        samples = list({sample.key: sample for sample in read_samples(job.out, texts=False)}.values())
        if any(sample.outcome == "error" for sample in samples):
            return False
        count = seen(samples)
        decision = decide_looks(baseline, Run(job.out, record, samples), policy, in_blocks[:count])
        share = 100 * sum(map(len, in_blocks[:count])) / len(episodes)
        console.print(
            f"look {count} of {len(in_blocks)}, {share:.0f} % of the episodes: {decision.verdict}", highlight=False
        )
        return decision.verdict != Verdict.INCONCLUSIVE

    _, code = evaluate(job, console, Blocks(in_blocks, enough))
    candidate = load_run(job.out)
    _no_errors(candidate, policy, code)
    used = in_blocks[: seen(candidate.read_samples(texts=False))]
    part = frozenset(episode for block in used for episode in block)
    finished = {**candidate.record, "status": "complete"}
    part_policy = replace(policy, min_episodes=1)  # the baseline as a whole has enough
    notes = check(_only(baseline, part), replace(_only(candidate, part), record=finished), part_policy, allow)
    decision = decide_looks(baseline, candidate, policy, used)
    saved = 100 * (1 - len(part) / len(episodes))
    notes.append(f"sequential: {len(used)} of {len(in_blocks)} looks, {saved:.0f} % of the episodes saved")
    return gate_decision(baseline, candidate, policy, replace(decision, notes=tuple(notes)))


def decide_looks(
    baseline: Run,
    candidate: Run,
    policy: Policy,
    seen: list[tuple[str, ...]],
) -> Decision:
    """:func:`mgsd_bench.gating.sequential.sequential_decision` on the blocks that were seen."""
    looks = []
    part: frozenset[str] = frozenset()
    for block in seen:
        part |= frozenset(block)
        looks.append({r.metric: measure(baseline, candidate, r.metric, part) for r in policy.metrics})
    floors = decide_part(baseline, candidate, policy, part=part).floors if policy.floors else ()
    return sequential_decision(looks, len(baseline.episodes), policy, floors)


def _only(run: Run, part: frozenset[str]) -> Run:
    return replace(run, given=[sample for sample in run.read_samples(texts=False) if sample.episode in part])


def _usable_baseline(baseline: Run, policy: Policy) -> None:
    """Find out before a GPU is used that the baseline will not do."""
    check(baseline, baseline, policy)


def _same_weights(job: Evaluation) -> None:
    """Refuse answers that a checkpoint gave before it was trained on; for a finished run no engine would look."""
    folder = Path(locate(job.config.model))
    if job.backend not in ("vllm", "hf") or not folder.is_dir() or not (job.out / "run.json").is_file():
        return
    run = load_run(job.out)
    known = {session["backend"].get("fingerprint") for session in run.record["sessions"]} - {None}
    if len(run.frame) and known and known != {fingerprint(folder)}:
        raise UserError(
            f"{option('out', job.out)}: holds answers of other weights of {job.config.model}; delete it, or name "
            "another folder",
            Exit.NOT_COMPARABLE,
        )


def _no_errors(candidate: Run, policy: Policy, code: Exit) -> None:
    failed = int((candidate.frame["outcome"] == "error").sum())
    if code and failed > policy.max_errors * len(candidate.frame):
        raise UserError(
            f"{candidate.path}: {failed} requests failed; run the same command again to retry them", Exit.ENGINE
        )
