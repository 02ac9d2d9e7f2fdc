"""Tasks whose episodes ask for different things: what is asked is known to whoever answers, and is not counted."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mgsd_bench.analysis.attribution import diagnose_sample
from mgsd_bench.backends import Response
from mgsd_bench.runs.scoring import score
from mgsd_envs import generate, get_task

pytest.importorskip("minigrid")


def test_the_mission_is_known_and_not_counted() -> None:
    task = get_task("minigrid-gotoobj")
    (episode,) = generate(task, 6, 1, split="test", stream="scoring")
    stated = "\n".join(line for line in task.describe(episode.state).splitlines() if not line.startswith("mission"))
    false = stated.replace(f"facing: {episode.state.facing}", "facing: none")
    walk_nowhere = "\nRoute: none.\n<answer>L,L,L,L</answer>"
    for text, expected in ((stated, "planning"), (false, "unstated")):
        scored = score(episode, "visual", Response("key", text + walk_nowhere, "stop"))
        assert ("mission", episode.state.mission) in scored.facts
        sample = SimpleNamespace(
            condition="visual", stated=scored.facts, outcome=scored.outcome, plan=list(scored.plan or ())
        )
        diagnosis = diagnose_sample(episode, sample)  # type: ignore[arg-type]
        counted = len(task.facts(episode.state)) - 1
        assert diagnosis.attribution == expected
        assert diagnosis.state_tp + diagnosis.state_fn == counted
        assert diagnosis.state_exact == (text == stated)
    assert score(episode, "perceive", Response("key", stated, "stop")).outcome == "solved"
    echo = f"mission: {episode.state.mission}"
    assert score(episode, "perceive", Response("key", echo, "stop")).outcome == "no_answer"
