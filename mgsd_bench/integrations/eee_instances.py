"""Answers as lines of Every Eval Ever's instances: one an answer and metric, with the prompt as it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mgsd_bench.analysis.attribution import diagnose_sample
from mgsd_bench.analysis.metrics import HEADLINE, METRICS, Metric
from mgsd_bench.analysis.run import Run
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.backends import Turn
from mgsd_bench.errors import UserError
from mgsd_bench.integrations.finished import FinishedRun
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS, WITH_IMAGE, Condition
from mgsd_bench.prompts.protocol import LoopSettings
from mgsd_bench.runs.closed_loop import Loop, closed_loop
from mgsd_bench.runs.conversation import Question, prompt_of
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.turns import TURNS, TurnRecord, read_turns
from mgsd_envs import get_task
from mgsd_envs.files import well_formed

if TYPE_CHECKING:
    from mgsd_envs import Episode

_BESIDE: Mapping[Condition, tuple[str, ...]] = {"visual": ("state_f1",)}
_METHOD = "mgsd_bench.parse_answer"


def metrics_of(conditions: Iterable[Condition]) -> list[Metric]:
    """What is told of answers under some conditions: what each is asked for, and under ``visual`` State F1 too."""
    names = [name for condition in conditions for name in (HEADLINE[condition], *_BESIDE.get(condition, ()))]
    return [METRICS[name] for name in names]


@dataclass(frozen=True, slots=True)
class Linked:
    """What ties answers to figures.

    Attributes:
        schema: version of the schemas.
        evaluation_id: names the run.
        model_id: names the model.
        prefix: what the names of evaluations begin with.
    """

    schema: str
    evaluation_id: str
    model_id: str
    prefix: str

    def evaluation(self, condition: str, task: str | None) -> str:
        """What was evaluated; of the macro average the task is None."""
        return ".".join((self.prefix, condition, *((task,) if task else ())))

    def result(self, metric: str, task: str | None) -> str:
        """Names a figure within the run."""
        return "/".join((metric, *((task,) if task else ())))


class Instances:
    """The answers of a run as lines; of closed loop all turns are held.

    Args:
        finished: the run.
        links: what ties them to its figures.

    Raises:
        UserError: the texts that were asked with are gone, or turns cannot be read.
    """

    def __init__(self, finished: FinishedRun, links: Linked) -> None:
        self._finished, self._links = finished, links
        self._prompts = finished.prompts
        self._turns: Mapping[str, Sequence[TurnRecord]] = {}
        self._loop = Loop()
        if not CLOSED_LOOP.isdisjoint(finished.conditions):
            self._turns = read_turns(finished.run.path)
            self._loop = _loop_of(finished.run)

    def lines(self, sample: Sample) -> Iterator[bytes]:
        """A line a metric.

        Raises:
            UserError: the prompt cannot be made again as it was asked.
        """
        episode = self._finished.asked[sample.episode]
        condition = next(c for c in CONDITIONS if c == sample.condition)
        question = Question(episode, condition, sample.repeat)
        said = self._acted(question, sample) if condition in CLOSED_LOOP else self._answered(question, sample)
        for metric in metrics_of([condition]):
            reference, score, correct, extracted = _judged(metric, episode, sample)
            raw = said["input"]["raw"]
            row = {
                "schema_version": self._links.schema,
                "evaluation_id": self._links.evaluation_id,
                "model_id": self._links.model_id,
                "evaluation_name": self._links.evaluation(condition, sample.task),
                "evaluation_result_id": self._links.result(metric.name, sample.task),
                "sample_id": sample.episode,
                **({} if condition in WITH_IMAGE else {"sample_hash": _sample_hash(raw, reference)}),
                **said,
                "input": {"raw": raw, "reference": [reference]},
                "answer_attribution": [] if extracted is None else [_attribution(said, extracted)],
                "evaluation": {"score": score, "is_correct": correct, **said["evaluation"]},
                **_measured(sample),
            }
            yield json.dumps(row, allow_nan=False).encode() + b"\n"

    def _answered(self, question: Question, sample: Sample) -> dict[str, Any]:
        """What was asked once, and answered."""
        text, draw, digest = prompt_of(question, self._prompts)
        if digest != sample.prompt_digest:
            raise self._otherwise(sample)
        picture = {} if draw is None else {"picture_sha256": sha256(draw().tobytes()).hexdigest()}
        return {
            "interaction_type": "single_turn",
            "input": {"raw": well_formed(text)},
            "output": {"raw": [well_formed(sample.text)]},
            "evaluation": {},
            "metadata": {**_metadata(sample), **picture},
        }

    def _acted(self, question: Question, sample: Sample) -> dict[str, Any]:
        """What was asked turn by turn, and answered: every turn once, however often later turns showed it again."""
        asked: list[str] = []
        records = self._turns.get(sample.key, ())

        def on_asked(turns: Sequence[Turn]) -> None:
            asked.append(turns[-1].text)

        talk = closed_loop(question, self._prompts, 0, self._loop, records, on_asked=on_asked)
        try:
            next(talk)
        except StopIteration as end:
            whole = end.value.outcome == sample.outcome
        except UserError as error:
            raise self._otherwise(sample) from error
        else:
            whole = sample.error is not None  # of a request that failed there is no turn
        if not whole:
            turns = self._finished.run.path / TURNS
            raise UserError(f"{turns}: the turns of {sample.key} are missing; copy the whole run folder")
        answers = [record.text for record in records]
        said = [
            {"turn_idx": place, "role": role, "content": well_formed(text)}
            for place, (role, text) in enumerate(_in_turns(asked, answers))
        ]
        return {
            "interaction_type": "multi_turn",
            "input": {"raw": said[0]["content"]},
            "output": None,
            "messages": said,
            "evaluation": {"num_turns": len(records)} if records else {},
            "metadata": _metadata(sample),
        }

    def _otherwise(self, sample: Sample) -> UserError:
        return UserError(
            f"{self._finished.run.path}: the prompt of {sample.key} cannot be made again as it was asked, its digest "
            "is another one; export the run with the version of mgsd-bench and the prompt set that it was made with"
        )


def _in_turns(asked: Sequence[str], answers: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(asked):
        yield "user", text
        if number < len(answers):
            yield "assistant", answers[number]


def _loop_of(run: Run) -> Loop:
    """How a run's closed loop went.

    Raises:
        UserError: its record does not say.
    """
    stored = run.identity["loop"]
    try:
        places = {place.rpartition("/"): int(steps) for place, steps in stored["limits"].items()}
        limits = {(task, int(level)): steps for (task, _, level), steps in places.items()}
        missing = {(episode.task, episode.level) for episode in run.asked.values()} - limits.keys()
        if missing:
            raise ValueError(f"no limit of steps for {missing}")
        return Loop(LoopSettings.from_json(stored), limits, bool(stored["greedy"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{run.path}: run.json is damaged: it does not say how the closed loop went") from error


def _judged(metric: Metric, episode: Episode, sample: Sample) -> tuple[str, float, bool, str | None]:
    """What is right, the score from 0 to 1, whether it is right, and what was read of the answer."""
    if not metric.of_facts:
        solved = sample.outcome == "solved"
        plan = None if sample.plan is None else write_plan(tuple(sample.plan))
        return write_plan(episode.plan), float(solved), solved, plan
    found = diagnose_sample(episode, sample)
    score = 1.0 if found.state_f1 is None else found.state_f1  # nothing is true, and nothing is stated
    text = get_task(episode.task).describe(episode.state)
    stated = json.dumps(sample.facts) if sample.facts else None
    return well_formed(text), score, bool(found.state_exact), stated


def _attribution(said: Mapping[str, Any], extracted: str) -> dict[str, Any]:
    turns = said.get("messages")
    last = 0 if turns is None else max(t["turn_idx"] for t in turns if t["role"] == "assistant")
    source = "output.raw" if turns is None else f"messages[{last}].content"
    return {
        "turn_idx": last,
        "source": source,
        "extracted_value": extracted,
        "extraction_method": _METHOD,
        "is_terminal": True,
    }


def _measured(sample: Sample) -> dict[str, Any]:
    """Tokens, time and error, as far as they are known."""
    found: dict[str, Any] = {}
    if sample.prompt_tokens is not None and sample.completion_tokens is not None:
        found["token_usage"] = {
            "input_tokens": sample.prompt_tokens,
            "output_tokens": sample.completion_tokens,
            "total_tokens": sample.prompt_tokens + sample.completion_tokens,
        }
    if sample.seconds is not None:
        found["performance"] = {"latency_ms": round(1000 * sample.seconds, 1)}
    if sample.error is not None:
        found["error"] = sample.error
    return found


def _metadata(sample: Sample) -> dict[str, str]:
    """What else is known of an answer, as texts."""
    names = ("task", "condition", "outcome", "form", "finish_reason", "illegal")
    numbers = ("level", "repeat", "steps", "shortest", "dead_end")
    flags = ("optimal", "straight", "detour")
    return {
        **{name: value for name in names if (value := getattr(sample, name)) is not None},
        **{name: str(value) for name in numbers if (value := getattr(sample, name)) is not None},
        **{name: str(getattr(sample, name)).lower() for name in flags},
        "prompt_sha256": sample.prompt_digest,
    }


def _sample_hash(raw: str, reference: str) -> str:
    """What tells questions apart, by the form's recipe; it knows no pictures, so it is none of those with one."""
    told = json.dumps({"raw": raw, "reference": [reference]}, sort_keys=True, separators=(",", ":"))
    return sha256(told.encode()).hexdigest()
