"""Group-relative policy optimisation with the simulator's verdict as reward: the baseline without a teacher.

The student answers its prompt, text and picture, several times; an answer is worth what the evaluation's own parser and
simulator make of it, compared with the others to the same prompt (GRPO, arXiv 2402.03300).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from trl import GRPOConfig, GRPOTrainer

from mgsd_bench.backends import Response
from mgsd_bench.runs.scoring import Outcome, Score, score
from mgsd_envs import Episode, episode_from_json

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import ProcessorMixin, TrainerCallback

    from mgsd_baselines.recipe import Stage

Reward = Callable[..., list[float]]


def success(completions: Sequence[Any], episode: Sequence[str], **_: Any) -> list[float]:
    """1 for an answer whose plan solves the episode, else 0.

    Args:
        completions: the answers, as messages or as texts.
        episode: canonical JSON of the episode that each is about.
    """
    return [float(scored.outcome == Outcome.SOLVED) for scored in _scores(completions, episode)]


def optimal(completions: Sequence[Any], episode: Sequence[str], **_: Any) -> list[float]:
    """1 for an answer whose plan solves the episode in as few actions as possible, else 0; see :func:`success`."""
    return [float(scored.optimal) for scored in _scores(completions, episode)]


def format(completions: Sequence[Any], episode: Sequence[str], **_: Any) -> list[float]:  # noqa: A001 - its name in logs
    """1 for an answer of which a state and a plan can be read, right or wrong, else 0; see :func:`success`."""
    return [float(bool(scored.facts) and scored.plan is not None) for scored in _scores(completions, episode)]


REWARDS: dict[str, Reward] = {"success": success, "optimal": optimal, "format": format}
"""Reward functions by the name that recipes give them."""


def build(
    stage: Stage,
    model: Any,
    processor: ProcessorMixin,
    dataset: Dataset,
    config: Mapping[str, Any],
    callbacks: Sequence[TrainerCallback],
    trainer: type[GRPOTrainer] = GRPOTrainer,
    **extra: Any,
) -> GRPOTrainer:
    """The trainer of a ``grpo`` stage.

    The divergence that ``grpo.kl`` weighs is from the model as it is now, its adapter included.

    Args:
        stage: the stage; ``stage.batch`` counts answers.
        model: the model, with its adapter if it has one.
        processor: tokenizer and image processor, padding on the left.
        dataset: rows of the kind ``distill``: ``prompt``, ``images`` and ``episode``.
        config: fields of ``GRPOConfig`` but those that the stage's own settings decide.
        callbacks: callbacks for the trainer.
        trainer: the class to make.
        extra: further arguments of that class.

    Raises:
        ValueError: the stage has another method.
    """
    if stage.grpo is None:
        raise ValueError(f"stage {stage.name} has the method {stage.method}, not grpo")
    chosen = stage.grpo
    weights = {name: weight for name, weight in chosen.rewards.items() if weight}
    own = {
        "num_generations": chosen.group,
        "num_generations_eval": 1,
        "max_completion_length": chosen.max_completion,
        "temperature": chosen.temperature,
        "beta": chosen.kl,
        "reward_weights": list(weights.values()),
        "use_vllm": chosen.vllm,
        "remove_unused_columns": False,
    }
    return trainer(
        model=model,
        reward_funcs=[REWARDS[name] for name in weights],
        args=GRPOConfig(**{**config, **own}),
        train_dataset=dataset,
        processing_class=processor,
        callbacks=list(callbacks),
        **extra,
    )


def _scores(completions: Sequence[Any], episodes: Sequence[str]) -> list[Score]:
    return [_score(text_of(answer), episode) for answer, episode in zip(completions, episodes, strict=True)]


@lru_cache(maxsize=4096)
def _score(text: str, episode: str) -> Score:
    """What an evaluation would make of the answer; kept, since every reward function asks for the same ones."""
    return score(_episode(episode), "visual", Response("", text, "stop"))


@lru_cache(maxsize=4096)
def _episode(canonical: str) -> Episode:
    return episode_from_json(json.loads(canonical))


def text_of(completion: Any) -> str:
    """The text of an answer; empty where it has none."""
    if isinstance(completion, str):
        return completion
    parts = []
    for message in completion or ():
        content = message.get("content") if isinstance(message, Mapping) else None
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text") if isinstance(part, Mapping) else part
            parts.append(text if isinstance(text, str) else "")
    return "".join(parts)
