"""Whether a dataset's folder is what it says, and what the hub takes; looked at before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

from mgsd_bench.config.layers import parse_yaml
from mgsd_bench.errors import UserError
from mgsd_bench.suites.dataset import ABOUT, About, read_about, read_split
from mgsd_bench.suites.dataset_card import BENCHMARK, CARD, UNKNOWN, eval_yaml, front_matter
from mgsd_bench.suites.leakage import Leak, leaks, possible_leaks
from mgsd_bench.suites.packed import Packed
from mgsd_bench.suites.parquet import Written, load_pyarrow, schema
from mgsd_envs.files import open_regular, read_text

LARGEST_FILE = 50 * 10**9
"""Bytes of a file that the hub takes."""

LARGEST_GROUP = 300 * 10**6
"""Bytes of a row group that the hub's viewer reads."""

_GENERATED = ("configs", "dataset_info", "size_categories")
_MARK = "---\n"


@dataclass(frozen=True, slots=True)
class Checked:
    """A dataset that was looked at.

    Attributes:
        about: what it was made of.
        licence: what its card says, empty if nothing.
        files: what would be sent, by name, with sizes in bytes.
        left_out: what else is in the folder.
        leaks: how much of the test may be trained on, or is in the training split where there is one.
        trained: whether there is one.
        faults: what is wrong, a line each, with the remedy; empty if nothing is.
    """

    about: About
    licence: str
    files: Mapping[str, int]
    left_out: tuple[str, ...]
    leaks: tuple[Leak, ...]
    trained: bool
    faults: tuple[str, ...]


def check_dataset(folder: Path) -> Checked:
    """Look at everything in a dataset's folder: files, rows, card, benchmark, and what of its test is trained on.

    Raises:
        UserError: it is no dataset that was generated, or PyArrow is not installed.
    """
    about = read_about(folder)
    faults: list[str] = []
    wanted = [CARD, ABOUT, *(each.path for each in about.files)]
    wanted += [BENCHMARK] if eval_yaml(about) is not None else []
    held = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
    sizes = {}
    for name in wanted:
        path = folder / name
        if not path.is_file():
            faults.append(f"{path}: is missing; write the dataset anew")
        elif not path.resolve().is_relative_to(folder.resolve()):
            faults.append(f"{path}: leads out of the folder; put the file itself there")
        else:
            sizes[name] = path.stat().st_size
    strays = [name for name in held if name.endswith(".parquet") and name not in wanted]
    faults += [f"{folder / name}: not of this dataset, but its card would take it in; remove it" for name in strays]
    for each in about.files:
        if each.path in sizes:
            faults += _file_faults(folder, each)
    licence = ""
    if CARD in sizes:
        front, found = _front(folder / CARD)
        faults += found or list(_card_faults(folder / CARD, front, about))
        licence = str(front.get("license", ""))
    if BENCHMARK in sizes:
        faults += _benchmark_faults(folder / BENCHMARK, about)
    splits, found = _splits(folder, about) if not faults else ({}, [])
    faults += found
    leaked, trained = _leaks(splits)
    if trained and (exact := sum(each.exact for each in leaked)):
        faults.append(f"{folder}: {exact} test episodes are among those to train on; write the dataset anew")
    left_out = tuple(name for name in held if name not in wanted)
    return Checked(about, licence, sizes, left_out, tuple(leaked), trained, tuple(faults))


def _file_faults(folder: Path, written: Written) -> list[str]:
    path = folder / written.path
    anew = "write the dataset anew"
    try:
        with open_regular(path) as stream:
            if file_digest(cast(BufferedReader, stream), "sha256").hexdigest() != written.sha256:
                return [f"{path}: not what was written; {anew}"]
        arrow = load_pyarrow()
        with open_regular(path) as stream, arrow.parquet.ParquetFile(stream) as file:
            metadata, found = file.metadata, file.schema_arrow
            groups = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
    except (OSError, ValueError, arrow.ArrowException) as error:
        return [f"{path}: cannot be read as Parquet ({error}); {anew}"]
    faults = []
    right = schema(arrow)
    if not found.equals(right) or found.metadata != right.metadata:
        faults.append(f"{path}: has other columns than this version writes; {anew}")
    if metadata.num_rows != written.rows:
        faults.append(f"{path}: has {metadata.num_rows} rows and not {written.rows}; {anew}")
    if written.size > LARGEST_FILE:
        faults.append(f"{path}: has more than {LARGEST_FILE:,} bytes, which the hub does not take; {anew}")
    if max(groups, default=0) > LARGEST_GROUP:
        faults.append(f"{path}: a row group has more than {LARGEST_GROUP:,} bytes, which the viewer does not read")
    return faults


def _front(card: Path) -> tuple[dict[str, Any], list[str]]:
    """The front matter of a card, and what keeps it from being read."""
    try:
        text = read_text(card)
        _, begin, rest = text.partition(_MARK)
        front, end, body = rest.partition(f"\n{_MARK}")
        values = parse_yaml(front, str(card)) if text.startswith(_MARK) and begin and end else None
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{card}: cannot be read ({error}); write the dataset anew"]
    except UserError as error:
        return {}, [str(error)]
    if not isinstance(values, dict):
        return {}, [f"{card}: begins with no front matter between two lines of ---; write the dataset anew"]
    return values, [] if body.strip() else [f"{card}: has no text; say what the dataset is"]


def _card_faults(card: Path, front: Mapping[str, Any], about: About) -> Iterator[str]:
    right = front_matter(about)
    for key in _GENERATED:
        if front.get(key) != right[key]:
            yield f"{card}: {key} does not say what the files hold; put it back as it was, or write the dataset anew"
    licence = front.get("license")
    if not isinstance(licence, str) or not licence.strip() or licence == UNKNOWN:
        yield f"{card}: license: name one, such as mit, or other with a license_name"
    elif licence == "other" and not front.get("license_name"):
        yield f"{card}: license_name: license is other; say what it is called"
    if not isinstance(front.get("pretty_name"), str):
        yield f"{card}: pretty_name: give the dataset a name"
    for key in ("tags", "task_categories", "language"):
        value = front.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            yield f"{card}: {key}: write a list of texts"


def _benchmark_faults(path: Path, about: About) -> list[str]:
    try:
        found = parse_yaml(read_text(path), str(path))
        right = parse_yaml(eval_yaml(about) or "", str(path))
    except (OSError, UnicodeDecodeError) as error:
        return [f"{path}: cannot be read ({error}); write the dataset anew"]
    except UserError as error:
        return [str(error)]
    if not isinstance(found, dict):
        return [f"{path}: holds no mapping; write the dataset anew"]
    faults = [f"{path}: {key}: write a text" for key in ("name", "description") if not _is_text(found.get(key))]
    other = [key for key in ("evaluation_framework", "tasks") if found.get(key) != right[key]]
    return faults + [f"{path}: {key}: put it back as it was, or write the dataset anew" for key in other]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _splits(folder: Path, about: About) -> tuple[dict[str, Packed], list[str]]:
    """The episodes of the splits, and what is wrong with their files."""
    try:
        return {split: read_split(folder, about, split) for split in about.splits}, []
    except UserError as error:
        return {}, [str(error)]


def _leaks(splits: Mapping[str, Sequence[Any]]) -> tuple[list[Leak], bool]:
    test = splits.get("test")
    if test is None:
        return [], False
    train = splits.get("train")
    return (possible_leaks(test), False) if train is None else (leaks(test, train), True)
