"""Rows of a dataset as trainers read them: the same questions, in the columns of TRL or of verl, each in Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from mgsd_bench.errors import UserError, option
from mgsd_bench.suites.parquet import Form

IMAGE = "<image>"
"""Where verl puts the picture."""


def to_trl(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as TRL reads it: a conversation with a place for the picture behind the text, and the picture beside it.

    ``episode``, canonical JSON, is what :mod:`mgsd_bench.integrations.rewards` scores with.
    """
    text: list[dict[str, str | None]] = [{"type": "text", "text": row["prompt"]}]
    place: list[dict[str, str | None]] = [] if row["image"] is None else [{"type": "image", "text": None}]
    return {
        "prompt": [{"role": "user", "content": text + place}],
        "images": _images(row),
        "episode": row["episode"],
        **_known(row),
    }


def to_verl(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as verl's ``RLHFDataset`` reads it; the ground truth is the episode, as canonical JSON.

    Raises:
        UserError: the text has a mark for a picture of its own.
    """
    if IMAGE in row["prompt"]:
        raise UserError(f"{option('prompts', row['prompt_set'])}: has {IMAGE}, which marks a picture there; reword it")
    return {
        "data_source": f"mgsd-bench/{row['task']}",
        "prompt": [{"role": "user", "content": row["prompt"] + ("" if row["image"] is None else IMAGE)}],
        "images": _images(row),
        "ability": "spatial-planning",
        "reward_model": {"style": "rule", "ground_truth": row["episode"]},
        "extra_info": {"split": row["split"], **_known(row)},
    }


def _images(row: Mapping[str, Any]) -> list[Any]:
    return [] if row["image"] is None else [row["image"]]


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "task", "level", "shortest", "condition")}


def _trl_schema(arrow: ModuleType) -> Any:
    part = arrow.struct({"type": arrow.string(), "text": arrow.string()})
    prompt = arrow.list_(arrow.struct({"role": arrow.string(), "content": arrow.list_(part)}))
    return _schema(
        arrow, {"prompt": prompt, "images": _pictures(arrow), "episode": arrow.string(), **_known_types(arrow)}
    )


def _verl_schema(arrow: ModuleType) -> Any:
    text = arrow.string()
    return _schema(
        arrow,
        {
            "data_source": text,
            "prompt": arrow.list_(arrow.struct({"role": text, "content": text})),
            "images": _pictures(arrow),
            "ability": text,
            "reward_model": arrow.struct({"style": text, "ground_truth": text}),
            "extra_info": arrow.struct({"split": text, **_known_types(arrow)}),
        },
    )


def _schema(arrow: ModuleType, columns: dict[str, Any]) -> Any:
    """A schema that tells the datasets library which columns are pictures; without, it would read them as bytes."""
    features = {name: _feature(arrow, kind) for name, kind in columns.items()}
    return arrow.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _feature(arrow: ModuleType, kind: Any) -> dict[str, Any]:
    if arrow.types.is_list(kind):
        return {"feature": _feature(arrow, kind.value_type), "_type": "List"}
    if arrow.types.is_struct(kind):
        inner = {field.name: _feature(arrow, field.type) for field in kind}
        return {"_type": "Image"} if "bytes" in inner else inner
    return {"dtype": str(kind), "_type": "Value"}


def _pictures(arrow: ModuleType) -> Any:
    return arrow.list_(arrow.struct({"bytes": arrow.binary(), "path": arrow.string()}))


def _known_types(arrow: ModuleType) -> dict[str, Any]:
    number, text = arrow.int32(), arrow.string()
    return {"id": text, "task": text, "level": number, "shortest": number, "condition": text}


FORMS = {
    "trl": Form(_trl_schema, to_trl, "images.list.element.bytes"),
    "verl": Form(_verl_schema, to_verl, "images.list.element.bytes"),
}
"""By the name of the trainer."""
