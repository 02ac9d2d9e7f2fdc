"""Training on turns of the closed loop: what a step is worth, and two steps of each method by the shipped recipes."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import pytest

from mgsd_baselines.data.acting import draw_turns
from mgsd_baselines.recipe_file import load_recipe
from mgsd_baselines.tiny.build import widen_tiny
from mgsd_baselines.training.rollouts import score_rollouts
from mgsd_baselines.training.train import train
from mgsd_bench.backends.checkpoints import locate
from mgsd_bench.integrations import rewards
from mgsd_bench.prompts.protocol import said
from mgsd_bench.runs.rewards import score_step
from mgsd_envs import Episode, get_task
from mgsd_envs.acting import act

pytestmark = pytest.mark.train

QUICK = [
    "data={levels: {frozenlake: [3], maze: [3], minibehaviour: [5]}, image_size: 64}",
    "validation={count: 1, max_tokens: 16, conditions: [act, visual]}",
]
"""Pictures of 64 pixels and cut answers: what is trained is not to become good."""


def of_stage(name: str, *more: str) -> list[str]:
    keys = ("data.count=8", "batch=4", "micro_batch=4", "validation.every=2", "validation.count=1")
    trainer = ("trainer.max_steps=2", "trainer.logging_steps=1", "trainer.warmup_steps=0")
    return [f"stages.{name}.{pair}" for pair in (*keys, *trainer, *more)]


def logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_step_is_worth_what_it_gains(episodes: list[Episode]) -> None:
    for turn in draw_turns(episodes, 0.4, 0).values():
        task, state, cursor = get_task(turn.episode.task), turn.episode.state, turn.trail[-1]
        left, tried = task.to_go(state, cursor), json.dumps(turn.tried)
        assert left is not None
        for action in task.actions:
            result = act(task, state, cursor, action)
            after = task.to_go(state, result.cursor)
            answer = f"size: 3\n{said((action,), task)}"
            scored = score_step(answer, turn.episode.canonical(), tried)
            lost = result.effect == "fatal" or after is None
            assert scored.gain == (-inf if lost else left - (after or 0))
            assert scored.form == "asked"
            worth = -1.0 if lost else float(left - (after or 0))
            columns = {"episode": [turn.episode.canonical()], "tried": [tried]}
            assert rewards.progress([answer], **columns) == [worth]
            assert rewards.success([answer], **columns) == rewards.optimal([answer], **columns) == [float(worth > 0)]
            assert rewards.format([answer], **columns) == [1.0]


def test_an_answer_without_a_step_is_worth_less_than_one_that_is_not_possible(episodes: list[Episode]) -> None:
    columns = {"episode": [episodes[0].canonical()] * 2, "tried": ["[]", None]}
    assert rewards.progress(["I do not know", "<answer>R</answer>"], **columns) == [-1.0, None]
    assert rewards.format(["I do not know", ""], **columns) == rewards.success(["", ""], **columns) == [0.0, 0.0]
    found = score_rollouts(columns["episode"], ["", ""], columns["tried"])
    assert found["steps/valid"] == found["steps/useful"] == found["rollouts/valid"] == [0.0]


def test_widening_leaves_all_else_as_it_is(tmp_path: Path) -> None:
    import torch

    from mgsd_baselines.training.models import load_model, load_processor

    source, phrases = locate("tiny-mgsd"), ("One step a turn", "Lake (", "End like <answer>L</answer>")
    one, two = (widen_tiny(Path(source), tmp_path / name, phrases) for name in ("one", "two"))
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    before, after = load_processor(source).tokenizer, load_processor(str(one)).tokenizer
    assert [len(after(phrase)["input_ids"]) for phrase in phrases] == [1, 1, 1]
    assert after.get_vocab().items() >= before.get_vocab().items()
    assert len(after) == len(before) + 2
    old = load_model(source, dtype=torch.float32, attention="eager").state_dict()
    new = load_model(str(one), dtype=torch.float32, attention="eager").state_dict()
    table = new["model.language_model.embed_tokens.weight"]
    assert torch.equal(table[: len(before)], old["model.language_model.embed_tokens.weight"][: len(before)])
    assert all(torch.equal(new[name], value) for name, value in old.items() if len(value) != 448)
    pieces = before("One step a turn", add_special_tokens=False)["input_ids"]
    made = table[after.convert_tokens_to_ids("One step a turn")]
    assert torch.allclose(made, table[pieces].mean(0), atol=1e-2)
    assert len(table) % 64 == 0


def test_a_cold_start_on_turns(tmp_path: Path) -> None:
    recipe = load_recipe("tiny-act", [*QUICK, *of_stage("cold-start", "validation.conditions=[act, act-symbolic]")])
    folder = train(recipe, tmp_path / "out", report=lambda line: None)
    rows = logged(folder)
    assert [row["step"] for row in rows if "loss" in row] == [1, 2]
    assert any({"eval_act/macro", "eval_act-symbolic/macro"} <= row.keys() for row in rows)
    kinds = {name.rpartition("/")[2] for name in json.loads((folder / "training.json").read_text())["data"]["counts"]}
    assert {"act-think", "act-say", "act-symbolic", "visual"} <= kinds
    assert (tmp_path / "out" / "wide-tiny-mgsd" / "config.json").is_file()


def test_self_distillation_on_turns(tmp_path: Path) -> None:
    short = of_stage("self-distill", "max_completion=24")
    recipe = load_recipe("tiny-act-distill", [*QUICK, *short, "base=tiny-mgsd", "vocabulary=[act, act-symbolic]"])
    rows = logged(train(recipe, tmp_path / "out", report=lambda line: None))
    found = next(row for row in rows if "loss" in row)
    assert {"kl/reverse", "steps/valid", "steps/useful"} <= found.keys()


def test_grpo_on_turns(tmp_path: Path) -> None:
    short = of_stage("grpo", "group=2", "max_completion=24", "trainer.learning_rate=1.0e-3")
    recipe = load_recipe("tiny-act-grpo", [*QUICK, *short, "base=tiny-mgsd", "vocabulary=[act, act-symbolic]"])
    rows = logged(train(recipe, tmp_path / "out", report=lambda line: None))
    rewards = [row["reward"] for row in rows if "reward" in row]
    assert len(rewards) == 2
    assert all(-1 <= reward <= 1 for reward in rewards)
    assert all("rewards/progress/mean" in row for row in rows if "reward" in row)
