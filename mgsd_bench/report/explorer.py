"""Episodes and answers as the explorer of the HTML report reads them, in the form of :mod:`mgsd_bench.report.page`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mgsd_bench.analysis.attribution import attribute
from mgsd_bench.analysis.run import Run
from mgsd_bench.analysis.surprise import Asked, by_surprise
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CLOSED_LOOP, CONDITIONS, WITH_FACTS
from mgsd_bench.report.page import AnswerData, EpisodeData, Facet, FactList, Index, World, in_script, pack
from mgsd_bench.report.tables import run_names
from mgsd_bench.report.transcripts import Acted, Transcripts
from mgsd_bench.report.worlds import Worlds
from mgsd_bench.runs.loop_score import UNREAD
from mgsd_bench.runs.sample import Sample
from mgsd_envs import Cell, Episode, Fact, Task, get_task

MOST_ACTIONS = 200
MOST_FACTS = 60
MOST_TEXT = 20_000
_BLOCKED = "b"
_FACETS = ("model", "task", "level", "condition", "repeat", "outcome", "attribution", "path")


class Explorer:
    """Everything that the page's explorer shows, in blocks of text that are safe within a script element.

    Args:
        runs: the runs whose answers to show.

    Attributes:
        index: JSON of an :class:`mgsd_bench.report.page.Index`.
        episodes: a line of JSON for every episode (:class:`mgsd_bench.report.page.EpisodeData`).
        samples: a line of JSON for every answer (:class:`mgsd_bench.report.page.AnswerData`), the most unexpected
            failure first.
        transcripts: the turns of the first answers that were acted out step by step.

    Raises:
        UserError: the episodes or turns of a run are missing, damaged or not those of its answers.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._worlds = Worlds()
        self._actions: dict[str, int] = {}
        places: dict[str, int] = {}
        episodes: list[EpisodeData] = []
        owners: list[int] = []
        facets: list[tuple[str, ...]] = []
        asked: list[Asked] = []
        samples: list[str] = []
        acted: dict[int, tuple[Run, Sample, Episode]] = {}
        names = run_names(runs)
        for run, name in zip(runs, names, strict=True):
            known = run.episodes
            for episode in known.values():
                if places.setdefault(episode.canonical(), len(episodes)) == len(episodes):
                    episodes.append(self._episode(episode))
            for sample in _in_order(run, known):
                episode = known[sample.episode]
                owner = places[episode.canonical()]
                owners.append(owner)
                facets.append((name, *_facets(episode, sample)))
                question = (owner, sample.condition)
                if sample.condition in CLOSED_LOOP:
                    acted[len(samples)] = run, sample, episode
                asked.append(
                    Asked(
                        (name, sample.condition), question, sample.outcome == "solved", episode.shortest, episode.level
                    )
                )
                samples.append(in_script(self._answer(episode, sample)))
        order = by_surprise(asked)
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
            text=_shortened(sample.text),
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


def _in_order(run: Run, known: Mapping[str, Episode]) -> list[Sample]:
    """A run's samples in the order of its episodes."""
    order = {name: i for i, name in enumerate((*known, *CONDITIONS))}
    try:
        return sorted(run.samples, key=lambda sample: (order[sample.episode], order[sample.condition], sample.repeat))
    except KeyError as error:
        raise UserError(f"{run.path}: samples.jsonl and episodes.jsonl do not agree on {error}") from error


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
