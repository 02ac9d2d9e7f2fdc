"""What an evaluation would ask, before a model is asked: questions that are left, tokens by estimate, and the price."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

from mgsd_bench.backends import Request, Turn
from mgsd_bench.backends.checkpoints import locate
from mgsd_bench.backends.scripted import Faults, ScriptedBackend
from mgsd_bench.backends.token_counts import Count, counter, visual_tokens
from mgsd_bench.evaluation.evaluate import Evaluation, prepare
from mgsd_bench.prompts import CLOSED_LOOP, WITH_IMAGE, Condition
from mgsd_bench.prompts.protocol import opening, result_line, said
from mgsd_bench.records import Stored
from mgsd_bench.runs.conversation import Question
from mgsd_bench.runs.folder import answered_before
from mgsd_bench.runs.runner import Asking
from mgsd_envs import get_task

COUNTED = 16
"""Questions of a task, level and condition whose texts are counted; those of the others are taken by their length."""


@dataclass(frozen=True, slots=True)
class Span:
    """From the least to the most of something."""

    low: float = 0
    high: float = 0

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Span:
        """So many times as much."""
        return Span(self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Expected:
    """What one condition asks of a model about one task.

    Attributes:
        condition: how episodes are put.
        task: name of the task.
        questions: all of them.
        left: those without an answer so far; all that follows is of these.
        requests: one a question or, in the closed loop, a turn: from the shortest plan to the limit of steps.
        prompt_tokens: pictures included.
        answer_tokens: from the shortest answers that are right to the most that a request may have.
    """

    condition: str = "all"
    task: str = "all"
    questions: int = 0
    left: int = 0
    requests: Span = field(default_factory=Span)
    prompt_tokens: Span = field(default_factory=Span)
    answer_tokens: Span = field(default_factory=Span)

    def __add__(self, other: Expected) -> Expected:
        return Expected(
            questions=self.questions + other.questions,
            left=self.left + other.left,
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            answer_tokens=self.answer_tokens + other.answer_tokens,
        )


@dataclass(frozen=True, slots=True)
class Forecast(Stored):
    """What an evaluation would ask.

    Attributes:
        out: the run folder, which need not be there.
        rows: by condition and task.
        total: of all rows.
        counted_with: how texts were counted, in words.
        max_tokens: the most tokens of an answer.
        cost: in the currency of the prices; None without prices.
    """

    out: str
    rows: tuple[Expected, ...]
    total: Expected
    counted_with: str
    max_tokens: int
    cost: Span | None


def forecast(job: Evaluation) -> Forecast:
    """What a job would ask; no model is asked, and nothing is written.

    Raises:
        UserError: as the evaluation itself would raise before it asks: settings, suite, prompts or the run folder
            cannot be used.
    """
    asked, to_ask, asking = prepare(job)
    answered = answered_before(job.out, asked.identity(job, asking.loop), asked.episodes)
    local = job.answering in ("vllm", "hf")
    count, counted_with = counter(locate(job.config.model) if local else None)
    levels: dict[tuple[Condition, str, int], _Level] = {}
    for question in to_ask:
        key = question.condition, question.episode.task, question.episode.level
        if key not in levels:
            levels[key] = _Level(question.condition, job, asking, count)
        levels[key].questions += 1
        if question.key not in answered:
            levels[key].add(question)
    rows: dict[tuple[str, str], Expected] = {}
    for (condition, task, _), level in levels.items():
        rows[condition, task] = rows.get((condition, task), Expected()) + level.expected()
    total = sum(rows.values(), Expected())
    named = tuple(replace(row, condition=condition, task=task) for (condition, task), row in rows.items())
    return Forecast(str(job.out), named, total, counted_with, job.config.sampling.max_tokens, _cost(job, total))


class _Level:
    """The questions about one level of a task under one condition.

    Attributes:
        questions: all of them.
    """

    def __init__(self, condition: Condition, job: Evaluation, asking: Asking, count: Count) -> None:
        self._condition, self._job, self._asking, self._count = condition, job, asking, count
        self._oracle = ScriptedBackend("oracle", Faults())
        self.questions = self._left = 0
        self._requests, self._characters, self._tokens = Span(), Span(), Span()
        self._counted: list[tuple[int, int]] = []
        self._answers: list[int] = []

    def add(self, question: Question) -> None:
        """One more that is left."""
        self._left += 1
        if self._condition in CLOSED_LOOP:
            self._add_acted(question)
            return
        text = self._asking.prompts.render(question.episode, self._condition)
        self._learn(text)
        if len(self._answers) < COUNTED:
            request = Request(question.key, (Turn("user", text),), 0, self._condition, question.episode)
            self._answers.append(self._count(self._oracle.respond(request).text))
        picture = self._picture(question) if self._condition in WITH_IMAGE else 0
        self._requests += Span(1, 1)
        self._characters += Span(len(text), len(text))
        self._tokens += Span(picture, picture)

    def _add_acted(self, question: Question) -> None:
        """One that is asked turn by turn: in as few turns as the shortest plan takes, or up to the limit of steps."""
        episode, settings, task = question.episode, self._job.loop, get_task(question.episode.task)
        limit = self._asking.loop.limits[episode.task, episode.level]
        begin = opening(self._asking.prompts, episode, self._condition, settings, limit)
        state = "" if self._condition in WITH_IMAGE else task.describe(episode.state)
        self._learn(begin + state)
        answer, result = said(task.actions[:1], task), result_line("done", "", task) if settings.feedback else ""
        if not self._answers:
            self._answers.append(self._count(answer))
        least = 1 if settings.chunk is None else math.ceil(episode.shortest / settings.chunk)
        for end, turns in (("low", least), ("high", limit)):
            shown, past = _in_turns(turns, settings.history)
            first = turns if settings.history is None else min(turns, settings.history + 1)  # as often as it is shown
            pictures = 0 if state else first if self._condition == "act-blind" else shown
            whole = settings.remember == "all" and end == "high"
            said_before = past * self._job.config.sampling.max_tokens if whole else 0
            written = turns * len(begin) + shown * len(state) + (shown - first) * len(result)
            self._requests += _only(end, turns)
            self._characters += _only(end, written if whole else written + past * len(answer))
            self._tokens += _only(end, pictures * self._picture(question) + said_before)

    def _learn(self, text: str) -> None:
        """How many tokens characters are, from the first few texts."""
        if len(self._counted) < COUNTED:
            self._counted.append((len(text), self._count(text)))

    def _picture(self, question: Question) -> int:
        config = self._job.config
        return visual_tokens(question.episode.pixels, config.min_pixels, config.max_pixels)

    def expected(self) -> Expected:
        """What it comes to."""
        if not self._left:
            return Expected(questions=self.questions)
        characters, tokens = map(sum, zip(*self._counted, strict=True))
        shortest = sum(self._answers) / len(self._answers)
        most = self._job.config.sampling.max_tokens
        return Expected(
            questions=self.questions,
            left=self._left,
            requests=self._requests,
            prompt_tokens=self._characters.times(tokens / characters) + self._tokens,
            answer_tokens=Span(min(shortest, most) * self._requests.low, most * self._requests.high),
        )


def _only(end: str, value: float) -> Span:
    return Span(low=value) if end == "low" else Span(high=value)


@lru_cache(maxsize=4096)
def _in_turns(turns: int, history: int | None) -> tuple[int, int]:
    """How many turns are shown, that of now included, and how many past answers, in all requests together."""
    past = sum(turn if history is None else min(turn, history) for turn in range(turns))
    return turns + past, past


def _cost(job: Evaluation, total: Expected) -> Span | None:
    """The price of all tokens, where the settings of the servers have prices."""
    if job.backend != "openai":
        return None
    from mgsd_bench.backends.chat_settings import read_settings

    settings = read_settings(job.config.engine_args, job.config.model)
    low, high = (
        settings.cost(math.ceil(getattr(total.prompt_tokens, end)), math.ceil(getattr(total.answer_tokens, end)))
        for end in ("low", "high")
    )
    return None if low is None or high is None else Span(low, high)
