"""Closed loop as gymnasium environments, for those who train: a model is shown a picture and answers with a text.

Each installed task has an id made of its class name, ``MGSD/FrozenLakeText-v0`` for example, beside that of
:mod:`mgsd_envs.gym`, whose actions are numbers. Importing this module registers the ids::

    import gymnasium
    import mgsd_bench.integrations.gym

    gymnasium.register_envs(mgsd_bench.integrations.gym)  # does nothing, keeps linters from dropping the import
    env = gymnasium.make("MGSD/FrozenLakeText-v0", level=4, view="fog:1")
    picture, info = env.reset(seed=7)
    picture, reward, terminated, truncated, info = env.step("I go right. <answer>R</answer>")

or, in one line, ``gymnasium.make("mgsd_bench.integrations.gym:MGSD/FrozenLakeText-v0")``. Needs the extra ``gym``
(``pip install "mgsd-bench[gym]"``).
"""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from mgsd_bench.backends import Request, Response
from mgsd_bench.prompts import PromptSet, load_prompts
from mgsd_bench.prompts.protocol import LoopSettings, said
from mgsd_bench.runs.closed_loop import Loop, closed_loop, step_limits
from mgsd_bench.runs.conversation import Conversation, Question
from mgsd_bench.runs.sample import Sample
from mgsd_bench.runs.turns import TurnRecord
from mgsd_envs import Task, generate
from mgsd_envs.acting import act
from mgsd_envs.errors import SearchError
from mgsd_envs.gym import TaskEnv, check_choice, register
from mgsd_envs.splits import Split, SplitBy
from mgsd_envs.types import Cursor
from mgsd_envs.views import View, check_view, picture, tell

MOST_CHARACTERS = 1_000_000
"""Longest answer of the action space."""

_BOARDS = 64
"""Boards by which the step limit of a partial view is set."""


class Answers(spaces.Text):  # type: ignore[misc]  # gymnasium's types are not followed
    """Answers of a model: any text of at most :data:`MOST_CHARACTERS` characters, in any writing.

    A sample is an answer that can be read, of one action; all actions are equally likely.

    Args:
        task: the task whose actions are sampled.
        seed: of the samples.
    """

    def __init__(self, task: Task[Any], seed: int | np.random.Generator | None = None) -> None:
        super().__init__(MOST_CHARACTERS, min_length=0, seed=seed)
        self._said: list[str] = [said([action], task) for action in task.actions]

    def sample(self, mask: None = None, probability: None = None) -> str:
        """An answer of one action.

        Raises:
            ValueError: there is a mask or a probability, which are about single characters.
        """
        if mask is not None or probability is not None:
            raise ValueError("answers are not drawn by their characters: leave out mask and probability")
        return self._said[int(self.np_random.integers(len(self._said)))]

    def contains(self, x: Any) -> bool:
        """Whether it is a text that is not too long."""
        return isinstance(x, str) and len(x) <= MOST_CHARACTERS

    def __repr__(self) -> str:
        return f"Answers({MOST_CHARACTERS})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answers) and self._said == other._said

    __hash__ = None  # type: ignore[assignment]


class TextEnv(TaskEnv):
    """One task in the closed loop of protocol ``loop-1``, as ``mgsd-bench eval --condition act`` holds it.

    Action space: :class:`Answers`, a model's answer as it is, read as evaluation reads it. Up to ``chunk`` actions of
    it are carried out, to the first that is not possible. What is not possible changes nothing, and costs a step.

    Observation space: ``Box(0, 255, (size, size, 3), uint8)``, the picture of the turn, of what the view shows.

    Reward: 1.0 for the answer that solves the task, else 0.0; and ``shaping`` times the progress that the answer makes.
    Progress is ``max(0, 1 - to go now / to go at the start)`` in fewest actions, and 0 where success is out of reach or
    a fatal action was taken. So one reward is from ``-shaping`` to ``1 + shaping``, and those of an episode sum up to
    at most ``1 + shaping``. Where the state is too large for the distance to be known, nothing is shaped.

    An episode is terminated by success and by a fatal action. It is truncated after ``steps`` steps, and after three
    answers in a row that cannot be read.

    ``info`` holds:

    - ``prompt``: the text that stands before the picture of this turn, as ``eval`` asks it: at first the rules and how
      turns are taken, then what came of the last answer. Empty once the episode is over.
    - ``chat``: the whole request, a list of ``{"role": ..., "content": ...}`` as chat templates take it, of which only
      the last ``history`` turns are shown again; ``{"type": "image"}`` stands for a picture, the last one for that of
      this turn. Empty once the episode is over.
    - ``symbolic``: what the view shows, as text. ``to_go``: fewest actions to success; None where it is out of reach,
      or too far to know. A model must not be told either.
    - of ``reset``: ``state`` (JSON), ``shortest`` (length of the shortest plan), ``split`` and ``steps`` (the limit).
    - of ``step``: ``actions`` (names of those that were tried), ``effect`` (what came of the last one: ``done``,
      ``blocked`` or ``fatal``; None where nothing could be read), ``rule`` (that it broke, or None), and at the end
      ``outcome``.

    ``reset(options={"state": ...})`` starts from a given state, or its JSON; ``reset(options={"episode": ...})`` from
    an episode of a suite, with its id and look. Else episodes are drawn as by :class:`mgsd_envs.gym.BoardEnv`.

    Args:
        task: registry name of the task.
        level: grid size; the smallest of ``task.levels`` if None.
        split: the split that start states are drawn from.
        split_by: ``"state"``, or ``"orbit"`` so that mirror images are of one split.
        theme: look of the pictures.
        size: pixels a side of the pictures, whatever the view.
        view: how much is shown: ``full``, ``fog:R`` or ``window:R``.
        history: past turns in ``chat``, or ``"all"``.
        feedback: whether a turn tells what came of the last answer.
        remember: what ``chat`` shows of past answers: their actions (``"answers"``), or ``"all"``.
        chunk: most actions of an answer, or ``"plan"``.
        say_state: whether the prompt asks for the state that is seen.
        prompts: name of a prompt set, or a folder.
        steps: most steps of an episode. By default those of the protocol, ``2 n + 8``, with n the longest shortest plan
            of the level's bands or, in a partial view, the most steps of one who explores over 64 boards.
        shaping: how much progress is worth, from 0 to 1.
        render_mode: ``"rgb_array"``, ``"ansi"`` or None.

    Attributes:
        turns: of the episode so far, as they are stored of a run.
        sample: what has become of the episode, as it is stored of a run; None before its end.

    Raises:
        KeyError: no such task.
        ValueError: no such level, split, theme, view or mode, too few pixels, or a number that is out of its range.
    """

    def __init__(
        self,
        task: str,
        *,
        level: int | None = None,
        split: Split = "train",
        split_by: SplitBy = "state",
        theme: str = "classic",
        size: int = 256,
        view: str = "full",
        history: int | Literal["all"] = 4,
        feedback: bool = True,
        remember: Literal["answers", "all"] = "answers",
        chunk: int | Literal["plan"] = 1,
        say_state: bool = False,
        prompts: str = "default",
        steps: int | None = None,
        shaping: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(task, level, split, split_by, theme, size, render_mode)
        check_choice("remember", remember, ("answers", "all"))
        self.view = View.parse(view)
        check_view(self.task, self.view)
        _check_count("history", history, 0, "all")
        _check_count("chunk", chunk, 1, "plan")
        if steps is not None:
            _check_count("steps", steps, 1)
        if not 0 <= shaping <= 1:
            raise ValueError(f"shaping is a number from 0 to 1, not {shaping}")
        self.steps = steps or _steps(self.task, self.level, self.view)
        self.shaping = shaping
        self.action_space = Answers(self.task)
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self._prompt_set = prompts
        self._prompts: dict[str, PromptSet] = {}  # by theme
        settings = LoopSettings(
            view=self.view,
            history=None if history == "all" else history,
            feedback=feedback,
            remember=remember,
            chunk=None if chunk == "plan" else chunk,
            say_state=say_state,
        )
        self._loop = Loop(settings, {(task, self.level): self.steps})
        self._trail: list[Cursor] = []
        self._conversation: Conversation | None = None
        self._request: Request | None = None
        self.turns: list[TurnRecord] = []
        self.sample: Sample | None = None

    @property
    def request(self) -> Request:
        """What is asked now, as backends take it, with the pictures of past turns.

        Raises:
            gymnasium.error.ResetNeeded: there is no episode under way.
        """
        if self._episode is None or self.sample is not None:
            raise gymnasium.error.ResetNeeded("the episode is over, call reset()")
        if self._request is None:
            self._converse()
        assert self._request is not None
        return self._request

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: starts a new random stream; without it the stream goes on, so that each episode is another one.
            options: ``{"state": ...}`` or ``{"episode": ...}``, instead of a drawn one.

        Raises:
            ValueError: what is given is not of this task and level, or cannot be solved.
            TooFewStatesError: the level has no state of this split.
            mgsd_bench.errors.UserError: the prompt set cannot be read.
        """
        super().reset(seed=seed)
        options = options or {}
        if (episode := options.get("episode")) is not None:
            if (episode.task, episode.level) != (self.task.name, self.level):
                raise ValueError(f"the episode given to reset() is not one of {self.task.name}, level {self.level}")
            check_view(self.task, self.view, episode.perturbation)
        elif (state := options.get("state")) is not None:
            episode = self._read(state)
        else:
            episode = self._draw()
        self._episode = episode
        self._trail = [self.task.start(episode.state)]
        self.turns, self.sample = [], None
        self._converse()
        return self._picture(), {**self._info(), **self._start_info(), "steps": self.steps}

    def step(self, action: str) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Take an answer, and carry out what it says.

        Raises:
            gymnasium.error.InvalidAction: it is no text, or one that is too long.
            gymnasium.error.ResetNeeded: the episode is over.
        """
        if not self.action_space.contains(action):
            raise gymnasium.error.InvalidAction(f"an action is a text of at most {MOST_CHARACTERS} characters")
        request, before = self.request, self._progress()
        assert self._conversation is not None
        try:
            self._request = self._conversation.send(Response(request.key, action, "stop"))
        except StopIteration as end:
            self._request, self._conversation, self.sample = None, None, end.value
        turn = self.turns[-1]
        outcome = None if self.sample is None else self.sample.outcome
        info = {
            **self._info(),
            "actions": list(turn.actions),
            "effect": turn.effects[-1] if turn.effects else None,
            "rule": turn.rule,
            **({} if outcome is None else {"outcome": outcome}),
        }
        terminated = outcome in ("solved", "fatal")
        reward = float(outcome == "solved") + self.shaping * (self._progress() - before)
        return self._picture(), reward, terminated, outcome is not None and not terminated, info

    def __getstate__(self) -> dict[str, Any]:
        """All but the conversation, which cannot be copied; it is held again with the turns that were had."""
        return {**self.__dict__, "_conversation": None, "_request": None}

    def _converse(self) -> None:
        episode = self.episode
        if episode.theme not in self._prompts:
            say_state = self._loop.settings.say_state
            self._prompts[episode.theme] = load_prompts(self._prompt_set, [episode], ["act"], say_state=say_state)
        question, prompts = Question(episode, "act", 0), self._prompts[episode.theme]
        self._conversation = closed_loop(question, prompts, 0, self._loop, tuple(self.turns), self._hear, self.size)
        self._request = next(self._conversation)

    def _hear(self, turn: TurnRecord) -> None:
        self.turns.append(turn)
        for action, effect in zip(turn.actions, turn.effects, strict=True):
            if effect == "done":
                self._trail.append(act(self.task, self.episode.state, self._trail[-1], action).cursor)

    def _info(self) -> dict[str, Any]:
        asked = () if self._request is None else self._request.turns
        return {
            "prompt": asked[-1].text if asked else "",
            "chat": [turn.message() for turn in asked],
            "symbolic": self._text(),
            "to_go": self._to_go(self._trail[-1]),
        }

    def _to_go(self, cursor: Cursor) -> int | None:
        try:
            return self.task.to_go(self.episode.state, cursor)
        except SearchError:
            return None

    def _progress(self) -> float:
        first, now = self._to_go(self._trail[0]), self._to_go(self._trail[-1])
        if not first or now is None or any("fatal" in turn.effects for turn in self.turns[-1:]):
            return 0.0
        return max(0.0, 1 - now / first)

    def _picture(self) -> NDArray[np.uint8]:
        return picture(self.episode, self._trail, self.view, self.size).rgb()

    def _text(self) -> str:
        return tell(self.task, self.episode.state, self._trail, self.view)


def _steps(task: Task[Any], level: int, view: View) -> int:
    """The step limit of the protocol for boards of a level."""
    if not view.partial:
        return 2 * max(max(band) for band in task.bands(level) if band) + 8
    boards = generate(task, level, _BOARDS, split="train", stream="gym/steps")
    return step_limits(boards, view)[task.name, level]


def _check_count(name: str, value: Any, least: int, other: str | None = None) -> None:
    if value != other and (type(value) is not int or value < least):
        raise ValueError(f"{name} is a number from {least} on{f' or {other}' if other else ''}, not {value!r}")


register("Text", "mgsd_bench.integrations.gym:TextEnv", None)
