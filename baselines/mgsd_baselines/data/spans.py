"""The parts of an answer, state, route and plan, and which part each of its tokens belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

SPANS = ("state", "route", "plan")
"""The parts in the order in which an answer has them; token labels are indices into this."""

_PLAN = re.compile(r"<answer>", re.IGNORECASE)
_ROUTE = re.compile(r"^[^\w\n]*(?:\d{1,2}[.)][^\w\n]*)?route[ \t*_]*:", re.IGNORECASE | re.MULTILINE)


class Cuts(NamedTuple):
    """Where the parts of a text begin, as character offsets; the state begins at 0. An empty part has no width."""

    route: int
    plan: int


def cuts(text: str) -> Cuts:
    """Cut a text into its parts.

    The plan begins at the last ``<answer>``, the route at the last line before it that begins with ``Route:`` (list
    and bold marks may stand before), and the state is all that comes before. Without such a tag there is no plan,
    and without such a line no route. Linear in the text's length, for any text.
    """
    plan = len(text)
    for tag in _PLAN.finditer(text):
        plan = tag.start()
    route = plan
    for line in _ROUTE.finditer(text):
        if line.end() > plan:
            break
        route = line.start()
    return Cuts(route, plan)


def label(pieces: Sequence[str]) -> list[int]:
    """The part of each token, given the text of each.

    A token belongs to the part that its first character stands in: where one token holds the end of a part and the
    beginning of the next, predicting it ends the former.
    """
    begin = cuts("".join(pieces))
    labels = []
    offset = 0
    for piece in pieces:
        labels.append((offset >= begin.route) + (offset >= begin.plan))
        offset += len(piece)
    return labels


class TokenLabeller:
    """Labels the tokens of answers, without tokenising text anew.

    Args:
        tokenizer: decodes token ids. Each is decoded by itself, once, so that a byte-level token with part of a
            character reads as a replacement mark; tags and ``Route:`` are ASCII and not affected.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._pieces: dict[int, str] = {}

    def __call__(self, ids: Sequence[int]) -> list[int]:
        """The part of each token, as an index into :data:`SPANS`."""
        for unknown in set(ids) - self._pieces.keys():
            self._pieces[unknown] = self._tokenizer.decode(
                [unknown], skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        return label([self._pieces[i] for i in ids])
