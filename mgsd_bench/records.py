"""Frozen dataclasses as plain JSON values and back: how every typed result is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Self, TypeVar

T = TypeVar("T")

DECIMALS = 6
OMIT_NONE: Mapping[str, bool] = {"omit_none": True}
"""``field(metadata=OMIT_NONE)``: the key is left out where the value is None."""


def to_json(value: Any) -> Any:
    """A result as plain JSON values: dataclasses as mappings by field, numbers with 6 decimals, enums by value.

    Args:
        value: a dataclass of such values, mappings with text keys, sequences, numbers, texts and None.
    """
    if is_dataclass(value) and not isinstance(value, type):
        found = {field: getattr(value, field.name) for field in fields(value)}
        return {
            field.name: to_json(item)
            for field, item in found.items()
            if not (item is None and field.metadata.get("omit_none"))
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(to_json(key)): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


def from_json(kind: type[T], data: Any) -> T:
    """The inverse of :func:`to_json`; keys that the dataclass does not have are passed over.

    Raises:
        ValueError: the data is not such a result; one line that names the first place where it is not.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(f"not a {kind.__name__}: {place}: {first['msg']}") from error


class Stored:
    """A result that is a frozen dataclass and is kept as JSON."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values; see :func:`to_json`."""
        found: dict[str, Any] = to_json(self)
        return found

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: the data is no such result; see :func:`from_json`.
        """
        return from_json(cls, data)
