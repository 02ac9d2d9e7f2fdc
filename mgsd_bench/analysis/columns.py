"""Columns of the table of samples: their types, and their values in few bytes while they are gathered."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mgsd_bench.digests import short_digest

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of samples.

    Attributes:
        dtype: pandas' type; ``category`` holds texts. A nullable type, or ``float64``, where a value may be missing.
        unit: what it counts; empty where it counts nothing.
        meaning: one line.
        digest: whether its texts are SHA-256 in hexadecimal digits, nearly all different.
        figures: whether figures come from it, or it tells whether runs are comparable.
    """

    dtype: str
    unit: str
    meaning: str
    digest: bool = False
    figures: bool = True

    def values(self, *, brief: bool = False) -> Values:
        """Nothing yet; of a digest, ``brief`` keeps the first 64 bits, as a number."""
        if self.digest:
            return _ShortDigests() if brief else _Digests()
        if self.dtype in ("category", "str"):
            return _Texts(self.dtype)
        return _Floats() if self.dtype == "float64" else _Numbers(self.dtype)


class Values(Protocol):
    """The values of one column, in the order in which they were added."""

    def append(self, value: Any) -> None:
        """Add one; None where it is missing."""
        ...

    def ranks(self) -> NDArray[Any]:
        """For each value a number, in the values' order; equal values have the same."""
        ...

    def series(self, order: NDArray[np.int64]) -> pd.Series[Any]:
        """Those at some places, in this order, in the column's type."""
        ...


class _Texts:
    """Texts by number: a million samples share few of them."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._numbers: dict[str | None, int] = {}
        self._values = array("i")

    def append(self, value: str | None) -> None:
        self._values.append(self._numbers.setdefault(value, len(self._numbers)))

    def ranks(self) -> NDArray[np.int32]:
        """The place of each text among all of them in order; -1 where it is missing."""
        ranks = np.full(len(self._numbers), -1, np.int32)
        for rank, text in enumerate(self._texts()):
            ranks[self._numbers[text]] = rank
        return ranks[np.array(self._values, np.int32)]

    def series(self, order: NDArray[np.int64]) -> pd.Series[Any]:
        import pandas as pd

        if self._dtype == "category":
            categories = pd.Index(self._texts(), dtype="str")
            return pd.Series(pd.Categorical.from_codes(self.ranks()[order], categories))
        texts = np.array([*self._numbers, None], object)
        return pd.Series(texts[np.array(self._values, np.int32)[order]], dtype="str")

    def _texts(self) -> list[str]:
        return sorted(text for text in self._numbers if text is not None)


class _Digests:
    """SHA-256 in hexadecimal digits: half as many bytes, without an object each. Other texts are kept as they are."""

    def __init__(self) -> None:
        self._values = bytearray()
        self._others: dict[int, str] = {}

    def append(self, value: str) -> None:
        if not _DIGEST.fullmatch(value):
            self._others[len(self._values) // 32] = value
            value = "0" * 64
        self._values += bytes.fromhex(value)

    def ranks(self) -> NDArray[Any]:
        _, ranks = np.unique(self._texts(np.arange(len(self._values) // 32)), return_inverse=True)
        return ranks

    def series(self, order: NDArray[np.int64]) -> pd.Series[Any]:
        import pandas as pd

        return pd.Series(self._texts(order), dtype="str")

    def _texts(self, order: NDArray[np.int64]) -> list[str]:
        held, others = bytes(self._values), self._others
        return [others[i] if i in others else held[32 * i : 32 * i + 32].hex() for i in order.tolist()]


_DIGEST = re.compile("[0-9a-f]{64}")


class _ShortDigests:
    """The first 64 bits of SHA-256 in hexadecimal digits, and as many that stand for another text."""

    def __init__(self) -> None:
        self._values = array("Q")

    def append(self, value: str) -> None:
        self._values.append(int(value[:16], 16) if _DIGEST.fullmatch(value) else short_digest(value))

    def ranks(self) -> NDArray[np.uint64]:
        return np.array(self._values, np.uint64)

    def series(self, order: NDArray[np.int64]) -> pd.Series[Any]:
        import pandas as pd

        return pd.Series(self.ranks()[order])


class _Numbers:
    """Whole numbers and truth values."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._values = array("i")
        self._missing = bytearray() if dtype in ("Int64", "boolean") else None

    def append(self, value: int | None) -> None:
        try:
            self._values.append(0 if value is None else value)
        except OverflowError:
            self._values = array("q", self._values)
            self._values.append(value or 0)
        if self._missing is not None:
            self._missing.append(value is None)

    def ranks(self) -> NDArray[np.int64]:
        """The numbers themselves; a missing one is 0."""
        return np.array(self._values, np.int64)

    def series(self, order: NDArray[np.int64]) -> pd.Series[Any]:
        import pandas as pd

        found = self.ranks()[order]
        if self._missing is None:
            return pd.Series(found.astype(bool) if self._dtype == "bool" else found)
        missing = np.array(self._missing, np.uint8).astype(bool)[order]
        if self._dtype == "boolean":
            return pd.Series(pd.arrays.BooleanArray(found.astype(bool), missing))
        return pd.Series(pd.arrays.IntegerArray(found, missing))


class _Floats:
    """Numbers; a missing one is none."""

    def __init__(self) -> None:
        self._values = array("d")

    def append(self, value: float | None) -> None:
        self._values.append(np.nan if value is None else value)

    def ranks(self) -> NDArray[np.float64]:
        """The numbers themselves."""
        return np.array(self._values, np.float64)

    def series(self, order: NDArray[np.int64]) -> pd.Series[Any]:
        import pandas as pd

        return pd.Series(self.ranks()[order])
