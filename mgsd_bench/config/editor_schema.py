"""JSON Schemas with which an editor completes and checks the keys of a settings file as it is written.

They are looser than :func:`mgsd_bench.config.validate.validate`: what is required may stand in the file that one
extends, and null takes a key away.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from inspect import getdoc
from typing import Any, get_args, get_type_hints

from mgsd_bench.config.validate import json_schema

_NULL = {"type": "null"}


def editor_schema(
    model: type[Any], described: Mapping[type[Any], Sequence[type[Any]]], *, extends: bool
) -> dict[str, Any]:
    """The schema of a kind of file.

    Args:
        model: the dataclass that such a file is checked against.
        described: by dataclass in it, others whose documentation speaks of fields that its own leaves out.
        extends: whether such a file may extend another one.
    """
    types = json_schema(model)["$defs"]
    for part in _dataclasses(model, set()):
        docs = [getdoc(of) or "" for of in (part, *described.get(part, ()))]
        about = ChainMap(*map(_attributes, docs))
        types[part.__name__] = of = _loosened(types[part.__name__])
        of |= {"description": docs[0].partition("\n")[0], "additionalProperties": False}
        for key, value in of["properties"].items():
            value |= {"description": about[key]} if key in about else {}
    whole = types.pop(model.__name__)
    if extends:
        whole["properties"]["extends"] = {"type": "string", "description": "The file that this one changes."}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": types}


def _dataclasses(of: Any, seen: set[Any]) -> set[type[Any]]:
    """The dataclasses in a type."""
    if isinstance(of, type) and is_dataclass(of) and of not in seen:
        seen.add(of)
        for hint in get_type_hints(of, include_extras=True).values():
            _dataclasses(hint, seen)
    for argument in get_args(of):
        _dataclasses(argument, seen)
    return seen


def _loosened(schema: dict[str, Any]) -> dict[str, Any]:
    """Nothing required, null wherever a value of a mapping may stand, and any branch of a union that fits."""
    loose = {key: value for key, value in schema.items() if key not in ("required", "discriminator", "title")}
    if "oneOf" in loose:
        loose["anyOf"] = loose.pop("oneOf")
    if "properties" in loose:
        loose["properties"] = {key: _or_null(value) for key, value in loose["properties"].items()}
    if isinstance(loose.get("additionalProperties"), dict):
        loose["additionalProperties"] = _or_null(loose["additionalProperties"])
    return loose


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    loose = _loosened(schema)
    about = {key: loose.pop(key) for key in ("default", "description") if loose.get(key) is not None}
    branches = loose.get("anyOf") or [{key: value for key, value in loose.items() if key != "default"}]
    return {"anyOf": [*branches, *([] if _NULL in branches else [_NULL])], **about}


def _attributes(doc: str) -> dict[str, str]:
    """What a docstring says of each attribute."""
    section = re.split(r"\n\n(?=\S)", doc.partition("Attributes:\n")[2])[0]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}
