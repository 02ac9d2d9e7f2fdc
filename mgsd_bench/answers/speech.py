"""What an answer says aloud: its text without its thinking.

Thinking is what stands between ``<think>`` and ``</think>``, and before a ``</think>`` that was never opened; so it is
with the tags ``thinking``, ``thought``, ``reasoning``, ``reflection`` and ``scratchpad`` where both stand there. A
``<think>`` that is never closed may be never left: what comes behind counts only if a closed block or box ends it. Or
it is only mentioned, within a line: then any answer that ends the text counts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mgsd_bench.answers.plans import thinking

_OTHER = re.compile(
    r"<\s?(/?)\s?(thinking|thoughts?|reasoning|reflection|scratchpad|seed:think|think(?=\s))\s?>|(◁)(/?)think▷"
    r"|(\[)(/?)THINK\]",
    re.IGNORECASE,
)
_MARKS = (
    "<thinking",
    "<thought",
    "<reasoning",
    "<reflection",
    "<scratchpad",
    "<seed:",
    "< ",
    "<think ",
    "◁",
    "[think]",
)


class Speech(NamedTuple):
    """What is said.

    Attributes:
        said: the text outside of thinking.
        unclosed: what follows the last tag of a thinking that was opened and never closed; None if there is none.
        mentioned: whether that ``<think>`` stands within a line of text, as a word and not as a tag.
    """

    said: str
    unclosed: str | None = None
    mentioned: bool = False


def speech(text: str) -> Speech:
    """Part a text into what is said and what may be."""
    parts = thinking(text)
    usual = len(parts.tags) + 2  # and the two tags of the answer
    if text.count("<") > usual or "◁" in text or "[THINK]" in text:
        lowered = text.lower()
        if any(mark in lowered for mark in _MARKS):
            text = _without_pairs(text)
            parts = thinking(text)
    if parts.unclosed is None:
        return Speech(parts.said)
    last = parts.tags[-1]
    line = text[text.rfind("\n", 0, parts.unclosed) + 1 : parts.unclosed]
    return Speech(parts.said, text[last.end() :], last.start() == parts.unclosed and bool(line.strip()))


def _without_pairs(text: str) -> str:
    """The text without what stands between other tags of thinking, where both are there."""
    kept: list[str] = []
    position = 0
    opened: tuple[str, int] | None = None
    for tag in _OTHER.finditer(text):
        name = (tag[2] or tag[3] or tag[5]).lower().strip()
        closes = bool(tag[1] or tag[4] or tag[6])
        if not closes and opened is None:
            opened = (name, tag.start())
        elif closes and opened is not None and opened[0] == name:
            kept.append(text[position : opened[1]])
            position, opened = tag.end(), None
    kept.append(text[position:])
    return "\n".join(kept) if len(kept) > 1 else text
