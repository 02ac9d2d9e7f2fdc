"""What one training row says: a question about an episode, the answer to learn, and what only the teacher is told.

The teacher of self-distillation has a privileged context: the state and a plan, less of them, or something false. False
contexts are controls. If the student learns as much from a teacher that is told another episode (``shuffle``) or a
misread one (``noise``), then it was not the told state that it learned from.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from PIL import Image

from mgsd_baselines.data.acting import Turn, question
from mgsd_bench.answers.plans import write_plan
from mgsd_bench.errors import UserError
from mgsd_bench.prompts import CONDITIONS, WITH_FACTS, WITH_IMAGE, WITH_PLAN, Condition
from mgsd_envs import Cell, get_task, trace
from mgsd_envs.faults import misread
from mgsd_envs.grid import LETTERS

if TYPE_CHECKING:
    from mgsd_baselines.recipe import Teacher
    from mgsd_bench.prompts import PromptSet
    from mgsd_envs import Episode
    from mgsd_envs.rendering import Picture, Pixels
    from mgsd_envs.types import Cursor, Plan

OneShotKind = Literal[
    "visual",
    "symbolic",
    "perceive",
    "direct",
    "questions",
    "teacher",
    "unrelated",
    "distill",
    "distill-symbolic",
]
ActKind = Literal["act", "act-think", "act-say", "act-symbolic", "distill-act"]
Kind = Literal[OneShotKind, ActKind]
"""What a row asks and answers.

``visual``, ``symbolic``, ``perceive``, ``direct``: the evaluation's question with its reference answer.
``questions``: a picture with all of the task's perception questions in one turn, and numbered answers (paper: stage 1).
``teacher``: what stage 2's teacher is asked, text only, with the full answer.
``unrelated``: as ``visual``, but with the picture of another episode: teaches the form of answers and nothing else.
``distill``: the ``visual`` question for the student, what the teacher is told beside it, and no answer (stage 2, GRPO).
``distill-symbolic``: the ``symbolic`` question for student and teacher alike, and no answer: the student is held to
what the teacher says about a state as text.

Of a turn in the closed loop, somewhere along a rollout (:mod:`mgsd_baselines.data.acting`):
``act``: the evaluation's question with the step that leads nearer.
``act-symbolic``: likewise from the state as text, with the route to success before the step.
``act-think``: as ``act``, with the state as it is then and the route before the step, unasked: it thinks aloud.
``act-say``: as ``act-think`` where the model is asked to state what it sees.
``distill-act``: the ``act`` question for the student, ``act-symbolic`` of the same turn for the teacher, and no answer.
"""
KINDS: tuple[OneShotKind, ...] = get_args(OneShotKind)
"""Kinds of rows about an episode as it begins."""
ACT_KINDS: tuple[ActKind, ...] = get_args(ActKind)
"""Kinds of rows about a turn in the closed loop."""
ALL_KINDS: tuple[Kind, ...] = KINDS + ACT_KINDS
TEXT_KINDS: tuple[Kind, ...] = ("symbolic", "teacher", "distill-symbolic", "act-symbolic")
"""Kinds of rows without a picture."""
UNANSWERED: tuple[Kind, ...] = ("distill", "distill-symbolic", "distill-act")
"""Kinds of rows that the student finds its own answers to."""

ASK_ALL = "Answer all questions about the picture, one numbered line each, in the form 'field: value'."
PRIVILEGED_STATE = "The picture shows this state:"
PRIVILEGED_PLAN = "A shortest plan is:"

_LETTER = {action: letter for letter, action in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Example:
    """One row of training data: an episode, what is asked about it, and what is to be answered.

    The model sees one user turn, the text of ``prompt`` and then the picture. Under ``sft`` it learns ``completion``;
    under ``distill`` and ``grpo`` it answers in its own words, and under ``distill`` a teacher that sees
    ``teacher_prompt`` and no picture scores each of its tokens.

    Attributes:
        kind: what is asked and answered.
        episode: the episode that the answer is about.
        prompt: text of the user turn; the picture follows it.
        picture: the episode whose picture is shown, of a turn as it is then; None for text alone.
        completion: the answer to learn; None where the student finds its own.
        privileged: what only the teacher is told, None where there is an answer; empty if it is told nothing.
        teacher: the teacher's question, where it is not the student's with ``privileged`` after it.
        turn: where the episode stands that is acted in; None of other rows.
    """

    kind: Kind
    episode: Episode
    prompt: str
    picture: Episode | None
    completion: str | None
    privileged: str | None = None
    teacher: str | None = None
    turn: Turn | None = None

    def to_trl(self, image_size: int) -> dict[str, object]:
        """The row in TRL's conversational columns, its picture drawn ``image_size`` pixels square.

        ``prompt`` (text, then the place of the picture), ``images`` (one PIL image, RGB, or none), ``episode``
        (canonical JSON); ``completion`` where there is one, else ``teacher_prompt`` (text only), ``privileged`` and
        ``condition``, how it is asked; of a turn in the closed loop ``tried``, the actions before it (JSON).
        """
        content: list[dict[str, str]] = [_text(self.prompt)]
        images = []
        if self.picture is not None:
            content.append({"type": "image"})
            images.append(Image.fromarray(self.draw(self.picture, image_size).rgb()))
        columns: dict[str, object] = {
            "prompt": [{"role": "user", "content": content}],
            "images": images,
            "episode": self.episode.canonical(),
        }
        if self.completion is not None:
            columns["completion"] = [{"role": "assistant", "content": [_text(self.completion)]}]
        if self.privileged is not None:
            columns["privileged"] = self.privileged
            columns["condition"] = condition_of(self.kind)
            columns["teacher_prompt"] = [{"role": "user", "content": [_text(self.teacher_prompt)]}]
        if self.turn is not None:
            columns["tried"] = json.dumps(self.turn.tried)
        return columns

    @property
    def teacher_prompt(self) -> str:
        """The teacher's question: by default the student's with what only the teacher is told."""
        if self.teacher is not None:
            return self.teacher
        return f"{self.prompt}\n{self.privileged}" if self.privileged else self.prompt

    @property
    def length(self) -> int:
        """How long the row is, in characters of the text that goes with it; a picture counts as 1,000."""
        return len(self.prompt) + len(self.completion or "") + 1000 * (self.picture is not None)

    def canonical(self) -> tuple[str, ...]:
        """All that the row depends on, as text; what data digests are taken over."""
        picture = "" if self.picture is None else self.picture.canonical()
        if picture and self.turn is not None:
            picture += f" {self.turn.trail[-1]}"
        row = self.kind, self.episode.canonical(), picture, self.prompt, self.completion or "", self.privileged or ""
        return row if self.turn is None else (*row, self.teacher or "", json.dumps(self.turn.tried))

    def draw(self, shown: Episode, image_size: int) -> Picture | Pixels:
        """The row's picture of the episode ``shown``, ``image_size`` pixels square."""
        return shown.draw(image_size) if self.turn is None else self.turn.draw(image_size)

    @property
    def picture_name(self) -> str:
        """A name for the picture, the same in all rows of a stage that show it, and in no others; empty without one."""
        if self.picture is None:
            return ""
        return self.picture.id if self.turn is None else f"{self.picture.id}/after-{len(self.turn.trail) - 1}"


def make_example(
    kind: OneShotKind,
    episode: Episode,
    prompts: PromptSet,
    *,
    picture: Episode | None = None,
    privileged: str | None = None,
) -> Example:
    """The example of a one-shot kind about one episode.

    Args:
        kind: see :data:`Kind`.
        episode: what it is about.
        prompts: a prompt set with the condition that the kind needs (:func:`condition_of`).
        picture: for ``unrelated``, whose picture to show instead of the episode's own.
        privileged: for ``distill``, what the teacher is told; by default state and plan.
    """
    condition = condition_of(kind)
    if kind == "questions":
        asked = get_task(episode.task).questions(episode.state)
        text = "\n".join([ASK_ALL, *(f"{i}. {question}" for i, (question, _) in enumerate(asked, 1))])
        answer = "\n".join(f"{i}. {answer}" for i, (_, answer) in enumerate(asked, 1))
        return Example(kind, episode, text, episode, answer)
    prompt = prompts.render(episode, condition)
    if kind in ("distill", "teacher") and privileged is None:
        privileged = format_privileged(get_task(episode.task).describe(episode.state), write_plan(episode.plan))
    match kind:
        case "distill":
            return Example(kind, episode, prompt, episode, None, privileged)
        case "distill-symbolic":
            return Example(kind, episode, prompt, None, None, "")
        case "teacher":
            return Example(kind, episode, f"{prompt}\n{privileged}", None, reference_answer(episode, "visual"))
        case "unrelated":
            return Example(kind, episode, prompt, picture, reference_answer(episode, "visual"))
    shown = episode if condition in WITH_IMAGE else None
    return Example(kind, episode, prompt, shown, reference_answer(episode, condition))


def act_example(kind: ActKind, turn: Turn, prompts: PromptSet, to_say: PromptSet) -> Example:
    """The example of a kind of the closed loop about one turn.

    Args:
        kind: see :data:`Kind`.
        turn: the turn.
        prompts: a prompt set with the conditions that the kind needs (:func:`condition_of`, and for ``distill-act``
            ``act-symbolic`` too).
        to_say: the same set, loaded with ``say_state``; for ``act-say``.
    """
    condition = condition_of(kind)
    says = kind == "act-say"
    asked = question(turn, condition, to_say if says else prompts, say_state=says)
    picture = turn.episode if condition in WITH_IMAGE else None
    if kind == "distill-act":
        teacher = question(turn, "act-symbolic", prompts)
        return Example(kind, turn.episode, asked, picture, None, turn.stated, teacher, turn)
    stated = [turn.stated] if kind in ("act-think", "act-say") else []
    way = [] if kind == "act" else [f"Route: {_route(turn.episode, *turn.to_success())}."]
    answer = "\n".join([*stated, *way, turn.answer])
    return Example(kind, turn.episode, asked, picture, answer, turn=turn)


def condition_of(kind: Kind) -> Condition:
    """The evaluation's condition whose question a kind asks."""
    if kind in ACT_KINDS and kind != "act-symbolic":
        return "act"
    if kind == "distill-symbolic":
        return "symbolic"
    return next((condition for condition in CONDITIONS if condition == kind), "visual")


def reference_answer(episode: Episode, condition: Condition) -> str:
    """A right and shortest answer in the form that the condition asks for."""
    parts = []
    if condition in WITH_FACTS:
        parts.append(get_task(episode.task).describe(episode.state))
    if condition in ("visual", "symbolic"):
        parts.append(f"Route: {route(episode)}.")
    if condition in WITH_PLAN:
        parts.append(f"<answer>{write_plan(episode.plan)}</answer>")
    return "\n".join(parts)


def route(episode: Episode) -> str:
    """The episode's plan with every cell on its way: ``(0,0) R (0,1) D (1,1)``."""
    cursors, _ = trace(get_task(episode.task), episode.state, episode.plan)
    return _route(episode, episode.plan, cursors)


def _route(episode: Episode, plan: Plan, cursors: Sequence[Cursor]) -> str:
    task = get_task(episode.task)
    cells = [task.place(episode.state, cursor) for cursor in cursors]
    words = [_cell(cells[0])]
    for action, before, after in zip(plan, cells, cells[1:], strict=False):
        words.append(_LETTER.get(action, action.upper()))
        if after != before:
            words.append(_cell(after))
    return " ".join(words)


def privileged_context(
    episodes: Sequence[Episode], teacher: Teacher, seed: int = 0
) -> list[tuple[str | None, str | None]]:
    """What the teacher is told about each episode: state and plan as text, None for what its context leaves out.

    With noise every fact of a state but its size is misread with the given probability, by the seed and the state, and
    the plan is a shortest one in the misread world: a plan of the true world would tell what the noise hides. Where no
    way leads to the misread goal it is the plan that sees no obstacles there, and where none is needed no plan is told.

    Args:
        episodes: the episodes of the rows, in their order.
        teacher: context and corruption.
        seed: decides the corruption, together with the episodes' states.

    Raises:
        UserError: as :func:`shuffled`.
    """
    shown = shuffled(episodes, seed) if teacher.shuffle else episodes
    return [_context(episode, teacher, seed) for episode in shown]


def _context(episode: Episode, teacher: Teacher, seed: int) -> tuple[str | None, str | None]:
    task = get_task(episode.task)
    state, plan = episode.state, episode.plan
    if teacher.noise:
        state = misread(task, state, random.Random(f"{seed}/{task.key(state)}"), teacher.noise)
        solution = task.solve(state)
        plan = task.straight(state) if solution is None else solution
    parts = teacher.context.split("+")
    return (
        task.describe(state) if "state" in parts else None,
        write_plan(plan) if "plan" in parts and plan else None,
    )


def format_privileged(state: str | None, plan: str | None) -> str:
    """A privileged context as the teacher reads it: the state and a plan as text, each None if it is kept from it."""
    lines = [] if state is None else [PRIVILEGED_STATE, state]
    if plan is not None:
        lines.append(f"{PRIVILEGED_PLAN} {plan}")
    return "\n".join(lines)


def shuffled(episodes: Sequence[Episode], seed: int) -> list[Episode]:
    """For each episode one with another state, of the same task and level.

    The states of a task and level are put in a circle by the seed, and each episode gets the next. Every state is
    used once, and episodes with the same state get the same other one, whatever the order of the list.

    Raises:
        UserError: a task and level has a single state.
    """
    groups: dict[tuple[str, int], dict[str, Episode]] = {}
    keys = [get_task(episode.task).key(episode.state) for episode in episodes]
    for key, episode in zip(keys, episodes, strict=True):
        groups.setdefault((episode.task, episode.level), {}).setdefault(key, episode)
    following: dict[tuple[str, str], Episode] = {}
    for (task, level), states in groups.items():
        if len(states) < 2:
            raise UserError(f"corruption: shuffle: {task} level {level} has a single episode; raise count in data")
        circle = sorted(states)
        random.Random(f"{seed}/{task}/{level}").shuffle(circle)
        for key, other in zip(circle, [*circle[1:], circle[0]], strict=True):
            following[task, key] = states[other]
    return [following[episode.task, key] for key, episode in zip(keys, episodes, strict=True)]


def _cell(cell: Cell) -> str:
    return f"({cell[0]},{cell[1]})"


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
