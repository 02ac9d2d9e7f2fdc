"""Models whose faults are known: for scale beside real models, and to check diagnostics against the truth.

==========================  =============================================================================
``oracle``                  states the true state and a shortest plan
``random``                  random actions, between one and three times the grid size of them
``straight``                sees player and goal but no obstacle: vertical moves, then horizontal ones
``noisy-perception:P``      misreads each fact (but the size) with probability P, plans well in what it sees
``noisy-planning:Q``        sees everything, spoils its plan with probability Q so that it fails
==========================  =============================================================================
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from mgsd_bench.answers import write_plan
from mgsd_bench.backends import BackendConfig, Request, Response
from mgsd_bench.errors import UserError
from mgsd_envs import Episode, Fact, Plan, Task, get_task, rollout
from mgsd_envs.grid import MOVES

Belief = tuple[Any, Plan]
"""The state that a model believes in, and its plan."""

Model = Callable[[Episode, random.Random, float], Belief]


def open_backend(config: BackendConfig) -> ScriptedBackend:
    """A scripted model by name.

    Raises:
        UserError: unknown name, or a rate that is missing or no probability.
    """
    name, _, rate_text = config.model.partition(":")
    if name not in MODELS:
        known = ", ".join(f"{model}:RATE" if model in NOISY else model for model in MODELS)
        raise UserError(f"--model {config.model}: unknown scripted model; choose from {known}")
    if name not in NOISY:
        if rate_text:
            raise UserError(f"--model {config.model}: {name} takes no rate; write --model {name}")
        return ScriptedBackend(config.model, MODELS[name], 0.0)
    try:
        rate = float(rate_text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise UserError(f"--model {config.model}: needs a rate from 0 to 1, for example {name}:0.1")
    return ScriptedBackend(config.model, MODELS[name], rate)


class ScriptedBackend:
    """Answers from the episode itself."""

    def __init__(self, name: str, model: Model, rate: float) -> None:
        self._name, self._model, self._rate = name, model, rate

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def describe(self) -> dict[str, Any]:
        """Name of the model."""
        return {"engine": "scripted", "model": self._name}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Answer each request at once, in the form that the condition asks for."""
        for request in requests:
            rng = random.Random(request.seed)
            believed, plan = self._model(request.episode, rng, self._rate)
            parts = [f"Route: {len(plan)} actions.", f"<answer>{write_plan(plan)}</answer>"]
            if request.condition == "visual":
                parts.insert(0, get_task(request.episode.task).describe(believed))
            yield Response(request.key, "\n".join(parts), "stop")


def _oracle(episode: Episode, _rng: random.Random, _rate: float) -> Belief:
    return episode.state, episode.plan


def _random(episode: Episode, rng: random.Random, _rate: float) -> Belief:
    actions = get_task(episode.task).actions
    return episode.state, tuple(rng.choices(actions, k=rng.randint(1, 3 * episode.level)))


def _straight(episode: Episode, _rng: random.Random, _rate: float) -> Belief:
    return episode.state, get_task(episode.task).straight(episode.state)


def _noisy_perception(episode: Episode, rng: random.Random, rate: float) -> Belief:
    task = get_task(episode.task)
    believed = misread(task, episode.state, rng, rate)
    return believed, task.solve(believed) or task.straight(episode.state)


def misread(task: Task[Any], state: Any, rng: random.Random, rate: float) -> Any:
    """The state that remains when each fact but the size is replaced, with probability ``rate``, by a false one.

    A false fact has the same name and another cell; two things may come to share a cell.
    """
    true = task.facts(state)
    facts: set[Fact] = set()
    for fact in sorted(true, key=str):
        if fact[0] == "size" or rng.random() >= rate:
            facts.add(fact)
            continue
        false = fact
        while false in true:
            row, column = rng.randrange(state.size), rng.randrange(state.size)
            side = (rng.choice(tuple(MOVES)),) if len(fact) == 4 else ()
            false = (fact[0], row, column, *side)
        facts.add(false)
    return task.from_facts(facts)


def _noisy_planning(episode: Episode, rng: random.Random, rate: float) -> Belief:
    if rng.random() >= rate:
        return episode.state, episode.plan
    return episode.state, spoil(episode, rng)


def spoil(episode: Episode, rng: random.Random) -> Plan:
    """The shortest plan with one action changed or, where no such change makes it fail, its last one left out."""
    task = get_task(episode.task)
    spoiled = [
        (*episode.plan[:i], action, *episode.plan[i + 1 :])
        for i in range(len(episode.plan))
        for action in task.actions
        if action != episode.plan[i]
    ]
    rng.shuffle(spoiled)
    failing = (plan for plan in spoiled if rollout(task, episode.state, plan).outcome != "solved")
    return next(failing, episode.plan[:-1])


NOISY = ("noisy-perception", "noisy-planning")
MODELS: dict[str, Model] = {
    "oracle": _oracle,
    "random": _random,
    "straight": _straight,
    "noisy-perception": _noisy_perception,
    "noisy-planning": _noisy_planning,
}
