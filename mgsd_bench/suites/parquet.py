"""Episodes as Parquet files: what ``datasets.load_dataset`` and the hub's viewer read, one configuration a task.

A row is an episode under a condition, with the picture in it as a file. Rows are written as they are made, so that a
dataset of any size takes the memory of one row group.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from mgsd_bench.errors import UserError, option
from mgsd_bench.prompts import WITH_IMAGE, Condition, PromptSet
from mgsd_bench.suites.export import file_name, png_file
from mgsd_bench.suites.looks import is_asked
from mgsd_bench.suites.packed import Packed
from mgsd_envs import get_task

if TYPE_CHECKING:
    from types import ModuleType

    from mgsd_envs import Episode
    from mgsd_envs.splits import Split

ROW_GROUP = 32 * 2**20
"""Bytes of a row group, about: what a reader that wants one row has to read, and what a writer holds."""

SHARD = 400 * 2**20
"""Bytes of a file, about."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type and what it means, in Markdown."""

    name: str
    kind: Literal["string", "int32", "bool", "strings", "image"]
    about: str


COLUMNS = (
    Column("id", "string", "`task/level/index`, and behind an `@` the look; names the episode within a split"),
    Column("task", "string", "the task, and so the configuration"),
    Column("split", "string", "the split that the state belongs to: `train`, `val` or `test`"),
    Column("theme", "string", "the look of the picture, such as `classic` or `classic+blur-3`"),
    Column("level", "int32", "size of the grid, in cells a side"),
    Column("shortest", "int32", "length of a shortest plan, in actions"),
    Column("detour", "bool", "whether obstacles make the shortest plan longer than on an empty grid"),
    Column("straight", "bool", "whether the plan that ignores every obstacle succeeds"),
    Column("condition", "string", "how the question is put: `visual`, `symbolic`, `perceive` or `direct`"),
    Column("prompt_set", "string", "which prompt set the text is from"),
    Column("prompt", "string", "the whole text of the user's turn; the picture comes after it, no mark stands for it"),
    Column("episode", "string", "the episode as canonical JSON, its state among it: what answers are scored with"),
    Column("text", "string", "the state as text, as the condition `symbolic` tells it"),
    Column("plans", "string", "how many shortest plans there are, in decimal digits: it may exceed 64 bits"),
    Column("plan", "strings", "one shortest plan, by the names of its actions; others may be as good"),
    Column("image", "image", "the picture that is shown, a PNG file; null where the condition shows none"),
)
"""All columns, in the order of the files."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How the rows put their questions.

    Attributes:
        prompts: the prompt set, with the texts of the conditions.
        conditions: one-shot conditions; each is a row of every episode that it is asked of.
        size: side of the pictures in pixels; that of each episode if None.
    """

    prompts: PromptSet
    conditions: tuple[Condition, ...] = ("visual",)
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A Parquet file that was written.

    Attributes:
        path: its name below the folder, ``TASK/SPLIT-00000.parquet``.
        rows: how many rows it has.
        size: of the file, in bytes.
        sha256: of the file, in hexadecimal digits.
        memory: bytes of its rows once they are read.
    """

    path: str
    rows: int
    size: int
    sha256: str
    memory: int

    @property
    def task(self) -> str:
        """The task whose configuration it belongs to."""
        return self.path.partition("/")[0]

    @property
    def split(self) -> str:
        """The split that it is part of."""
        return split_of_path(self.path)


def split_of_path(path: str) -> str:
    """The split that a file's name says: ``test`` of ``maze/test-00000.parquet``."""
    return path.rpartition("/")[2].partition("-")[0]


def load_pyarrow() -> ModuleType:
    """PyArrow with its reader and writer of Parquet.

    Raises:
        UserError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            f"{option('format', 'parquet')}: Parquet files need pyarrow: pip install 'mgsd-bench[datasets]'"
        ) from error
    module: ModuleType = pyarrow
    return module


def features() -> list[dict[str, str]]:
    """The columns as a dataset's card has them, ``dataset_info.features``."""
    special = {"strings": {"list": "string"}}
    return [{"name": each.name, **special.get(each.kind, {"dtype": each.kind})} for each in COLUMNS]


def schema(arrow: ModuleType) -> Any:
    """The Arrow schema of the files, with the features that the datasets library reads from it."""
    types = {
        "string": arrow.string(),
        "int32": arrow.int32(),
        "bool": arrow.bool_(),
        "strings": arrow.list_(arrow.string()),
        "image": arrow.struct({"bytes": arrow.binary(), "path": arrow.string()}),
    }
    told: dict[str, dict[str, Any]] = {
        "strings": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
        "image": {"_type": "Image"},
    }
    known = {each.name: told.get(each.kind, {"dtype": each.kind, "_type": "Value"}) for each in COLUMNS}
    about = {"huggingface": json.dumps({"info": {"features": known}})}
    return arrow.schema([(each.name, types[each.kind]) for each in COLUMNS], metadata=about)


@dataclass(frozen=True, slots=True)
class Form:
    """What columns the files have.

    Attributes:
        schema: the Arrow schema.
        row: a row in these columns, given one of :data:`COLUMNS`; None if these are they.
        picture: path of the leaf that holds the pictures.
    """

    schema: Callable[[ModuleType], Any]
    row: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None
    picture: str


def write_files(episodes: Packed, split: Split, folder: Path, asked: Asked, form: Form | None = None) -> list[Written]:
    """Write the rows of a split, task by task, as ``TASK/SPLIT-00000.parquet`` and on.

    Args:
        episodes: the episodes; within a task their order is kept.
        split: the split's name.
        folder: where the tasks' folders are, or are made.
        asked: how the questions are put.
        form: other columns than :data:`COLUMNS`.

    Raises:
        UserError: PyArrow is not installed, or an original picture cannot be read.
        ValueError: fewer pixels than a grid needs.
        OSError: a file cannot be written.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(episodes.ids):
        places.setdefault(name.partition("/")[0], []).append(place)
    arrow = load_pyarrow()
    written = []
    for task, of_task in places.items():
        (folder / task).mkdir(exist_ok=True)
        with _Shards(arrow, folder, f"{task}/{split}", form or _DATASET) as shards:
            for place in of_task:
                for row in rows(episodes[place], asked):
                    shards.add(row)
        written += shards.written
    return written


def rows(episode: Episode, asked: Asked) -> Iterator[dict[str, Any]]:
    """The rows of an episode, one for each condition that it is asked under.

    Raises:
        UserError: an original picture cannot be read.
        ValueError: fewer pixels than the grid needs.
    """
    conditions = [each for each in asked.conditions if is_asked(episode.id, each)]
    if not conditions:
        return
    shown = not WITH_IMAGE.isdisjoint(conditions)
    image = {"bytes": png_file(episode, asked.size), "path": file_name(episode)} if shown else None
    known = {
        "id": episode.id,
        "task": episode.task,
        "split": episode.split,
        "theme": str(episode.look),
        "level": episode.level,
        "shortest": episode.shortest,
        "detour": episode.detour,
        "straight": episode.straight,
        "prompt_set": Path(asked.prompts.name).name,  # of a folder, where it is concerns nobody
        "episode": episode.canonical(),
        "text": get_task(episode.task).describe(episode.state),
        "plans": str(episode.plans),
        "plan": list(episode.plan),
    }
    for condition in conditions:
        picture = image if condition in WITH_IMAGE else None
        yield {**known, "condition": condition, "prompt": asked.prompts.render(episode, condition), "image": picture}


_DATASET = Form(schema, None, "image.bytes")


def _leaves(arrow: ModuleType, kind: Any, path: str) -> Iterator[str]:
    """Paths of the columns that a file has for a column of a nested type."""
    if arrow.types.is_list(kind):
        yield from _leaves(arrow, kind.value_type, f"{path}.list.element")
    elif arrow.types.is_struct(kind):
        for field in kind:
            yield from _leaves(arrow, field.type, f"{path}.{field.name}")
    else:
        yield path


class _Shards:
    """The files of a task and a split, each closed before the next is begun; a context manager."""

    def __init__(self, arrow: ModuleType, folder: Path, stem: str, form: Form) -> None:
        self.written: list[Written] = []
        self._arrow, self._form, self._schema = arrow, form, form.schema(arrow)
        self._folder, self._stem = folder, stem
        self._held: list[Mapping[str, Any]] = []
        self._holding = 0
        self._writer: Any = None
        self._rows = self._memory = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            if self._writer is not None:
                self._writer.close()
            return
        if self._held:
            self._write()
        if self._writer is not None:
            self._close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row, sooner or later."""
        self._held.append(row if self._form.row is None else self._form.row(row))
        picture = row["image"]
        self._holding += len(row["prompt"]) + len(row["episode"]) + (len(picture["bytes"]) if picture else 0)
        if self._holding >= ROW_GROUP:
            self._write()
            if self._memory >= SHARD:
                self._close()

    @property
    def _path(self) -> str:
        return f"{self._stem}-{len(self.written):05d}.parquet"

    def _write(self) -> None:
        if self._writer is None:
            leaves = (leaf for field in self._schema for leaf in _leaves(self._arrow, field.type, field.name))
            texts = [leaf for leaf in leaves if leaf != self._form.picture]
            self._writer = self._arrow.parquet.ParquetWriter(
                self._folder / self._path,
                self._schema,
                compression={self._form.picture: "none"} | dict.fromkeys(texts, "snappy"),  # PNG files do not shrink
                use_dictionary=texts,
                use_content_defined_chunking=True,  # for stores that keep once what two versions share
                write_page_index=True,
            )
        group = self._arrow.Table.from_pylist(self._held, schema=self._schema)
        self._writer.write_table(group, row_group_size=len(self._held))
        self._rows += len(self._held)
        self._memory += group.nbytes
        self._held, self._holding = [], 0

    def _close(self) -> None:
        self._writer.close()
        path = self._folder / self._path
        with path.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
        self.written.append(Written(self._path, self._rows, path.stat().st_size, digest, self._memory))
        self._writer, self._rows, self._memory = None, 0, 0
