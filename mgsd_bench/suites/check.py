"""What is to be known of a suite before a model is asked: its states, its leaks, what chance solves, what it costs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from mgsd_bench.prompts import WITH_IMAGE, Condition, load_prompts
from mgsd_bench.suites.leakage import possible_leaks
from mgsd_bench.suites.suite import Suite
from mgsd_envs import get_task, random_plan, rollout
from mgsd_envs.orbits import split_key
from mgsd_envs.splits import split_of

if TYPE_CHECKING:
    from mgsd_envs import Episode, Task

RANDOM_PLANS = 50
"""Random plans that are tried in each episode."""

CHARACTERS_A_TOKEN = 4
TOKENS_A_PICTURE = 64
"""Of 256 x 256 pixels, 32 x 32 a token as Qwen3-VL takes them; other models differ."""


@dataclass(frozen=True, slots=True)
class LevelCheck:
    """One task and level of a suite.

    Attributes:
        task: registry name.
        level: size, cells a side.
        episodes: how many are asked.
        states: how many states of any length the split has; None where they are too many to list.
        shortest: least and largest length of a shortest plan, in actions.
        straight: share of episodes that the plan of one who sees no obstacles solves.
        random: share of random plans that solve.
        leaked: share of episodes of which a mirror image or turn, or the state itself, may be trained on.
    """

    task: str
    level: int
    episodes: int
    states: int | None
    shortest: tuple[int, int]
    straight: float
    random: float
    leaked: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one condition asks of a model, about.

    Attributes:
        condition: how the episodes are put.
        questions: how many.
        tokens: of all questions together, pictures included.
    """

    condition: Condition
    questions: int
    tokens: int


def check_levels(suite: Suite, episodes: Sequence[Episode]) -> list[LevelCheck]:
    """Each task and level, in the order of the episodes.

    Args:
        suite: the suite.
        episodes: its episodes.
    """
    levels: dict[tuple[str, int], list[Episode]] = {}
    for episode in episodes:
        levels.setdefault((episode.task, episode.level), []).append(episode)
    leaks = {(leak.task, leak.level): leak.symmetric / leak.episodes for leak in possible_leaks(episodes)}
    return [
        LevelCheck(
            task=name,
            level=level,
            episodes=len(of_level),
            states=_states(get_task(name), level, suite),
            shortest=(min(each.shortest for each in of_level), max(each.shortest for each in of_level)),
            straight=sum(each.straight for each in of_level) / len(of_level),
            random=_random(get_task(name), of_level),
            leaked=leaks[name, level],
        )
        for (name, level), of_level in levels.items()
    ]


def costs(episodes: Sequence[Episode], prompts: str, conditions: Collection[Condition]) -> list[Cost]:
    """What each condition asks, from the texts themselves; a token is taken to be four characters.

    Raises:
        UserError: the prompt set is missing or not whole.
    """
    texts = load_prompts(prompts, episodes, conditions)
    found = []
    for condition in conditions:
        characters = sum(len(texts.render(episode, condition)) for episode in episodes)
        pictures = len(episodes) * TOKENS_A_PICTURE if condition in WITH_IMAGE else 0
        found.append(Cost(condition, len(episodes), characters // CHARACTERS_A_TOKEN + pictures))
    return found


def _states(task: Task[Any], level: int, suite: Suite) -> int | None:
    listed = task.states(level)
    if listed is None:
        return None
    return sum(split_of(split_key(task, state, suite.split_by)) == suite.split for state in listed)


def _random(task: Task[Any], episodes: Sequence[Episode]) -> float:
    rng = Random(0)
    solved = sum(
        rollout(task, episode.state, random_plan(task, episode.level, rng)).outcome == "solved"
        for episode in episodes
        for _ in range(RANDOM_PLANS)
    )
    return solved / (RANDOM_PLANS * len(episodes))
