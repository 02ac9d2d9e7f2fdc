"""Values of layered files as instances of dataclasses, checked by pydantic; what is wrong is told in one line.

The fields' types say what is taken (see :mod:`mgsd_bench.config.fields`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from mgsd_bench.config.fields import SAYS
from mgsd_bench.config.layers import Key, Layers, Option, suggest

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
    for place, text in _texts(values):
        if "\0" in text:
            raise layers.error(place, "holds a NUL character, which no name and no text here can; remove it")
    while True:
        try:
            # as JSON, in which a list becomes a tuple although types are strict
            return cast(T, adapter.validate_json(json.dumps(values, default=str)))
        except ValidationError as error:
            mistakes = [_Mistake.of(each, values) for each in error.errors(include_url=False)]
        unset = {each.place for each in mistakes if each.null} - {each.place for each in mistakes if each.of_key}
        if not unset:
            first = min(mistakes, key=lambda mistake: mistake.kind != _UNKNOWN)
            raise layers.error(first.place, _problem(first, model, isinstance(layers.origins.get(first.place), Option)))
        values = deepcopy(values)
        for *outer, last in unset:
            inner: Any = values
            for part in outer:
                inner = inner[part]
            del inner[last]


def _texts(values: Any) -> Iterator[tuple[Key, str]]:
    """Every text, with its place: keys at their own."""
    pending: list[tuple[Key, Any]] = [((), values)]
    while pending:
        place, value = pending.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, Mapping):
            pending += (((*place, key), inner) for key, item in value.items() for inner in (key, item))
        elif isinstance(value, list | tuple):
            pending += (((*place, number), item) for number, item in enumerate(value))


def json_schema(model: Any) -> dict[str, Any]:
    """The JSON Schema of what :func:`validate` takes for a dataclass."""
    return _adapter(model).json_schema()


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    strict = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_min_length=1)
    optional: Any = model | None  # with a dataclass alone, which could bring its own, pydantic refuses a configuration
    return TypeAdapter(optional, config=strict)


_MISSING, _UNKNOWN = "missing", "unexpected_keyword_argument"
_TAGS = {"union_tag_not_found": _MISSING, "union_tag_invalid": "literal_error"}  # of the key that tells apart what fits

_WORDS = {  # by pydantic's types of errors
    _MISSING: "is missing; set it",
    "string_type": "{found} is no text",
    "string_too_short": "{found} is no text",
    "int_type": "{found} is not a whole number",
    "float_type": "{found} is not a number",
    "bool_type": "{found} is neither true nor false",
    "tuple_type": "{found} must be a list; write [a, b]",
    "dict_type": "{found} where a mapping belongs; write keys with values under it",
    "dataclass_type": "{found} where a mapping belongs; write keys with values under it",
}


class _Mistake(NamedTuple):
    """One of pydantic's errors: its type and message, where it is to pydantic and in the values, what is there."""

    kind: str
    says: str
    loc: Key
    place: Key
    found: Any
    known: Sequence[str]  # what would do instead, if only certain texts would
    of_key: bool  # whether it is about the key itself
    null: bool  # whether it is about a known key of a mapping with the value null

    @classmethod
    def of(cls, error: Mapping[str, Any], values: Any) -> _Mistake:
        """What pydantic reports about values; parts of its ``loc`` are its own, such as the branch of a union."""
        loc, context = error["loc"], error.get("ctx", {})
        of_key = loc[-1:] == ("[key]",)
        if of_key:
            loc = loc[:-1]
        if error["type"] in _TAGS:
            loc = (*loc, context["discriminator"].strip("'"))
        place, inside = [], False
        for number, part in enumerate(loc, 1):
            inside = (
                part in values if isinstance(values, Mapping) else isinstance(values, list) and isinstance(part, int)
            )
            if inside:
                values = values[part]
            if inside or number == len(loc):
                place.append(part)
        null = inside and values is None and isinstance(loc[-1], str) and error["type"] != _UNKNOWN
        if of_key:
            values = loc[-1]
        known = re.findall("'(.*?)'", context.get("expected", "") or context.get("expected_tags", ""))
        kind = _TAGS.get(error["type"], error["type"])
        return cls(kind, error["msg"], loc, tuple(place), values, known, of_key, null)


def _problem(mistake: _Mistake, model: type[Any], shown: bool) -> str:
    """What is wrong and what would do; ``shown`` if an option has shown what was found."""
    found = repr(mistake.found)
    found = found if len(found) <= 80 else f"{found[:76]} ..."
    if mistake.kind == _UNKNOWN or (mistake.known and mistake.of_key):
        known = mistake.known or _names(model, mistake.loc[:-1])
        return f"no such {'argument' if shown else 'key'}; {suggest(str(mistake.loc[-1]), known)}"
    if mistake.known:
        says = "{found} is not known; " * (not shown) + suggest(mistake.found, mistake.known)
    elif mistake.kind != SAYS:
        says = _WORDS.get(mistake.kind, "{found}: " + mistake.says)
    elif "{found}" in mistake.says:
        says = mistake.says
    else:
        says = f"{'must be' if shown else '{found} is not'} {mistake.says}"
    return (says.removeprefix("{found} ") if shown else says).replace("{found}", found)


def _names(model: type[Any], loc: Key) -> tuple[str, ...]:
    """The keys that the mapping at a place may have."""
    schema = json_schema(model)
    types = schema.get("$defs", {})

    def plain(of: dict[str, Any]) -> dict[str, Any]:
        if "anyOf" in of:
            return plain(next((branch for branch in of["anyOf"] if "$ref" in branch), of["anyOf"][0]))
        return plain(types[of["$ref"].rpartition("/")[2]]) if "$ref" in of else of

    at = plain(schema)
    for part in loc:
        if part in at.get("discriminator", {}).get("mapping", {}):
            at = plain({"$ref": at["discriminator"]["mapping"][part]})
        elif isinstance(part, int):
            at = plain(at["items"])
        else:
            at = plain(at.get("properties", {}).get(part) or at["additionalProperties"])
    return tuple(at["properties"])
