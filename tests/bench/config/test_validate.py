"""Settings: what is taken, and the one line on what is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BeforeValidator, Field

from mgsd_bench.config.fields import Bounds, Check, Count, OneOf, Says, Share
from mgsd_bench.config.layers import Layers, Option, read_layer
from mgsd_bench.config.validate import json_schema, validate
from mgsd_bench.errors import UserError


@dataclass(frozen=True, slots=True)
class Inner:
    """Values under a key."""

    size: Count
    share: Share = 0.5
    parts: Mapping[Annotated[str, OneOf(("left", "right"))], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Walk:
    """One way to go."""

    way: Literal["walk"]
    steps: Count


@dataclass(frozen=True, slots=True)
class Ride:
    """Another way to go."""

    way: Literal["ride"]
    wheels: Count
    step: int = 0


def _lower(name: str) -> str | None:
    return None if name.islower() else "{found} is not written small"


@dataclass(frozen=True, slots=True)
class Settings:
    """Some settings."""

    inner: Inner
    mode: Literal["fast", "exact"] = "fast"
    names: tuple[Annotated[str, OneOf(lambda: ("maze", "lake"))], ...] = ()
    folder: Path = Path("runs")
    wait: Annotated[float, Bounds(above=0, what="a number of seconds above 0")] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    pair: Annotated[tuple[int, int], Says("{found}: give the smaller first, as in [1, 2]")] = (1, 2)
    loud: bool = False
    rules: tuple[Inner, ...] = ()
    ways: Mapping[Annotated[str, Check(_lower)], Annotated[Walk | Ride, Field(discriminator="way")]] = field(
        default_factory=dict
    )
    whole: Annotated[
        Inner | None,
        BeforeValidator(lambda x: None if x == "all" else x, json_schema_input_type=Literal["all"] | Inner),
    ] = None


def layers(text: str, tmp_path: Path) -> Layers:
    path = tmp_path / "some.yaml"
    path.write_text(text)
    return read_layer(path)


def test_values_get_their_types(tmp_path: Path) -> None:
    text = (
        "{inner: {size: 3, share: 1, parts: {left: 2}}, names: [maze], folder: a/b, more: {x: null, y: [1]}, wait: 2}"
    )
    assert validate(Settings, layers(text, tmp_path)) == Settings(
        Inner(3, 1.0, {"left": 2}), "fast", ("maze",), Path("a/b"), 2.0, {"x": None, "y": [1]}
    )


def test_null_is_as_good_as_nothing(tmp_path: Path) -> None:
    text = "{inner: {size: 3, share: null, parts: {left: null}}, mode: null, wait: null, names: null}"
    given = layers(text, tmp_path)
    assert validate(Settings, given) == Settings(Inner(3))
    assert given.values["mode"] is None  # what was given stays as it is


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mode: fast", "inner: is missing; set it"),
        ("inner: null", "inner: is missing; set it"),
        ("inner: 3", "inner: 3 where a mapping belongs; write keys with values under it"),
        ("{inner: {}, mod: fast}", "mod: no such key; did you mean mode?"),  # before what is missing
        ("inner: {size: 3, shares: 1}", "inner.shares: no such key; did you mean share?"),
        ("inner: {size: true}", "inner.size: True is not a whole number of 1 or more"),
        ("inner: {size: '3'}", "inner.size: '3' is not a whole number of 1 or more"),
        ("inner: {size: 0}", "inner.size: 0 is not a whole number of 1 or more"),
        ("inner: {size: 3, share: 1.5}", "inner.share: 1.5 is not a number between 0 and 1"),
        ("inner: {size: 3, share: .nan}", "inner.share: nan is not a number between 0 and 1"),
        ("inner: {size: 3, parts: {lefd: 3}}", "inner.parts.lefd: no such key; did you mean left?"),
        ("{inner: {size: 3}, mode: fats}", "mode: 'fats' is not known; did you mean fast?"),
        ("{inner: {size: 3}, mode: [1]}", "mode: [1] is not known; choose from fast, exact"),
        ("{inner: {size: 3}, names: maze}", "names: 'maze' must be a list; write [a, b]"),
        ("{inner: {size: 3}, names: [maze, lakes]}", "names: 'lakes' is not known; did you mean lake?"),
        ("{inner: {size: 3}, names: [null]}", "names: None is not known; choose from maze, lake"),
        ("{inner: {size: 3}, nmes: null}", "nmes: no such key; did you mean names?"),
        ("inner: {size: 3, parts: {lefd: null}}", "inner.parts.lefd: no such key; did you mean left?"),
        ("{inner: {size: 3}, folder: ''}", "folder: '' is no text"),
        ("{inner: {size: 3}, wait: 0}", "wait: 0 is not a number of seconds above 0"),
        ("{inner: {size: 3}, pair: [1]}", "pair: [1]: give the smaller first, as in [1, 2]"),
        ("{inner: {size: 3}, loud: 1}", "loud: 1 is neither true nor false"),
        ("{inner: {size: 3}, rules: [{size: 1}, {size: 0}]}", "rules[1].size: 0 is not a whole number of 1 or more"),
        ("{inner: {size: 3}, ways: {a: {steps: 1}}}", "ways.a.way: is missing; set it"),
        ("{inner: {size: 3}, ways: {a: {way: wlk}}}", "ways.a.way: 'wlk' is not known; did you mean walk?"),
        ("{inner: {size: 3}, ways: {a: {way: walk, steps: 0}}}", "ways.a.steps: 0 is not a whole number of 1 or more"),
        ("{inner: {size: 3}, ways: {a: {way: walk, step: 1}}}", "ways.a.step: no such key; did you mean steps?"),
        ("{inner: {size: 3}, ways: {A: {way: walk, steps: 1}}}", "ways.A: 'A' is not written small"),
        ("{inner: {size: 3}, whole: {size: 0}}", "whole.size: 0 is not a whole number of 1 or more"),
        ("{inner: {size: 3}, whole: {sizes: 1}}", "whole.sizes: no such key; did you mean size?"),
        ("{inner: {size: 3}, rules: [{sizes: 1}]}", "rules[0].sizes: no such key; did you mean size?"),
    ],
)
def test_a_mistake_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    given = layers(text, tmp_path)
    with pytest.raises(UserError) as caught:
        validate(Settings, given)
    assert str(caught.value) == f"{tmp_path}/some.yaml: {says}"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{inner: {size: 3}, folder: "a\\0b"}', "folder"),
        ('{inner: {size: 3}, names: [maze, "\\0"]}', "names"),
        ('{inner: {size: 3, parts: {left: 1, "\\0": 2}}}', "inner.parts.\0"),
    ],
)
def test_a_text_that_no_file_can_be_called_is_one_line(text: str, place: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        validate(Settings, layers(text, tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}/some.yaml: {place}: holds a NUL character")


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    given = layers(f"inner: {list(range(100))}", tmp_path)
    with pytest.raises(UserError, match=r"inner: \[0, 1, 2, .* \.\.\. where a mapping belongs"):
        validate(Settings, given)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("wait", "long", "must be a number of seconds above 0"),
        ("mode", "fats", "did you mean fast?"),
        ("mood", "fast", "no such argument; did you mean mode?"),
        ("names", "maze", "must be a list; write [a, b]"),
    ],
)
def test_an_option_is_not_named_twice(key: str, value: str, says: str) -> None:
    given = Layers({"inner": {"size": 1}, key: value}, {(): "options", (key,): Option(f"--{key} {value}")})
    with pytest.raises(UserError) as caught:
        validate(Settings, given)
    assert str(caught.value) == f"--{key} {value}: {says}"


def test_the_schema_says_what_is_taken() -> None:
    properties = json_schema(Settings)["$defs"]["Settings"]["properties"]
    assert properties["mode"]["enum"] == ["fast", "exact"]
    assert properties["names"]["items"]["enum"] == ["maze", "lake"]
    assert json_schema(Settings)["$defs"]["Inner"]["properties"]["share"]["maximum"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "a: !!timestamp x", "a: !!bool x", "a: !!int ''", "a: !!set x", "a: !!int 0x", "a: 2026-13-45",
        "a: &a [*a]", "a: " + "[" * 5000,
    ],
)  # fmt: skip
def test_what_parsers_choke_on_is_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"some\.yaml(:1)?: (not YAML, or )?no YAML that can be read: \S"):
        layers(text, tmp_path)


def test_aliases_of_aliases_are_not_written_out(tmp_path: Path) -> None:
    """A billion values in ten lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(UserError, match="aliases stand for more than 100,000 values"):
        layers("\n".join(lines), tmp_path)
    assert layers("\n".join(lines[:3]), tmp_path).values["a2"][9][9][9] == "x"
