"""TRL by itself, without our trainers: it trains on exported rows with our rewards, and acts in our environment."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mgsd_bench.integrations.rewards import REWARDS
from mgsd_envs import Episode, generate, get_task
from support.commands import mgsd

pytestmark = pytest.mark.train

CONFIG = {
    "per_device_train_batch_size": 2, "num_generations": 2, "logging_steps": 1, "save_strategy": "no",
    "report_to": [], "use_cpu": True, "bf16": False,
}  # fmt: skip


def parts(tiny: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(tiny, dtype="float32")
    return model, AutoProcessor.from_pretrained(tiny, padding_side="left")


def test_two_steps_on_exported_rows(tiny: Path, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl import GRPOConfig, GRPOTrainer

    asked = ("--tasks", "frozenlake", "--levels", "3", "--count", "2", "--size", "64", "--prompts", "compact")
    mgsd("generate", "rows", "--format", "trl", *asked, cwd=tmp_path)
    rows = load_dataset(str(tmp_path / "rows" / "frozenlake"), split="train", cache_dir=str(tmp_path / "cache"))
    model, processor = parts(tiny)
    config = GRPOConfig(output_dir=str(tmp_path / "out"), max_steps=2, max_completion_length=6, **CONFIG)
    running = GRPOTrainer(
        model=model,
        processing_class=processor,
        reward_funcs=[REWARDS[name] for name in ("success", "state_f1", "format")],
        args=config,
        train_dataset=rows,
    )
    seen: list[Any] = []
    forward = model.model.visual.forward
    model.model.visual.forward = lambda *args, **kwargs: seen.append(1) or forward(*args, **kwargs)
    running.train()
    assert seen
    logged = [row for row in running.state.log_history if "reward" in row]
    assert [row["step"] for row in logged] == [1, 2]
    assert all({f"rewards/{name}/mean" for name in ("success", "state_f1", "format")} <= row.keys() for row in logged)


def test_an_environment_is_acted_in_by_a_tool(tiny: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
    from trl.chat_template_utils import qwen3_vl_chat_template

    from mgsd_bench.integrations.trl_environment import MoveEnvironment

    episode: Episode = next(generate(get_task("frozenlake"), 3, 1, split="train", stream="acting"))
    away = next(action for action in ("left", "right", "up", "down") if action != episode.plan[0])
    plans = [list(episode.plan), [away]]

    class Scripted(GRPOTrainer):  # type: ignore[misc]
        """One rollout follows the shortest plan, the other takes another step and ends."""

        turn = 0

        def _generate_single_turn(self, prompt_ids: list[Any], images: Any, *_: Any, **__: Any) -> tuple[Any, None]:
            acting = [plan for plan in plans if self.turn <= len(plan)]
            assert len(prompt_ids) == len(acting)
            texts = [self._said(plan[self.turn]) if self.turn < len(plan) else "Done." for plan in acting]
            self.turn += 1
            return [self._tokenizer(f"{text}<|im_end|>", add_special_tokens=False)["input_ids"] for text in texts], None

        def _said(self, action: str) -> str:
            return f'<tool_call>\n{{"name": "move", "arguments": {{"action": "{action}"}}}}\n</tool_call>'

    model, processor = parts(tiny)
    processor.chat_template = processor.tokenizer.chat_template = qwen3_vl_chat_template
    config = GRPOConfig(output_dir=str(tmp_path), max_steps=1, max_completion_length=1000, **CONFIG)
    running = Scripted(
        model=model,
        processing_class=processor,
        args=config,
        train_dataset=Dataset.from_list(
            [{"prompt": [{"role": "user", "content": ""}], "episode": episode.canonical()}]
        ),
        environment_factory=partial(MoveEnvironment, shaping=0.5, prompts="compact", size=64),
    )
    running.train()
    (row,) = [row for row in running.state.log_history if "reward" in row]
    assert row["tools/failure_frequency"] == 0
    assert [env.get_reward() == 1.5 for env in running.environments] == [True, False]
    assert row["grad_norm"] > 0
    with pytest.raises(ValueError, match="the episode is over"):
        running.environments[0].move("left")
