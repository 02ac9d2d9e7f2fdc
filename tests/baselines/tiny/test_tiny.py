from __future__ import annotations

import hashlib
import string
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgsd_baselines.data.examples import KINDS, make_example
from mgsd_baselines.tiny.build import build_tiny
from mgsd_baselines.tiny.vocabulary import phrases
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS, in_order, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings, opening, result_line, said
from mgsd_envs import generate, get_task

pytestmark = pytest.mark.train

patch_torchvision()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    pytest.importorskip("torchvision")
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(folder).eval()


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _inputs(processor: Any, seed: int, size: int = 256) -> Any:
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    content = [{"type": "text", "text": "Where is the elf?"}, {"type": "image", "image": image}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        return_dict=True,
        add_generation_prompt=True,
        return_tensors="pt",
    )


def test_torchvision_imports_after_the_cure() -> None:
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    assert patch_torchvision() == patch_torchvision()
    assert import_module("torchvision.transforms.v2.functional").resize


def test_same_seed_same_bytes(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(17)
    before = torch.random.get_rng_state()
    again = build_tiny(tmp_path / "again")
    other = build_tiny(tmp_path / "other", seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert _digest(again) == _digest(folder)
    assert _digest(other) != _digest(folder)


def test_is_tiny(folder: Path, model: Any) -> None:
    assert sum(p.numel() for p in model.parameters()) < 1_000_000
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3_000_000
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"


def test_takes_a_new_or_empty_folder_only(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="already there"):
        build_tiny(folder)
    with pytest.raises(UserError, match="already there"):
        build_tiny(folder / "config.json")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (build_tiny(empty) / "model.safetensors").is_file()


def test_every_printable_character_is_one_token(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    for character in string.printable:
        assert len(tokenizer(character).input_ids) == 1, character
    text = "The player is at (3,1); ~ {é}\n\tgo <answer>DDR</answer>"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    ids = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    assert ids == [256, 257, 258]
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"


def test_phrases_are_one_token_each(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = build_tiny(tmp_path / "phrases", phrases=phrases("compact", ("frozenlake", "maze", "minibehaviour")))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for name, level in (("frozenlake", 4), ("maze", 3), ("minibehaviour", 5)):
        episodes = list(generate(get_task(name), level, 5, split="train", stream="phrases"))
        prompts = load_prompts("compact", episodes, CONDITIONS)
        for episode, kind in product(episodes, KINDS):
            row = make_example(kind, episode, prompts, picture=episode)
            for text in filter(None, (row.teacher_prompt, row.completion)):
                ids = tokenizer(text).input_ids
                assert tokenizer.decode(ids) == text
                assert len(ids) < 0.35 * len(text) + 1
                assert max(ids) >= 256  # single bytes are the exception, not the rule


def test_phrases_of_closed_loops_are_one_token_each_and_added_where_asked_for(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tasks = ("frozenlake", "maze", "minibehaviour")
    one_shot, all_of_them = phrases("compact", tasks), phrases("compact", tasks, CONDITIONS)
    assert set(one_shot) < set(all_of_them)
    tokenizer = AutoTokenizer.from_pretrained(build_tiny(tmp_path / "loops", phrases=all_of_them))
    for name, condition in product(tasks, in_order(CLOSED_LOOP)):
        task = get_task(name)
        episode = next(generate(task, task.levels[0], 1, split="train", stream="phrases"))
        for say_state in (False, True):
            prompts = load_prompts("compact", [episode], [condition], say_state=say_state)
            text = opening(prompts, episode, condition, LoopSettings(say_state=say_state), 14)
            ids = tokenizer(text).input_ids
            assert tokenizer.decode(ids) == text
            assert len(ids) <= 6  # up to the look, the look, up to the number of steps, its two digits, what follows
        for line in (result_line("blocked", next(iter(task.rules)), task), said(task.actions[-1:], task)):
            assert len(tokenizer(line).input_ids) == 1


def test_chat_format(processor: Any) -> None:
    conversation = [
        {"role": "system", "content": "Plan."},
        {"role": "user", "content": [{"type": "text", "text": "Go"}, {"type": "image"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "DD"}]},
    ]
    assert processor.apply_chat_template(conversation) == (
        "<|im_start|>system\nPlan.<|im_end|>\n"
        "<|im_start|>user\nGo<|vision_start|><|image_pad|><|vision_end|><|im_end|>\n"
        "<|im_start|>assistant\nDD<|im_end|>\n"
    )
    asked = processor.apply_chat_template(conversation[:2], add_generation_prompt=True)
    assert asked.endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_an_image_of_256_pixels_is_64_tokens(processor: Any, model: Any) -> None:
    inputs = _inputs(processor, seed=0)
    assert int((inputs["input_ids"] == model.config.image_token_id).sum()) == 64


def test_the_picture_matters(processor: Any, model: Any) -> None:
    with torch.no_grad():
        one, same, other = (model(**_inputs(processor, seed)).logits[0, -1] for seed in (0, 0, 1))
    assert torch.isfinite(one).all()
    assert torch.equal(one, same)
    assert not torch.allclose(one, other, atol=1e-2)


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgsd_baselines.tiny.build.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"mgsd-bench\[hf\]"):
        build_tiny(tmp_path / "tiny")
