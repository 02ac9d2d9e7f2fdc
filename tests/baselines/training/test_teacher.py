"""The teacher of self-distillation: what it scores, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mgsd_baselines.data.examples import reference_answer
from mgsd_baselines.training.models import KeptWeights
from mgsd_baselines.training.self_distill import without_adapter
from mgsd_envs import Episode
from support.distilling import Row, answer_with, ids_of, lora, rows_of

pytestmark = pytest.mark.train

# --- what it scores


def test_answers_are_judged_where_rows_carry_episodes(
    make: Any, processor: Any, base: Any, episodes: list[Episode]
) -> None:
    rows = [{**row, "episode": e.canonical()} for row, e in zip(rows_of(4), episodes, strict=False)]
    trainer = make(lora(base), rows=rows, shuffle_dataset=False)
    end = processor.tokenizer.eos_token
    right = [reference_answer(e, "visual") + end for e in episodes[:2]]
    answer_with(trainer, processor, [*right, "<answer>Q</answer>", end])
    trainer.train()
    log = next(entry for entry in trainer.state.log_history if "loss" in entry)
    assert (log["rollouts/valid"], log["rollouts/solved"], log["rollouts/state_exact"]) == (0.5, 0.5, 0.5)


def test_a_teacher_that_sees_reads_what_the_student_reads(make: Any, processor: Any, base: Any) -> None:
    """Nothing is told to it, so that the student as it was at first finds nothing to learn."""
    for adapted, far in ((lora(base, seed=None), False), (lora(base), True)):
        trainer = make(adapted, teacher_sees=True, learning_rate=0.0)
        answer_with(trainer, processor)
        trainer.train()
        log = next(entry for entry in trainer.state.log_history if "loss" in entry)
        assert (log["kl/reverse"] > 1e-3) is far


def test_the_teacher_reads_text_alone_and_scores_the_same_tokens(make: Any, processor: Any, base: Any) -> None:
    trainer = make(lora(base))
    answer_with(trainer, processor)
    calls: list[Any] = []
    states = trainer._hidden_states

    def spy(model: Any, ids: Any, mask: Any, keep: int, **pictures: Any) -> Any:
        calls.append((ids[:, -keep:], set(pictures), model.training, torch.is_grad_enabled()))
        return states(model, ids, mask, keep, **pictures)

    trainer._hidden_states = spy
    trainer.train()
    for teacher, student in zip(calls[::2], calls[1::2], strict=True):
        assert torch.equal(teacher[0], student[0])
        assert teacher[1:] == (set(), False, False)
        assert student[1:] == ({"pixel_values", "image_grid_thw", "mm_token_type_ids"}, True, True)


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
    trainer = make(lora(base))
    answer_with(trainer, processor)
    rows = rows_of(2)
    trainer._generate_and_score_completions(rows)
    spoil(rows[1])
    with pytest.raises(ValueError, match=message):
        trainer._generate_and_score_completions(rows)


def test_prompts_must_end_alike_and_pictures_be_there(make: Any, processor: Any, base: Any) -> None:
    trainer = make(lora(base))
    answer_with(trainer, processor)
    assert trainer._header == ids_of(processor, "<|im_start|>assistant\n")
    rows = rows_of(2)
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
    model = lora(base)
    model.add_adapter("stage1", model.peft_config["default"])
    model.base_model.set_adapter(["default", "stage1"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("default" in name)
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    trainer = make(model)
    answer_with(trainer, processor)
    trainer.train()
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags
    with pytest.raises(KeyError), without_adapter(model):
        raise KeyError
    assert {name: p.requires_grad for name, p in model.named_parameters()} == flags
    assert model.training


def test_without_adapter_is_the_base(base: Any) -> None:
    model = lora(base).train()
    ids = torch.arange(8)[None]
    with torch.no_grad():
        with without_adapter(model):
            assert not model.training
            assert torch.equal(model(input_ids=ids).logits, base.eval()(input_ids=ids).logits)
        assert not torch.equal(model(input_ids=ids).logits, base(input_ids=ids).logits)


def test_merging_for_vllm_leaves_no_trace(base: Any) -> None:
    model = lora(base).to(torch.bfloat16)
    weight = model.base_model.model.model.language_model.layers[0].mlp.up_proj.base_layer.weight
    before = weight.clone()
    kept = KeptWeights(model)
    model.merge_adapter()
    model.unmerge_adapter()
    assert not torch.equal(weight, before)
    kept.restore()
    assert torch.equal(weight, before)
