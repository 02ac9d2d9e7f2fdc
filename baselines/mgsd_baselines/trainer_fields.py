"""What a recipe may set under ``trainer``: the fields of TRL's configurations that nothing else decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.util import find_spec
from typing import Any

from mgsd_baselines.recipe import Method
from mgsd_bench.backends.torchvision_compat import patch_torchvision
from mgsd_bench.backends.vllm_log import keep_quiet
from mgsd_bench.config.layers import suggest
from mgsd_bench.errors import option

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


def trainer_problem(key: str, value: Any, method: Method) -> str | None:
    """Why this field cannot be set to this value, and what to do; None if it can, or where TRL is not installed."""
    if key in _DECIDED:
        return f"the recipe decides it elsewhere; {_DECIDED[key]}"
    known = _trainer_fields(method)
    if known and key not in known:
        near = suggest(key, known)
        return f"no field of TRL's {_CONFIGS[method]}; {near if near.startswith('did') else 'see its documentation'}"
    wanted = {"float": (int, float), "int": (int,), "bool": (bool,)}.get(known.get(key, ""))
    if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and known[key] != "bool")):
        return f"{value!r} is no {known[key]}"
    return None


@cache
def _trainer_fields(method: Method) -> Mapping[str, str]:
    """Type by name of the fields of TRL's configuration that a recipe may set; empty where TRL is not installed."""
    if find_spec("trl") is None:
        return {}
    patch_torchvision()
    keep_quiet()  # TRL imports vLLM where it is installed
    import trl

    listed = fields(getattr(trl, _CONFIGS[method]))
    names = {f.name: f.type if isinstance(f.type, str) else getattr(f.type, "__name__", "") for f in listed}
    return {name: kind for name, kind in names.items() if name not in _DECIDED and name not in _NOT_LISTED}
