"""Rows of the closed loop: turns as the runner asks them, at states along rollouts, and the step that leads nearer.

A question is the very request that :func:`mgsd_bench.runs.closed_loop.closed_loop` makes: the conversation is held as
in an evaluation, with the rollout's actions as answers. Turns show no history, so that a question is one text and at
most one picture.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgsd_bench.backends import Response
from mgsd_bench.prompts import Condition, PromptSet
from mgsd_bench.prompts.protocol import LoopSettings, said
from mgsd_bench.runs.closed_loop import Loop, closed_loop, step_limits
from mgsd_bench.runs.conversation import Question
from mgsd_envs import get_task
from mgsd_envs.acting import act, nearer
from mgsd_envs.orbits import split_key
from mgsd_envs.splits import split_of
from mgsd_envs.views import FULL, picture

if TYPE_CHECKING:
    from mgsd_envs import Episode
    from mgsd_envs.rendering import Picture, Pixels
    from mgsd_envs.types import Cursor, Plan

BOARDS = 50
"""Boards of a level that a row's limit of steps is made of, drawn anew for each row: suites have different limits."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where an episode stands that is being acted in, and what is to be done now.

    Attributes:
        episode: the episode.
        tried: the actions so far, those that were not possible among them.
        trail: the cursors so far, the present one last.
        action: the first of the task's actions that leads nearer to success.
        limit: the most steps of the episode.
    """

    episode: Episode
    tried: Plan
    trail: tuple[Cursor, ...]
    action: str
    limit: int

    def draw(self, size: int | None = None) -> Picture | Pixels:
        """The picture of the turn, ``size`` pixels square."""
        return picture(self.episode, self.trail, FULL, size)

    @property
    def stated(self) -> str:
        """The state as text as it is now."""
        task = get_task(self.episode.task)
        return task.describe(task.state_at(self.episode.state, self.trail[-1]))

    def to_success(self) -> tuple[Plan, list[Cursor]]:
        """A shortest plan from now on, :attr:`action` first, and the cursors along it, the present one first."""
        task, state = get_task(self.episode.task), self.episode.state
        plan, cursors = list[str](), [self.trail[-1]]
        while best := next(nearer(task, state, cursors[-1]), None):
            plan.append(best)
            cursors.append(act(task, state, cursors[-1], best).cursor)
        return tuple(plan), cursors

    @property
    def answer(self) -> str:
        """The right step in the form asked for."""
        return said((self.action,), get_task(self.episode.task))


def draw_turns(episodes: Sequence[Episode], astray: float, seed: int, exclude: Collection[str] = ()) -> dict[str, Turn]:
    """A turn of each episode, by the episode's id.

    A rollout takes the step that leads nearer, or with probability ``astray`` any action that leaves success within
    reach, also one that is not possible; it ends with success or with the limit of steps. Each of its turns is as
    likely to be the row's, but for those at states of another split: moving on from a state of the training split one
    may come to a state of the test split.

    Args:
        episodes: the episodes, all of one split.
        astray: probability of a random action.
        seed: decides the rollouts, together with the episodes' states.
        exclude: keys of more states, or of their orbits, at which no turn may stand.
    """
    levels: dict[tuple[str, int], list[Episode]] = {}
    for episode in sorted(episodes, key=lambda episode: get_task(episode.task).key(episode.state)):
        levels.setdefault((episode.task, episode.level), []).append(episode)
    return {e.id: _draw_turn(e, levels[e.task, e.level], astray, seed, exclude) for e in episodes}


def _draw_turn(episode: Episode, level: Sequence[Episode], astray: float, seed: int, exclude: Collection[str]) -> Turn:
    task, state = get_task(episode.task), episode.state
    named = f"{seed}/{task.key(state)}"
    rng, others = random.Random(f"mgsd-act-v1/{named}"), random.Random(f"mgsd-act-limit-v1/{named}")
    boards = [episode, *others.sample(level, min(BOARDS, len(level)))]
    limit = step_limits(boards, FULL)[episode.task, episode.level]
    trail, tried = [task.start(state)], list[str]()
    turns: list[Turn] = []
    while len(tried) < limit and not task.solved(state, trail[-1]):
        best = next(nearer(task, state, trail[-1]))
        key = split_key(task, task.state_at(state, trail[-1]), episode.split_by)
        if split_of(key) == episode.split and key not in exclude:
            turns.append(Turn(episode, tuple(tried), tuple(trail), best, limit))
        action = best
        if rng.random() < astray:
            action = rng.choice([each for each in task.actions if _stays_open(episode, trail[-1], each)])
        tried.append(action)
        result = act(task, state, trail[-1], action)
        if result.effect == "done":
            trail.append(result.cursor)
    return rng.choice(turns)


def _stays_open(episode: Episode, cursor: Cursor, action: str) -> bool:
    task = get_task(episode.task)
    result = act(task, episode.state, cursor, action)
    return result.effect != "fatal" and task.to_go(episode.state, result.cursor) is not None


def question(turn: Turn, condition: Condition, prompts: PromptSet, *, say_state: bool = False) -> str:
    """The text of the request that the runner makes of a turn.

    Args:
        turn: the turn.
        condition: one of closed loop.
        prompts: a prompt set with the condition's text, loaded with ``say_state``.
        say_state: whether the model is to state what it sees.
    """
    episode = turn.episode
    limits: Mapping[tuple[str, int], int] = {(episode.task, episode.level): turn.limit}
    loop = Loop(LoopSettings(history=0, say_state=say_state), limits)
    conversation = closed_loop(Question(episode, condition, 0), prompts, 0, loop)
    request = next(conversation)
    for action in turn.tried:
        request = conversation.send(Response(request.key, said((action,), get_task(episode.task)), "stop"))
    conversation.close()
    return request.turns[-1].text
