from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mgsd_baselines.recipe import Lora, Recipe, Teacher
from mgsd_baselines.recipe_file import load_recipe, recipes_dir, shipped, shipped_about
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.cli import app, train
from mgsd_bench.errors import UserError

pytestmark = pytest.mark.train

ABLATIONS = {
    "ablate-no-cold-start": {},
    "ablate-cold-start-only": {},
    "ablate-forward-kl": {"beta": 0.0},
    "ablate-jsd": {"beta": 0.5},
    "ablate-sampled": {"objective": "sampled"},
    "ablate-teacher-state": {"context": "state"},
    "ablate-teacher-plan": {"context": "plan"},
    "ablate-teacher-none": {"context": "none"},
    "ablate-shuffled": {"corruption": "shuffle"},
    "ablate-noisy": {"corruption": "noise 0.1"},
}

# the paper's settings and those of its released code, by stage and key
PAPER = {
    "cold-start": {
        "method": "sft",
        "rows": {"questions": 1.0},
        "tuning.rank": 8,
        "tuning.alpha": 16,
        "tuning.dropout": 0.0,
        "batch": 64,
        "trainer.num_train_epochs": 3,
        "trainer.learning_rate": 1e-4,
        "trainer.lr_scheduler_type": "cosine",
        "trainer.warmup_steps": 0.1,
    },
    "self-distill": {
        "method": "distill",
        "tuning": None,
        "distill.teacher": {"model": None, "context": "state+plan", "corruption": None},
        "distill.objective": "sampled",
        "distill.beta": 1.0,
        "distill.rollouts": 1,
        "distill.temperature": 1.0,
        "distill.max_completion": 2048,
        "distill.token_weights": {"state": 1.0, "route": 1.0, "plan": 1.0},
        "batch": 32,
        "trainer.num_train_epochs": 5,
        "trainer.learning_rate": 1e-6,
        "trainer.lr_scheduler_type": "constant",
        "trainer.weight_decay": 0.01,
        "trainer.top_p": 1.0,
        "validation.every": 20,
        "validation.temperature": 0.6,
        "validation.top_p": 0.95,
    },
}

MINIMAL = """
base: some/model
data: {levels: {maze: [3]}}
stages:
  first:
    method: sft
    rows: {questions: 1}
    tuning: full
    batch: 4
    micro_batch: 2
"""


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", shipped())
def test_shipped_recipes_are_whole(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert len(recipe.about) > 10
    assert recipe.stages
    for stage in recipe.stages:
        assert stage.batch % (stage.micro_batch * (8 if name.endswith("paper") else 1)) == 0
        assert stage.validation.max_tokens > 0
    adapters = {stage.tuning for stage in recipe.stages if stage.tuning}
    assert len(adapters) <= (2 if name.endswith("paper") else 1)  # one adapter throughout


def test_about_lists_every_recipe() -> None:
    assert list(shipped_about()) == list(shipped())
    assert shipped_about()["tiny"] == load_recipe("tiny").about


@pytest.mark.parametrize("size", ["4b", "8b"])
def test_paper_settings(size: str) -> None:
    recipe = load_recipe(f"mgsd-{size}-paper")
    plain = recipe.to_json()
    assert recipe.base == f"Qwen/Qwen3-VL-{size.upper()}-Instruct"
    assert recipe.precision == "bf16"
    assert recipe.data.levels == {"frozenlake": (3, 4, 5, 6, 7, 8), "maze": (3, 4, 5, 6), "minibehaviour": (5, 6)}
    assert recipe.data.count * sum(map(len, recipe.data.levels.values())) == 18_000
    assert [stage["name"] for stage in plain["stages"]] == list(PAPER)
    for stage in plain["stages"]:
        for key, value in PAPER[stage["name"]].items():
            found = stage
            for part in key.split("."):
                found = found[part]
            assert found == value, (stage["name"], key)


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_one_thing(name: str) -> None:
    full, changed = load_recipe("mgsd-4b-lora"), load_recipe(name)
    assert changed.base == full.base
    names = [stage.name for stage in changed.stages]
    if name == "ablate-no-cold-start":
        assert names == ["self-distill"]
    elif name == "ablate-cold-start-only":
        assert names == ["cold-start"]
    else:
        assert names == [stage.name for stage in full.stages]
        assert differences(asdict(changed.stages[1]), asdict(full.stages[1])) == ABLATIONS[name]
    for stage in changed.stages:
        if name in ("ablate-no-cold-start", "ablate-cold-start-only"):
            assert stage == full.stage(stage.name)


def differences(changed: dict[str, object], full: dict[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in changed.items():
        other = full[key]
        if isinstance(value, dict) and isinstance(other, dict):
            found |= differences(value, other)
        elif value != other:
            found[key] = value
    return found


def test_ablation_of_the_larger_model() -> None:
    assert load_recipe("ablate-jsd", ["base=Qwen/Qwen3-VL-8B-Instruct"]).base == "Qwen/Qwen3-VL-8B-Instruct"


def test_minimal_recipe_and_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path / "mine.yaml", MINIMAL))
    assert (recipe.name, recipe.seed, recipe.prompts, recipe.start) == ("mine", 0, "default", None)
    assert recipe.stage("first").tuning is None
    assert recipe.stage("first").data == recipe.data
    with pytest.raises(UserError, match="did you mean first"):
        recipe.stage("frist")


def test_to_json_is_canonical(tmp_path: Path) -> None:
    one = load_recipe(write(tmp_path / "a.yaml", MINIMAL)).to_json()
    assert json.loads(json.dumps(one)) == one
    spelled = MINIMAL.replace("batch: 4\n", "batch: 4\n    trainer: {}\n") + "seed: 0\nname: a\n"
    assert load_recipe(write(tmp_path / "b.yaml", spelled)).to_json() == one | {"about": "b"}
    assert load_recipe(str(tmp_path / "a.yaml"), ["seed=1"]).to_json() != one


def test_extends_merges_and_removes(tmp_path: Path) -> None:
    write(tmp_path / "below.yaml", MINIMAL + "  second:\n    method: sft\n    rows: {visual: 1}\n    tuning: full\n"
          "    batch: 2\n    micro_batch: 1\n    trainer: {max_steps: 5, weight_decay: 0.1}\n")  # fmt: skip
    above = write(
        tmp_path / "above.yaml",
        "extends: below\nstages: {first: null, second: {rows: {direct: 1}, trainer: {max_steps: 7}}}\n",
    )
    recipe = load_recipe(above)
    assert recipe.name == "above"
    (stage,) = recipe.stages
    assert (stage.rows, stage.trainer) == ({"direct": 1.0}, {"max_steps": 7, "weight_decay": 0.1})


def test_circle_of_extends(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "extends: b")
    write(tmp_path / "b.yaml", "extends: a")
    with pytest.raises(UserError, match="circle"):
        load_recipe(str(tmp_path / "a.yaml"))


def test_what_is_said_later_holds_for_all_stages(tmp_path: Path) -> None:
    """Of one file the stage's own word counts; a file over the one it extends, and an option over files."""

    def counts(recipe: Recipe) -> list[int]:
        return [stage.data.count for stage in recipe.stages]

    (tmp_path / "a.yaml").write_text(
        "extends: tiny\ndata: {count: 7}\nstages: {self-distill: {data: {count: 5}, validation: {every: 9}}}\n"
    )
    (tmp_path / "b.yaml").write_text("extends: a\nvalidation: {every: 4}\n")
    assert counts(load_recipe("tiny")) == [6000, 2600, 2600]
    assert counts(load_recipe(str(tmp_path / "a.yaml"))) == [7, 7, 5]
    assert {stage.validation.every for stage in load_recipe(str(tmp_path / "b.yaml")).stages} == {4}
    assert counts(load_recipe(str(tmp_path / "b.yaml"), ["data.count=3"])) == [3, 3, 3]
    assert counts(load_recipe("tiny", ["data.count=3", "stages.cold-start.data.count=4"])) == [3, 4, 3]
    assert load_recipe("tiny", ["data.count=3"]).stages[0].validation.conditions == ("symbolic",)
    with pytest.raises(
        UserError, match=r"overrides=stages\.cold-start\.data\.count=4: overrides=data\.count=3 comes after"
    ):
        load_recipe("tiny", ["stages.cold-start.data.count=4", "data.count=3"])


def test_overrides_are_yaml() -> None:
    recipe = load_recipe(
        "mgsd-4b-lora",
        [
            "seed=7",
            "stages.cold-start=null",
            "data.levels={maze: [3]}",
            "stages.self-distill.trainer.learning_rate=2e-5",
            "stages.self-distill.teacher.corruption=noise 0.25",
            "stages.self-distill.validation.every=5",
            "stages.grpo={method: grpo, tuning: full, batch: 8, micro_batch: 8}",
        ],
    )
    distill, grpo = recipe.stages
    assert recipe.seed == 7
    assert distill.trainer["learning_rate"] == 2e-5
    assert distill.distill is not None
    assert (distill.distill.teacher.noise, distill.distill.teacher.shuffle) == (0.25, False)
    assert distill.data.levels == {"maze": (3,)}
    assert (distill.validation.every, grpo.validation.every) == (5, 50)
    assert grpo.grpo is not None
    assert grpo.rows == {"distill": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bse: x", "bse: no such key; did you mean base?"),
        ("seed: 1.5", "seed: 1.5 is not a whole number of 0 or more"),
        ("seed: true", "seed: True is not a whole number"),
        ("precision: fp16", "precision: 'fp16' is not known; did you mean"),
        ("attention: flash", "attention: 'flash' is not known"),
        ("base: null", "base: is missing"),
        ("data: {levels: {maze: [3, 3]}}", "data.levels.maze: .* different whole numbers"),
        ("data: {levels: {maze: [1]}}", "data.levels.maze: 1 is not a whole number of"),
        ("data: {levels: {maze: [99]}}", "data.levels.maze: 99 is more than"),
        ("data: {levels: {mase: [3]}}", "data.levels.mase: no such key; did you mean maze"),
        ("data: {theme: dark-ages}", "data.theme: 'dark-ages' is unknown to maze"),
        ("data: {split_by: orbits}", "data.split_by: 'orbits' is not known; did you mean orbit"),
        ("data: [1]", "data: .* where a mapping belongs"),
        ("validation: {conditions: [visul]}", "validation.conditions: 'visul' is not known; did you mean visual"),
        ("validation: {conditions: []}", "validation.conditions: .* is empty; choose from visual, symbolic"),
        ("vocabulary: [visual]", "vocabulary: 'visual' is not known; choose from act, act-symbolic"),
        ("data: {astray: 2}", "data.astray: 2 is not a number between 0 and 1"),
        ("validation: {top_p: 2}", "validation.top_p: 2 is not a number between 0 and 1"),
        ("stages: {first: {method: stf}}", "stages.first.method: 'stf' is not known; did you mean sft"),
        ("stages: {first: {objective: full}}", "stages.first.objective: no such key"),
        ("stages: {first: {rows: {questions: 0.5}}}", "stages.first.rows: the shares sum to 0.5"),
        ("stages: {first: {rows: {distill: 1}}}", "stages.first.rows.distill: no such key"),
        ("stages: {first: {tuning: lora}}", "stages.first.tuning: 'lora'; write full, or lora"),
        ("stages: {first: {tuning: {lora: {rank: 4}}}}", "stages.first.tuning.lora.alpha: is missing"),
        ("stages: {first: {tuning: {lora: {rank: 4, alpha: 8, targets: '('}}}}", "targets: '\\(' is no regular"),
        ("stages: {first: {micro_batch: 3}}", "stages.first.micro_batch: 3 does not divide the batch of 4"),
        ("stages: {first: null}", "stages: there is none"),
        ("stages: {First: {method: sft}}", "stages.First: a stage's name is a folder's name"),
        ("seed: 1\nseed: 2", "key 'seed' twice"),
        ("seed: [", "no YAML that can be read"),
        ("1: 2", "key 1 is no text"),
        ("- 1", "holds no mapping"),
    ],
)
def test_mistakes_are_one_line_with_file_and_key(text: str, message: str, tmp_path: Path) -> None:
    write(tmp_path / "below.yaml", MINIMAL)
    file = write(tmp_path / "wrong.yaml", text if text[0] in "-1" else f"extends: below\n{text}\n")
    with pytest.raises(UserError, match=message) as caught:
        load_recipe(file)
    assert str(caught.value).startswith(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("seed", "write KEY=VALUE"),
        ("seed.deep=1", "seed is 0 and holds no keys"),
        ("stages.self-distil.beta=1", "stages.self-distil is not there; did you mean self-distill"),
        ("stages.cold-strat=null", "stages.cold-strat is not there; did you mean cold-start"),
        ("stages.self-distill.beta=2", "stages.self-distill.beta: 2 is not a number between 0 and 1"),
        ("stages.self-distill.temperature=0", "temperature: answers are sampled"),
        ("stages.self-distill.rollouts=3", "rollouts: 3 does not divide"),
        ("stages.self-distill.token_weights={state: 0, route: 0, plan: 0}", "nothing would be learnt"),
        ("stages.grpo={method: grpo, tuning: full, batch: 8, micro_batch: 8, rewards: {luck: 1}}", "rewards"),
        ("stages.self-distill.teacher.corruption=noise", "write null, shuffle, or noise"),
        ("stages.self-distill.teacher={context: none, corruption: shuffle}", "holds nothing to corrupt"),
        ("stages.self-distill.teacher.model=self-distill", "has not run by then"),
        ("stages.self-distill.trainer.per_device_train_batch_size=4", "use micro_batch"),
        ("stages.self-distill.vllm=maybe", "vllm: 'maybe' is neither true nor false"),
    ],
)
def test_mistakes_on_the_command_line(pair: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_recipe("mgsd-4b-lora", [pair])
    assert str(caught.value).startswith(f"overrides={pair}")


def test_sampled_estimates_the_reverse_kl_only() -> None:
    with pytest.raises(UserError, match="set beta to 1 instead of 0"):
        load_recipe("ablate-sampled", ["stages.self-distill.beta=0.5"])


def test_stages_that_cannot_follow_each_other() -> None:
    with pytest.raises(UserError, match="give both the same lora"):
        load_recipe("mgsd-4b-lora", ["stages.cold-start.tuning.lora.rank=8"])
    with pytest.raises(UserError, match=r"not the base; set teacher\.model"):
        load_recipe("mgsd-4b-lora", ["stages.cold-start.tuning=full"])
    load_recipe("mgsd-4b-lora", ["stages.cold-start.tuning=full", "stages.self-distill.teacher.model=some/model"])


def test_trainer_fields_are_those_of_trl() -> None:
    pytest.importorskip("trl")
    for pair, message in (
        ("trainer.learning_rat=1", "no field of TRL's DistillationConfig; did you mean learning_rate"),
        ("trainer.learning_rate=fast", "'fast' is no float"),
        ("trainer.max_steps=true", "True is no int"),
        ("trainer.packing=true", "no field of TRL's DistillationConfig"),
    ):
        with pytest.raises(UserError, match=message):
            load_recipe("mgsd-4b-lora", [f"stages.self-distill.{pair}"])
    assert load_recipe("mgsd-4b-lora", ["stages.cold-start.trainer.packing=false"])


def test_teacher_properties() -> None:
    assert (Teacher().noise, Teacher().shuffle) == (None, False)
    assert (Teacher(corruption="shuffle").noise, Teacher(corruption="shuffle").shuffle) == (None, True)


def test_default_targets_are_the_language_model() -> None:
    import re

    targets = re.compile(Lora(8, 16).targets)
    assert targets.fullmatch("model.language_model.layers.0.self_attn.q_proj")
    assert targets.fullmatch("model.language_model.layers.35.mlp.down_proj")
    assert not targets.fullmatch("model.visual.blocks.0.attn.qkv")
    assert not targets.fullmatch("lm_head")


def test_unknown_recipe() -> None:
    with pytest.raises(UserError, match=r"did you mean .*mgsd-4b-lora"):
        load_recipe("mgsd-4b-lora2")
    with pytest.raises(UserError, match="mgsd-bench train recipes"):
        load_recipe("qqqqqq")


def test_accelerate_reads_the_fsdp_file() -> None:
    pytest.importorskip("accelerate")
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(recipes_dir() / "accelerate-fsdp-8gpu.yaml"))
    assert (config.num_processes, str(config.distributed_type).rpartition(".")[2]) == (8, "FSDP")
    assert config.fsdp_config["fsdp_version"] == 2
    patch_torchvision()
    modeling = pytest.importorskip("transformers.models.qwen3_vl.modeling_qwen3_vl")
    assert all(hasattr(modeling, name) for name in config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"].split(","))


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, Path, bool]]:
    """What the command line asks of the training, which does not run."""
    import sys
    import types

    calls: list[tuple[Recipe, Path, bool]] = []

    def fake(recipe: Recipe, out: Path, *, resume: bool, report: object) -> Path:
        calls.append((recipe, out, resume))
        return out / "last"

    monkeypatch.setitem(sys.modules, "mgsd_baselines.training.train", types.SimpleNamespace(train=fake))
    monkeypatch.setattr(train, "_need", lambda *packages: None)
    return calls


def test_cli_train(called: list[tuple[Recipe, Path, bool]], tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["train", "tiny", "--set", "seed=3"])
    assert done.exit_code == 0, done.output
    done = runner.invoke(app, ["train", "--out", str(tmp_path), "--resume", "tiny.yaml"])
    assert done.exit_code == 0, done.output
    (first, out, resume), (second, other, resumed) = called
    assert (first.seed, out, resume) == (3, Path("runs/train/tiny"), False)
    assert (second.seed, other, resumed) == (0, tmp_path, True)


def test_cli_help_and_list() -> None:
    runner = CliRunner()
    for arguments in (["train", "--help"], ["train", "-h"]):
        shown = runner.invoke(app, arguments)
        assert shown.exit_code == 0
        assert "RECIPE" in shown.output
        assert "recipes" in shown.output
    listed = runner.invoke(app, ["train", "recipes"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in shipped())


def test_cli_names_the_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["train", "tiny"])
    assert isinstance(result.exception, UserError)
    assert "pip install 'mgsd-bench[train]'" in str(result.exception)
