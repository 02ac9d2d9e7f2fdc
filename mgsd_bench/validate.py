"""Values of layered files as instances of dataclasses, checked by pydantic; what is wrong is told in one line.

The fields' types say what is taken (see :mod:`mgsd_bench.fields`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mgsd_bench.config import Key, Layers, Option, suggest
from mgsd_bench.fields import SAYS

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


def validate(model: type[T], layers: Layers) -> T:
    """The values as an instance of a dataclass.

    Types are strict (``"2"`` and ``true`` are no numbers), unknown keys are refused, and null is as good as a key that
    is left out, save where a field's type has a use for it.

    Args:
        model: a dataclass; others may be nested in it.
        layers: what is given. The origins hold one for ``()``.

    Raises:
        UserError: one line on the first mistake, unknown keys before others: the file or option, the field, what was
            found, and what would do or the nearest known name.
    """
    from pydantic import ValidationError

    values, adapter = layers.values, _adapter(cast(Any, model))
    while True:
        try:
            # as JSON, in which a list becomes a tuple although types are strict
            return cast(T, adapter.validate_json(json.dumps(values, default=str)))
        except ValidationError as error:
            mistakes = [_Mistake.of(each, values) for each in error.errors(include_url=False)]
        unset = [each.place for each in mistakes if each.found is None and each.kind not in ("missing", _UNKNOWN)]
        if not unset:
            worst = min(mistakes, key=lambda mistake: mistake.kind != _UNKNOWN)
            raise layers.error(worst.place, _problem(worst, model, layers.origins.get(worst.place, "")))
        values = deepcopy(values)
        for *outer, last in unset:
            inner: Any = values
            for part in outer:
                inner = inner[part]
            del inner[last]


def json_schema(model: Any) -> dict[str, Any]:
    """The JSON Schema of what :func:`validate` takes for a dataclass."""
    return _adapter(model).json_schema()


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    strict = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_min_length=1)
    optional: Any = model | None  # with a dataclass alone, which could bring its own, pydantic refuses a configuration
    return TypeAdapter(optional, config=strict)


_UNKNOWN = "unexpected_keyword_argument"

_WORDS = {  # by pydantic's types of errors
    "missing": "is missing; set it",
    "string_type": "{found} is no text",
    "string_too_short": "{found} is no text",
    "int_type": "{found} is not a whole number",
    "float_type": "{found} is not a number",
    "bool_type": "{found} is neither true nor false",
    "tuple_type": "{found} must be a list; write [a, b]",
    "dict_type": "{found} where a mapping belongs; write keys with values under it",
    "dataclass_type": "{found} where a mapping belongs; write keys with values under it",
}


@dataclass(frozen=True, slots=True)
class _Mistake:
    """One of pydantic's errors.

    Attributes:
        kind: its type.
        loc: where it is, with parts that are pydantic's own, such as the branch of a union.
        place: where it is in the values.
        found: what is there.
        says: its message.
        known: what would do instead, if only certain texts would.
        of_key: whether it is about the key itself.
    """

    kind: str
    loc: Key
    place: Key
    found: Any
    says: str
    known: tuple[str, ...]
    of_key: bool

    @classmethod
    def of(cls, error: Mapping[str, Any], values: Any) -> _Mistake:
        """The mistake that pydantic reports about values."""
        kind, loc, context = error["type"], error["loc"], error.get("ctx", {})
        of_key = loc[-1:] == ("[key]",)
        if of_key:
            loc = loc[:-1]
        if kind in ("union_tag_not_found", "union_tag_invalid"):  # about the key that tells apart what may stand here
            loc = (*loc, context["discriminator"].strip("'"))
            kind = "missing" if kind == "union_tag_not_found" else "literal_error"
        place: list[str | int] = []
        for number, part in enumerate(loc, 1):
            inside = (
                part in values if isinstance(values, Mapping) else isinstance(values, list) and isinstance(part, int)
            )
            if inside:
                values = values[part]
            if inside or number == len(loc):
                place.append(part)
        known = re.findall("'(.*?)'", context.get("expected", "") or context.get("expected_tags", ""))
        return cls(kind, loc, tuple(place), values, error["msg"], tuple(known), of_key)


def _problem(mistake: _Mistake, model: type[Any], origin: str) -> str:
    """What is wrong and what would do; an option has shown what was found."""
    option = isinstance(origin, Option)
    found = repr(mistake.found)
    found = found if len(found) <= 80 else f"{found[:76]} ..."
    if mistake.kind == _UNKNOWN or (mistake.known and mistake.of_key):
        known = mistake.known or _names(model, mistake.loc[:-1])
        return f"no such {'argument' if option else 'key'}; {suggest(str(mistake.loc[-1]), known)}"
    if mistake.known:
        says = "{found} is not known; " * (not option) + suggest(mistake.found, mistake.known)
    elif mistake.kind != SAYS:
        says = _WORDS.get(mistake.kind, "{found}: " + mistake.says)
    elif "{found}" in mistake.says:
        says = mistake.says
    else:
        says = f"{'must be' if option else '{found} is not'} {mistake.says}"
    return (says.removeprefix("{found} ") if option else says).replace("{found}", found)


def _names(model: type[Any], loc: Key) -> tuple[str, ...]:
    """The keys that the mapping at a place may have."""
    schema = json_schema(model)
    types = schema.get("$defs", {})

    def plain(of: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in of or "anyOf" in of:
            of = types[of["$ref"].rpartition("/")[2]] if "$ref" in of else of["anyOf"][0]
        return of

    at = plain(schema)
    for part in loc:
        if part in at.get("discriminator", {}).get("mapping", {}):
            at = plain({"$ref": at["discriminator"]["mapping"][part]})
        elif isinstance(part, int):
            at = plain(at["items"])
        else:
            at = plain(at.get("properties", {}).get(part) or at["additionalProperties"])
    return tuple(at["properties"])
