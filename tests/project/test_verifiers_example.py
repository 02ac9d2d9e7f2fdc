"""The taskset for verifiers asks what an evaluation asks, and its rewards are ours; where verifiers is installed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("verifiers")
EXAMPLE = Path(__file__).parents[2] / "examples" / "verifiers"


@pytest.mark.parametrize("more", [{"limit": 2, "suite": "smoke"}, {"count": 2}])
def test_tasks_are_questions_with_our_rewards(monkeypatch: pytest.MonkeyPatch, more: dict[str, object]) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from mgsd_plan.taskset import PlanConfig, PlanTaskset

    from mgsd_bench.answers.plans import write_plan
    from mgsd_bench.integrations.rewards import reward
    from mgsd_bench.runs.rewards import episode_of

    tasks = list(PlanTaskset(PlanConfig(tasks=["maze"], levels=[3], prompts="compact", **more)))
    assert len(tasks) == 2
    for task in tasks:
        text, picture = task.data.prompt[0].content
        assert text.text.startswith("Maze")
        assert picture.image_url.url.startswith("data:image/png;base64,")
        episode = task.data.episode
        for answer in ("", "no idea", f"<answer>{write_plan(episode_of(episode).plan)}</answer>"):
            for kind in ("success", "optimal", "state_f1"):
                worth = asyncio.run(getattr(task, kind)(SimpleNamespace(last_reply=answer)))
                assert worth == reward(answer, episode, kind)
    sys.modules.pop("mgsd_plan", None)
