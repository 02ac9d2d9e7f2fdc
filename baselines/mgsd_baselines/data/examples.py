"""What one training row says: a question about an episode, the answer to learn, and what only the teacher is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from PIL import Image

from mgsd_bench.answers.plans import write_plan
from mgsd_bench.prompts import CONDITIONS, WITH_FACTS, WITH_IMAGE, WITH_PLAN, Condition
from mgsd_envs import get_task, trace
from mgsd_envs.grid import LETTERS

if TYPE_CHECKING:
    from mgsd_bench.prompts import PromptSet
    from mgsd_envs import Episode

Kind = Literal["visual", "symbolic", "perceive", "direct", "questions", "teacher", "unrelated", "distill"]
"""What a row asks and answers.

``visual``, ``symbolic``, ``perceive``, ``direct``: the evaluation's question with its reference answer.
``questions``: a picture with all of the task's perception questions in one turn, and numbered answers (paper: stage 1).
``teacher``: what stage 2's teacher is asked, text only, with the full answer.
``unrelated``: as ``visual``, but with the picture of another episode: teaches the form of answers and nothing else.
``distill``: the ``visual`` question for the student, what the teacher is told beside it, and no answer (stage 2, GRPO).
"""
KINDS: tuple[Kind, ...] = get_args(Kind)

ASK_ALL = "Answer all questions about the picture, one numbered line each, in the form 'field: value'."
TOLD_STATE = "The picture shows this state:"
TOLD_PLAN = "A shortest plan is:"

_LETTER = {action: letter for letter, action in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of training data.

    Attributes:
        kind: what is asked and answered.
        episode: the episode that the answer is about.
        prompt: text of the user turn; the picture follows it.
        picture: the episode whose picture is shown; None for text alone.
        completion: the answer to learn; None where the student finds its own.
        privileged: what only the teacher is told, None but for ``distill``; empty if it is told nothing.
    """

    kind: Kind
    episode: Episode
    prompt: str
    picture: Episode | None
    completion: str | None
    privileged: str | None = None

    def to_trl(self, image_size: int) -> dict[str, Any]:
        """The row in TRL's conversational columns, its picture drawn ``image_size`` pixels square.

        ``prompt`` (text, then the place of the picture), ``images`` (one or none), ``episode`` (canonical JSON);
        ``completion`` where there is one; ``teacher_prompt`` (text only) and ``privileged`` for ``distill``.
        """
        content: list[dict[str, Any]] = [_text(self.prompt)]
        images = []
        if self.picture is not None:
            content.append({"type": "image"})
            images.append(Image.fromarray(self.picture.draw(image_size).rgb()))
        columns: dict[str, Any] = {
            "prompt": [{"role": "user", "content": content}],
            "images": images,
            "episode": self.episode.canonical(),
        }
        if self.completion is not None:
            columns["completion"] = [{"role": "assistant", "content": [_text(self.completion)]}]
        if self.privileged is not None:
            columns["privileged"] = self.privileged
            columns["teacher_prompt"] = [{"role": "user", "content": [_text(self.teacher_prompt)]}]
        return columns

    @property
    def teacher_prompt(self) -> str:
        """The student's question with what only the teacher is told."""
        return f"{self.prompt}\n{self.privileged}" if self.privileged else self.prompt

    @property
    def length(self) -> int:
        """How long the row is, in characters of the text that goes with it; a picture counts as 1,000."""
        return len(self.prompt) + len(self.completion or "") + 1000 * (self.picture is not None)

    def canonical(self) -> tuple[str, ...]:
        """All that the row depends on, as text; what data digests are taken over."""
        picture = "" if self.picture is None else self.picture.canonical()
        return self.kind, self.episode.canonical(), picture, self.prompt, self.completion or "", self.privileged or ""


def make_row(
    kind: Kind,
    episode: Episode,
    prompts: PromptSet,
    *,
    picture: Episode | None = None,
    privileged: str | None = None,
) -> Row:
    """The row of one kind about one episode.

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
        return Row(kind, episode, text, episode, answer)
    prompt = prompts.render(episode, condition)
    told = told_by(get_task(episode.task).describe(episode.state), write_plan(episode.plan))
    match kind:
        case "distill":
            return Row(kind, episode, prompt, episode, None, told if privileged is None else privileged)
        case "teacher":
            return Row(kind, episode, f"{prompt}\n{told}", None, reference_answer(episode, "visual"))
        case "unrelated":
            return Row(kind, episode, prompt, picture, reference_answer(episode, "visual"))
    shown = episode if condition in WITH_IMAGE else None
    return Row(kind, episode, prompt, shown, reference_answer(episode, condition))


def condition_of(kind: Kind) -> Condition:
    """The evaluation's condition whose question a kind asks."""
    return next((condition for condition in CONDITIONS if condition == kind), "visual")


def told_by(state: str | None, plan: str | None) -> str:
    """What the teacher is told of the state and of a plan, each as text or None if it is kept from it."""
    lines = [] if state is None else [TOLD_STATE, state]
    if plan is not None:
        lines.append(f"{TOLD_PLAN} {plan}")
    return "\n".join(lines)


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
    words = [_cell(cursors[0])]
    for action, before, after in zip(episode.plan, cursors, cursors[1:], strict=False):
        words.append(_LETTER.get(action, action.upper()))
        if after[:2] != before[:2]:
            words.append(_cell(after))
    return " ".join(words)


def _cell(cursor: tuple[int, ...]) -> str:
    return f"({cursor[0]},{cursor[1]})"


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
