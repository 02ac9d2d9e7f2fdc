"""The pieces of a list of moves: words, arrows, numbers, counts and what separates them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mgsd_bench.answers.vocabulary import MOVE_ARROWS, Vocabulary
from mgsd_envs.types import Plan

_DOUBLE_ARROWS = {"left": "⇐", "down": "⇓", "right": "⇒", "up": "⇑"}
_ARROW = {arrow: move for some in (MOVE_ARROWS, _DOUBLE_ARROWS) for move, arrows in some.items() for arrow in arrows}
_KINDS = {"then": "link", "and": "link", "move": "verb", "go": "verb"}


class Token(NamedTuple):
    """A piece of a list of moves.

    Attributes:
        kind: ``word`` (a name, a letter or a run of letters), ``arrow``, ``number`` or ``step`` (of a list), ``times``
            (a count behind an action), ``each`` (one before it), ``verb``, ``link``, ``open``, ``close``, ``hard`` (a
            separator that ends a segment), ``line`` (so does the end of a line) or ``soft`` (one that does not).
        text: as written, in lower case.
        actions: of words and arrows.
        number: of numbers and counts.
    """

    kind: str
    text: str
    actions: Plan = ()
    number: int = 0

    @property
    def style(self) -> str:
        """How an action is written: ``arrow``, ``letter`` or ``word``."""
        if self.kind == "arrow":
            return "arrow"
        return "letter" if len(self.actions) > 1 or len(self.text) == 1 else "word"

    @property
    def family(self) -> str:
        """Which arrows an arrow is one of: plain, heavy or double."""
        return next(family for family in ("←↓→↑", "⬅⬇➡⬆", "⇐⇓⇒⇑") if self.text in family)


@lru_cache(maxsize=64)
def _pattern(known: Vocabulary) -> re.Pattern[str]:
    """Every piece; no two alternatives can share more than a few characters, so nothing is tried twice at length."""
    phrases = "|".join(r"[ \t_-]".join(map(re.escape, parts)) for parts in known.phrases) or "(?!)"
    mark = r"[*_`]{0,3}[ ]?(?:[.:)]|[-–][ ]"
    return re.compile(
        rf"(?P<step>(?:(?P<plain>step)|move|action)[ _]?#?(?P<of_step>\d{{1,4}})(?!\d|[.:]\d)"
        rf"{mark}|(?=\n|[→➡⇒]|[-=]>)|(?(plain)(?=[ ])|(?!))))"
        rf"|(?P<phrase>(?:{phrases})(?![a-z]))"
        r"|(?P<times>(?:[x×]|(?<!\*)\*(?!\*))[ ]{0,2}(?P<of_times>\d{1,4})(?![\d*]|\.\d))"
        r"|(?P<each>(?P<of_each>\d{1,4})[ ]?[x×](?![x0-9×]))"
        rf"|(?P<number>(?P<of_number>\d{{1,4}})(?!\d|[.:]\d){mark})|[(\[](?P<in_number>\d{{1,4}})[)\]])"
        r"|(?P<word>[a-z]+?(?=x[ ]?\d)|[a-z]+)"
        r"|(?P<arrow>[←↓→↑⬅⬇➡⬆⇐⇓⇒⇑])"
        r"|(?P<hard>[,;|/•–>+]|(?<=\s)-(?=\s)|\.(?!\.)|!(?!\S))"
        r"|(?P<dash>-+>*)|(?P<equals>=+>*)"
        r"|(?P<line>\n\s*)"
        r"|(?P<open>[(\[])|(?P<close>[)\]])"
        r"|(?P<soft>[ \t\r\f\v\x1c-\x1f_*`'\":{}]+)"
        r"|(?P<other>.)",
        re.DOTALL,
    )


def tokens(text: str, known: Vocabulary) -> list[Token] | None:
    """The text, in the notation of :mod:`mgsd_bench.answers.notation`, in pieces.

    None if one of them has no place in a list of moves, or if "pick up" may be two words of the list.
    """
    pieces: list[Token] = []
    for found in _pattern(known).finditer(text):
        kind, piece = found.lastgroup or "", found[0]
        if kind == "word":
            if actions := known.actions(piece):
                pieces.append(Token("word", piece, actions))
            elif piece in _KINDS:
                pieces.append(Token(_KINDS[piece], piece))
            else:
                return None
        elif kind == "phrase":
            action = known.words[re.sub(r"[ \t_-]", "", piece)]
            pieces.append(Token("word", piece, (action,)))
        elif kind == "arrow":
            pieces.append(Token(kind, piece, (_ARROW[piece],)))
        elif kind in ("step", "times", "each", "number"):
            if kind in ("number", "each") and found.start() and text[found.start() - 1].isalnum():
                return None
            number = found[f"of_{kind}"] or found["in_number"]
            pieces.append(Token(kind, piece, (), int(number)))
        elif kind == "dash":
            pieces.append(Token("hard" if ">" in piece else "soft", piece))
        elif kind == "other" or piece.endswith("="):
            return None
        else:
            pieces.append(Token("hard" if kind == "equals" else kind, piece))
    return None if _may_be_two(pieces, known) else pieces


def _may_be_two(pieces: list[Token], known: Vocabulary) -> bool:
    """Whether a name such as "pick up" stands where the mark within it also separates other actions."""
    for k, token in enumerate(pieces):
        if token.kind != "word" or token.text.isalpha():
            continue
        if not all(known.actions(part) for part in re.split(r"[ \t_-]", token.text)):
            continue
        mark = next(one for one in token.text if one in " \t_-")
        for gap, beside in ((k - 1, k - 2), (k + 1, k + 2)):
            if 0 <= beside < len(pieces) and pieces[beside].kind == "word" and pieces[gap].kind == "soft":
                between = pieces[gap].text
                if between == mark or (between.isspace() and mark.isspace()):
                    return True
    return False
