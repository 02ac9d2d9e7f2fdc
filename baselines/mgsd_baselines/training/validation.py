"""Validation: a model in training is asked about episodes of the val split, and scored as an evaluation scores it.

Nothing here has a way of its own of asking, parsing or scoring: questions, prompts, backend, scores and metrics are
those of ``mgsd-bench eval``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from accelerate.utils import gather_object
from transformers import Trainer
from trl.models import unwrap_model_for_generation

from mgsd_bench.analysis.frame import sample_frame
from mgsd_bench.analysis.groups import Groups, group_column
from mgsd_bench.backends import Sampling
from mgsd_bench.backends.hf import TransformersBackend
from mgsd_bench.errors import Exit, UserError
from mgsd_bench.prompts import CLOSED_LOOP, WITH_FACTS, WITH_PLAN, Condition, PromptSet, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import Loop, step_limits
from mgsd_bench.runs.questions import Questions
from mgsd_bench.runs.runner import IMAGE_SIZE, Asking, ask
from mgsd_bench.suites.packed import Packed
from mgsd_envs.views import FULL

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftModel
    from transformers import PreTrainedModel, ProcessorMixin, TrainerControl

    from mgsd_baselines.recipe import Validation
    from mgsd_bench.runs.sample import Sample
    from mgsd_envs import Episode


@dataclass(frozen=True, slots=True)
class Validator:
    """What a model in training is asked, over and over.

    Attributes:
        spec: conditions and decoding.
        episodes: the episodes asked about.
        prompts: the prompt set, with the texts of the conditions.
        batch_size: questions that are answered together.
        image_size: side of the pictures in pixels.
        seed: of the sampling.
    """

    spec: Validation
    episodes: Sequence[Episode]
    prompts: PromptSet
    batch_size: int = 32
    image_size: int = IMAGE_SIZE
    seed: int = 0

    @property
    def conditions(self) -> list[Condition]:
        """How episodes are put to the model."""
        return [cast(Condition, condition) for condition in self.spec.conditions]

    def answers(
        self,
        model: PreTrainedModel | PeftModel,
        processor: ProcessorMixin,
        part: int = 0,
        parts: int = 1,
        *,
        lockstep: bool = False,
    ) -> list[Sample]:
        """The scored answers to every ``parts``-th question, from number ``part`` on.

        Each part has as many answers as the others, the first question being asked again where one is missing. The
        model, its gradients and the random state are left as they were.

        Args:
            model: a live model.
            processor: its processor.
            part: which part to ask.
            parts: how many there are.
            lockstep: see :class:`~mgsd_bench.backends.hf.TransformersBackend`.
        """
        spec = self.spec
        sampling = Sampling(spec.temperature, spec.top_p, max_tokens=spec.max_tokens, seed=self.seed)
        whole = list(Questions(Packed(self.episodes), self.conditions, 1))
        share = whole[part::parts]
        if len(share) * parts < len(whole):
            share.append(whole[0])
        backend = TransformersBackend(model, processor, sampling, batch_size=self.batch_size, lockstep=lockstep)
        acts = not CLOSED_LOOP.isdisjoint(self.conditions)
        limits = step_limits(self.episodes, FULL) if acts else {}
        loop = Loop(LoopSettings(history=0), limits, greedy=spec.temperature == 0)
        return list(ask(backend, share, Asking(self.prompts, self.seed, loop, self.image_size)))

    def summary(self, samples: Iterable[Sample]) -> dict[str, float]:
        """Flat metrics of the answers to all questions.

        ``macro`` decides which checkpoint is the best: the equal-weight mean over the tasks under the first condition,
        of accuracy, or of State F1 where that condition asks for no plan. For each condition (``visual/...``):
        ``macro``, ``TASK``, ``TASK/LEVEL`` (accuracy), ``f1``, ``TASK/f1`` (State F1, where a state is asked for),
        ``valid`` (share of answers that could be read) and ``tokens`` (mean length of an answer). ``errors`` counts
        requests that failed.

        Raises:
            UserError: every request failed.
        """
        samples = list({sample.key: sample for sample in samples}.values())
        failed = [sample.error for sample in samples if sample.error is not None]
        if len(failed) == len(samples):
            raise UserError(f"validation: not one question was answered: {failed[0]}", Exit.ENGINE)
        found: dict[str, float] = {"errors": float(len(failed))}
        frame = sample_frame(samples, {episode.id: episode for episode in self.episodes})
        for condition in self.conditions:
            rows = frame[frame["condition"] == condition]
            figures = _accuracies(group_column(rows, "solved"))
            if condition in WITH_FACTS:
                figures |= _state_f1(group_column(rows, "state", "f1"))
            figures["valid"] = float((rows["form"] != "none").mean())
            figures["tokens"] = float(rows["completion_tokens"].fillna(0).mean())
            found |= {f"{condition}/{name}": value for name, value in figures.items()}
        first = self.conditions[0]
        found["macro"] = found[f"{first}/macro" if first in WITH_PLAN else f"{first}/f1"]
        return found


def make_validator(
    spec: Validation,
    episodes: Sequence[Episode],
    prompts: str,
    *,
    batch_size: int = 32,
    image_size: int = IMAGE_SIZE,
    seed: int = 0,
) -> Validator | None:
    """The validation that a recipe asks for; None if there are no episodes.

    Args:
        spec: the recipe's validation.
        episodes: of the val split.
        prompts: name or folder of a prompt set.
        batch_size: questions that are answered together.
        image_size: side of the pictures in pixels.
        seed: of the sampling.

    Raises:
        UserError: there are no such prompts.
    """
    if not episodes:
        return None
    texts = load_prompts(prompts, episodes, [cast(Condition, condition) for condition in spec.conditions])
    return Validator(spec, tuple(episodes), texts, batch_size, image_size, seed)


class Validated(Trainer):  # type: ignore[misc]
    """Put before a trainer of TRL, makes it validate by asking: ``class ValidatedSFT(Validated, SFTTrainer)``.

    ``evaluate`` returns :meth:`Validator.summary` with the prefix ``eval_``, so that ``eval_strategy="steps"``,
    ``metric_for_best_model="eval_macro"``, ``greater_is_better=True`` and ``load_best_model_at_end=True`` keep the best
    checkpoint. Of several processes, each asks its share; where weights are sharded over them, in lockstep.

    Args:
        args: arguments of the trainer.
        validate: what to ask; None leaves ``evaluate`` as it was.
        kwargs: keyword arguments of the trainer.
    """

    control: TrainerControl

    def __init__(self, *args: Any, validate: Validator | None = None, **kwargs: Any) -> None:
        self.validator = validate
        if validate is not None and kwargs.get("eval_dataset") is None:
            kwargs["eval_dataset"] = kwargs.get("train_dataset")  # trainers insist on one, and never read it
        super().__init__(*args, **kwargs)

    def evaluate(
        self, eval_dataset: Dataset | None = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Validate now, log the result, and tell the callbacks."""
        if self.validator is None:
            found: Mapping[str, float] = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
            return dict(found)
        began = time.monotonic()
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            samples = self.validator.answers(
                model,
                self.processing_class,
                self.accelerator.process_index,
                self.accelerator.num_processes,
                lockstep=self.is_fsdp_enabled or self.is_deepspeed_enabled,
            )
        summary = self.validator.summary(gather_object(samples))
        summary["runtime"] = round(time.monotonic() - began, 3)
        named = {f"{metric_key_prefix}_{name}": value for name, value in summary.items()}
        mode, self.model.training = self.model.training, False  # by it, trainers tell which of their logs this is
        try:
            self.log(dict(named))
        finally:
            self.model.training = mode
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, named)
        return named


def _accuracies(groups: Groups) -> dict[str, float]:
    """``TASK``, ``TASK/LEVEL`` and ``macro``."""
    names = {place: "/".join(str(part) for part in place if part is not None) or "macro" for place in groups.places()}
    return {name: groups.at(*place).estimate().value for place, name in names.items()}


def _state_f1(groups: Groups) -> dict[str, float]:
    """State F1 of each task, and their mean."""
    tasks = {f"{task}/f1": groups.at(task).estimate().value for task in groups.tasks}
    return {**tasks, "f1": groups.estimate().value}
