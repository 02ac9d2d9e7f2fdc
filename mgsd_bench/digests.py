"""Short digests, that stand for texts where a million of these would be too much to hold."""

from __future__ import annotations

from hashlib import blake2b


def short_digest(text: str) -> int:
    """64 bits of a text's BLAKE2b: that two of a million different texts have the same ones has a chance of 3e-8."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
