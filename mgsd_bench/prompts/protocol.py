"""What is said in a closed loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mgsd_envs.views import FULL, View


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """The settings of a closed loop."""

    view: View = FULL
    history: int | None = 4
    feedback: bool = True
    remember: Literal["answers", "all"] = "answers"
    chunk: int | None = 1
    say_state: bool = False
    stop_stuck: bool = True

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {
            "view": str(self.view),
            "history": self.history,
            "feedback": self.feedback,
            "remember": self.remember,
            "chunk": self.chunk,
            "say_state": self.say_state,
            "stop_stuck": self.stop_stuck,
        }
