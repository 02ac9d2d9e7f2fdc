"""Plans in JSON: which value is the plan, and what remains as the stated state.

Grammar::

    document = an object or a list, also with single quotes or commas before a closing bracket
    object   = {"answer": value}, or a key of a later group where none of an earlier one is there
    value    = text that lists moves | a list of such texts | a list of steps | an object again
    step     = {"action": text}, with its number, a count and whatever explains it

Keys, in groups: ``answer`` | ``plan``, ``actions``, ``moves``, ... | ``path``, ``steps``, ``output``, ...
The last group is only looked at where no other gives a plan. A key given twice, readable values that differ, and steps
that do not count up are no plan. Values under other keys are never searched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from mgsd_envs.types import Plan

Read = Callable[[str], Plan | None]

_GROUPS = (
    ("answer", "finalanswer"),
    ("plan", "finalplan", "actions", "moves", "actionsequence", "movesequence", "actionplan", "sequence", "solution"),
    ("path", "steps", "shortestpath", "directions", "output", "result", "response"),
)
_ACTION = ("action", "move", "direction")
_ORDER = ("step", "index", "number", "order", "id", "stepnumber")
_COUNT = ("count", "times", "repeat")
_MAX_COUNT = 64
_DEPTH = 4
_LOOSE_COMMA = re.compile(r",\s*([\]}])")


def load(text: str) -> Any:
    """The document that a text consists of; None if it is none, is too deep, or gives a key twice."""
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return None
    if '"' not in text:
        text = text.replace("'", '"')
    try:
        return json.loads(_LOOSE_COMMA.sub(r"\1", text), object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        raise ValueError("a key is given twice")
    return whole


def _plain(key: str) -> str:
    return re.sub(r"[\s_-]", "", key).lower()


def plan_of(value: Any, read: Read, depth: int = 0) -> Plan | None:
    """The plan that a value of a document gives; None if it gives none, or two."""
    match value:
        case str():
            return read(value)
        case [str(), *_] if all(isinstance(item, str) for item in value):
            return read(value[0] if len(value) == 1 else "\n".join(value))
        case [dict(), *_] if all(isinstance(item, dict) for item in value):
            return _steps(value, read)
        case dict() if depth < _DEPTH:
            return _chosen(value, read, depth)
    return None


def _chosen(value: dict[str, Any], read: Read, depth: int) -> Plan | None:
    keys = {key: _plain(key) for key in value}
    plan: Plan | None = None
    for group in _GROUPS:
        if plan is not None and group is _GROUPS[-1]:
            break
        found = [value[key] for key, plain in keys.items() if plain in group]
        for one in found:
            other = plan_of(one, read, depth + 1)
            if other is not None and plan is not None and other != plan:
                return None
            plan = plan or other
        if plan is None and any(one is not None and not isinstance(one, int | float) for one in found):
            return None
    return plan


def _steps(steps: list[dict[str, Any]], read: Read) -> Plan | None:
    plan: list[str] = []
    order: list[Any] = []
    for step in steps:
        keys = {_plain(key): item for key, item in step.items()}
        said = [keys[name] for name in _ACTION if name in keys]
        if len(said) == 2 and str(said[0]).lower() in ("move", "go"):
            said = said[1:]
        actions = read(said[0]) if len(said) == 1 and isinstance(said[0], str) else None
        if actions is None or len(actions) > 1:
            return None
        counts = [item for key, item in keys.items() if isinstance(item, int) and key not in _ORDER]
        if counts and (len(counts) > 1 or not set(_COUNT) & set(keys) or not 1 <= counts[0] <= _MAX_COUNT):
            return None
        plan.extend(actions * (int(counts[0]) if counts else 1))
        order.extend(item for key, item in keys.items() if key in _ORDER)
    if order and order not in (list(range(len(steps))), list(range(1, len(steps) + 1))):
        return None
    return tuple(plan)


def without_plan(value: Any) -> str:
    """A document as text again without what may be its plan: the state that stands beside it."""
    if not isinstance(value, dict):
        return ""
    rest = {key: item for key, item in value.items() if not any(_plain(key) in group for group in _GROUPS)}
    return json.dumps(rest) if rest else ""
