"""Which runs may be set side by side, for which question. One table; docs/comparability.md shows it.

A question is what somebody wants to read off several runs. An aspect is something that the runs have in common or not.
Where an aspect that the question depends on differs, the figure would say something else than it seems to, and the runs
are refused. ``--allow ASPECT`` lets a difference through; it is then written beside every figure that it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any

from mgsd_bench.analysis.closed_loop import Way
from mgsd_bench.analysis.run import Run
from mgsd_bench.backends import HUMAN
from mgsd_bench.errors import Exit, UserError, option
from mgsd_bench.prompts import CLOSED_LOOP
from mgsd_bench.runs.stored import FINISHED
from mgsd_bench.suites.suite import digest


class Question(StrEnum):
    """What is asked of several runs."""

    MODELS = "models"
    GAP = "gap"
    GATE = "gate"
    TABLE = "table"
    REPEATS = "repeats"


QUESTIONS: dict[Question, str] = {
    Question.MODELS: "which model is better? (`compare`, `report`)",
    Question.GAP: "what does one model lose from text to picture? (`diagnose`)",
    Question.GATE: "is a checkpoint worse than its baseline? (`gate`, `power --from`)",
    Question.TABLE: "rows of one table, each asked in its own way (`table1`)",
    Question.REPEATS: "how much do two runs of one checkpoint differ? (`noise`)",
}
"""Each question in words, with the commands that ask it."""

FIRST_LOOK = "classic"

OF_MODELS_ALONE = frozenset({"sampling", "image-limits"})
"""Aspects in which a person's run agrees with any."""

Value = Any
"""What a run has of an aspect: plain JSON values; None where the run's record does not say."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """Something that runs have in common or not.

    Attributes:
        name: as ``--allow`` takes it.
        about: what it is, in words.
        matters: the questions for which it must agree.
        allowable: whether a difference may be let through. What figures are paired by may not.
        read: what a run has of it, given the conditions that are compared.
    """

    name: str
    about: str
    matters: frozenset[Question]
    allowable: bool
    read: Callable[[Run, Collection[str]], Value]


def _identity(key: str) -> Callable[[Run, Collection[str]], Value]:
    return lambda run, conditions: run.identity.get(key)


def _status(run: Run, conditions: Collection[str]) -> Value:
    return "finished" if run.status in FINISHED else run.status


def _conditions(run: Run, conditions: Collection[str]) -> Value:
    return run.conditions()


def _episodes(run: Run, conditions: Collection[str]) -> Value:
    """Their digest; of episodes in another look, or with pictures of their own, that of their states in the first."""
    if run.look == FIRST_LOOK:
        return run.identity["episodes_digest"]
    return digest(replace(episode, theme=FIRST_LOOK, original=None) for episode in run.episodes.values())


def _look(run: Run, conditions: Collection[str]) -> Value:
    return run.look


def _prompts(run: Run, conditions: Collection[str]) -> Value:
    """The set's name and, for each condition and episode, the digest of the text and picture that it was asked with.

    Of a closed loop it is that of the first turn, and another view is another condition.
    """
    frame = run.frame
    found: dict[str, dict[str, str]] = {}
    for condition in sorted(conditions):
        asked = frame[frame["condition"] == condition].drop_duplicates("episode")
        digests = zip(asked["episode"].astype(str), asked["prompt_digest"], strict=True)
        found[Way.of(condition, run.view).name] = dict(digests)
    return run.identity.get("prompts"), found


def _closed_loop(run: Run, conditions: Collection[str]) -> Value:
    """How the closed loop goes; None where none is compared, or the run has none."""
    return run.identity.get("loop") if CLOSED_LOOP & set(conditions) else None


_ALL = frozenset(Question)
_ASKED_ALIKE = _ALL - {Question.TABLE}

ASPECTS: dict[str, Aspect] = {
    aspect.name: aspect
    for aspect in (
        Aspect("status", "whether all questions were asked", _ALL, False, _status),
        Aspect("episodes", "the episodes, whatever their look", _ALL, False, _episodes),
        Aspect(
            "condition",
            "the condition that is compared",
            _ALL - {Question.GAP, Question.REPEATS},
            False,
            _conditions,
        ),
        Aspect("scorer", "the version of the scorer", _ALL, True, _identity("scorer")),
        Aspect("look", "the look of the pictures", _ALL, True, _look),
        Aspect("prompts", "prompt set, texts and pictures", _ALL, True, _prompts),
        Aspect("sampling", "decoding parameters, seed included", _ASKED_ALIKE, True, _identity("sampling")),
        Aspect("closed-loop", "settings of the closed loop", _ASKED_ALIKE, True, _closed_loop),
        Aspect("image-limits", "limits of the image area", _ASKED_ALIKE, True, _identity("pixels")),
        Aspect(
            "repeats",
            "how often each question is asked",
            frozenset({Question.GAP, Question.GATE, Question.REPEATS}),
            True,
            _identity("repeats"),
        ),
        Aspect("model", "the model", frozenset({Question.GAP, Question.REPEATS}), True, _identity("model")),
    )
}
"""Every aspect by name; the order is that of the messages."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An aspect in which a run differs from the first one.

    Attributes:
        aspect: its name.
        run: the run's folder.
        found: what it has, as text.
        first: the first run's folder.
        wanted: what the first run has, as text.
    """

    aspect: str
    run: str
    found: str
    first: str
    wanted: str

    @property
    def text(self) -> str:
        """The difference in words."""
        return f"{self.aspect}: {self.found}, not {self.wanted} as in {self.first}"


def differences(runs: Sequence[Run], question: Question, conditions: Collection[str]) -> list[Difference]:
    """All that a question depends on and in which a run differs from the first, or from the first of a model's.

    A person's run is not held against decoding and image limits, which it has none of.

    Args:
        runs: at least one.
        question: what is asked of them.
        conditions: the conditions that are compared.
    """
    found = []
    first = next((run for run in runs if not _is_person(run)), runs[0])
    for run in runs:
        for aspect in ASPECTS.values():
            if question not in aspect.matters or (_is_person(run) and aspect.name in OF_MODELS_ALONE):
                continue
            wanted, value = _wanted(aspect, first, run, conditions, question)
            if value != wanted:
                texts = _texts(aspect, value, wanted)
                found.append(Difference(aspect.name, str(run.path), texts[0], str(first.path), texts[1]))
    return found


def _is_person(run: Run) -> bool:
    return run.identity.get("backend") == HUMAN


def check(runs: Sequence[Run], question: Question, conditions: Collection[str], allow: Iterable[str] = ()) -> list[str]:
    """Make sure that runs may be set side by side.

    Args:
        runs: at least one.
        question: what is asked of them.
        conditions: the conditions that are compared.
        allow: names of aspects that may differ all the same.

    Returns:
        What was let through, a line each, to be written beside every figure that it touches.

    Raises:
        UserError: runs differ in an aspect that the question depends on and that is not allowed (exit code
            ``NOT_COMPARABLE``; the message names every such aspect with both values), or ``allow`` names no aspect or
            one that cannot be let through.
    """
    allowed = allowable(allow)
    found = differences(runs, question, conditions)
    refused = [difference for difference in found if difference.aspect not in allowed]
    if refused:
        by_run: dict[str, list[Difference]] = {}
        for difference in refused:
            by_run.setdefault(difference.run, []).append(difference)
        parts = [f"{run}: {_listed(of_run)}" for run, of_run in by_run.items()]
        raise UserError(f"{'; '.join(parts)}; {_remedy(refused)}", Exit.NOT_COMPARABLE)
    notes = {f"not alike in {d.aspect}: {d.found} in {d.run}, {d.wanted} in {d.first}": None for d in found}
    return list(notes)


def allowable(names: Iterable[str]) -> frozenset[str]:
    """The aspects that ``--allow`` names.

    Raises:
        UserError: one is unknown, or cannot be let through.
    """
    chosen = frozenset(names)
    known = [aspect.name for aspect in ASPECTS.values() if aspect.allowable]
    for name in sorted(chosen):
        if name not in known:
            why = "figures rest on it" if name in ASPECTS else "unknown"
            raise UserError(f"{option('allow', name)}: {why}; choose from {', '.join(known)}")
    return chosen


def _wanted(
    aspect: Aspect, first: Run, run: Run, conditions: Collection[str], question: Question
) -> tuple[Value, Value]:
    """What a run has to have of an aspect, and what it has."""
    if aspect.name == "status":
        return "finished", aspect.read(run, conditions)
    if aspect.name == "condition":
        there = aspect.read(run, conditions)
        return (there, there) if set(conditions) <= set(there) else (sorted(conditions), there)
    if aspect.name == "prompts":
        return _shared_prompts(aspect.read(first, conditions), aspect.read(run, conditions))
    if aspect.name == "closed-loop" and question == Question.GAP:
        return _alike_but_for_view(aspect.read(first, conditions), aspect.read(run, conditions))
    if aspect.name == "closed-loop" and _is_person(run):
        return _alike_but_for_greed(aspect.read(first, conditions), aspect.read(run, conditions))
    return aspect.read(first, conditions), aspect.read(run, conditions)


def _alike_but_for_view(wanted: Value, found: Value) -> tuple[Value, Value]:
    """Both settings without the view, and the limits that go with it; alike where one of the two has no closed loop."""
    if not isinstance(wanted, dict) or not isinstance(found, dict):
        return None, None
    if wanted.get("view") == found.get("view"):
        return wanted, found
    sides = ({key: v for key, v in side.items() if key not in ("view", "limits")} for side in (wanted, found))
    return tuple(sides)  # type: ignore[return-value]


def _alike_but_for_greed(wanted: Value, found: Value) -> tuple[Value, Value]:
    """Both settings without whether decoding is greedy."""
    if not isinstance(wanted, dict) or not isinstance(found, dict):
        return wanted, found
    return tuple({key: v for key, v in side.items() if key != "greedy"} for side in (wanted, found))  # type: ignore[return-value]


def _shared_prompts(wanted: Value, found: Value) -> tuple[Value, Value]:
    """Names of the sets, and by condition a digest of the questions that both runs were asked."""
    sides: tuple[dict[str, str], dict[str, str]] = {}, {}
    for condition in wanted[1].keys() & found[1].keys():
        questions = wanted[1][condition], found[1][condition]
        shared = sorted(questions[0].keys() & questions[1].keys())
        for side, of_side in zip(sides, questions, strict=True):
            lines = "\n".join(f"{episode} {of_side[episode]}" for episode in shared)
            side[condition] = sha256(lines.encode()).hexdigest()
    return [wanted[0], sides[0]], [found[0], sides[1]]


def _texts(aspect: Aspect, found: Value, wanted: Value) -> tuple[str, str]:
    """Both values in words; of mappings only what differs."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        keys = [key for key in sorted(found.keys() | wanted.keys()) if found.get(key) != wanted.get(key)]
        return tuple(" ".join(f"{key} {side.get(key)}" for key in keys) for side in (found, wanted))  # type: ignore[return-value]
    if aspect.name == "prompts":
        return _prompt_texts(found, wanted)
    return _text(found), _text(wanted)


def _prompt_texts(found: Value, wanted: Value) -> tuple[str, str]:
    """Names of the prompt sets and, where these are the same, the conditions whose questions differ."""
    if found[0] != wanted[0]:
        return _text(found[0]), _text(wanted[0])
    names = [name for name in wanted[1] if found[1].get(name) != wanted[1][name]]
    sides = (" ".join(f"{name} {side[1][name][:12]}" for name in names) for side in (found, wanted))
    return tuple(f"{found[0]} ({side})" for side in sides)  # type: ignore[return-value]


def _text(value: Value) -> str:
    if value is None:
        return "not recorded"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    text = str(value)
    return text[:12] if len(text) == 64 else text


def _listed(found: Sequence[Difference]) -> str:
    return "; ".join(_words(difference) for difference in found)


def _words(difference: Difference) -> str:
    found, wanted, first = difference.found, difference.wanted, difference.first
    match difference.aspect:
        case "status":
            return f"this run is not finished ({found}); run its command again"
        case "condition":
            return f"has no answers under the condition {wanted}; it has {found}"
        case "episodes":
            return f"other episodes than {first} (digest {found}, not {wanted})"
        case "scorer":
            return f"scored by version {found}, {first} by {wanted}"
        case "prompts":
            return f"other prompts or images than {first} ({found}, not {wanted})"
        case "model":
            return f"another model than {first} ({found}, not {wanted})"
        case aspect:
            return f"other {aspect.replace('-', ' ')} than {first} ({found}, not {wanted})"


def _remedy(refused: Sequence[Difference]) -> str:
    names = list(dict.fromkeys(d.aspect for d in refused))
    fixed = [name for name in names if not ASPECTS[name].allowable]
    remedies = []
    if "scorer" in names:
        remedies.append("read the older one anew, with `mgsd-bench score --rescore RUN`")
    if not fixed:
        remedies.append(f"ask both alike, or let it through with {option('allow', ','.join(names))}")
    return "; ".join(remedies) or "such runs say nothing about each other"
