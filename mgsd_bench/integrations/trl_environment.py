"""Closed loop as an environment of TRL: a model acts by calling a tool, and is shown the picture after every step.

``GRPOTrainer(environment_factory=MoveEnvironment, ...)`` on rows with the columns ``prompt`` (a user turn, which may
be empty) and ``episode`` (canonical JSON); settings by ``environment_factory=partial(MoveEnvironment, shaping=0.5)``.
Needs the extra ``gym`` (``pip install "mgsd-bench[gym]"``); TRL itself is not imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mgsd_bench.integrations.gym import TextEnv
from mgsd_bench.prompts import PROTOCOLS, load_prompts
from mgsd_bench.prompts.protocol import result_line, said
from mgsd_bench.runs.rewards import episode_of

Content = list[dict[str, Any]]
"""Parts of a message: texts and pictures."""


class MoveEnvironment:
    """One episode at a time, acted in by :meth:`move`, which TRL offers to the model as a tool.

    Rules, step limit, reward and end are those of :class:`mgsd_bench.integrations.gym.TextEnv` with one action an
    answer. Only how an action is said differs: it is the tool's argument.

    Args:
        shaping: how much progress on the way is worth, from 0 to 1, beside the 1 for success.
        prompts: name of a prompt set, or a folder; what it says of turns is replaced by how the tool is used.
        size: pixels a side of the pictures.
    """

    def __init__(self, *, shaping: float = 0.0, prompts: str = "default", size: int = 256) -> None:
        self._settings: dict[str, Any] = {"shaping": shaping, "prompts": prompts, "size": size}
        self._envs: dict[tuple[str, int], TextEnv] = {}
        self._env: TextEnv | None = None
        self._reward = 0.0

    def reset(self, episode: str, **_: object) -> Content:
        """Start an episode, of any task; what is returned ends the prompt: the rules, and the first picture.

        Args:
            episode: its canonical JSON.

        Raises:
            mgsd_bench.errors.UserError: it is none, or the prompt set cannot be read.
        """
        about = episode_of(episode)
        place = about.task, about.level
        if place not in self._envs:
            self._envs[place] = TextEnv(about.task, level=about.level, **self._settings)
        self._env, self._reward = self._envs[place], 0.0
        picture, _info = self._env.reset(options={"episode": about})
        text = load_prompts(self._settings["prompts"], [about], ["act"]).render(about, "act")
        for placeholder in PROTOCOLS:
            text = text.replace(placeholder, self._turns())
        return [{"type": "text", "text": text}, _part(picture)]

    def move(self, action: str) -> Content:
        """Take one step, and see the picture after it.

        Args:
            action: The action to take, by its letter or its name.
        """
        if self._env is None or self._env.sample is not None:
            raise ValueError("the episode is over")
        env = self._env
        picture, reward, _terminated, _truncated, info = env.step(f"<answer>{action}</answer>")
        self._reward += reward
        turn = env.turns[-1]
        if turn.effects:
            line = result_line(turn.effects[-1], turn.rule or "", env.task)
        else:
            line = f"Result of your last step: no action of the task; call move with one of {self._letters()}."
        end = f" The episode is over: {info['outcome']}." if "outcome" in info else ""
        return [{"type": "text", "text": line + end}, _part(picture)]

    def get_reward(self) -> float:
        """1 if the episode was solved, and what progress is worth: from 0 to ``1 + shaping``."""
        return self._reward

    def _turns(self) -> str:
        assert self._env is not None
        return (
            f"You act step by step: call the tool move with one action ({self._letters()}). It shows you the picture "
            f"as it is then, and tells what came of the step. You have at most {self._env.steps} steps; one that is "
            "not possible counts too."
        )

    def _letters(self) -> str:
        assert self._env is not None
        task = self._env.task
        return ", ".join(
            said([action], task).removeprefix("<answer>").removesuffix("</answer>") for action in task.actions
        )


def _part(picture: NDArray[np.uint8]) -> dict[str, Any]:
    return {"type": "image", "image": Image.fromarray(picture)}
