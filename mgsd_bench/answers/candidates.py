"""Where an answer says its plan: blocks, boxes, JSON and announced lines.

Grammar of what is said, outside of thinking::

    said      = ... <answer> list </answer> ...       the last block; one that is empty is none
              | ... <answer> list                     left open at the very end
              | ... box                               at the very end
              | ... JSON object with a plan           at the very end, alone or fenced; a JSON list alone or fenced
              | ... announced ":" list                on the last lines, up to the very end
    box       = \\boxed{ list } | <|begin_of_box|> list <|end_of_box|>
    announced = "Answer", "Plan" or "Solution", also with "final", "my", "shortest", ...; or such a heading
    list      = as in :mod:`mgsd_bench.answers.moves`, or JSON as in :mod:`mgsd_bench.answers.structured`

The last of them counts. Behind a block there may be prose, but no other plan; what is not in a block must end the text,
save marks that close it and special tokens, for else it may be taken back. ``Route:`` and ``Moves:`` announce nothing
outside of a block: they belong to the state and to the way. The tags may have spaces in them, be escaped or full-width.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from mgsd_bench.answers import structured
from mgsd_bench.answers.notation import end_of_speech
from mgsd_envs.types import Plan

_TAG = re.compile(r"(?:<|&lt;|＜)\s{0,4}([/\\／]{0,2})\s{0,4}answer\s{0,4}(?:>|&gt;|＞)", re.IGNORECASE)
_CUT_TAG = re.compile(r"<\s{0,4}[/\\]{1,2}\s{0,4}(?:a(?:n(?:s(?:w(?:e(?:r)?)?)?)?)?)?\Z", re.IGNORECASE)
_BEGIN_BOX, _END_BOX = "<|begin_of_box|>", "<|end_of_box|>"
_BOX = re.compile(r"\\f?box(?:ed)?\s{0,3}\{", re.IGNORECASE)
_BETWEEN = " \t\r\n,;.|>→$\\"
_BRACE = re.compile(r"[{}]")
_BRACKET = re.compile(r"[{}\[\]]")
_CLOSING = frozenset(" \t\r\n.$*`_)\\]\"'。")
_ADJECTIVE = r"(?:final|shortest|optimal|best|correct|my|your|the)[ ]"
_NAMES = (
    rf"(?:{_ADJECTIVE}){{0,3}}(?:answer|plan|solution)|final (?:path|moves?|actions?|(?:action |move )?sequence)"
    r"|最终答案|答案"
)
_LINE = r"^[\s>*_#`\"-]{0,8}(?:\d[.)][ ])?[*_]{0,2}"
_HEADING = rf"^(?:#{{1,6}}[ ]{{0,3}}|\*\*|__)[*_]{{0,2}}(?:{_NAMES})[*_]{{0,4}}[ ]{{0,3}}$"
_ANNOUNCED = re.compile(
    rf"(?:{_LINE}|(?<=[.!?][ ])[*_]{{0,3}})(?:{_NAMES})[*_`\"]{{0,4}}[ ]{{0,3}}[:：=](?![=>])|{_HEADING}",
    re.IGNORECASE | re.MULTILINE,
)


class Found(NamedTuple):
    """A plan in a text.

    Attributes:
        plan: the plan; None where the last place that may hold one does not hold just one.
        start: where its statement begins; what comes before is the state.
        state: what is stated beside the plan within one JSON document.
    """

    plan: Plan | None
    start: int
    state: str = ""


class Block(NamedTuple):
    """An answer block: where its tag, its content and its closing tag begin, and where that ends."""

    start: int
    inner: int
    stop: int
    end: int


def blocks(said: str) -> tuple[list[Block], Block | None]:
    """The complete blocks of a text that are not empty, and the one that is left open at its end, if any."""
    complete: list[Block] = []
    opened: re.Match[str] | None = None
    before: re.Match[str] | None = None
    for tag in _TAG.finditer(said):
        if not tag[1]:
            before, opened = opened, tag
        elif opened is not None:
            if said[opened.end() : tag.start()].strip(" \t\r\n.…"):
                complete.append(Block(opened.start(), opened.end(), tag.start(), tag.end()))
            opened = None
    if opened is None:
        return complete, None
    end = end_of_speech(said)
    if opened.end() >= end and before is not None:  # an opening tag that was meant to close
        return complete, Block(before.start(), before.end(), opened.start(), end)
    cut = _CUT_TAG.search(said, max(opened.end(), end - 16), end)
    return complete, Block(opened.start(), opened.end(), cut.start() if cut else end, end)


def find(said: str, read: Callable[[str], Plan | None], whole: bool) -> Found | None:
    """The plan of what is said; None where nothing in it can hold one.

    Args:
        said: the text outside of thinking.
        read: reads a list of moves.
        whole: whether the text came to its own end. If it was cut off, what must end the text is not looked for.
    """
    complete, opened = blocks(said)
    if opened is not None and whole:
        plan = read_list(said[opened.inner : opened.stop], read)
        if complete and plan is not None and plan != read_list(said[complete[-1].inner : complete[-1].stop], read):
            return Found(None, complete[-1].start)  # two answers, and the second one was not ended
        if not complete:
            return Found(plan, opened.start)
    if not complete:
        if opened is not None:
            return Found(None, opened.start)
        return at_end(said, read) if whole else None
    last = complete[-1]
    plan, state = _block_of(said, last, read)
    if plan is not None and len(plan) == 1 and _in_pieces(said, complete):
        plan = None
    later = at_end(said[last.end :], read) if whole and end_of_speech(said) > last.end else None
    if later is not None and later.plan is not None and later.plan != plan:
        return Found(None if plan else later.plan, last.start)
    return Found(plan, last.start, state)


def _block_of(said: str, block: Block, read: Callable[[str], Plan | None]) -> tuple[Plan | None, str]:
    """The plan in a block, and the state beside it where it is a JSON object."""
    document = _json_in(said[block.inner : block.stop])
    if document is None:
        return read(said[block.inner : block.stop]), ""
    plan = structured.plan_of(document, read)
    return plan, structured.without_plan(document) if plan else ""


def _in_pieces(said: str, complete: list[Block]) -> bool:
    """Whether the last block follows another one with nothing between: a plan of one block a move?"""
    if len(complete) < 2:
        return False
    before, last = complete[-2:]
    return not said[before.end : last.start].strip(_BETWEEN + "-")


def read_list(text: str, read: Callable[[str], Plan | None]) -> Plan | None:
    """The plan of a text that is a list of moves or a JSON document."""
    document = _json_in(text)
    return read(text) if document is None else structured.plan_of(document, read)


def _json_in(text: str) -> Any:
    """The JSON document that a text is, fenced or not; None if it is none."""
    return structured.load(text.strip().removeprefix("```json").strip("`\n\r\t "))


def at_end(said: str, read: Callable[[str], Plan | None], boxes_only: bool = False) -> Found | None:
    """The plan in a box, in JSON or announced that ends what is said."""
    end = end_of_speech(said)
    for find_one in (_boxed,) if boxes_only else (_boxed, _document, _announced):
        found = find_one(said, end, read)
        if found is not None and found.plan is not None:
            return found
    return None


def _boxed(said: str, end: int, read: Callable[[str], Plan | None]) -> Found | None:
    boxes = [(box.start(), box.end(), 1) for box in _BOX.finditer(said, 0, end)]
    closing = "}"
    if not boxes:
        closing = _END_BOX
        boxes = [(box.start(), box.end(), len(_END_BOX)) for box in re.finditer(re.escape(_BEGIN_BOX), said)]
    if not boxes:
        return None
    start, inner, length = boxes[-1]
    stop = _brace(said, inner, end) if closing == "}" else said.find(_END_BOX, inner)
    if stop < 0 or not _CLOSING.issuperset(said[stop + length : end]):
        return None
    plan = read_list(said[inner:stop], read)
    if plan is not None and len(boxes) > 1:
        before = said[boxes[-2][1] : start].rstrip(_BETWEEN)
        inside = before.removesuffix(closing)  # all of it, if nothing but marks stands between the last two boxes
        near = closing not in inside and inside != before
        if len(plan) == 1 or (near and inside.strip() != said[inner:stop].strip()):
            return Found(None, start)  # a box a move?
    return Found(plan, start)


def _brace(said: str, start: int, end: int) -> int:
    """Where the brace that was opened before ``start`` is closed; -1 if it is not."""
    depth = 1
    for brace in _BRACE.finditer(said, start, end):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.start()
    return -1


def _document(said: str, end: int, read: Callable[[str], Plan | None]) -> Found | None:
    fenced = said.endswith("```", 0, end)
    stop = len(said[: end - 3].rstrip()) if fenced else end
    if stop < 2 or said[stop - 1] not in "}]":
        return None
    depth = 0
    start = -1
    for bracket in reversed(list(_BRACKET.finditer(said, 0, stop))):
        depth += 1 if bracket[0] in "}]" else -1
        if depth == 0:
            start = bracket.start()
            break
    document = structured.load(said[start:stop]) if start >= 0 else None
    before = said[:start].rstrip()
    if fenced:
        opening = re.search(r"```[a-z]{0,8}\Z", before[-11:], re.IGNORECASE)
        if not opening:
            return None
        before = before[: len(before) - len(opening[0])].rstrip()
    if document is None or before.endswith(("}", "]", ",", "}```")):
        return None
    if isinstance(document, list) and before and not fenced:
        return None
    return Found(structured.plan_of(document, read), len(before), structured.without_plan(document))


def _announced(said: str, end: int, read: Callable[[str], Plan | None]) -> Found | None:
    announced = deque(_ANNOUNCED.finditer(said, 0, end), maxlen=1)
    return Found(read_list(said[announced[0].end() : end], read), announced[0].start()) if announced else None
