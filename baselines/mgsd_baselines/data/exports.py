"""Training data as files, for people who train with TRL, LLaMA-Factory or ms-swift themselves.

A folder holds ``train.jsonl``, the pictures as ``images/*.png`` (named relative to the folder) and ``data.json``: what
the rows are, and the recipe they come from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mgsd_baselines.data.dataset import counts, excluded_keys, rows_digest, stage_rows
from mgsd_bench.errors import UserError, option
from mgsd_bench.files import whole_folder
from mgsd_bench.runs.provenance import provenance

if TYPE_CHECKING:
    from mgsd_baselines.data.examples import Example
    from mgsd_baselines.recipe import Recipe, Stage

Format = Literal["trl", "llamafactory", "ms-swift"]
FORMATS: tuple[Format, ...] = get_args(Format)

ROWS = "train.jsonl"
_IMAGE = "<image>"
_LLAMAFACTORY = {
    "file_name": ROWS,
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images"},
    "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
}


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written.

    Attributes:
        rows: number of rows.
        pictures: number of pictures.
        digest: see :func:`mgsd_baselines.data.dataset.rows_digest`.
        path: the folder.
    """

    rows: int
    pictures: int
    digest: str
    path: Path


def export(recipe: Recipe, stage_name: str, fmt: Format, out: Path) -> ExportSummary:
    """Write a stage's training data, whole or not at all.

    ``trl`` has the columns of :meth:`mgsd_baselines.data.examples.Example.to_trl` with paths for pictures.
    ``llamafactory`` has ShareGPT messages and a ``dataset_info.json`` with the recipe's and the stage's name.
    ``ms-swift`` has messages; rows for distillation have no answer and a ``teacher_prompt`` with an empty
    ``teacher_images``, so that the teacher sees no picture.

    Args:
        recipe: the recipe.
        stage_name: which of its stages.
        fmt: see :data:`FORMATS`.
        out: a folder that does not exist or is empty.

    Raises:
        UserError: no such stage, the rows do not fit the format, or the folder holds something or cannot be written;
            also as :func:`mgsd_baselines.data.dataset.stage_rows`.
    """
    stage = recipe.stage(stage_name)
    _refuse_full(out)
    rows = stage_rows(stage, recipe)
    write = _line_writer(fmt, stage, rows)
    try:
        with whole_folder(out) as part:
            pictures = _write_pictures(rows, part, stage.data.image_size)
            with (part / ROWS).open("w", encoding="utf-8") as stream:
                for row in rows:
                    stream.write(json.dumps(write(row), ensure_ascii=False) + "\n")
            if fmt == "llamafactory":
                _write_json(part / "dataset_info.json", {f"{recipe.name}-{stage.name}": _LLAMAFACTORY})
            summary = ExportSummary(len(rows), pictures, rows_digest(rows), out)
            _write_json(part / "data.json", _about(recipe, stage, fmt, rows, summary))
    except OSError as error:
        raise UserError(
            f"{option('out', out)}: cannot be written ({error.strerror or error}); name another folder"
        ) from error
    return summary


def _refuse_full(out: Path) -> None:
    try:
        full = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise UserError(
            f"{option('out', out)}: cannot be read ({error.strerror or error}); name another folder"
        ) from error
    if full:
        raise UserError(f"{option('out', out)}: already holds something; name a new folder")


def _line_writer(fmt: Format, stage: Stage, rows: Sequence[Example]) -> Callable[[Example], dict[str, object]]:
    if fmt == "trl":
        return partial(_columns, stage.data.image_size)
    if fmt == "llamafactory" and any(row.completion is None for row in rows):
        raise UserError(
            f"{option('format', 'llamafactory')}: it trains on answers and {stage.name} has none; use trl or ms-swift"
        )
    if any(_IMAGE in text for row in rows for text in (row.prompt, row.completion or "")):
        raise UserError(
            f"{option('format', fmt)}: the prompts contain {_IMAGE}, which marks a picture there; reword them"
        )
    return _messages


def _columns(size: int, row: Example) -> dict[str, object]:
    """A row in TRL's columns with the path of its picture."""
    return row.to_trl(size) | {"images": _image_paths(row)}


def _messages(row: Example) -> dict[str, object]:
    """A row as messages with the picture's mark where the picture belongs."""
    messages = [{"role": "user", "content": row.prompt + ("" if row.picture is None else _IMAGE)}]
    if row.completion is not None:
        messages.append({"role": "assistant", "content": row.completion})
    line: dict[str, object] = {"messages": messages, "images": _image_paths(row)}
    if row.privileged is not None:
        line |= {"teacher_prompt": row.teacher_prompt, "teacher_images": []}
    return line


def _image_paths(row: Example) -> list[str]:
    return [] if row.picture is None else [_path(row)]


def _path(row: Example) -> str:
    return f"images/{row.picture_name.replace('/', '_')}.png"


def _write_pictures(rows: Sequence[Example], folder: Path, size: int) -> int:
    """Write each picture once; how many there are."""
    shown = {_path(row): (row, row.picture) for row in rows if row.picture is not None}
    (folder / "images").mkdir()
    for path, (row, episode) in shown.items():
        (folder / path).write_bytes(row.draw(episode, size).png())
    return len(shown)


def _about(
    recipe: Recipe, stage: Stage, fmt: Format, rows: Sequence[Example], summary: ExportSummary
) -> dict[str, object]:
    exclude = stage.data.exclude
    return {
        "format": fmt,
        "stage": stage.name,
        "digest": summary.digest,
        "rows": summary.rows,
        "pictures": summary.pictures,
        "image_size": stage.data.image_size,
        "counts": counts(rows),
        "excluded": {"paths": list(exclude), "states": len(excluded_keys(exclude))},
        "recipe": recipe.to_json(),
        "made_by": provenance(),
    }


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
