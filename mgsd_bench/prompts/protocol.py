"""Closed loop in words: how turns are taken, what came of a step, and what was answered.

What every task has in common is told here, and not in the tasks' own texts: ``{protocol}`` in those stands for whole
sentences, ``{protocol:compact}`` for as few words as will do. What came of a step is one short line, the same for both.
Nothing here tells a cell, a legal move, a distance, or how many steps are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

from mgsd_bench.prompts import PROTOCOLS, WITH_IMAGE, Condition, PromptSet
from mgsd_envs import get_task
from mgsd_envs.grid import LETTERS
from mgsd_envs.views import FULL, Explorable, View

if TYPE_CHECKING:
    from mgsd_envs import Episode, Task

_BETWEEN = "between <answer> and </answer>"
_MOVES = {action: letter for letter, action in LETTERS.items()}
_RESULT = "Result of your last "


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How a closed loop is played; all of it may change results.

    Attributes:
        view: how much of the board is shown.
        history: how many past turns are shown again; all if None.
        feedback: whether the model is told what came of its last step.
        remember: what past turns show of the model's own texts: its ``answers``, or ``all``.
        chunk: most actions of an answer that are carried out; a whole plan if None.
        say_state: whether the model states in every turn what it sees.
        stop_stuck: whether an episode ends where greedy decoding can only repeat itself.
    """

    view: View = FULL
    history: int | None = 4
    feedback: bool = True
    remember: Literal["answers", "all"] = "answers"
    chunk: int | None = 1
    say_state: bool = False
    stop_stuck: bool = True

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values, the view as text."""
        return {**asdict(self), "view": str(self.view)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_json`, for data of any origin; other keys are left alone.

        Raises:
            ValueError: a setting is missing, or none that there is.
        """
        match data:
            case {
                "view": str(view),
                "history": int() | None as history,
                "feedback": bool(feedback),
                "remember": "answers" | "all" as remember,
                "chunk": int() | None as chunk,
                "say_state": bool(say_state),
                "stop_stuck": bool(stop_stuck),
            } if (history or 0) >= 0 and chunk != 0 and (chunk or 1) > 0:
                return cls(
                    view=View.parse(view),
                    history=history,
                    feedback=feedback,
                    remember=remember,
                    chunk=chunk,
                    say_state=say_state,
                    stop_stuck=stop_stuck,
                )
        raise ValueError("these are not the settings of a closed loop")


def opening(prompts: PromptSet, episode: Episode, condition: Condition, loop: LoopSettings, steps: int) -> str:
    """The first user turn's text, which the first picture or state follows.

    Under ``act``, ``act-stale`` and ``act-blind`` it is the same.

    Args:
        prompts: the prompt set, loaded with the settings' ``say_state``.
        episode: the episode.
        condition: one of closed loop.
        loop: the settings.
        steps: most steps that may be taken.
    """
    text = prompts.render(episode, condition)
    task = get_task(episode.task)
    for placeholder, words in zip(PROTOCOLS, (_told, _told_in_short), strict=True):
        if placeholder in text:
            text = text.replace(placeholder, words(task, condition in WITH_IMAGE, loop, steps))
    return text


def result_line(effect: str | None, rule: str, task: Task[Any], *, done: int = 1, of: int = 1) -> str:
    """What came of the last turn, in one line.

    Args:
        effect: of the turn's last action: ``done``, ``blocked`` or ``fatal``; None where nothing could be read.
        rule: the task's rule that the action would have broken; empty if it was done.
        task: the task.
        done: how many of the answer's actions were carried out.
        of: how many actions the answer had.
    """
    begin = f"{_RESULT}step:" if of == 1 else f"{_RESULT}answer:"
    why = f"not possible ({task.rules.get(rule, 'no such action')})"
    if effect is None:
        return f"{begin} not readable: end with one action {_BETWEEN}."
    if of == 1:
        return f"{begin} {'done' if effect == 'done' else why}."
    carried_out = f"{begin} {done} of {of} actions done"
    return f"{carried_out}." if effect == "done" else f"{carried_out}, the next was {why}."


def without_result(text: str) -> tuple[str, str]:
    """A first user turn's text in two: the rules, and the result line with what follows it, empty where there is none.

    There is one where the turns before it are not shown any more.
    """
    rules, gap, rest = text.rpartition(f"\n\n{_RESULT}")
    return (rules, _RESULT + rest) if gap else (text, "")


def said(actions: Sequence[str], task: Task[Any]) -> str:
    """A past turn of the model's as it is shown again: its actions alone, in the letters of the task's texts.

    Of a turn in which nothing could be read the block is empty.
    """
    between = "" if all(action in _MOVES for action in task.actions) else ","
    return f"<answer>{between.join(written(action, task) for action in actions)}</answer>"


@lru_cache(maxsize=1024)
def written(action: str, task: Task[Any]) -> str:
    """An action as prompts write it: by its letter if it has one, by its name in capitals else."""
    words = (_MOVES.get(action, action), *task.action_words.get(action, ()))
    return next((word for word in words if len(word) == 1), action).upper()


def _told(task: Task[Any], picture: bool, loop: LoopSettings, steps: int) -> str:
    """How turns are taken, in whole sentences."""
    match loop.chunk:
        case 1:
            how, last, end = "You act step by step: each of your answers is one action.", "step", "your next action"
        case None:
            how = (
                "You answer with a plan. It is carried out until one of its actions is not possible; where it ends "
                "without success, you answer with a new plan. Every action is a step."
            )
            last, end = "plan", "the actions of your plan, in order and separated by commas,"
        case most:
            how = (
                f"You act in turns: each of your answers is up to {most} actions, which are carried out until one is "
                "not possible. Every action is a step."
            )
            last, end = "answer", f"up to {most} actions, in order and separated by commas,"
    shown = f"Before each answer you are {'shown the picture' if picture else 'told the state'} as it is then"
    told = f", and {'told ' if picture else ''}what came of your last {last}" if loop.feedback else ""
    rules = [
        how,
        f"{shown}{told}.",
        *_seen(task, picture, loop.view),
        f"You have at most {steps} steps; one that is not possible counts too.",
    ]
    lines = "\n".join(f"- {rule}" for rule in rules)
    return f"Turns:\n{lines}\n\nThink as you like, then end your answer with {end} {_BETWEEN}."


def _seen(task: Task[Any], picture: bool, view: View) -> list[str]:
    """What a partial view means, in whole sentences."""
    if view.kind == "full":
        return []
    cells = "1 cell" if view.radius == 1 else f"{view.radius} cells"
    shows = f"{'The picture shows' if picture else 'You are told of'} only those cells that"
    if view.kind == "window":
        rest = "what is not on the board is left empty" if picture else "one line says which cells these are"
        return [f"{shows} are at most {cells} away from you now, diagonals included; {rest}."]
    rest = "the others are hidden under one flat colour" if picture else "one line says which cells these are"
    seen = f"{shows} have been at most {cells} away from you so far, diagonals included; {rest}."
    return [seen, *_landmarks(task, "Shown in any case")]


def _told_in_short(task: Task[Any], picture: bool, loop: LoopSettings, steps: int) -> str:
    """How turns are taken, in few words."""
    turn = {1: "One step", None: "A plan"}.get(loop.chunk, f"Up to {loop.chunk} steps")
    seen: list[str] = []
    if loop.view.kind == "window":
        seen = [f"Seen: cells within {loop.view.radius} of you."]
    elif loop.view.kind == "fog":
        seen = [f"Seen: cells once within {loop.view.radius} of you.", *_landmarks(task, "Always seen")]
    end = f"End like {said(task.actions[: 2 if loop.chunk != 1 else 1], task)}"
    return " ".join([f"{turn} a turn, at most {steps} steps; impossible steps count.", *seen, end])


def _landmarks(task: Task[Any], begin: str) -> list[str]:
    """What fog does not hide, if there is such a thing."""
    names = sorted(task.landmarks) if isinstance(task, Explorable) else []
    return [f"{begin}: {', '.join(names)}."] if names else []
