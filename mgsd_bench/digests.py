"""Short digests, that stand for texts where a million of these would be too much to hold."""

from __future__ import annotations

from collections.abc import Container, Sized
from hashlib import blake2b


def short_digest(text: str) -> int:
    """64 bits of a text's BLAKE2b: that two of a million different texts have the same ones has a chance of 3e-8."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


class KeySet(Container[str], Sized):
    """A set of keys, of which short digests are kept."""

    def __init__(self) -> None:
        self._digests: set[int] = set()

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and short_digest(key) in self._digests

    def add(self, key: str) -> None:
        """Put a key in."""
        self._digests.add(short_digest(key))
