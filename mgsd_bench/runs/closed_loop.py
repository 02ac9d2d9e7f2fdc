"""The closed loop, protocol ``loop-1``: a model acts, sees what came of it, and acts again.

A turn shows the board as it is now and asks for an action. Actions that are not possible change nothing and cost a
step; some end the episode (:attr:`mgsd_envs.Task.fatal`), and so do success and the limit of steps. See
docs/closed-loop.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mgsd_bench.answers.reader import parse_answer
from mgsd_bench.backends import Draw, Moment, Request, Response, Turn, turn_key
from mgsd_bench.backends.wire import Drawn
from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import PromptSet
from mgsd_bench.prompts.protocol import LoopSettings, opening, result_line
from mgsd_bench.prompts.protocol import said as answered
from mgsd_bench.runs.conversation import Conversation, Question, request_seed, turn_digest
from mgsd_bench.runs.lines import facts_row
from mgsd_bench.runs.loop_sample import loop_sample
from mgsd_bench.runs.loop_scoring import Ending
from mgsd_bench.runs.loop_view import shown_in_turn, trail_in_picture
from mgsd_bench.runs.turns import TURNS, TurnRecord
from mgsd_envs import get_task
from mgsd_envs.acting import act
from mgsd_envs.explorer import explorer_steps
from mgsd_envs.views import FULL, View, check_view

if TYPE_CHECKING:
    from mgsd_envs import Episode
    from mgsd_envs.types import Cursor

PROTOCOL = "loop-1"

MOST_UNREAD = 3
"""Answers in a row that cannot be read, after which an episode ends."""
MOST_REPEATED = 3
"""How often a greedy model is shown the same and does the same before it counts as stuck: it would for ever."""


@dataclass(frozen=True, slots=True)
class Loop:
    """How the closed loop of a run goes.

    Attributes:
        settings: what the user says of it.
        limits: the most steps of an episode, by task and level.
        greedy: whether the same prompt always gets the same answer.
    """

    settings: LoopSettings = field(default_factory=LoopSettings)
    limits: Mapping[tuple[str, int], int] = field(default_factory=dict)
    greedy: bool = False

    def to_json(self) -> dict[str, Any]:
        """What has to agree between two runs, as plain JSON values."""
        limits = {f"{task}/{level}": limit for (task, level), limit in sorted(self.limits.items())}
        return {"protocol": PROTOCOL, **self.settings.to_json(), "limits": limits, "greedy": self.greedy}


def step_limits(episodes: Iterable[Episode], view: View) -> dict[tuple[str, int], int]:
    """The most steps of an episode, by task and level: ``2 n + 8``, alike for all boards of a level.

    n is the largest number of steps over these boards: of the shortest plan or, in a partial view, of one who explores
    (:func:`mgsd_envs.explorer.explorer_steps`). A limit by the board itself would tell how long its plan is.

    Raises:
        UserError: a task has no partial views.
    """
    longest: dict[tuple[str, int], int] = {}
    for episode in episodes:
        task = get_task(episode.task)
        try:
            check_view(task, view, episode.perturbation)
        except ValueError as error:
            raise UserError(f"{option('view', view)}: {error}") from error
        steps = episode.shortest if view == FULL else explorer_steps(task, episode.state, view)
        place = episode.task, episode.level
        longest[place] = max(steps, longest.get(place, 0))
    return {place: 2 * steps + 8 for place, steps in longest.items()}


def closed_loop(
    question: Question,
    prompts: PromptSet,
    seed: int,
    loop: Loop,
    past: Sequence[TurnRecord] = (),
    on_turn: Callable[[TurnRecord], None] = lambda turn: None,
    image_size: int | None = None,
    on_asked: Callable[[Sequence[Turn]], None] = lambda turns: None,
) -> Conversation:
    """Let a model act until the episode ends.

    Args:
        question: which episode, under which condition.
        prompts: the prompt set, with the texts of the condition.
        seed: of the run's sampling.
        loop: how the loop goes.
        past: turns that were had before: they are not asked again.
        on_turn: told each new turn the moment it ends.
        image_size: side of the pictures in pixels; that of the episode if None.
        on_asked: told what each turn shows, those of ``past`` too.

    Raises:
        UserError: a turn of ``past`` is not what would be asked now, or what would come of it.
    """
    episode, settings = question.episode, loop.settings
    limit = loop.limits[episode.task, episode.level]
    board = _Board(question, settings, image_size)
    dialogue = _Dialogue(opening(prompts, episode, question.condition, settings, limit), settings.history)
    turns: list[TurnRecord] = []
    sample = partial(loop_sample, episode, question.condition, question.repeat, settings, turns)
    repeated: Counter[tuple[str, tuple[str, ...]]] = Counter()
    ending: Ending | None = None
    while not board.over and ending is None:
        number = len(turns)
        key = turn_key(question.key, number)
        said, digest = dialogue.ask(*board.now())
        on_asked(said)
        if number < len(past):
            response = _response_of(past[number], digest)
        else:
            moment = Moment(tuple(board.trail), settings.view, board.steps, settings.chunk, settings.say_state)
            response = yield Request(key, said, request_seed(seed, key), question.condition, episode, moment)
        if response.error is not None:
            return sample("error", prompt_digest=digest, error=response.error)
        turn = board.carry_out(response, number, digest, limit - board.steps)
        if number >= len(past):
            on_turn(turn)
        elif turn != past[number]:
            raise UserError(f"{TURNS}: turn {number} of {question.key} does not hold what its answer comes to; {_ANEW}")
        dialogue.hear(response.text if settings.remember == "all" else answered(turn.actions, board.task))
        turns.append(turn)
        repeated[digest, tuple(turn.actions)] += 1
        stuck = loop.greedy and settings.stop_stuck and repeated[digest, tuple(turn.actions)] == MOST_REPEATED
        ending = _ending(turns, stuck=stuck, over=board.steps >= limit)
    return sample(None if board.over else ending)


def _ending(turns: Sequence[TurnRecord], *, stuck: bool, over: bool) -> Ending | None:
    """Why an episode ends that has reached neither success nor a fatal action; None where it goes on."""
    last = turns[-MOST_UNREAD:]
    if len(last) == MOST_UNREAD and not any(turn.actions for turn in last):
        return "truncated" if all(turn.finish_reason == "length" for turn in last) else "no_answer"
    if stuck:
        return "stuck"
    return "out_of_steps" if over else None


def _response_of(turn: TurnRecord, digest: str) -> Response:
    if turn.prompt_digest != digest:
        raise UserError(f"{TURNS}: turn {turn.turn} of {turn.key} answers another prompt than this run asks; {_ANEW}")
    return turn.response


_ANEW = "delete the lines of its episode and run the command again, or name another folder"


class _Board:
    """An episode that is being acted in.

    Attributes:
        task: its task.
        trail: the cursors so far, that of now last.
        steps: how many steps are spent: actions that were tried, and turns that could not be read.
        over: whether success or a fatal action has ended the episode.
    """

    def __init__(self, question: Question, settings: LoopSettings, image_size: int | None) -> None:
        self._question, self._settings, self._size = question, settings, image_size
        self._episode = question.episode
        self.task = get_task(self._episode.task)
        self._name = self.task.key(self._episode.state)
        self._result = ""
        self.trail: list[Cursor] = [self.task.start(self._episode.state)]
        self.steps = 0
        self.over = False
        self._after = self._digest()

    def now(self) -> tuple[str, Draw | None, bytes]:
        """What a turn shows: the result of the last answer, the state as text or picture, and the picture's content."""
        episode, condition, view = self._episode, self._question.condition, self._settings.view
        shown = shown_in_turn(episode, condition, view, self.trail, self.steps, self._size)
        if shown is None or isinstance(shown, str):
            return "\n".join(filter(None, (self._result, shown))), None, b""
        trail = trail_in_picture(condition, self.trail)
        return self._result, Drawn(shown, episode, self._size, trail, view), shown.content()

    def carry_out(self, response: Response, number: int, digest: str, most: int) -> TurnRecord:
        """Do what an answer says, up to ``most`` actions and to the first that is not done."""
        task, state, chunk = self.task, self._episode.state, self._settings.chunk
        answer = parse_answer(response.text, task, whole=response.finish_reason != "length")
        plan = (answer.plan or ())[:chunk]
        before, rule = self._after, None
        actions: list[str] = []
        effects: list[str] = []
        facts = answer.facts if self._settings.say_state else frozenset()
        for action in plan[:most]:
            effect, cursor, rule = act(task, state, self.trail[-1], action)
            actions.append(action)
            effects.append(effect)
            if effect == "done":
                self.trail.append(cursor)
                self.over = task.solved(state, cursor)
            self.over |= effect == "fatal"
            if self.over or effect != "done":
                break
        self.steps += max(1, len(actions))
        if "done" in effects:
            self._after = self._digest()
        if self._settings.feedback:
            effect_last = effects[-1] if effects else None
            self._result = result_line(effect_last, rule or "", task, done=effects.count("done"), of=len(plan))
        return TurnRecord(
            episode=self._episode.id,
            condition=self._question.condition,
            repeat=self._question.repeat,
            turn=number,
            prompt_digest=digest,
            text=response.text,
            finish_reason=response.finish_reason,
            prompt_tokens=response.prompt_tokens,
            completion_tokens=response.completion_tokens,
            seconds=None if response.seconds is None else round(response.seconds, 4),
            form=answer.form,
            facts=facts_row(facts),
            actions=actions,
            effects=effects,
            rule=None if rule is None else str(rule),
            before=before,
            after=self._after,
        )

    def _digest(self) -> str:
        """The start and the cursor, which together are the state, as 16 hexadecimal digits."""
        return sha256(f"{self._name} {self.trail[-1]}".encode()).hexdigest()[:16]


class _Dialogue:
    """What is shown of an episode so far: the opening, the last few turns, and the turn of now.

    Args:
        opening: the rules, before everything else.
        history: how many past turns are shown; None for all.
    """

    def __init__(self, opening: str, history: int | None) -> None:
        self._opening, self._history = opening, history
        self._past: list[tuple[Turn, str, str]] = []
        self._asked: tuple[Turn, str] = Turn("user", ""), ""

    def ask(self, text: str, draw: Draw | None, content: bytes) -> tuple[tuple[Turn, ...], str]:
        """The turns of a request, and the SHA-256 of all of them."""
        self._asked = Turn("user", text, draw), turn_digest(text, content)
        turns: list[Turn] = []
        whole = sha256(self._opening.encode())
        for asked, digest, answer in self._past:
            turns += [asked, Turn("assistant", answer)]
            whole.update(f"\0{digest}\0{answer}".encode())
        whole.update(f"\0{self._asked[1]}".encode())
        turns.append(self._asked[0])
        first = turns[0]
        turns[0] = Turn(first.role, "\n\n".join(filter(None, (self._opening, first.text))), first.image)
        return tuple(turns), whole.hexdigest()

    def hear(self, answer: str) -> None:
        """Keep the turn of now and what was answered, as later turns show them."""
        self._past.append((*self._asked, answer))
        if self._history is not None:
            self._past = self._past[-self._history :] if self._history else []
