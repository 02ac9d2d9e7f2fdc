"""Supervised fine-tuning: what the trainer makes of rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mgsd_baselines.data.dataset import as_dataset
from mgsd_baselines.training.trainers import TrainerParts, sft_trainer
from support.training_rows import SPEC, make, rows_of

pytestmark = pytest.mark.train


@pytest.mark.parametrize("workers", [0, 2])
def test_trainer_mixes_rows_with_and_without_pictures(tiny: Path, tmp_path: Path, workers: int) -> None:
    from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

    processor = AutoProcessor.from_pretrained(tiny)
    rows = rows_of(make({"questions": 0.5, "symbolic": 0.5}, spec=replace(SPEC, levels={"maze": (3,)}, count=8)))
    config = {"output_dir": str(tmp_path / "out"), "per_device_train_batch_size": 8, "max_steps": 1}
    quiet = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True, "bf16": False, "use_cpu": True}
    model = Qwen3VLForConditionalGeneration.from_pretrained(tiny)
    settings = {**config, **quiet, "dataloader_num_workers": workers}
    trainer = sft_trainer(TrainerParts(model, processor, as_dataset(rows, 256), settings))
    (batch,) = trainer.get_train_dataloader()
    answers = [processor.tokenizer.decode(line[line != -100]) for line in batch["labels"]]
    assert sorted(answers) == sorted(f"{row.completion}<|im_end|>\n" for row in rows)
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert sorted((batch["input_ids"] == pad).sum(1).tolist()) == [0] * 4 + [64] * 4
    assert torch.isfinite(torch.tensor(trainer.train().training_loss))
