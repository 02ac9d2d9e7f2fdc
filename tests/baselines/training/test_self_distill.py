"""Self-distillation: its loss, its gradients and whole runs."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import chi2

from mgsd_baselines.recipe import Distill
from mgsd_baselines.recipe_file import load_recipe
from mgsd_baselines.training.divergence import Head, compare, divergence, sampled_divergence
from mgsd_baselines.training.rollouts import SPANS, cuts
from mgsd_baselines.training.trainers import TrainerParts, distill_trainer
from support.distilling import Gradients, answer_with, config_of, disturb, lora, rows_of

pytestmark = pytest.mark.train

WEIGHTS = {"state": 0.5, "route": 1.0, "plan": 3.0}


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
        student, separate = lora(base), None
    else:
        student, separate = copy.deepcopy(base), copy.deepcopy(base)
        disturb(list(student.parameters()), 2, 0.02)
    plain = copy.deepcopy(student).eval()
    gradients = Gradients()
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
    seen = answer_with(trainer, processor)
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
    trainer = make(lora(base))
    answer_with(trainer, processor)
    batch = trainer._generate_and_score_completions(rows_of(4))
    assert torch.equal(batch["weights"], batch["completion_mask"].float())
    shares = make(lora(base), token_weights={"plan": 0.0})
    answer_with(shares, processor)
    batch = shares._generate_and_score_completions(rows_of(4))
    assert batch["weights"].sum().item() == pytest.approx(batch["completion_mask"].sum().item())
    assert (batch["weights"][batch["spans"] == SPANS.index("plan")] == 0).all()


def test_answers_without_the_part_that_counts_teach_nothing(make: Any, processor: Any, base: Any) -> None:
    gradients = Gradients()
    trainer = make(lora(base), token_weights={"state": 0.0, "route": 0.0}, callbacks=[gradients], pad_to_multiple_of=16)
    answer_with(trainer, processor, ["size: 3", "x", "Route: a", "size: 4"])
    trainer.train()
    assert all((grad == 0).all() for grad in gradients.found.values())


@pytest.mark.parametrize("objective", ["full", "sampled"])
def test_bf16_is_used_where_it_is_asked_for(make: Any, processor: Any, base: Any, objective: str) -> None:
    found = []
    for bf16 in (False, True):
        gradients = Gradients()
        student = copy.deepcopy(base)
        disturb(list(student.parameters()), 2, 0.02)
        trainer = make(student, copy.deepcopy(base), bf16=bf16, objective=objective, callbacks=[gradients])
        answer_with(trainer, processor)
        states, modes = trainer._hidden_states, []
        trainer._hidden_states = lambda *args, _states=states, _modes=modes, **pictures: (
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
    monkeypatch.setattr("mgsd_baselines.training.divergence._BLOCK_ELEMENTS", block)
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
        make(lora(base), rollouts=3).get_train_dataloader()


def test_models_that_change_their_logits_are_refused(make: Any, base: Any) -> None:
    model = lora(base)
    model.config.get_text_config().final_logit_softcapping = 30.0
    with pytest.raises(ValueError, match="final_logit_softcapping"):
        make(model)


# --- whole runs


def test_rollouts_of_a_prompt_stand_side_by_side(make: Any, base: Any) -> None:
    order = list(make(lora(base), rollouts=2)._get_train_sampler())
    assert len(order) == 2 * 2 * 4
    assert order[:4] == order[4:8]
    assert order[0] == order[1] != order[2] == order[3]


def test_it_learns(make: Any, base: Any) -> None:
    trainer = make(lora(base, seed=None), max_steps=6, learning_rate=2e-2)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert sum(losses[-2:]) < 0.7 * sum(losses[:2]), losses


@pytest.mark.parametrize("count", [4, 12])  # an epoch a step; and a break in the middle of an epoch
def test_a_resumed_run_goes_on_as_if_nothing_had_been(make: Any, base: Any, count: int) -> None:
    settings = {
        "rows": rows_of(count),
        "max_steps": 4,
        "learning_rate": 1e-2,
        "save_strategy": "steps",
        "save_steps": 2,
    }
    whole = make(lora(base, seed=None), **settings)
    whole.train()
    again = make(lora(base, seed=None), **settings)
    torch.manual_seed(999)
    again.train(resume_from_checkpoint=f"{again.args.output_dir}/checkpoint-2")
    expected, found = (
        [(entry["loss"], entry["kl/reverse"], entry["completions/mean_length"]) for entry in history if "loss" in entry]
        for history in (whole.state.log_history, again.state.log_history)
    )
    assert len(set(expected)) == 4
    assert found == expected


def test_evaluation_reports_the_same_figures(make: Any, processor: Any, base: Any) -> None:
    trainer = make(lora(base), per_device_eval_batch_size=2)
    answer_with(trainer, processor)
    trainer.eval_dataset = rows_of(3)
    found = trainer.evaluate()
    assert found["eval_kl/reverse"] > 0
    assert found["eval_loss"] > 0


def test_build_takes_what_the_stage_says(processor: Any, base: Any, tmp_path: Path) -> None:
    chosen = Distill(beta=0.5, temperature=0.9, rollouts=2, max_completion=7, token_weights={"plan": 2.0})
    stage = replace(next(stage for stage in load_recipe("tiny").stages if stage.distill), distill=chosen)
    parts = TrainerParts(lora(base), processor, rows_of(4), config_of(tmp_path / "out", beta=1.0))
    trainer = distill_trainer(stage, parts, None, metrics_every=3)
    assert (trainer.beta, trainer.temperature, trainer.max_completion_length) == (0.5, 0.9, 7)
    assert (trainer._rollouts, trainer._metrics_every) == (2, 3)
    assert trainer._weights.tolist() == [1.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="not distill"):
        distill_trainer(replace(stage, distill=None), parts, None)
