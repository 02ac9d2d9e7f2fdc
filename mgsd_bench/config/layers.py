"""Layered YAML files: one file extends another, options on the command line come last, and errors say which was wrong.

Mappings merge key by key, later layers winning; whatever is no mapping is replaced. Every key remembers the file or
option that set it, so that a message can name it. :func:`mgsd_bench.config.validate.validate` gives the values types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from os.path import realpath
from pathlib import Path
from typing import Any

from mgsd_bench.errors import UserError, option

MOST_OF_SETTINGS = 2**20
"""The most bytes of a settings file; YAML is read slowly."""

MOST_VALUES = 100_000
"""The most values in a settings file, aliases written out: ten lines of aliases of aliases would be a billion."""

Key = tuple[str | int, ...]
"""A place in nested mappings and lists, from the outside in."""


class Option(str):
    """The origin of a value that an option of its own sets, as it was written: ``--limit 0``, ``-M timeout=long``.

    A message names such an option, and not the field and its value once more.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Layers:
    """Nested values with the origin of each key.

    Attributes:
        values: the merged mappings.
        origins: the file, or the option as it was written, by key; ``()`` is there for keys that nobody set.
        order: the origins, what is said later standing later.
    """

    values: dict[str, Any]
    origins: dict[Key, str]
    order: tuple[str, ...] = ()

    def over(self, below: Layers, whole: Collection[str]) -> Layers:
        """These values laid over others; mappings under a key in ``whole`` replace instead of merging."""
        values, origins = dict(below.values), dict(below.origins)
        _merge(values, self.values, whole)
        return Layers(values, origins | self.origins, (*below.order, *self.order))

    def assign(self, pair: str, known: str) -> Layers:
        """Set one key as ``--set a.b=value`` asks; the value is YAML and replaces what was there.

        Args:
            pair: KEY=VALUE.
            known: the outermost key whose own keys must be there already, unless a whole new mapping is given.

        Raises:
            UserError: the text is not KEY=VALUE, the value is no YAML, or a part of the key is not there.
        """
        dotted, equals, text = pair.partition("=")
        key = tuple(dotted.split("."))
        if not equals or not all(key):
            raise UserError(
                f"{option('overrides', pair)}: write KEY=VALUE, for example {option('overrides', 'seed=1')}"
            )
        label = option("overrides", pair)
        value = parse_yaml(text, label)
        names = self.values.get(known) or {}
        if key[0] == known and len(key) > 1 and key[1] not in names and not (len(key) == 2 and isinstance(value, dict)):
            raise UserError(f"{label}: {known}.{key[1]} is not there; {suggest(key[1], names)}")
        values = place = dict(self.values)
        for depth, part in enumerate(key[:-1], 1):
            inner = place.get(part)
            if inner is not None and not isinstance(inner, dict):
                raise UserError(f"{label}: {'.'.join(key[:depth])} is {inner!r} and holds no keys; set it whole")
            place[part] = dict(inner or {})
            place = place[part]
        place[key[-1]] = value
        kept = {at: origin for at, origin in self.origins.items() if at[: len(key)] != key}
        return Layers(values, kept | {key: label}, (*(said for said in self.order if said != label), label))

    def at(self, place: Key) -> Any:
        """What is given at one place; None where nothing is."""
        values: Any = self.values
        for part in place:
            values = values.get(part) if isinstance(values, Mapping) else None
        return values

    def origin(self, place: Key) -> str:
        """The file or option that set one place."""
        return next(self.origins[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self.origins)

    def when(self, place: Key) -> int:
        """How late one place was set; what a layer above set is later."""
        return self.order.index(self.origin(place))

    def error(self, place: Key, problem: str) -> UserError:
        """The error to raise about one place: what set it, which it is, and the problem."""
        origin = self.origin(place)
        return UserError(
            f"{origin}: {problem}" if isinstance(origin, Option) else f"{origin}: {_dotted(place)}: {problem}"
        )


def suggest(word: str, known: Collection[str]) -> str:
    """What to write instead of a word that is not known: the closest known ones, or all of them."""
    close = get_close_matches(str(word), known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(known)}"


def read_layer(path: Path) -> Layers:
    """Read one YAML file.

    Raises:
        UserError: it cannot be read, is no YAML, repeats a key, or holds something else than a mapping.
    """
    from mgsd_envs.files import read_text  # with numpy, which the way to a command's help need not import

    try:
        text = read_text(path, MOST_OF_SETTINGS)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    values = parse_yaml(text, str(path))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise UserError(f"{path}: the file: must be a mapping, and holds no mapping; write keys with values")
    return Layers(values, {key: str(path) for key in [(), *_keys(values, ())]}, (str(path),))


def read_extended(
    path: Path, find: Callable[[str, Path], Path], *, whole: Collection[str] = (), own: Collection[str] = ()
) -> Layers:
    """A file's values over those of the file that its key ``extends`` names, and so on; the key itself is left out.

    Args:
        path: the file.
        find: the file that a name stands for, given the folder of the file that extends it.
        whole: as in :meth:`Layers.over`.
        own: outermost keys that are not taken over.

    Raises:
        UserError: a file cannot be read or found, or extends itself.
    """
    return _extended(path, find, whole, own, ())


def _extended(
    path: Path, find: Callable[[str, Path], Path], whole: Collection[str], own: Collection[str], seen: tuple[Path, ...]
) -> Layers:
    here = Path(realpath(path))  # which takes a link to itself, too
    if here in seen:
        raise UserError(f"{path}: extends: goes round in a circle; remove one of {', '.join(p.stem for p in seen)}")
    layers = read_layer(path)
    parent = layers.values.get("extends")
    above = Layers({k: v for k, v in layers.values.items() if k != "extends"}, layers.origins, layers.order)
    if parent is None:
        return above
    if not isinstance(parent, str):
        raise layers.error(("extends",), f"{parent!r} is no text; write the name of a file")
    try:
        found = find(parent, path.parent)
    except UserError as error:
        raise UserError(f"{path}: extends: {error.message}") from error
    below = _extended(found, find, whole, own, (*seen, here))
    return above.over(
        Layers({k: v for k, v in below.values.items() if k not in own}, below.origins, below.order), whole
    )


def parse_yaml(text: str, origin: str) -> Any:
    """Parse YAML with safe types only; ``1e-4`` is a number, and a key that occurs twice is an error.

    Raises:
        UserError: the text is not such YAML; ``origin`` is what the message names.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            found: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, str) or key in found:
                    fault = f"key {key!r} twice" if isinstance(key, str) else f"unknown key: key {key!r} is no text"
                    raise yaml.constructor.ConstructorError(None, None, fault, key_node.start_mark)
                found[key] = self.construct_object(value_node, deep=True)
            return found

    # YAML 1.1, which PyYAML reads, takes 1e-4 for a text because it has no dot
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
    )
    try:
        found = yaml.load(text, Loader)
        if _written_out(found, {}) > MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {MOST_VALUES:,} values; write out what is needed")
        return found
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{origin}:{mark.line + 1}" if mark else origin
        problem = getattr(error, "problem", None) or error
        raise UserError(f"{where}: not YAML, or no YAML that can be read: {problem}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # as PyYAML's code happens to raise
        raise UserError(
            f"{origin}: no YAML that can be read: a tag such as !!int stands before something else; leave it out"
        ) from error


def _written_out(value: Any, known: dict[int, int]) -> int:
    """How many values it is where every alias is written out; a long text is several.

    Raises:
        ValueError: a number is none that a setting can have.
    """
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("a number of more than 64 bits")
    if isinstance(value, str):
        return 1 + len(value) // 100
    if not isinstance(value, Mapping | list | tuple | set):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_written_out(each, known) for each in inner)
    return known[id(value)]


def _merge(below: dict[str, Any], above: Mapping[str, Any], whole: Collection[str]) -> None:
    for key, value in above.items():
        under = below.get(key)
        if isinstance(value, dict) and isinstance(under, dict) and key not in whole:
            below[key] = dict(under)
            _merge(below[key], value, whole)
        else:
            below[key] = value


def _keys(values: Mapping[str, Any], at: Key) -> list[Key]:
    found: list[Key] = []
    for key, value in values.items():
        found.append((*at, key))
        if isinstance(value, Mapping):
            found += _keys(value, (*at, key))
    return found


def _dotted(place: Key) -> str:
    """A place as it is written; an item that ends it is left out, since a message shows it."""
    while place and isinstance(place[-1], int):
        place = place[:-1]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
