"""Train, val and test as a function of the state alone.

A state's split depends on nothing but its canonical key, or on that of its orbit (:mod:`mgsd_envs.orbits`), so no seed,
count, level or theme can put a test state into the training data.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

SplitBy = Literal["state", "orbit"]
SPLIT_BY: tuple[SplitBy, ...] = ("state", "orbit")
"""What a split keeps apart: states, or states with all their mirror images and turns."""

TEST_SHARE = 0.2
VAL_SHARE = 0.1
_SALT = b"mgsd-split-v1:"


def split_of(key: str) -> Split:
    """The split of the state or orbit with this key: 20 % test, 10 % val, 70 % train."""
    draw = int.from_bytes(sha256(_SALT + key.encode()).digest()[:8], "big") / 2**64
    if draw < TEST_SHARE:
        return "test"
    return "val" if draw < TEST_SHARE + VAL_SHARE else "train"
