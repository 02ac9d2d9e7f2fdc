"""Episodes and answers as the explorer of the HTML report reads them, in the form of :mod:`mgsd_bench.report.page`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from mgsd_bench.analysis.attribution import attribute
from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.surprise import Answers, Numbers
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CLOSED_LOOP, WITH_FACTS
from mgsd_bench.report.page import AnswerData, EpisodeData, Facet, FactList, Index, World, in_script, pack
from mgsd_bench.report.tables import run_names
from mgsd_bench.report.transcripts import Acted, Transcripts
from mgsd_bench.report.worlds import Worlds
from mgsd_bench.runs.loop_score import UNREAD
from mgsd_bench.runs.sample import Sample
from mgsd_envs import Cell, Episode, Fact, Task, get_task

MOST_ANSWERS = 20_000
"""The most answers of a page; of more the page shows those that :meth:`Answers.chosen` chooses."""
MOST_CHARACTERS = 100_000_000
"""The most characters of what answers say in a page."""
MOST_TEXT = 20_000
"""The most characters of one answer, where the page has room for them; of longer texts the middle is left out."""
MOST_ACTIONS = 200
MOST_FACTS = 60
_BLOCKED = "b"
_FACETS = ("model", "task", "level", "condition", "repeat", "outcome", "attribution", "path")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a page shows of answers that are too many for it.

    Attributes:
        answers: how many it shows.
        of_answers: how many there are.
        episodes: how many it shows; to each of them all answers.
        of_episodes: how many there are.
    """

    answers: int
    of_answers: int
    episodes: int
    of_episodes: int


class Explorer:
    """Everything that the page's explorer shows, in blocks of text that are safe within a script element.

    What is in memory does not grow with the texts of answers that are not shown.

    Args:
        runs: the runs whose answers to show.

    Attributes:
        index: JSON of an :class:`mgsd_bench.report.page.Index`.
        episodes: a line of JSON for every episode (:class:`mgsd_bench.report.page.EpisodeData`).
        samples: a line of JSON for every answer (:class:`mgsd_bench.report.page.AnswerData`), the most unexpected
            failure first.
        transcripts: the turns of the first answers that were acted out step by step.
        answers: how many answers there are, shown or not.
        conditions: under which they were given, as they come in the runs.
        left_out: what is shown and what is not; None where everything is shown.

    Raises:
        UserError: the episodes or turns of a run are missing, damaged or not those of its answers.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._worlds = Worlds()
        self._actions: dict[str, int] = {}
        names, numbers = run_names(runs), _numbered(runs)
        answers = Answers.of(runs, names, numbers)
        chosen = answers.chosen(MOST_ANSWERS)
        count = int(chosen.sum())
        drawn = np.ones(1 + max((int(of_run.max(initial=-1)) for of_run in numbers), default=-1), bool)
        self.answers, self.left_out = len(chosen), None
        if count < len(chosen):
            drawn[:] = False
            drawn[answers.episode[chosen]] = True
            self.left_out = LeftOut(count, len(chosen), int(drawn.sum()), len(drawn))
        self.conditions: dict[str, None] = {}
        self._most_text = min(MOST_TEXT, MOST_CHARACTERS // max(1, count))
        episodes: list[EpisodeData] = []
        facets: list[tuple[str, ...]] = []
        samples: list[str] = []
        acted: dict[int, tuple[Run, Sample, Episode]] = {}
        before = 0
        for number, (run, name, of_run) in enumerate(zip(runs, names, numbers, strict=True)):
            known, ids = run.episodes, list(run.episodes)
            new = (of_run >= before) & drawn[of_run]
            episodes += [self._episode(known[ids[place]]) for place in np.flatnonzero(new)]
            before = max(before, int(of_run.max(initial=-1)) + 1)
            for sample in self._read(run, answers.row[chosen & (answers.run == number)]):
                episode = known[sample.episode]
                facets.append((name, *_facets(episode, sample)))
                if sample.condition in CLOSED_LOOP:
                    acted[len(samples)] = run, replace(sample, text=""), episode
                samples.append(in_script(self._answer(episode, sample)))
        owners = (np.cumsum(drawn) - 1)[answers.episode[chosen]].tolist()
        order = (np.cumsum(chosen) - 1)[answers.order[chosen[answers.order]]].tolist()
        columns = zip(*facets, strict=True) if facets else [()] * len(_FACETS)
        prompts, by_model = _prompts(runs, names)
        self.transcripts = Transcripts(
            (
                Acted(number, (owners[place], acted[place][1].condition, acted[place][1].repeat), *acted[place])
                for number, place in enumerate(order)
                if place in acted
            ),
            self._plan,
            _shortened,
        )
        index = Index(
            sheets=self._worlds.sheets,
            actions=tuple(self._actions),
            ids=tuple(episode.id for episode in episodes),
            owners=tuple(owners[i] for i in order),
            facets=tuple(_facet(name, values, order) for name, values in zip(_FACETS, columns, strict=True)),
            prompts=prompts,
            asked=by_model,
            acted=self.transcripts.numbers,
            seen=self.transcripts.sheets,
        )
        self.index = in_script(index)
        self.episodes = "\n".join(map(in_script, episodes))
        self.samples = "\n".join(samples[i] for i in order)

    def _read(self, run: Run, rows: Numbers) -> list[Sample]:
        """The answers in some rows of a run's table, with their texts as far as the page holds them."""
        table = run.frame.iloc[rows]
        keys = zip(table["episode"], table["condition"], table["repeat"], strict=True)
        places = {key: place for place, key in enumerate(keys)}
        found: dict[int, Sample] = {}
        for sample in run.read_samples():
            self.conditions.setdefault(sample.condition)
            place = places.get((sample.episode, sample.condition, sample.repeat))
            if place is not None:
                found[place] = replace(sample, text=_shortened(sample.text, self._most_text))
        if len(found) < len(rows):
            raise UserError(f"{run.path}: samples.jsonl was changed while it was read; run the command again")
        return [found[place] for place in range(len(rows))]

    def _episode(self, episode: Episode) -> EpisodeData:
        world = self._worlds.world(get_task(episode.task), episode.theme, episode.state, episode.plan)
        note, plan = _picture_note(episode), self._plan(episode.plan)
        return EpisodeData(episode.id, plan, note, world.size, world.sheet, world.cells, world.route)

    def _answer(self, episode: Episode, sample: Sample) -> AnswerData:
        task = get_task(episode.task)
        plan, loop = (sample.plan or [])[:MOST_ACTIONS], sample.loop
        true, stated = task.seen(task.facts(episode.state)), task.seen(sample.stated)
        believed, note = self._believed(task, episode, sample, plan)
        told = sample.condition in WITH_FACTS
        missing, false = (sorted(facts, key=str) if told else [] for facts in (true - stated, stated - true))
        return AnswerData(
            plan=None if sample.plan is None else self._plan(plan),
            actions=len(sample.plan or ()),
            route=self._worlds.world(task, episode.theme, episode.state, _carried_out(sample)).route,
            believed=believed,
            note=note,
            facts=(len(true & stated), len(stated), len(true)) if told else None,
            missing=_fact_list(missing, episode.level),
            false=_fact_list(false, believed.size if believed else episode.level),
            error=sample.error,
            finish=sample.finish_reason,
            tokens=sample.completion_tokens,
            seconds=sample.seconds,
            kinds=None if loop is None else loop.kinds,
            looped=None if loop is None else loop.looped,
            text=sample.text,
        )

    def _believed(
        self, task: Task[Any], episode: Episode, sample: Sample, plan: Sequence[str]
    ) -> tuple[World | None, str | None]:
        """The world that an answer states, and what there is to be said instead."""
        if sample.condition not in WITH_FACTS:
            return None, "This condition does not ask for the state."
        stated = sample.stated
        if stated == task.facts(episode.state):
            return None, "same"
        if not stated:
            return None, "The answer states nothing about the state that can be read."
        try:
            state = task.from_facts(stated)
        except ValueError as error:
            return None, f"The facts that were stated make no complete world: {error}."
        return self._worlds.world(task, episode.theme, state, plan), None

    def _plan(self, plan: Iterable[str]) -> str:
        return pack(self._actions.setdefault(action, len(self._actions)) for action in plan)


def _carried_out(sample: Sample) -> list[str]:
    """The first actions of an answer; of those that were acted out, the ones that were not blocked."""
    if sample.loop is None:
        return (sample.plan or [])[:MOST_ACTIONS]
    kinds = [kind for kind in sample.loop.kinds if kind not in {" ", UNREAD}]
    steps = zip(sample.plan or (), kinds, strict=False)
    return [action for action, kind in steps if kind != _BLOCKED][:MOST_ACTIONS]


def _picture_note(episode: Episode) -> str | None:
    """What there is to be said where the page does not draw what the model was shown."""
    if episode.perturbation is not None:
        return f"Drawn without {episode.look.change}, with which the model was shown it."
    if episode.original is None:
        return None
    return f"Drawn from the state. The model was shown the picture that comes with {episode.source or 'the test set'}."


def _facets(episode: Episode, sample: Sample) -> tuple[str, ...]:
    cause = str(attribute(episode, sample)) if sample.condition == "visual" else "not attributed"
    way = "straight" if sample.straight else "blocked"
    return (sample.task, str(sample.level), sample.condition, str(sample.repeat), sample.outcome, cause, way)


def _facet(name: str, values: Sequence[str], order: Sequence[int]) -> Facet:
    distinct = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return Facet(name, tuple(distinct), pack(distinct[values[i]] for i in order))


def _prompts(runs: Sequence[Run], names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, dict[str, int]]]:
    """The texts that the runs were asked with, and for each run's name which one where."""
    numbers: dict[str, int] = {}
    asked: dict[str, dict[str, int]] = {name: {} for name in names}
    for run, name in zip(runs, names, strict=True):
        for key, text in run.prompts.items():
            asked[name][key] = numbers.setdefault(_shortened(text), len(numbers))
    return tuple(numbers), asked


def _numbered(runs: Sequence[Run]) -> list[Numbers]:
    """For every run the numbers of its episodes, in their order; what is the same in two runs has one number."""
    numbers: dict[bytes, int] = {}
    return [
        np.array(
            [
                numbers.setdefault(sha256(episode.canonical().encode()).digest(), len(numbers))
                for episode in run.episodes.values()
            ],
            np.int64,
        )
        for run in runs
    ]


def _fact_list(facts: Sequence[Fact], size: int) -> FactList:
    cells = dict.fromkeys(cell for fact in facts if (cell := _cell(fact, size)))
    return FactList(
        text=tuple(_fact_text(fact) for fact in facts[:MOST_FACTS]),
        more=max(0, len(facts) - MOST_FACTS),
        cells=pack(row * size + column for row, column in cells),
    )


def _cell(fact: Fact, size: int) -> Cell | None:
    match fact:
        case (_, int(row), int(column), *_) if 0 <= row < size and 0 <= column < size:
            return row, column
    return None


def _fact_text(fact: Fact) -> str:
    match fact:
        case (name, int(row), int(column), *rest):
            return " ".join([str(name), f"({row},{column})", *map(str, rest)])
    return " ".join(map(str, fact))


def _shortened(text: str, most: int = MOST_TEXT) -> str:
    """A text without its middle, if it is very long."""
    cut, tail = len(text) - most, 3 * most // 4
    if cut <= 0:
        return text
    return f"{text[: most - tail]}\n\n[... {cut:,} characters are left out here ...]\n\n{text[-tail:]}"
