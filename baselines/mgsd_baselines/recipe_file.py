"""From the nested values of a recipe file to a checked :class:`~mgsd_baselines.recipe.Recipe`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, cast, get_args

from mgsd_baselines.data.examples import KINDS
from mgsd_baselines.recipe import (
    LORA_TARGETS,
    TOKEN_PARTS,
    Context,
    DataSpec,
    Distill,
    Grpo,
    Lora,
    Method,
    Recipe,
    Stage,
    Teacher,
    Validation,
)
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.config import Layers, Section, suggest
from mgsd_bench.errors import option
from mgsd_bench.prompts import CONDITIONS
from mgsd_envs import get_task, task_names
from mgsd_envs.grid import MAX_LEVEL

METHODS: tuple[Method, ...] = get_args(Method)

_CONFIGS = {"sft": "SFTConfig", "distill": "DistillationConfig", "grpo": "GRPOConfig"}

# fields of TRL's configurations that something else decides, with what to use instead
_DECIDED = {
    "output_dir": f"use {option('out')}",
    "resume_from_checkpoint": f"use {option('resume', True)}",
    "per_device_train_batch_size": "use micro_batch",
    "gradient_accumulation_steps": "use batch",
    "generation_batch_size": "use batch",
    "steps_per_generation": "use batch",
    "auto_find_batch_size": "use micro_batch",
    "bf16": "use precision",
    "fp16": "use precision",
    "tf32": "use precision",
    "seed": "use seed",
    "data_seed": "use seed",
    "model_init_kwargs": "use base, precision and attention",
    "trust_remote_code": "models with code of their own are not trained",
    "max_length": "rows are never cut; use data.levels",
    "max_completion_length": "use max_completion",
    "temperature": "use temperature",
    "num_generations": "use group, or rollouts for distill",
    "use_vllm": "use vllm",
    "vllm_mode": "use vllm",
    "teacher_model_name_or_path": "use teacher.model",
    "teacher_model_revision": "use teacher.model",
    "teacher_model_init_kwargs": "use teacher.model",
    "beta": "use beta, or kl for grpo",
    "eval_strategy": "use validation",
    "eval_steps": "use validation.every",
    "eval_on_start": "use validation",
    "save_strategy": "use validation.every",
    "save_steps": "use validation.every",
    "load_best_model_at_end": "the best checkpoint is always kept",
    "metric_for_best_model": "use validation.conditions",
    "greater_is_better": "use validation.conditions",
    "remove_unused_columns": "the columns are fixed",
    "fsdp": "use accelerate launch --config_file",
    "fsdp_config": "use accelerate launch --config_file",
    "deepspeed": "use accelerate launch --config_file",
}
_NOT_LISTED = ("do_train", "do_eval", "do_predict", "local_rank")

_STAGE_KEYS = ("method", "data", "validation", "tuning", "batch", "micro_batch", "trainer")
_METHOD_KEYS = {
    "sft": ("rows",),
    "distill": (
        "objective",
        "beta",
        "temperature",
        "rollouts",
        "max_completion",
        "token_weights",
        "teacher",
        "vllm",
    ),
    "grpo": ("group", "max_completion", "kl", "temperature", "rewards", "vllm"),
}
_DATA_KEYS = tuple(f.name for f in fields(DataSpec))


def read_recipe(name: str, layers: Layers) -> Recipe:
    """Check the values of a recipe and give them their types.

    Args:
        name: the recipe's name if it states none.
        layers: its values.

    Raises:
        UserError: a key is unknown or missing, or a value is wrong; the message names file, key and remedy.
    """
    top = layers.section()
    top.only([f.name for f in fields(Recipe)])
    data = _data(top.section("data"), None)
    validation = _validation(top.section("validation"), Validation())
    of_stages = top.section("stages")
    kept = [key for key in of_stages.values if of_stages.values[key] is not None]
    stages = tuple(_stage(of_stages.section(key), data, validation) for key in kept)
    if not stages:
        raise top.error("stages", "there is none; write at least one stage under it")
    recipe = Recipe(
        name=top.text("name", name),
        about=top.text("about", name),
        base=top.text("base"),
        start=top.optional_text("start"),
        prompts=top.text("prompts", "default"),
        seed=top.whole("seed", 0, least=0),
        precision=cast(Literal["bf16", "fp32"], top.text("precision", "bf16", ("bf16", "fp32"))),
        attention=cast(
            Literal["sdpa", "eager", "flash_attention_2"],
            top.text("attention", "sdpa", ("sdpa", "eager", "flash_attention_2")),
        ),
        data=data,
        validation=validation,
        stages=stages,
    )
    _check_order(recipe, of_stages)
    return recipe


def _data(at: Section, default: DataSpec | None) -> DataSpec:
    """The episodes of a recipe, or with ``default`` those of a stage, which says only what differs."""
    at.only(_DATA_KEYS)
    if default is None:
        default = DataSpec(stream="mgsd-train-v1", levels={}, count=1000)
    levels: Mapping[str, tuple[int, ...]] = default.levels
    if not levels or at.values.get("levels") is not None:
        levels = _levels(at.section("levels"))
        if not levels:
            raise at.error("levels", "is missing; write for example {frozenlake: [3, 4]}")
    theme = at.text("theme", default.theme)
    for task in levels:
        if theme not in get_task(task).themes:
            raise at.error("theme", f"{theme!r} is unknown to {task}; {suggest(theme, get_task(task).themes)}")
    return DataSpec(
        stream=at.text("stream", default.stream),
        levels=levels,
        count=at.whole("count", default.count),
        theme=theme,
        image_size=at.whole("image_size", default.image_size, least=32),
        exclude=at.texts("exclude", default.exclude),
    )


def _levels(at: Section) -> dict[str, tuple[int, ...]]:
    at.only(task_names())
    found = {task: at.wholes(task, get_task(task).min_level) for task in at.values if at.values[task] is not None}
    for task, levels in found.items():
        if max(levels) > MAX_LEVEL:
            raise at.error(task, f"{max(levels)} is more than the largest level, {MAX_LEVEL}")
    return found


def _validation(at: Section, default: Validation) -> Validation:
    at.only([f.name for f in fields(Validation)])
    conditions = at.texts("conditions", default.conditions, CONDITIONS)
    if not conditions:
        raise at.error("conditions", f"is empty; choose from {', '.join(CONDITIONS)}")
    return Validation(
        every=at.whole("every", default.every),
        count=at.whole("count", default.count, least=0),
        max_tokens=at.whole("max_tokens", default.max_tokens),
        temperature=at.number("temperature", default.temperature),
        top_p=at.number("top_p", default.top_p, most=1),
        conditions=conditions,
    )


def _stage(at: Section, data: DataSpec, validation: Validation) -> Stage:
    name = at.path[-1]
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise at.error("", "a stage's name is a folder's name: use lower-case letters, digits and hyphens")
    method = cast(Method, at.text("method", choices=METHODS))
    at.only([*_STAGE_KEYS, *_METHOD_KEYS[method]])
    batch, micro_batch = at.whole("batch"), at.whole("micro_batch")
    if batch % micro_batch:
        raise at.error("micro_batch", f"{micro_batch} does not divide the batch of {batch}; choose a divisor")
    return Stage(
        name=name,
        method=method,
        data=_data(at.section("data"), data),
        validation=_validation(at.section("validation"), validation),
        rows=_rows(at) if method == "sft" else {"distill": 1.0},
        tuning=_tuning(at),
        batch=batch,
        micro_batch=micro_batch,
        trainer=_trainer(at.section("trainer"), method),
        distill=_distill(at, batch) if method == "distill" else None,
        grpo=_grpo(at, batch) if method == "grpo" else None,
    )


def _rows(stage: Section) -> dict[str, float]:
    at = stage.section("rows")
    kinds = [kind for kind in KINDS if kind != "distill"]
    at.only(kinds)
    shares: dict[str, float] = {kind: at.number(kind) for kind in kinds if at.values.get(kind)}
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise stage.error("rows", f"the shares sum to {sum(shares.values()):g}; make them sum to 1")
    return shares


def _tuning(stage: Section) -> Lora | None:
    value = stage.values.get("tuning")
    if value == "full":
        return None
    if not isinstance(value, Mapping):
        raise stage.error("tuning", f"{value!r}; write full, or lora: {{rank: 32, alpha: 64}} under it")
    tuning = stage.section("tuning")
    tuning.only(("lora",))
    at = tuning.section("lora")
    at.only([f.name for f in fields(Lora)])
    targets = at.text("targets", LORA_TARGETS)
    try:
        re.compile(targets)
    except re.error as error:
        raise at.error("targets", f"{targets!r} is no regular expression: {error}") from error
    return Lora(at.whole("rank"), at.whole("alpha"), at.number("dropout", 0.0, most=0.99), targets)


def _distill(at: Section, batch: int) -> Distill:
    default = Distill()
    objective = cast(Literal["full", "sampled"], at.text("objective", default.objective, ("full", "sampled")))
    beta = at.number("beta", default.beta, most=1)
    if objective == "sampled" and beta != 1:
        raise at.error("beta", f"objective sampled estimates the reverse KL only; set beta to 1 instead of {beta:g}")
    rollouts = at.whole("rollouts", default.rollouts)
    if batch % rollouts:
        raise at.error("rollouts", f"{rollouts} does not divide the batch of {batch} answers; choose a divisor")
    weights = at.section("token_weights")
    weights.only(TOKEN_PARTS)
    token_weights = {part: weights.number(part, 1.0) for part in TOKEN_PARTS}
    if not any(token_weights.values()):
        raise at.error("token_weights", "all are 0 and nothing would be learnt; set one above 0")
    temperature = at.number("temperature", default.temperature)
    if not temperature:
        raise at.error("temperature", "answers are sampled; set it above 0")
    return Distill(
        objective=objective,
        beta=beta,
        temperature=temperature,
        rollouts=rollouts,
        max_completion=at.whole("max_completion", default.max_completion),
        token_weights=token_weights,
        teacher=_teacher(at.section("teacher")),
        vllm=at.flag("vllm", default.vllm),
    )


def _teacher(at: Section) -> Teacher:
    at.only([f.name for f in fields(Teacher)])
    context = cast(Context, at.text("context", "state+plan", get_args(Context)))
    corruption = at.optional_text("corruption")
    if corruption is not None:
        share = re.fullmatch(r"noise (0?\.\d+|1(?:\.0*)?)", corruption)
        if corruption != "shuffle" and not share:
            raise at.error(
                "corruption", f"{corruption!r}; write null, shuffle, or noise with a share such as noise 0.1"
            )
        if context == "none" or (share and context == "plan"):
            raise at.error("corruption", f"context {context} holds nothing to corrupt; set corruption to null")
    return Teacher(at.optional_text("model"), context, corruption)


def _grpo(at: Section, batch: int) -> Grpo:
    default = Grpo()
    group = at.whole("group", default.group, least=2)
    if batch % group:
        raise at.error("group", f"{group} does not divide the batch of {batch} answers; choose a divisor")
    temperature = at.number("temperature", default.temperature)
    if not temperature:
        raise at.error("temperature", "answers are sampled; set it above 0")
    rewards = at.section("rewards")
    rewards.only(tuple(default.rewards))
    weights = {name: rewards.number(name, weight) for name, weight in default.rewards.items()}
    if not any(weights.values()):
        raise at.error("rewards", "all are 0 and nothing would be learnt; set one above 0")
    return Grpo(
        group=group,
        max_completion=at.whole("max_completion", default.max_completion),
        kl=at.number("kl", default.kl),
        temperature=temperature,
        rewards=weights,
        vllm=at.flag("vllm", default.vllm),
    )


def _trainer(at: Section, method: Method) -> dict[str, Any]:
    known = _trainer_fields(method)
    values = {key: value for key, value in at.values.items() if value is not None}
    for key, value in values.items():
        if key in _DECIDED:
            raise at.error(key, f"the recipe decides it elsewhere; {_DECIDED[key]}")
        if not known:
            continue
        if key not in known:
            raise at.error(key, f"no field of TRL's {_CONFIGS[method]}; {_closest(key, known)}")
        wanted = {"float": (int, float), "int": (int,), "bool": (bool,)}.get(known[key])
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and known[key] != "bool")):
            raise at.error(key, f"{value!r} is no {known[key]}")
    return values


def _closest(key: str, known: Mapping[str, str]) -> str:
    found = suggest(key, known)
    return found if found.startswith("did") else "see its documentation"


@cache
def _trainer_fields(method: Method) -> Mapping[str, str]:
    """Type by name of the fields of TRL's configuration that a recipe may set; empty where TRL is not installed."""
    if find_spec("trl") is None:
        return {}
    patch_torchvision()
    import trl

    listed = fields(getattr(trl, _CONFIGS[method]))
    names = {f.name: f.type if isinstance(f.type, str) else getattr(f.type, "__name__", "") for f in listed}
    return {name: kind for name, kind in names.items() if name not in _DECIDED and name not in _NOT_LISTED}


def _check_order(recipe: Recipe, at: Section) -> None:
    """Refuse stages that cannot follow each other."""
    adapter: Lora | None = None  # the unmerged adapter that a stage would go on training
    tuned = ""  # the stage that last changed the weights below the adapter
    for number, stage in enumerate(recipe.stages):
        here = at.section(stage.name)
        if stage.tuning is None:
            adapter, tuned = None, stage.name
        elif adapter is None:
            adapter = stage.tuning
        elif (adapter.rank, adapter.alpha, adapter.targets) != (
            stage.tuning.rank,
            stage.tuning.alpha,
            stage.tuning.targets,
        ):
            raise here.error("tuning", "goes on with the adapter of the stage before it: give both the same lora")
        teacher = stage.distill and stage.distill.teacher.model
        if teacher in [later.name for later in recipe.stages[number:]]:
            raise here.section("teacher").error("model", f"stage {teacher} has not run by then; name an earlier one")
        if stage.distill and stage.tuning and teacher is None and tuned:
            raise here.error(
                "teacher",
                f"without its adapter the student is what {tuned} left, not the base; set teacher.model",
            )
