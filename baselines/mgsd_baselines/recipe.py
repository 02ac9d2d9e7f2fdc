"""Recipes: what a training run is, as frozen dataclasses; :mod:`mgsd_baselines.recipe_file` reads them from YAML.

A recipe is a list of stages that run in order. Each starts from the model that the one before it left. What a recipe
does not say has the defaults of the dataclasses here, or for ``trainer`` those of TRL's own configurations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from mgsd_bench.config.fields import Amount, Bounds, Check, Count, Natural, OneOf, Share
from mgsd_bench.config.layers import suggest
from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import CONDITIONS
from mgsd_envs import task_names
from mgsd_envs.splits import SplitBy

Method = Literal["sft", "distill", "grpo"]
Precision = Literal["bf16", "fp32"]
Context = Literal["state+plan", "state", "plan", "none", "picture"]

TOKEN_PARTS = ("state", "route", "plan")
"""Parts of an answer that can be weighed apart."""

TokenPart = Annotated[str, OneOf(TOKEN_PARTS)]

LORA_TARGETS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""The seven projections of every layer of the language model; the vision tower stays as it is."""

REWARDS = {"success": 1.0, "optimal": 0.0, "state_f1": 0.0, "format": 0.0, "progress": 0.0}
"""Weights of the rewards unless a recipe says otherwise."""

NOISE = re.compile(r"noise (0?\.\d+|1(?:\.0*)?)")
"""A corruption of the teacher's context by a share of false facts."""

Sampled = Annotated[float, Bounds(above=0, what="answers are sampled; set it above 0 instead of {found}")]
"""A temperature that sampling needs."""


def _not_a_pattern(text: str) -> str | None:
    try:
        re.compile(text)
    except re.error as error:
        return f"{{found}} is no regular expression: {error}"
    return None


def _nothing(conditions: Collection[str]) -> str | None:
    return None if conditions else f"{{found}} is empty; choose from {', '.join(CONDITIONS)}"


def _not_a_corruption(text: str) -> str | None:
    if text == "shuffle" or NOISE.fullmatch(text):
        return None
    return "{found}; write null, shuffle, or noise with a share such as noise 0.1"


@dataclass(frozen=True, slots=True)
class Lora:
    """A low-rank adapter.

    Attributes:
        rank: rank of the update of each projection.
        alpha: its scale is alpha / rank.
        dropout: share of the adapter's inputs that is dropped in training.
        targets: regular expression over module names.
    """

    rank: Count
    alpha: Count
    dropout: Annotated[float, Bounds(0, 0.99)] = 0.0
    targets: Annotated[str, Check(_not_a_pattern)] = LORA_TARGETS


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Which episodes are trained on.

    Attributes:
        stream: name of the random stream; another name gives other episodes.
        levels: grid sizes by task.
        count: episodes a level, or all that exist where there are fewer.
        theme: look of the pictures.
        image_size: side of the pictures in pixels.
        exclude: files or folders of external test sets, whose states are left out.
        split_by: what the split keeps out of training: ``state``, the states of the test split, or ``orbit``, their
            mirror images and turns as well. It applies to validation and to ``exclude`` too.
        astray: of rows in the closed loop, probability that a step of the rollout they stand in is a random one.
    """

    stream: str = "mgsd-train-v1"
    levels: Mapping[Annotated[str, OneOf(task_names)], tuple[int, ...]] = field(default_factory=dict)
    count: Count = 1000
    theme: str = "classic"
    image_size: Annotated[int, Bounds(32)] = 256
    exclude: tuple[str, ...] = ()
    split_by: SplitBy = "state"
    astray: Annotated[float, Bounds(0, 1)] = 0.25


@dataclass(frozen=True, slots=True)
class Validation:
    """How the model is followed while it trains, on episodes of the val split at the stage's levels.

    Attributes:
        every: optimiser steps between two validations, and between two checkpoints.
        count: episodes a level; 0 is no validation.
        max_tokens: most new tokens of an answer.
        temperature: 0 is greedy.
        top_p: mass of the nucleus that is sampled from.
        conditions: what is asked; the first decides which checkpoint is the best, by the macro average. In the closed
            loop turns show no history, as in training.
    """

    every: Count = 50
    count: Natural = 20
    max_tokens: Count = 1024
    temperature: Amount = 0.0
    top_p: Share = 1.0
    conditions: Annotated[tuple[Annotated[str, OneOf(CONDITIONS)], ...], Check(_nothing)] = ("visual",)


@dataclass(frozen=True, slots=True)
class Teacher:
    """Who scores the student's tokens, and what it is told.

    Attributes:
        model: checkpoint of the teacher, or the name of an earlier stage, whose result it then is. None is the base
            model: the student without its adapter where the stage tunes one, else a frozen copy.
        context: what the teacher's prompt holds beside the task: the state as text, a shortest plan, both or neither;
            or the picture, as the student's own does, and no more.
        corruption: None, ``"shuffle"`` (the context of another episode of the same task and level), or
            ``"noise P"`` (each fact of the state is replaced by a false one with probability P).
    """

    model: str | None = None
    context: Context = "state+plan"
    corruption: Annotated[str, Check(_not_a_corruption)] | None = None

    @property
    def shuffle(self) -> bool:
        """Whether the teacher is told about another episode."""
        return self.corruption == "shuffle"

    @property
    def noise(self) -> float | None:
        """Probability that a fact is replaced by a false one; None without noise."""
        if self.corruption is None or self.shuffle:
            return None
        return float(self.corruption.removeprefix("noise "))


@dataclass(frozen=True, slots=True)
class Distill:
    """Settings of on-policy self-distillation.

    Attributes:
        objective: ``full``, the divergence over the whole vocabulary, or ``sampled``, its estimate from the sampled
            token alone: the policy gradient with advantage log p_teacher - log p_student.
        beta: 1 is KL(student || teacher), 0 is KL(teacher || student), between them the generalised
            Jensen-Shannon divergence.
        temperature: of the sampling and of both softmaxes.
        rollouts: answers sampled for a prompt.
        max_completion: most tokens of an answer.
        token_weights: weight of the loss by part of the answer: ``state``, ``route`` and ``plan``.
        teacher: who scores the answers.
        vllm: whether answers are sampled by a vLLM engine on the same device.
    """

    objective: Literal["full", "sampled"] = "full"
    beta: Share = 1.0
    temperature: Sampled = 1.0
    rollouts: Count = 1
    max_completion: Count = 2048
    token_weights: Mapping[TokenPart, Amount] = field(default_factory=lambda: dict.fromkeys(TOKEN_PARTS, 1.0))
    teacher: Teacher = Teacher()
    vllm: bool = False


@dataclass(frozen=True, slots=True)
class Grpo:
    """Settings of group-relative policy optimisation with the simulator's verdict as reward.

    Attributes:
        group: answers sampled for a prompt.
        max_completion: most tokens of an answer.
        kl: weight of the KL divergence from the model that the stage started from; 0 needs no second model.
        temperature: of the sampling.
        rewards: weight of each reward: ``success`` in the simulator, ``optimal`` length, ``state_f1``, readable
            ``format``; of turns in the closed loop ``progress``.
        vllm: whether answers are sampled by a vLLM engine on the same device.
    """

    group: Annotated[int, Bounds(2)] = 8
    max_completion: Count = 2048
    kl: Amount = 0.0
    temperature: Sampled = 1.0
    rewards: Mapping[Annotated[str, OneOf(REWARDS)], Amount] = field(default_factory=lambda: dict(REWARDS))
    vllm: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """One training run with one method.

    Attributes:
        name: also the name of its folder.
        method: ``sft``, ``distill`` or ``grpo``.
        data: the episodes, the recipe's with the stage's own changes.
        validation: how the model is followed, likewise.
        rows: share of each kind of training row; the shares sum to 1.
        tuning: the adapter, or None for all parameters.
        batch: rows an optimiser step sees over all processes; answers for ``distill`` and ``grpo``.
        micro_batch: rows in one forward pass on one device.
        trainer: fields of TRL's SFTConfig, DistillationConfig or GRPOConfig.
        distill: set if the method is ``distill``.
        grpo: set if the method is ``grpo``.
    """

    name: str
    method: Method
    data: DataSpec
    validation: Validation
    rows: Mapping[str, float]
    tuning: Lora | None
    batch: int
    micro_batch: int
    trainer: Mapping[str, Any]
    distill: Distill | None = None
    grpo: Grpo | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole training run.

    Attributes:
        name: name of the recipe, by default the stem of its file.
        about: one line for people.
        base: folder, hub name or shipped name of the base model; ``tiny`` is built on the spot.
        start: model or adapter that the first stage starts from; None is the base.
        prompts: name or folder of a prompt set.
        seed: of the data order, the adapters' initial weights, and the sampling.
        precision: ``bf16`` or ``fp32``: of the weights that are left, and of the forward and backward pass, which a CPU
            without bf16 arithmetic of its own does in fp32.
        attention: implementation of attention in transformers.
        data: the episodes that stages train on unless they say otherwise.
        validation: how the model is followed unless a stage says otherwise.
        stages: in the order they run.
        vocabulary: conditions of the closed loop whose texts become tokens of the tiny model that is trained: of one
            that is built anew, and of one that there is already, which is widened by them.
    """

    name: str
    about: str
    base: str
    start: str | None
    prompts: str
    seed: int
    precision: Precision
    attention: Literal["sdpa", "eager", "flash_attention_2"]
    data: DataSpec
    validation: Validation
    stages: tuple[Stage, ...]
    vocabulary: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything the recipe says, defaults included, as plain JSON values; equal recipes give equal values."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), sort_keys=True))
        return plain

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that any stage trains on."""
        data = (self.data, *(stage.data for stage in self.stages))
        return tuple(dict.fromkeys(task for each in data for task in each.levels))

    def stage(self, name: str) -> Stage:
        """The stage of this name.

        Raises:
            UserError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise UserError(f"{option('stage', name)}: not in {self.name}; {suggest(name, [s.name for s in self.stages])}")
