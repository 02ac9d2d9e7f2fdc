"""Models whose faults are known: for scale beside real models, and to check diagnostics against the truth.

======================  =============================================================================
``oracle``              states the true state and a shortest plan
``random``              random actions, between one and three times the grid size of them; sees any world
``straight``            sees player and goal but no obstacle: vertical moves, then horizontal ones; says nothing where
                        the task knows no such plan
``noisy-perception:P``  misreads each fact (but the size) with probability P, plans well in what it sees
``noisy-planning:Q``    sees everything, spoils its plan with probability Q so that it fails
``faulty:P,Q,F``        both, and leaves its answer without an end with probability F
``blind-to:AXIS,P``     misreads each fact with probability P a step of severity where AXIS perturbs the picture
``explorer``            in the closed loop alone: takes what it has not seen for free, and plans anew in every turn
``forgetful:K``         the same, but knows only what it saw in the last K turns
``noisy-step:Q``        in the closed loop alone: takes a step that leads no nearer with probability Q
======================  =============================================================================

In the closed loop all of them act step by step (:mod:`mgsd_bench.backends.scripted_acting`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.backends import BackendConfig, Request, Response
from mgsd_bench.backends.scripted_acting import acting
from mgsd_bench.backends.shared import Queue
from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import WITH_IMAGE
from mgsd_envs import Episode, Plan, get_task, random_plan
from mgsd_envs.faults import misread, random_state, spoil

NAMES = (
    "oracle",
    "random",
    "straight",
    "noisy-perception",
    "noisy-planning",
    "faulty",
    "blind-to",
    "explorer",
    "forgetful",
    "noisy-step",
)
ACTING = ("explorer", "forgetful", "noisy-step")
"""Models that only know how to act step by step."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often a scripted model goes wrong.

    Attributes:
        perception: probability that a fact seen in a picture is misread.
        planning: probability that a plan is spoiled.
        format: probability that an answer cannot be read.
        axis: the perturbation that makes for misreading; None for none.
        step: probability that a fact is misread, for each step of that perturbation's severity.
    """

    perception: float = 0.0
    planning: float = 0.0
    format: float = 0.0
    axis: str | None = None
    step: float = 0.0

    def misreading(self, episode: Episode) -> float:
        """Probability that a fact seen in this episode's picture is misread."""
        by_look = self.step * episode.severity if self.axis and episode.perturbation == self.axis else 0.0
        return min(1.0, self.perception + by_look)


_FAULTS_AT: dict[str, Callable[..., Faults]] = {
    "noisy-perception": lambda rate: Faults(perception=rate),
    "noisy-planning": lambda rate: Faults(planning=rate),
    "noisy-step": lambda rate: Faults(planning=rate),
    "faulty": Faults,
}
_EXAMPLES = {
    "noisy-perception": "0.1",
    "noisy-planning": "0.1",
    "faulty": "0.1,0.2,0.05",
    "blind-to": "blur,0.1",
    "noisy-step": "0.1",
    "forgetful": "2",
}


def open_backend(config: BackendConfig) -> ScriptedBackend:
    """A scripted model by name.

    Raises:
        UserError: unknown name, or rates that are missing or no probabilities.
    """
    name, colon, text = config.model.partition(":")
    if name not in NAMES:
        known = ", ".join(f"{known}:{_EXAMPLES[known]}" if known in _EXAMPLES else known for known in NAMES)
        raise UserError(f"{option('model', config.model)}: unknown scripted model; choose from {known}")
    if name == "blind-to":
        return ScriptedBackend(config.model, _blind_to(config.model, *text.partition(",")))
    if name == "forgetful":
        if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) < 10**8):
            raise UserError(f"{option('model', config.model)}: needs a number of turns, for example forgetful:2")
        return ScriptedBackend(config.model, Faults(), memory=int(text[:9]))
    if name not in _FAULTS_AT:
        if colon:
            raise UserError(f"{option('model', config.model)}: {name} takes no rate; write {option('model', name)}")
        return ScriptedBackend(name, Faults())
    try:
        rates = [float(rate) for rate in text.split(",")]
        if len(rates) == len(_EXAMPLES[name].split(",")) and all(0 <= rate <= 1 for rate in rates):
            return ScriptedBackend(config.model, _FAULTS_AT[name](*rates))
    except ValueError:
        pass
    raise UserError(f"{option('model', config.model)}: needs rates from 0 to 1, for example {name}:{_EXAMPLES[name]}")


def _blind_to(model: str, axis: str, _: str, rate: str) -> Faults:
    from mgsd_envs.perturbations import PERTURBATIONS

    try:
        if axis in PERTURBATIONS and 0 <= float(rate) <= 1:
            return Faults(axis=axis, step=float(rate))
    except ValueError:
        pass
    raise UserError(
        f"{option('model', model)}: needs one of {', '.join(PERTURBATIONS)} and a rate from 0 to 1, for example "
        "blind-to:blur,0.1"
    )


class ScriptedBackend(Queue):
    """Answers from the episode itself."""

    def __init__(self, name: str, faults: Faults, memory: int | None = None) -> None:
        super().__init__()
        self._name, self._faults, self._memory = name, faults, memory

    def describe(self) -> dict[str, Any]:
        """Name of the model."""
        return {"engine": "scripted", "model": self._name}

    def answer(self, batch: list[Request]) -> list[Response]:
        """The answers to some requests."""
        return [self.respond(request) for request in batch]

    def respond(self, request: Request) -> Response:
        """Answer at once, in the form that the condition asks for."""
        kind = self._name.partition(":")[0]
        if request.moment is not None:
            kind = "explorer" if kind == "forgetful" else kind
            return Response(request.key, acting(kind, self._faults, self._memory, request, request.moment), "stop")
        if kind in ACTING:
            return Response(request.key, "", "error", error=f"{kind} acts step by step; ask it under act")
        return Response(request.key, self._answer(request), "stop")

    def _answer(self, request: Request) -> str:
        episode, rng = request.episode, random.Random(request.seed)
        task = get_task(episode.task)
        believed = random_state(task, episode.level, rng) if self._name == "random" else episode.state
        if request.condition in WITH_IMAGE:
            believed = misread(task, believed, rng, self._faults.misreading(episode))
        plan = self._plan(episode, believed, rng)
        broken = rng.random() < self._faults.format
        end = " and so on" if broken else "</answer>"
        stated, route = task.describe(believed), f"Route: {len(plan)} actions."
        answer = f"<answer>{write_plan(plan)}{end}"
        parts = {
            "visual": (stated, route, answer),
            "symbolic": (route, answer),
            "perceive": ("" if broken else stated,),
            "direct": (answer,),
        }[request.condition]
        return "\n".join(parts)

    def _plan(self, episode: Episode, believed: Any, rng: random.Random) -> Plan:
        task = get_task(episode.task)
        if self._name == "random":
            return random_plan(task, episode.level, rng)
        straight = task.straight(episode.state)
        if self._name == "straight":
            return straight
        plan = task.solve(believed)
        if not plan:  # there is no way in the world that it believes in, or none is needed
            return straight or random_plan(task, episode.level, rng)
        return spoil(task, believed, plan, rng) if rng.random() < self._faults.planning else plan
