"""The table of samples of a run as a file, CSV or Parquet, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mgsd_bench.analysis.frame import SampleTable
from mgsd_bench.files import write_whole
from mgsd_bench.integrations.finished import FinishedRun
from mgsd_bench.report.text import csv_text
from mgsd_bench.suites.parquet import load_pyarrow

if TYPE_CHECKING:
    import pandas as pd

ROWS = 50_000
"""Rows that are written at a time."""


def write_csv(finished: FinishedRun, out: Path) -> int:
    """Write the table of :meth:`mgsd_bench.analysis.run.Run.to_pandas` as CSV in UTF-8; what is missing is empty.

    The run is called by its folder's name alone, wherever it lies.

    Texts are one line, and one that a spreadsheet would take for a formula gets an apostrophe before it.

    Args:
        finished: the run.
        out: the file.

    Returns:
        Rows.

    Raises:
        UserError: the run is damaged.
        OSError: the file cannot be written.
    """
    table = _table(finished)
    rows = 0

    def parts() -> Iterator[bytes]:
        nonlocal rows
        for block in table.blocks(ROWS):
            yield _without_formulas(block).to_csv(index=False, header=rows == 0, lineterminator="\n").encode()
            rows += len(block)

    write_whole(out, parts())
    return rows


def write_parquet(finished: FinishedRun, out: Path) -> int:
    """Write the same table as Parquet: a category as a dictionary of texts, what is missing as null.

    Args:
        finished: the run.
        out: the file.

    Returns:
        Rows.

    Raises:
        UserError: the run is damaged, or pyarrow is not installed.
        OSError: the file cannot be written.
    """
    arrow = load_pyarrow()
    table = _table(finished)
    rows = 0

    def parts() -> Iterator[bytes]:
        nonlocal rows
        sink, written = _Sink(), None
        for block in table.blocks(ROWS):
            found = arrow.Table.from_pandas(block, preserve_index=False)
            written = written or arrow.parquet.ParquetWriter(sink, found.schema)
            written.write_table(found)
            rows += len(block)
            yield sink.taken()
        if written is not None:
            written.close()
        yield sink.taken()

    write_whole(out, parts())
    return rows


def _without_formulas(block: pd.DataFrame) -> pd.DataFrame:
    """The block with its texts as :func:`mgsd_bench.report.text.csv_text` has them."""
    texts = block.select_dtypes(["category", "str", "object"]).columns
    safe = {}
    for name in texts:
        codes, known = block[name].factorize()
        safe[name] = np.array([*map(csv_text, known), None], object)[codes]
    return block.assign(**safe)


class _Sink(RawIOBase):
    """What is written and not yet taken; its position goes on, since Parquet's footer says where everything is."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        self._position += len(self._held[-1])
        return len(self._held[-1])

    def tell(self) -> int:
        return self._position

    def taken(self) -> bytes:
        """What was written since this was last asked for."""
        held, self._held = b"".join(self._held), []
        return held


def _table(finished: FinishedRun) -> SampleTable:
    home = replace(finished.run.origin, run=finished.run.path.resolve().name)  # where it lies is nobody's business
    table = SampleTable(finished.asked, home)
    for sample in finished.samples(texts=False):
        table.append(sample)
    return table
