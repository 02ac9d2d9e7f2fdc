"""Settings that several front ends fill: each field says once what it is, and values from anywhere are checked alike.

The command line reads the fields on the way to its help, so nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_type_hints

from mgsd_bench.config.layers import Key, Layers, Option
from mgsd_bench.errors import option

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

S = TypeVar("S")


class Panel(StrEnum):
    """The groups that settings are shown in, in the order in which they are shown."""

    GATE = "What is gated"
    ASKED = "What is asked"
    LOOP = "Closed loop (conditions act...)"
    ENGINE = "Model and engine"
    SAMPLING = "Sampling"
    OUTPUT = "Output"


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What a front end tells of a field; part of its annotated type.

    Attributes:
        help: what it sets, with its unit.
        panel: the group that it is shown in.
        metavar: what stands for its value; by default its type.
        items: whether it is a list of which several items may be one text with commas between: ``maze,frozenlake``.
    """

    help: str
    panel: Panel
    metavar: str | None = None
    items: bool = False

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The type's own schema, or a single text or number for a list's items, with the help, which editors show."""
        found = handler(schema)
        if self.items:
            found = {"anyOf": [found, {"type": ["string", "integer"]}]}
        return {**found, "description": self.help}


@dataclass(frozen=True, slots=True)
class Declared:
    """A field of settings, for a front end that makes its own option of it.

    Attributes:
        name: the field's name.
        type: its type, without what is annotated.
        default: its default; ``dataclasses.MISSING`` where it has to be given.
        setting: what to tell of it.
    """

    name: str
    type: Any
    default: Any
    setting: Setting


@cache
def declared(model: Any) -> Mapping[str, Declared]:
    """The fields of settings by name, panel by panel, those that have to be given before others."""
    plain, annotated = get_type_hints(model), get_type_hints(model, include_extras=True)
    found = {}
    for each in fields(model):
        (setting,) = (item for item in annotated[each.name].__metadata__ if isinstance(item, Setting))
        default = each.default if each.default_factory is MISSING else each.default_factory()
        found[each.name] = Declared(each.name, plain[each.name], default, setting)
    panels = list(Panel)
    ordered = sorted(found.values(), key=lambda of: (panels.index(of.setting.panel), of.default is not MISSING))
    return {of.name: of for of in ordered}


def defaults_of(model: type, given: Layers) -> Layers:
    """What settings take from elsewhere where they are not given, which their method ``taken`` says; else nothing."""
    taken = getattr(model, "taken", None)
    return Layers({}, {}) if taken is None else cast(Layers, taken(given))


def read_settings(model: type[S], layers: Layers) -> S:
    """Checked settings.

    Args:
        model: a dataclass whose fields have a :class:`Setting` each.
        layers: what is given, with the origin of each key and one for ``()``.

    Raises:
        UserError: one line on the first mistake, as of :func:`mgsd_bench.config.validate.validate`.
    """
    from mgsd_bench.config.validate import validate

    values, origins = dict(layers.values), dict(layers.origins)
    for name, field in declared(cast(Any, model)).items():
        if field.setting.items and values.get(name) is not None:
            values[name] = _items(values[name], get_args(field.type)[0])
            if isinstance(origins.get((name,)), Option):
                origins |= {(name, i): Option(option(name, item)) for i, item in enumerate(values[name])}
    return validate(model, Layers(values, origins))


def make_settings(model: type[S], /, **values: Any) -> S:
    """Checked settings from Python: ``make_settings(EvaluationSettings, model="oracle", backend="scripted")``.

    Raises:
        UserError: as :func:`read_settings`.
    """
    origins: dict[Key, str] = {(name,): Option(option(name, value)) for name, value in values.items()}
    given = Layers(values, {(): model.__name__, **origins})
    return read_settings(model, given.over(defaults_of(model, given), ()))


def _items(value: Any, kind: Any) -> list[Any]:
    found: list[Any] = []
    for given in value if isinstance(value, list | tuple) else [value]:
        parts = [part.strip() for part in given.split(",")] if isinstance(given, str) else [given]
        found += [_number(part) if kind is int else part for part in parts if part != ""]
    return found


def _number(item: Any) -> Any:
    try:
        return int(item) if isinstance(item, str) else item
    except ValueError:
        return item  # the check that follows says what is wrong with it
