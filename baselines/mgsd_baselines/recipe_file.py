"""From a recipe file to a checked :class:`~mgsd_baselines.recipe.Recipe`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from mgsd_baselines.data.examples import ALL_KINDS, UNANSWERED
from mgsd_baselines.recipe import (
    REWARDS,
    TOKEN_PARTS,
    DataSpec,
    Distill,
    Grpo,
    Lora,
    Precision,
    Recipe,
    Stage,
    Validation,
)
from mgsd_baselines.trainer_fields import trainer_problem
from mgsd_bench.config.editor_schema import editor_schema
from mgsd_bench.config.fields import SAYS, Amount, Check, Count, Natural, OneOf
from mgsd_bench.config.layers import Key, Layers, read_extended, read_layer, suggest
from mgsd_bench.config.validate import validate
from mgsd_bench.errors import UserError, setting_of
from mgsd_bench.package_data import shipped_folder
from mgsd_bench.prompts import CLOSED_LOOP, in_order
from mgsd_envs import get_task

Settings = TypeVar("Settings", Distill, Grpo)

_ANSWERED = tuple(kind for kind in ALL_KINDS if kind not in UNANSWERED)
_WHOLE = ("rows", "levels", "tuning", "token_weights", "rewards")  # one value each: nobody means a mix of two mixes


@dataclass(frozen=True, slots=True)
class Adapter:
    """Tuning of an adapter alone.

    Attributes:
        lora: the adapter.
    """

    lora: Lora


def _full_or_adapter(value: Any) -> Any:
    if value != "full" and not isinstance(value, Mapping):
        raise PydanticCustomError(SAYS, "{says}", {"says": _TUNING})
    return None if value == "full" else value


_TUNING = "{found}; write full, or lora: {rank: 32, alpha: 64} under it"

Tuning = Annotated[Adapter | None, BeforeValidator(_full_or_adapter, json_schema_input_type=Literal["full"] | Adapter)]
"""``full``, which is read as None, or an adapter."""


def _not_a_folder(name: str) -> str | None:
    if re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        return None
    return "a stage's name is a folder's name: use lower-case letters, digits and hyphens instead of {found}"


@dataclass(frozen=True, kw_only=True)
class StageKeys:
    """What a stage of any method says; the fields are those of :class:`~mgsd_baselines.recipe.Stage`."""

    data: DataSpec = field(default_factory=DataSpec)
    validation: Validation = field(default_factory=Validation)
    tuning: Tuning
    batch: Count
    micro_batch: Count
    trainer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SftStage(StageKeys):
    """A stage that is trained on answers."""

    method: Literal["sft"]
    rows: Mapping[Annotated[str, OneOf(_ANSWERED)], Amount]


@dataclass(frozen=True, kw_only=True)
class DistillStage(Distill, StageKeys):
    """A stage of on-policy self-distillation; its settings stand beside the others."""

    method: Literal["distill"]
    rows: Mapping[Annotated[str, OneOf(UNANSWERED)], Amount] = field(default_factory=lambda: {"distill": 1.0})


@dataclass(frozen=True, kw_only=True)
class GrpoStage(Grpo, StageKeys):
    """A stage of group-relative policy optimisation; its settings stand beside the others."""

    method: Literal["grpo"]
    rows: Mapping[Annotated[str, OneOf(UNANSWERED)], Amount] = field(default_factory=lambda: {"distill": 1.0})


@dataclass(frozen=True, kw_only=True)
class RecipeFile:
    """A recipe as files say it; the fields are those of :class:`~mgsd_baselines.recipe.Recipe`.

    Attributes:
        stages: the stages by name, in the order they run.
    """

    name: str | None = None
    about: str | None = None
    base: str
    start: str | None = None
    prompts: str = "default"
    seed: Natural = 0
    precision: Precision = "bf16"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    data: DataSpec = field(default_factory=DataSpec)
    validation: Validation = field(default_factory=Validation)
    vocabulary: tuple[Annotated[str, OneOf(in_order(CLOSED_LOOP))], ...] = ()
    stages: Mapping[
        Annotated[str, Check(_not_a_folder)],
        Annotated[SftStage | DistillStage | GrpoStage, Field(discriminator="method")],
    ] = field(default_factory=dict)


def load_recipe(path_or_name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        path_or_name: a YAML file, or the name of a shipped recipe.
        overrides: ``key.path=value`` with YAML values, applied in order; a stage set to null is removed.

    Raises:
        UserError: there is no such recipe, or something in it is wrong; one line with file, key and remedy.
    """
    path = find_recipe(path_or_name)
    layers = read_extended(path, find_recipe, whole=_WHOLE, own=("name", "about"))
    for pair in overrides:
        layers = layers.assign(pair, known="stages")
    return _recipe(path.stem, _inherited(layers))


def schema() -> dict[str, Any]:
    """The JSON Schema of recipe files, for editors."""
    described: dict[type[Any], list[type[Any]]] = {
        RecipeFile: [Recipe],
        SftStage: [Stage],
        DistillStage: [Distill, Stage],
        GrpoStage: [Grpo, Stage],
    }
    return editor_schema(RecipeFile, described, extends=True)


def find_recipe(path_or_name: str, beside: Path | None = None) -> Path:
    """The file of a recipe: a path ending in .yaml, the stem of a file in the folder ``beside``, or a shipped name.

    Raises:
        UserError: there is none.
    """
    bare = Path(path_or_name).suffix not in (".yaml", ".yml")
    folders = [recipes_dir()] if beside is None and bare else [beside or Path(), recipes_dir()]
    for folder in folders:
        path = folder / (f"{path_or_name}.yaml" if bare else path_or_name)
        if path.exists():
            return path
    close = suggest(path_or_name, shipped()) if bare else ""
    hint = close if close.startswith("did") else "see `mgsd-bench train recipes`"
    raise UserError(f"recipe {path_or_name}: no such file, and no shipped recipe; {hint}")


def shipped() -> tuple[str, ...]:
    """Names of the recipes that come with the project, sorted."""
    return tuple(sorted(path.stem for path in recipes_dir().glob("*.yaml") if not path.stem.startswith("accelerate")))


def shipped_about() -> dict[str, str]:
    """What each shipped recipe is, in one line, by name."""
    return {name: read_layer(recipes_dir() / f"{name}.yaml").values.get("about", name) for name in shipped()}


def recipes_dir() -> Path:
    """The folder of the shipped recipes: ``baselines/recipes`` of a checkout, or their copy in an installed package."""
    return shipped_folder("recipes")


def _inherited(layers: Layers) -> Layers:
    """The layers with the recipe's episodes and validation in its stages, which say only what differs.

    What is said later wins, and of what one file says, the stage's own: a recipe goes over the stages of the one that
    it extends, and the command line over all stages of files.

    Raises:
        UserError: an option sets a key of one stage, and a later one sets it otherwise for all.
    """
    values = dict(layers.values)
    if isinstance(values.get("stages"), Mapping):
        values["stages"] = {
            name: {**stage, **{key: _over(layers, key, name) for key in _SHARED}}
            if isinstance(stage, Mapping)
            else stage
            for name, stage in values["stages"].items()
        }
    return Layers(values, layers.origins, layers.order)


_SHARED = ("data", "validation")


def _over(layers: Layers, key: str, stage: str) -> Any:
    """What holds for a stage under one of the keys that it shares with the recipe."""
    below, above = layers.at((key,)), layers.at(("stages", stage, key))
    if not isinstance(above, Mapping | None) or not isinstance(below, Mapping):
        return above
    found = dict(below)
    for name, value in (above or {}).items():
        own, shared = ("stages", stage, key, name), (key, name)
        if value is None:
            continue
        if name not in below or layers.when(own) >= layers.when(shared):
            found[name] = value
        elif value != below[name] and setting_of(layers.origin(own)) == "overrides":
            later = layers.origin(shared)
            raise UserError(
                f"{layers.origin(own)}: {later} comes after it, and says otherwise for all stages; leave one out"
            )
    return found


def _recipe(name: str, layers: Layers) -> Recipe:
    file = validate(RecipeFile, layers)
    _check_data(file.data, ("data",), layers)
    if not file.stages:
        raise layers.error(("stages",), "there is none; write at least one stage under it")
    recipe = Recipe(
        name=file.name or name,
        about=file.about or name,
        base=file.base,
        start=file.start,
        prompts=file.prompts,
        seed=file.seed,
        precision=file.precision,
        attention=file.attention,
        data=file.data,
        validation=file.validation,
        stages=tuple(_stage(each, stage, layers) for each, stage in file.stages.items()),
        vocabulary=file.vocabulary,
    )
    _check_order(recipe, layers)
    return recipe


def _check_data(data: DataSpec, place: Key, layers: Layers) -> None:
    if not data.levels:
        raise layers.error((*place, "levels"), "is missing; write for example {frozenlake: [3, 4]}")
    for name, levels in data.levels.items():
        task, at = get_task(name), (*place, "levels", name)
        if not levels or len(set(levels)) < len(levels):
            raise layers.error(at, f"{list(levels)} is no list of different whole numbers; write [3, 4]")
        if min(levels) < task.min_level:
            raise layers.error(at, f"{min(levels)} is not a whole number of {task.min_level} or more")
        if max(levels) > task.max_level:
            raise layers.error(at, f"{max(levels)} is more than the largest level, {task.max_level}")
        if data.theme not in task.themes:
            problem = f"{data.theme!r} is unknown to {name}; {suggest(data.theme, task.themes)}"
            raise layers.error((*place, "theme"), problem)


def _stage(name: str, keys: SftStage | DistillStage | GrpoStage, layers: Layers) -> Stage:
    place = ("stages", name)
    _check_data(keys.data, (*place, "data"), layers)
    if keys.batch % keys.micro_batch:
        problem = f"{keys.micro_batch} does not divide the batch of {keys.batch}; choose a divisor"
        raise layers.error((*place, "micro_batch"), problem)
    trainer = {key: value for key, value in keys.trainer.items() if value is not None}
    for key, value in trainer.items():
        if wrong := trainer_problem(key, value, keys.method):
            raise layers.error((*place, "trainer", key), wrong)
    return Stage(
        name=name,
        method=keys.method,
        data=keys.data,
        validation=keys.validation,
        rows=_rows(keys.rows, place, layers),
        tuning=keys.tuning.lora if keys.tuning else None,
        batch=keys.batch,
        micro_batch=keys.micro_batch,
        trainer=trainer,
        distill=_distill(keys, place, layers) if isinstance(keys, DistillStage) else None,
        grpo=_grpo(keys, place, layers) if isinstance(keys, GrpoStage) else None,
    )


def _rows(rows: Mapping[str, float], stage: Key, layers: Layers) -> dict[str, float]:
    total = sum(rows.values())
    if abs(total - 1) > 1e-6:
        raise layers.error((*stage, "rows"), f"the shares sum to {total:g}; make them sum to 1")
    return {kind: rows[kind] for kind in ALL_KINDS if rows.get(kind)}


def _distill(keys: DistillStage, stage: Key, layers: Layers) -> Distill:
    if keys.objective == "sampled" and keys.beta != 1:
        problem = f"objective sampled estimates the reverse KL only; set beta to 1 instead of {keys.beta:g}"
        raise layers.error((*stage, "beta"), problem)
    context, corruption = keys.teacher.context, keys.teacher.corruption
    if corruption and (context in ("none", "picture") or (context == "plan" and corruption != "shuffle")):
        problem = f"context {context} holds nothing to corrupt; set corruption to null"
        raise layers.error((*stage, "teacher", "corruption"), problem)
    if keys.rows.get("distill-act") and (context != "state" or corruption):
        problem = "in the closed loop the teacher is told the state; set context to state and corruption to null"
        raise layers.error((*stage, "teacher"), problem)
    _check_divides("rollouts", keys.rollouts, keys.batch, stage, layers)
    weights = dict.fromkeys(TOKEN_PARTS, 1.0) | dict(keys.token_weights)
    return _settings(Distill, keys, token_weights=_checked_weights("token_weights", weights, stage, layers))


def _grpo(keys: GrpoStage, stage: Key, layers: Layers) -> Grpo:
    _check_divides("group", keys.group, keys.batch, stage, layers)
    weights = REWARDS | dict(keys.rewards)
    return _settings(Grpo, keys, rewards=_checked_weights("rewards", weights, stage, layers))


def _settings(of: type[Settings], keys: StageKeys, **changed: Any) -> Settings:
    """The settings of a method, which are among the keys of its stage."""
    return of(**{each.name: getattr(keys, each.name) for each in fields(of)} | changed)


def _check_divides(key: str, value: int, batch: int, stage: Key, layers: Layers) -> None:
    if batch % value:
        raise layers.error((*stage, key), f"{value} does not divide the batch of {batch} answers; choose a divisor")


def _checked_weights(key: str, weights: dict[Any, float], stage: Key, layers: Layers) -> dict[Any, float]:
    if not any(weights.values()):
        raise layers.error((*stage, key), "all are 0 and nothing would be learnt; set one above 0")
    return weights


def _check_order(recipe: Recipe, layers: Layers) -> None:
    """Refuse stages that cannot follow each other."""
    adapter: Lora | None = None  # the unmerged adapter that a stage would go on training
    tuned = ""  # the stage that last changed the weights below the adapter
    for number, stage in enumerate(recipe.stages):
        place = ("stages", stage.name)
        if stage.tuning is None:
            adapter, tuned = None, stage.name
        elif adapter is None:
            adapter = stage.tuning
        elif (adapter.rank, adapter.alpha, adapter.targets) != (
            stage.tuning.rank,
            stage.tuning.alpha,
            stage.tuning.targets,
        ):
            raise layers.error(
                (*place, "tuning"), "goes on with the adapter of the stage before it: give both the same lora"
            )
        teacher = stage.distill and stage.distill.teacher.model
        if teacher in [later.name for later in recipe.stages[number:]]:
            problem = f"stage {teacher} has not run by then; name an earlier one"
            raise layers.error((*place, "teacher", "model"), problem)
        if stage.distill and stage.tuning and teacher is None and tuned:
            problem = f"without its adapter the student is what {tuned} left, not the base; set teacher.model"
            raise layers.error((*place, "teacher"), problem)
