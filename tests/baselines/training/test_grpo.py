"""The GRPO baseline: its rewards are the evaluation's verdicts, and it trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgsd_baselines.data.dataset import as_dataset, val_episodes
from mgsd_baselines.data.examples import make_example
from mgsd_baselines.recipe import DataSpec, Grpo, Lora, Stage, Validation
from mgsd_baselines.training.trainers import TrainerParts, grpo_trainer
from mgsd_baselines.training.validation import Validated, make_validator
from mgsd_bench.backends import BackendConfig, Response, Sampling, generate, open_backend, single_turn
from mgsd_bench.integrations import rewards
from mgsd_bench.prompts import load_prompts
from mgsd_bench.runs.conversation import Question, score_response
from mgsd_bench.runs.scoring import score

pytestmark = pytest.mark.train

DATA = DataSpec("s", {"frozenlake": (3, 4), "maze": (3,), "minibehaviour": (5,)}, 4, image_size=64)
EPISODES = val_episodes(DATA, 6)
STAGE = Stage(
    "grpo",
    "grpo",
    DATA,
    Validation(every=1, count=1, max_tokens=4),
    {},
    None,
    batch=4,
    micro_batch=4,
    trainer={},
    grpo=Grpo(group=2, max_completion=6),
)


def with_settings(**settings: Any) -> Stage:
    assert STAGE.grpo is not None
    return replace(STAGE, grpo=replace(STAGE.grpo, **settings))


def scripted(name: str) -> list[Response]:
    requests = [single_turn(e.id, "", None, i, "visual", e) for i, e in enumerate(EPISODES)]
    with open_backend("scripted", BackendConfig(name, Sampling())) as backend:
        by_key = {response.key: response for response in generate(backend, requests)}
    return [by_key[episode.id] for episode in EPISODES]


@pytest.mark.parametrize("name", ["oracle", "straight", "random", "noisy-planning:0.3", "faulty:0.3,0.3,0.3"])
def test_rewards_are_the_evaluations_verdicts(name: str) -> None:
    responses = scripted(name)
    completions = [[{"role": "assistant", "content": response.text}] for response in responses]
    columns = {"episode": [episode.canonical() for episode in EPISODES]}
    samples = [
        score_response(Question(episode, "visual", 0), "", response)
        for episode, response in zip(EPISODES, responses, strict=True)
    ]
    assert rewards.success(completions, **columns, trainer_state=None) == [s.outcome == "solved" for s in samples]
    assert rewards.optimal(completions, **columns) == [s.optimal for s in samples]
    assert rewards.format(completions, **columns) == [bool(s.facts) and s.plan is not None for s in samples]
    assert rewards.success([response.text for response in responses], **columns) == rewards.success(
        completions, **columns
    )


JUNK = [
    "",
    "RRRDDD",
    "<answer>",
    "<answer></answer>",
    "</answer><answer>",
    "<answer>" * 1000,
    "<think><answer>R</answer>",
    "<answer>teleport</answer>",
    "<answer>" + "Q" * 100_000 + "</answer>",
    "\x00\ud800",
    "[1, 2",
]


@pytest.mark.parametrize("text", JUNK)
def test_junk_is_worth_nothing(text: str) -> None:
    columns = {"episode": [episode.canonical() for episode in EPISODES]}
    for completion in (
        text,
        [{"role": "assistant", "content": text}],
        [{"role": "assistant", "content": [{"text": text}]}],
    ):
        completions = [completion] * len(EPISODES)
        assert not any(rewards.success(completions, **columns))
        assert not any(rewards.optimal(completions, **columns))
        assert not any(rewards.format(completions, **columns))


@pytest.mark.parametrize(
    "completion", [None, [], [None], [{}], [{"content": None}], [{"content": [{"type": "image"}, 3]}]]
)
def test_no_text_is_worth_nothing(completion: Any) -> None:
    assert rewards.success([completion], [EPISODES[0].canonical()]) == [0.0]


@given(st.text(), st.sampled_from(EPISODES))
def test_any_text_is_scored_as_in_an_evaluation(text: str, episode: Any) -> None:
    for said in (text, f"<answer>{text}</answer>"):
        expected = score(episode, "visual", Response("", said, "stop")).outcome == "solved"
        assert rewards.success([said], [episode.canonical()]) == [float(expected)]


def trainer(tiny: Path, out: Path, stage: Stage = STAGE, lora: Lora | None = None, **extra: Any) -> Any:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(tiny, dtype="float32")
    if lora:
        model = get_peft_model(
            model, LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=lora.targets, task_type="CAUSAL_LM")
        )
    prompts = load_prompts("compact", EPISODES, ["visual"])
    rows = [make_example("distill", episode, prompts) for episode in EPISODES[:4]]
    config = {
        "output_dir": str(out),
        "per_device_train_batch_size": stage.micro_batch,
        "max_steps": 2,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
    }
    if "validate" in extra:
        config |= {"eval_strategy": "steps", "eval_steps": 1}
    processor = AutoProcessor.from_pretrained(tiny, padding_side="left")
    parts = TrainerParts(model, processor, as_dataset(rows, DATA.image_size), config)
    return grpo_trainer(stage, parts, **extra)


@pytest.fixture
def by_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that a random model's answers differ in."""

    def success(completions: list[Any], **_: Any) -> list[float]:
        return [float(len(rewards.text_of(completion).encode()) % 3) for completion in completions]

    monkeypatch.setitem(rewards.REWARDS, "success", success)


def test_a_step_with_pictures(tiny: Path, tmp_path: Path, by_length: None) -> None:
    from trl import GRPOTrainer

    class ValidatedGRPO(Validated, GRPOTrainer):  # type: ignore[misc]
        pass

    validator = make_validator(STAGE.validation, val_episodes(DATA, 1), "compact", image_size=DATA.image_size)
    running = trainer(tiny, tmp_path, kind=ValidatedGRPO, validate=validator)
    before = {name: value.clone() for name, value in running.model.state_dict().items()}
    seen: list[Any] = []
    forward = running.model.model.visual.forward
    running.model.model.visual.forward = lambda *args, **kwargs: seen.append(1) or forward(*args, **kwargs)
    running.train()
    assert seen
    history = running.state.log_history
    assert [row["step"] for row in history if "reward" in row] == [1, 2]
    assert [row["step"] for row in history if "eval_macro" in row] == [1, 2]
    assert any(row.get("grad_norm", 0) > 0 for row in history)
    assert any((before[name] != value).any() for name, value in running.model.state_dict().items())


def test_a_step_with_an_adapter_and_a_divergence(tiny: Path, tmp_path: Path, by_length: None) -> None:
    stage = replace(STAGE, tuning=Lora(4, 8), grpo=replace(STAGE.grpo, kl=0.1))
    running = trainer(tiny, tmp_path, stage, Lora(4, 8))
    running.train()
    kl = [row["kl"] for row in running.state.log_history if "kl" in row]
    assert kl[0] == pytest.approx(0, abs=1e-6)
    assert kl[1] > 0


def test_settings_reach_the_trainer(tiny: Path, tmp_path: Path) -> None:
    weights = {"success": 1.0, "optimal": 0.5, "format": 0.0}
    running = trainer(tiny, tmp_path, with_settings(rewards=weights, temperature=0.9))
    assert running.reward_func_names == ["success", "optimal"]
    assert running.args.reward_weights == [1.0, 0.5]
    assert (running.args.temperature, running.args.max_completion_length, running.args.num_generations) == (0.9, 6, 2)
