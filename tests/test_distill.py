from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgsd_bench.answers import last_block, write_plan
from mgsd_bench.errors import UserError
from mgsd_bench.torchvision_compat import heal_torchvision
from scipy.stats import chi2

from mgsd_baselines.spans import SPANS, TokenLabeller, cuts, label
from mgsd_baselines.teacher import shuffled, tell, told
from mgsd_baselines.tiny import build_tiny
from mgsd_envs import Episode, generate, get_task

torch = pytest.importorskip("torch")
heal_torchvision()
pytest.importorskip("torchvision")
pytest.importorskip("trl")

from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor, TrainerCallback  # noqa: E402
from trl import DistillationConfig  # noqa: E402

from mgsd_baselines import distill  # noqa: E402
from mgsd_baselines.adapters import KeptWeights, without_adapter  # noqa: E402
from mgsd_baselines.distill import SelfDistillTrainer  # noqa: E402
from mgsd_baselines.divergence import Head, compare, divergence, sampled_divergence  # noqa: E402
from mgsd_baselines.recipe import Distill, Teacher, load_recipe  # noqa: E402
from mgsd_baselines.rows import make_row, reference_answer  # noqa: E402
from mgsd_baselines.tally import deciles, judge  # noqa: E402

Row = dict[str, Any]

ANSWERS = (
    "size: 3\nRoute: down.\n<answer>DDR</answer>",
    "size: 2",
    "goal: (1,2)\n<answer>R</answer>",
    "Route: up, up",
)
WEIGHTS = {"state": 0.5, "route": 1.0, "plan": 3.0}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def base(folder: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(folder)


def _lora(base: Any, seed: int | None = 1) -> Any:
    """The base under an adapter: one that changes it, or, without a seed, one that does not yet."""
    targets = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
    torch.manual_seed(0)
    model = get_peft_model(copy.deepcopy(base), LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    if seed is not None:
        _disturb([p for name, p in model.named_parameters() if "lora_B" in name], seed, 0.05)
    return model


def _disturb(parameters: Sequence[Any], seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))


def _rows(count: int) -> list[Row]:
    rng = np.random.default_rng(5)
    return [
        {
            "prompt": [{"role": "user", "content": [{"type": "text", "text": "Plan" + "!" * i}, {"type": "image"}]}],
            "images": [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)],
            "teacher_prompt": [{"role": "user", "content": [{"type": "text", "text": f"Secret {i}" + "?" * (3 * i)}]}],
            "privileged": f"Secret {i}",
        }
        for i in range(count)
    ]


def _config(out: Path, **fields: Any) -> dict[str, Any]:
    return {
        "output_dir": str(out),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "max_completion_length": 12,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "bf16": False,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "beta": 1.0,
        **fields,
    }


@pytest.fixture
def make(processor: Any, tmp_path: Path) -> Callable[..., SelfDistillTrainer]:
    def _make(model: Any, teacher: Any = None, *, rows: Sequence[Row] = (), **settings: Any) -> SelfDistillTrainer:
        own = {name: settings.pop(name) for name in list(settings) if name in _OWN}
        return SelfDistillTrainer(
            model,
            teacher,
            args=DistillationConfig(**_config(tmp_path / "out", **settings)),
            train_dataset=list(rows or _rows(4)),
            processing_class=processor,
            **own,
        )

    return _make


_OWN = ("objective", "token_weights", "rollouts", "metrics_every", "callbacks", "optimizers")


def _ids(processor: Any, text: str) -> list[int]:
    ids: list[int] = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _answer_with(trainer: SelfDistillTrainer, processor: Any, texts: Sequence[str] = ANSWERS) -> dict[str, Any]:
    """Let the student answer with fixed texts; what it was asked and answered is in the dictionary afterwards."""
    seen: dict[str, Any] = {}
    score = trainer._generate_and_score_completions

    def record(inputs: Any) -> Any:
        seen["rows"], seen["batch"] = inputs, score(inputs)
        return dict(seen["batch"])

    trainer._generate_single_turn = lambda ids, *_, **__: [_ids(processor, texts[i % 4]) for i in range(len(ids))]
    trainer._generate_and_score_completions = record
    return seen


class _Gradients(TrainerCallback):
    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


# --- the loss against a plain reference


def _log_probs(
    model: Any, processor: Any, messages: Any, images: Any, answer: Sequence[int], temperature: float
) -> Any:
    """Log-probabilities (C, V) before each token of an answer: one row, no padding, the whole model, all logits."""
    inputs = processor(
        text=[processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)],
        images=images or None,
        return_tensors="pt",
    )
    length = inputs["input_ids"].size(1)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([list(answer)])], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if images:
        kinds = inputs["mm_token_type_ids"]
        inputs["mm_token_type_ids"] = torch.cat([kinds, kinds.new_zeros(1, len(answer))], 1)
    else:
        inputs.pop("mm_token_type_ids", None)
    logits = model(**inputs).logits[0, length - 1 : -1]
    return (logits / temperature).log_softmax(-1)


def _reference(student: Any, teacher: Any, processor: Any, seen: Mapping[str, Any], objective: str, beta: float) -> Any:
    losses, weights, found = [], [], []
    for row, ids, mask in zip(
        seen["rows"], seen["batch"]["completion_ids"], seen["batch"]["completion_mask"], strict=True
    ):
        answer = ids[mask.bool()].tolist()
        s = _log_probs(student, processor, row["prompt"], row["images"], answer, 0.7)
        with torch.no_grad():
            t = _log_probs(teacher, processor, row["teacher_prompt"], [], answer, 0.7)
        reverse, forward = (s.exp() * (s - t)).sum(-1), (t.exp() * (t - s)).sum(-1)
        tokens = torch.tensor(answer)[:, None]
        s_y, t_y = s.gather(1, tokens)[:, 0], t.gather(1, tokens)[:, 0]
        if objective == "sampled":
            loss = -(t_y - s_y).detach() * s_y
        elif beta in (0, 1):
            loss = reverse if beta else forward
        else:
            m = (beta * t.exp() + (1 - beta) * s.exp()).log()
            loss = beta * (t.exp() * (t - m)).sum(-1) + (1 - beta) * (s.exp() * (s - m)).sum(-1)
        text = processor.tokenizer.decode(answer)
        cut = cuts(text)
        parts = [(i >= cut.route) + (i >= cut.plan) for i in range(len(text))]  # the tiny tokens are characters
        losses.append(loss)
        weights.append(torch.tensor([WEIGHTS[SPANS[part]] for part in parts]))
        entropy = -(t.exp() * t).sum(-1)
        found.append((reverse, s_y - t_y, entropy, (s.argmax(-1) == t.argmax(-1)).float(), torch.tensor(parts)))
    weight = torch.cat(weights)
    loss = (torch.cat(losses) * weight).sum() / weight.sum()
    return loss, [torch.cat(columns).detach() for columns in zip(*found, strict=True)]


@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize(("objective", "beta"), [("full", 0.0), ("full", 0.5), ("full", 1.0), ("sampled", 1.0)])
def test_loss_and_gradients_are_those_of_a_plain_reference(
    make: Any, processor: Any, base: Any, tuning: str, objective: str, beta: float
) -> None:
    teacher = copy.deepcopy(base).eval()
    if tuning == "lora":
        student, separate = _lora(base), None
    else:
        student, separate = copy.deepcopy(base), copy.deepcopy(base)
        _disturb(list(student.parameters()), 2, 0.02)
    plain = copy.deepcopy(student).eval()
    gradients = _Gradients()
    trainer = make(
        student,
        separate,
        objective=objective,
        beta=beta,
        temperature=0.7,
        token_weights=WEIGHTS,
        callbacks=[gradients],
        max_grad_norm=0.0,
        learning_rate=1e-9,
    )
    seen = _answer_with(trainer, processor)
    trainer.train()
    loss, (reverse, k1, entropy, agreement, parts) = _reference(plain, teacher, processor, seen, objective, beta)
    loss.backward()
    expected = {name: p.grad for name, p in plain.named_parameters() if p.grad is not None}
    assert expected.keys() == gradients.found.keys()
    scale = max(grad.abs().max() for grad in expected.values())
    assert scale > 1e-3
    for name, grad in expected.items():
        assert (gradients.found[name] - grad).abs().max() < 1e-5 * max(1, scale), name
        assert (gradients.found[name] - grad).abs().max() < 1e-5 * scale + 1e-8, name
    log = next(entry for entry in trainer.state.log_history if "loss" in entry)
    if objective == "full":
        assert log["loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert log["kl/reverse"] == pytest.approx(reverse.mean().item(), rel=1e-5)
    assert log["k1"] == pytest.approx(k1.mean().item(), rel=1e-5)
    assert log["teacher_entropy"] == pytest.approx(entropy.mean().item(), rel=1e-5)
    assert log["top1_agreement"] == pytest.approx(agreement.mean().item())
    for index, name in enumerate(SPANS):
        assert log[f"kl/{name}"] == pytest.approx(reverse[parts == index].mean().item(), rel=1e-5)
    assert log["kl/top_percent_share"] == pytest.approx((reverse.max() / reverse.sum()).item(), rel=1e-5)
    assert {f"kl/decile_{i}" for i in range(10)} < log.keys()


def test_without_weights_it_is_the_token_mean_of_trl(make: Any, processor: Any, base: Any) -> None:
    trainer = make(_lora(base))
    _answer_with(trainer, processor)
    batch = trainer._generate_and_score_completions(_rows(4))
    assert torch.equal(batch["weights"], batch["completion_mask"].float())
    shares = make(_lora(base), token_weights={"plan": 0.0})
    _answer_with(shares, processor)
    batch = shares._generate_and_score_completions(_rows(4))
    assert batch["weights"].sum().item() == pytest.approx(batch["completion_mask"].sum().item())
    assert (batch["weights"][batch["spans"] == SPANS.index("plan")] == 0).all()


def test_answers_without_the_part_that_counts_teach_nothing(make: Any, processor: Any, base: Any) -> None:
    gradients = _Gradients()
    trainer = make(
        _lora(base), token_weights={"state": 0.0, "route": 0.0}, callbacks=[gradients], pad_to_multiple_of=16
    )
    _answer_with(trainer, processor, ["size: 3", "x", "Route: a", "size: 4"])
    trainer.train()
    assert all((grad == 0).all() for grad in gradients.found.values())


def test_the_teacher_reads_text_alone_and_scores_the_same_tokens(make: Any, processor: Any, base: Any) -> None:
    trainer = make(_lora(base))
    _answer_with(trainer, processor)
    calls: list[Any] = []
    states = trainer._get_last_hidden_state

    def spy(model: Any, ids: Any, mask: Any, keep: int, **pictures: Any) -> Any:
        calls.append((ids[:, -keep:], set(pictures), model.training, torch.is_grad_enabled()))
        return states(model, ids, mask, keep, **pictures)

    trainer._get_last_hidden_state = spy
    trainer.train()
    for teacher, student in zip(calls[::2], calls[1::2], strict=True):
        assert torch.equal(teacher[0], student[0])
        assert teacher[1:] == (set(), False, False)
        assert student[1:] == ({"pixel_values", "image_grid_thw", "mm_token_type_ids"}, True, True)


@pytest.mark.parametrize("objective", ["full", "sampled"])
def test_bf16_is_used_where_it_is_asked_for(make: Any, processor: Any, base: Any, objective: str) -> None:
    found = []
    for bf16 in (False, True):
        gradients = _Gradients()
        student = copy.deepcopy(base)
        _disturb(list(student.parameters()), 2, 0.02)
        trainer = make(student, copy.deepcopy(base), bf16=bf16, objective=objective, callbacks=[gradients])
        _answer_with(trainer, processor)
        states, modes = trainer._get_last_hidden_state, []
        trainer._get_last_hidden_state = lambda *args, _states=states, _modes=modes, **pictures: (
            _modes.append(torch.is_autocast_enabled("cpu")),
            _states(*args, **pictures),
        )[1]
        trainer.train()
        assert set(modes) == {bf16}
        found.append(torch.cat([grad.flatten() for grad in gradients.found.values()]))
    assert torch.nn.functional.cosine_similarity(*found, dim=0) > 0.98
    assert not torch.equal(*found)


# --- the one-token estimate


def _toy(seed: int) -> tuple[Any, Head, Any, Head]:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    return draw(1, 5), Head(draw(12, 5), draw(12)), draw(1, 4), Head(draw(12, 4))


def test_the_sampled_estimate_is_unbiased() -> None:
    count = 4000
    student, head, teacher, teacher_head = _toy(3)
    exact_state = student.clone().requires_grad_()
    exact, _ = divergence(exact_state, head, teacher, teacher_head, 1.0, 0.8)
    exact.sum().backward()
    p = ((student @ head.weight.T + head.bias) / 0.8).softmax(-1)[0]
    ids = torch.multinomial(p, count, replacement=True, generator=torch.Generator().manual_seed(4))
    many = student.repeat(count, 1).requires_grad_()
    estimate, _ = sampled_divergence(many, head, teacher.repeat(count, 1), teacher_head, ids, 0.8)
    estimate.sum().backward()
    assert abs(estimate.mean() - exact.item()) < 4 * estimate.std() / math.sqrt(count)
    grads = many.grad.double()
    miss = grads.mean(0) - exact_state.grad[0].double()
    statistic = count * miss @ torch.linalg.solve(torch.cov(grads.T), miss)
    assert chi2.sf(statistic.item(), 5) > 1e-3
    # a gradient without the teacher would be found out
    other = grads.mean(0)
    assert chi2.sf((count * other @ torch.linalg.solve(torch.cov(grads.T), other)).item(), 5) < 1e-6


@pytest.mark.parametrize("block", [12, 2**24])
def test_blocks_and_precision_change_nothing(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("mgsd_baselines.divergence._BLOCK_ELEMENTS", block)
    student, head, teacher, teacher_head = _toy(6)
    student, teacher = student.repeat(5, 1) * torch.arange(1, 6)[:, None], teacher.repeat(5, 1)
    student.requires_grad_()
    weight, bias = (part.clone().requires_grad_() for part in head)
    ids = torch.tensor([3, 1, 4, 1, 5])
    estimate, entropy = sampled_divergence(student, Head(weight, bias), teacher, teacher_head, ids, 1.3)
    estimate.square().sum().backward()
    found = [part.grad.clone() for part in (student, weight, bias)]
    for part in (student, weight, bias):
        part.grad = None
    s = ((student @ weight.T + bias) / 1.3).log_softmax(-1)
    t = (teacher @ teacher_head.weight.T / 1.3).log_softmax(-1)
    s_y, t_y = (x.gather(1, ids[:, None])[:, 0] for x in (s, t))
    advantage = (t_y - s_y).detach()
    torch.testing.assert_close(estimate.detach(), -advantage)
    torch.testing.assert_close(entropy, -(s.exp() * s).sum(-1).detach())
    (-2 * advantage * -advantage * s_y).sum().backward()
    for part, grad in zip((student, weight, bias), found, strict=True):
        torch.testing.assert_close(grad, part.grad)
    result = compare(student, Head(weight, bias), teacher, teacher_head, ids, 1.3)
    torch.testing.assert_close(result.reverse_kl, (s.exp() * (s - t)).sum(-1).detach())
    half = compare(student.bfloat16(), Head(weight, bias), teacher.bfloat16(), teacher_head, ids, 1.3)
    torch.testing.assert_close(half.reverse_kl, result.reverse_kl, rtol=0.1, atol=0.1)
    assert half.k1.dtype == torch.float32


# --- promises that are checked


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "partial"}, "full or sampled"),
        ({"objective": "sampled", "beta": 0.5}, "beta 1"),
        ({"token_weights": {"plans": 1.0}}, "plans"),
        ({"token_weights": {"plan": -1.0}}, "negative"),
        ({"token_weights": dict.fromkeys(SPANS, 0.0)}, "all zero"),
        ({"rollouts": 0}, "at least 1"),
    ],
)
def test_contradictory_settings_are_refused(make: Any, base: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(base, **settings)


def test_a_student_without_adapter_needs_a_teacher(make: Any, base: Any) -> None:
    with pytest.raises(ValueError, match="pass teacher_model"):
        make(base)


def test_rollouts_must_divide_the_batch(make: Any, base: Any) -> None:
    with pytest.raises(ValueError, match="4 answers"):
        make(_lora(base), rollouts=3).get_train_dataloader()


def test_models_that_change_their_logits_are_refused(make: Any, base: Any) -> None:
    model = _lora(base)
    model.config.get_text_config().final_logit_softcapping = 30.0
    with pytest.raises(ValueError, match="final_logit_softcapping"):
        make(model)


def _without_teacher(row: Row) -> None:
    del row["teacher_prompt"]


def _teacher_sees(row: Row) -> None:
    row["teacher_prompt"][0]["content"].append({"type": "image", "image": row["images"][0]})


def _teacher_has_token(row: Row) -> None:
    row["teacher_prompt"][0]["content"][0]["text"] += "<|image_pad|>"


def _student_is_told(row: Row) -> None:
    row["prompt"][0]["content"][0]["text"] += " Secret 1 "
    row["privileged"] = "\nSecret 1\n"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_teacher, "column teacher_prompt"),
        (_teacher_sees, "holds a picture"),
        (_teacher_has_token, "image or video tokens"),
        (_student_is_told, "only the teacher"),
    ],
)
def test_rows_that_break_a_promise_are_refused(
    make: Any, processor: Any, base: Any, spoil: Callable[[Row], None], message: str
) -> None:
    trainer = make(_lora(base))
    _answer_with(trainer, processor)
    rows = _rows(2)
    trainer._generate_and_score_completions(rows)
    spoil(rows[1])
    with pytest.raises(ValueError, match=message):
        trainer._generate_and_score_completions(rows)


def test_prompts_must_end_alike_and_pictures_be_there(make: Any, processor: Any, base: Any) -> None:
    trainer = make(_lora(base))
    _answer_with(trainer, processor)
    assert trainer._header == _ids(processor, "<|im_start|>assistant\n")
    rows = _rows(2)
    batch = trainer._generate_and_score_completions(rows)
    for side in ("prompt", "teacher_prompt"):
        other = batch[f"{side}_ids"].clone()
        other[1, -1] += 1
        with pytest.raises(ValueError, match=f"{side} does not end"):
            trainer._check_prompts(rows, {**batch, f"{side}_ids": other})
    with pytest.raises(ValueError, match="no picture"):
        trainer._check_prompts(rows, {key: value for key, value in batch.items() if key != "pixel_values"})


# --- side effects


def test_frozen_adapters_stay_frozen(make: Any, processor: Any, base: Any) -> None:
    model = _lora(base)
    model.add_adapter("stage1", model.peft_config["default"])
    model.base_model.set_adapter(["default", "stage1"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("default" in name)
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    trainer = make(model)
    _answer_with(trainer, processor)
    trainer.train()
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags
    with pytest.raises(KeyError), without_adapter(model):
        raise KeyError
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags
    assert model.training


def test_without_adapter_is_the_base(base: Any) -> None:
    model = _lora(base).train()
    ids = torch.arange(8)[None]
    with torch.no_grad():
        with without_adapter(model):
            assert not model.training
            assert torch.equal(model(input_ids=ids).logits, base.eval()(input_ids=ids).logits)
        assert not torch.equal(model(input_ids=ids).logits, base(input_ids=ids).logits)


def test_merging_for_vllm_leaves_no_trace(base: Any) -> None:
    model = _lora(base).to(torch.bfloat16)
    weight = model.base_model.model.model.language_model.layers[0].mlp.up_proj.base_layer.weight
    before = weight.clone()
    kept = KeptWeights(model)
    model.merge_adapter()
    model.unmerge_adapter()
    assert not torch.equal(weight, before)
    kept.restore()
    assert torch.equal(weight, before)


# --- whole runs


def test_rollouts_of_a_prompt_stand_side_by_side(make: Any, base: Any) -> None:
    order = list(make(_lora(base), rollouts=2)._get_train_sampler())
    assert len(order) == 2 * 2 * 4
    assert order[:4] == order[4:8]
    assert order[0] == order[1] != order[2] == order[3]


def test_it_learns(make: Any, base: Any) -> None:
    trainer = make(_lora(base, seed=None), max_steps=6, learning_rate=2e-2)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert sum(losses[-2:]) < 0.7 * sum(losses[:2]), losses


@pytest.mark.parametrize("count", [4, 12])  # an epoch a step; and a break in the middle of an epoch
def test_a_resumed_run_goes_on_as_if_nothing_had_been(make: Any, base: Any, count: int) -> None:
    settings = {"rows": _rows(count), "max_steps": 4, "learning_rate": 1e-2, "save_strategy": "steps", "save_steps": 2}
    whole = make(_lora(base, seed=None), **settings)
    whole.train()
    again = make(_lora(base, seed=None), **settings)
    torch.manual_seed(999)
    again.train(resume_from_checkpoint=f"{again.args.output_dir}/checkpoint-2")
    expected, found = (
        [(entry["loss"], entry["kl/reverse"], entry["completions/mean_length"]) for entry in history if "loss" in entry]
        for history in (whole.state.log_history, again.state.log_history)
    )
    assert len(set(expected)) == 4
    assert found == expected


def test_evaluation_reports_the_same_figures(make: Any, processor: Any, base: Any) -> None:
    trainer = make(_lora(base), per_device_eval_batch_size=2)
    _answer_with(trainer, processor)
    trainer.eval_dataset = _rows(3)
    found = trainer.evaluate()
    assert found["eval_kl/reverse"] > 0
    assert found["eval_loss"] > 0


def test_build_takes_what_the_stage_says(processor: Any, base: Any, tmp_path: Path) -> None:
    chosen = Distill(beta=0.5, temperature=0.9, rollouts=2, max_completion=7, token_weights={"plan": 2.0})
    stage = replace(next(stage for stage in load_recipe("tiny").stages if stage.distill), distill=chosen)
    common = (_lora(base), None, processor, _rows(4), _config(tmp_path / "out", beta=1.0), [])
    trainer = distill.build(stage, *common, metrics_every=3)
    assert (trainer.beta, trainer.temperature, trainer.max_completion_length) == (0.5, 0.9, 7)
    assert (trainer._rollouts, trainer._metrics_every) == (2, 3)
    assert trainer._weights.tolist() == [1.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="not distill"):
        distill.build(replace(stage, distill=None), *common)


# --- parts of an answer


def _part(text: str, name: str) -> str:
    begin = cuts(text)
    starts = (0, begin.route, begin.plan, len(text))
    index = SPANS.index(name)
    return text[starts[index] : starts[index + 1]]


@pytest.mark.parametrize(
    ("text", "state", "route", "plan"),
    [
        ("a\nRoute: b\n<answer>D</answer>", "a\n", "Route: b\n", "<answer>D</answer>"),
        ("a\n**Route:** b\n<ANSWER>D", "a\n", "**Route:** b\n", "<ANSWER>D"),
        ("a\n2. route : b\n<answer>", "a\n", "2. route : b\n", "<answer>"),
        ("a <answer>D</answer>", "a ", "", "<answer>D</answer>"),
        ("Route: b", "", "Route: b", ""),
        ("My Route: b", "My Route: b", "", ""),
        ("<answer>L</answer>\nRoute: b\n<answer>D", "<answer>L</answer>\n", "Route: b\n", "<answer>D"),
        ("Route: a\nRoute: b\n<answer>D\nRoute: c", "Route: a\n", "Route: b\n", "<answer>D\nRoute: c"),
        ("", "", "", ""),
    ],
)
def test_parts_of_an_answer(text: str, state: str, route: str, plan: str) -> None:
    assert [_part(text, name) for name in SPANS] == [state, route, plan]


_PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["<answer>", ".\n<answer>", "</answer>", "Route:", "\nRoute", ":", "\n", "<ans", "wer>", "1. "]
        ),
        st.text(max_size=5),
    ),
    max_size=30,
)


@given(_PIECES)
def test_labels_are_those_of_the_first_characters(pieces: list[str]) -> None:
    text = "".join(pieces)
    found, by_character = label(pieces), label(list(text))
    assert len(found) == len(pieces)
    assert found == sorted(found)
    offset = 0
    for piece, part in zip(pieces, found, strict=True):
        if piece:
            assert part == by_character[offset]
        offset += len(piece)
    assert "<answer>" not in _part(text, "plan").lower()[1:]
    assert ("<answer>" in text.lower()) == bool(_part(text, "plan"))
    assert "".join(_part(text, name) for name in SPANS) == text


@given(st.text())
def test_the_plan_read_stands_in_the_plan_part(text: str) -> None:
    block = last_block(f"{text}<answer>DR</answer>")
    if block is not None:
        assert block in _part(f"{text}<answer>DR</answer>", "plan")


def test_one_token_with_two_parts_ends_the_former() -> None:
    assert label(["Route: b", ".\n<answer>", "D"]) == [1, 1, 2]
    pieces = {0: "a\nRou", 1: "te: b", 2: ".\n<answer>", 3: "D"}
    tokenizer = SimpleNamespace(decode=lambda ids, **_: pieces[ids[0]])
    assert TokenLabeller(tokenizer)([0, 1, 2, 3, 3]) == [0, 1, 1, 2, 2]


def test_labels_from_the_real_tokenizer(processor: Any) -> None:
    labeller = TokenLabeller(processor.tokenizer)
    for text in (*ANSWERS, "é\nRoute: ü\n<answer>D"):
        ids = _ids(processor, text)
        assert labeller([*ids, processor.tokenizer.eos_token_id]) == label(
            [processor.tokenizer.decode([i]) for i in ids] + ["e"]
        )
    assert labeller([]) == []


@pytest.mark.parametrize("unit", ["\n", " ", "1.", "*", "<answer>", "Route:\n", "\nroute ", "<"])
def test_labelling_takes_linear_time(unit: str) -> None:
    started = time.perf_counter()
    label([unit] * 50_000)
    assert time.perf_counter() - started < 2


def test_tenths_of_an_answer() -> None:
    mask = torch.tensor([[1] * 20, [1] * 5 + [0] * 15])
    assert deciles(mask)[0].tolist() == [i // 2 for i in range(20)]
    assert deciles(mask)[1, :5].tolist() == [0, 2, 4, 6, 8]


# --- what the teacher is told


def _episodes(task: str, level: int, count: int) -> list[Episode]:
    return list(generate(get_task(task), level, count, split="train", stream="test-distill"))


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return [
        e for task, level in (("frozenlake", 4), ("maze", 3), ("minibehaviour", 5)) for e in _episodes(task, level, 12)
    ]


def test_judged_as_the_evaluation_does(episodes: list[Episode]) -> None:
    first, second = episodes[:2]
    right = reference_answer(first, "visual")
    found = judge([first.canonical()] * 3 + [second.canonical()], [right, "", right.split("<")[0], right])
    assert found["rollouts/valid"] == [1, 0, 0, 1]
    assert found["rollouts/solved"][:3] == [1, 0, 0]
    assert found["rollouts/state_exact"] == [1, 0, 1, 0]


def test_answers_are_judged_where_rows_carry_episodes(
    make: Any, processor: Any, base: Any, episodes: list[Episode]
) -> None:
    rows = [{**row, "episode": e.canonical()} for row, e in zip(_rows(4), episodes, strict=False)]
    trainer = make(_lora(base), rows=rows, shuffle_dataset=False)
    end = processor.tokenizer.eos_token
    right = [reference_answer(e, "visual") + end for e in episodes[:2]]
    _answer_with(trainer, processor, [*right, "<answer>Q</answer>", end])
    trainer.train()
    log = next(entry for entry in trainer.state.log_history if "loss" in entry)
    assert (log["rollouts/valid"], log["rollouts/solved"], log["rollouts/state_exact"]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("context", ["state+plan", "state", "plan", "none"])
def test_context_leaves_out_what_it_does_not_name(episodes: list[Episode], context: Any) -> None:
    for episode, (state, plan) in zip(episodes, tell(episodes, Teacher(context=context)), strict=True):
        assert (state is not None) == ("state" in context)
        assert (plan is not None) == ("plan" in context)
        row = make_row("teacher", episode, SimpleNamespace(render=lambda *_: ""))  # type: ignore[arg-type]
        assert (state or "") in row.prompt
        assert (plan or "") in row.prompt


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffling_leaves_no_state_in_its_place(episodes: list[Episode], seed: int) -> None:
    other = shuffled(episodes, seed)
    assert all(
        a.state != b.state and (a.task, a.level) == (b.task, b.level) for a, b in zip(episodes, other, strict=True)
    )
    assert {e.id for e in other} == {e.id for e in episodes}
    assert other == shuffled(episodes, seed)
    assert other != shuffled(episodes, seed + 1)
    assert shuffled(episodes[::-1], seed) == other[::-1]
    doubled = shuffled([*episodes, *episodes], seed)
    assert doubled == [*other, *other]
    assert tell(episodes, Teacher(corruption="shuffle"), seed) == tell(other, Teacher())


def test_a_single_state_cannot_be_shuffled(episodes: list[Episode]) -> None:
    with pytest.raises(UserError, match="single episode"):
        shuffled([episodes[0], episodes[0]], 0)


def test_noise_misreads_facts_and_plans_in_what_it_sees(episodes: list[Episode]) -> None:
    true, noisy = tell(episodes, Teacher()), tell(episodes, Teacher(corruption="noise 0.2"))
    assert noisy == tell(episodes, Teacher(corruption="noise 0.2"))
    assert noisy != tell(episodes, Teacher(corruption="noise 0.2"), seed=1)
    assert noisy[3] == told(episodes[3], Teacher(corruption="noise 0.2"))
    changed = [a[0] != b[0] for a, b in zip(true, noisy, strict=True)]
    assert sum(changed) > 0.7 * len(changed)
    missed = total = solved = 0
    for episode, (text, plan) in zip(episodes, noisy, strict=True):
        task = get_task(episode.task)
        facts = task.facts(episode.state)
        believed = task.from_facts(task.parse(text or ""))
        assert believed.size == episode.level
        missed, total = missed + len(facts - task.facts(believed)), total + len(facts) - 1
        if best := task.solve(believed):
            solved += 1
            assert plan == write_plan(best)
    assert 0.15 < missed / total < 0.25
    assert solved > 10
