"""What is used of TRL beyond its documented interface is still there, and is used in one file."""

from __future__ import annotations

import ast
import importlib
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trl
from trl import DistillationTrainer, SFTTrainer

ROOT = Path(__file__).parents[3]
ADAPTER = "baselines/mgsd_baselines/training/trl_adapter.py"
DOCUMENTED = {"trl", "trl.models"}

pytestmark = pytest.mark.train

# with the parameters that are passed by position or name
USED = {
    "trl.kernels.chunked_divergence:ChunkedDivergenceFunction.forward": (
        "ctx",
        "student_hidden",
        "student_weight",
        "student_bias",
        "teacher_hidden",
        "teacher_weight",
        "teacher_bias",
        "beta",
        "temperature",
    ),
    "trl.models.utils:_ForwardRedirection.__call__": ("self", "wrapper_module", "original_module", "method"),
    "trl.trainer.utils:RepeatSampler.__init__": (
        "self",
        "data_source",
        "mini_repeat_count",
        "batch_size",
        "repeat_count",
        "shuffle",
        "seed",
    ),
    "trl.trainer.utils:maybe_gather_lm_head_ctx": ("params",),
    "trl:DistillationTrainer._generate_and_score_completions": ("self", "inputs"),
    "trl:DistillationTrainer._generate_single_turn": ("self", "prompt_ids"),  # by the tests alone
    "trl:DistillationTrainer._get_train_sampler": ("self", "dataset"),
    "trl:SFTTrainer._get_train_sampler": ("self", "train_dataset"),
}


@pytest.mark.parametrize("name", USED)
def test_trl_has_what_is_used(name: str) -> None:
    moved = f"TRL {trl.__version__} has moved or changed {name}: mend {ADAPTER} and what uses it"
    module, _, path = name.partition(":")
    try:
        found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{moved} ({error})")
    assert tuple(inspect.signature(found).parameters)[: len(USED[name])] == USED[name], moved


def test_it_was_tried_with_the_versions_that_are_allowed() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    allowed = next(requirement for requirement in extras["train"] if requirement.startswith("trl"))
    assert f"tried with {allowed}." in " ".join((ROOT / ADAPTER).read_text().split())


def _files() -> Iterator[Path]:
    for folder in ("baselines/mgsd_baselines", "benchmarks", "mgsd_bench"):
        yield from (ROOT / folder).rglob("*.py")


def test_the_adapter_alone_imports_what_is_not_documented() -> None:
    imported: dict[str, set[str]] = {}
    for path in _files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "trl":
                names = {f"{node.module}:{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names if alias.name.startswith("trl.")}
            else:
                continue
            hidden = {name for name in names if name.split(":")[0] not in DOCUMENTED or ":_" in name}
            if hidden:
                imported.setdefault(str(path.relative_to(ROOT)), set()).update(hidden)
    assert set(imported) == {ADAPTER}
    assert imported[ADAPTER] == {
        name.split(".__")[0].removesuffix(".forward") for name in USED if "Trainer" not in name
    }


def test_no_other_hook_of_trl_is_overridden_or_called() -> None:
    from mgsd_baselines.training.self_distill import SelfDistillTrainer
    from mgsd_baselines.training.sft import SortedSFTTrainer
    from mgsd_baselines.training.trl_adapter import HOOKS

    for ours, theirs in ((SelfDistillTrainer, DistillationTrainer), (SortedSFTTrainer, SFTTrainer)):
        (tree,) = ast.parse(inspect.getsource(ours)).body
        nodes = list(ast.walk(tree))
        named = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        attributes = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("_")]
        set_here = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
        hooks = {name for name in named if name.startswith("_") and hasattr(theirs, name)} - {"__init__"}
        hooks |= {node.attr for node in attributes} - named - set_here - {"__init__"}
        assert hooks == set(HOOKS[theirs.__name__])
