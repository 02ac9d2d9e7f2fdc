"""Inputs that are kept of every target, and how inputs are changed, beside a fuzzer or in its place."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

from support.fuzz_targets import Target

KEPT = Path(__file__).parents[1] / "fuzz"
LONGEST = 20_000
"""Bytes of an input."""

_VALUE = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?|\"(?:[^\"\\]|\\.){0,200}\"|\b(?:true|false|null)\b")
_ODD = (
    b"0",
    b"-1",
    b"1",
    b"2147483648",
    b"9007199254740992",
    b"1e400",
    b"0.5",
    b"null",
    b"true",
    b'""',
    b"[]",
    b"{}",
    b'"\\ud800"',
)


def kept(target: Target) -> list[bytes]:
    """The inputs that are kept of a target: a file with one JSON text a line, a character a byte."""
    path = KEPT / f"{target.name}.jsonl"
    lines = path.read_text("ascii").splitlines() if path.exists() else []
    return [json.loads(line).encode("latin-1") for line in lines]


def keep(target: Target, inputs: Sequence[bytes]) -> None:
    """Keep these inputs of a target instead."""
    KEPT.mkdir(exist_ok=True)
    text = "".join(json.dumps(data.decode("latin-1")) + "\n" for data in inputs)
    (KEPT / f"{target.name}.jsonl").write_text(text, "ascii")


def mutated(data: bytes, rng: random.Random, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """An input with some bytes, words, values, lines or parts of others put in, taken out, doubled or exchanged."""
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        a, b = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        near = min(b, a + rng.choice((1, 4, 16, 200)))
        match rng.randrange(8):
            case 0:
                data = data[:a] + rng.choice(words) + data[a:]
            case 1:
                data = data[:a] + rng.choice(words) + data[near:]
            case 2:
                data = data[:a] + data[near:]
            case 3:
                data = data[:near] + data[a:near] * rng.choice((1, 1, 20)) + data[near:]
            case 4:
                data = (
                    data[:a] + bytes([rng.choice((rng.randrange(256), rng.randrange(32, 127), 10, 0))]) + data[a + 1 :]
                )
            case 5:
                data = _with_value(data, rng)
            case 6:
                lines = data.splitlines(keepends=True) or [b""]
                lines.insert(rng.randint(0, len(lines)), rng.choice(lines))
                if rng.random() < 0.5:
                    del lines[rng.randrange(len(lines))]
                data = b"".join(lines)
            case _:
                other = rng.choice(others)
                cut = rng.randint(0, len(other))
                data = data[:a] + other[cut : cut + rng.choice((8, 100, LONGEST))]
    return data[:LONGEST]


def _with_value(data: bytes, rng: random.Random) -> bytes:
    """The input with one of its numbers, texts or constants exchanged for an odd one, or for another of its own."""
    found = [match.span() for match in _VALUE.finditer(data)]
    if not found:
        return data
    (start, end), (first, last) = rng.choice(found), rng.choice(found)
    value = rng.choice(_ODD) if rng.random() < 0.7 else data[first:last]
    return data[:start] + value + data[end:]
