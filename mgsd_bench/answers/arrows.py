"""Whether an arrow is a move or stands between two: decided once for a whole list."""

from __future__ import annotations

from collections.abc import Sequence

from mgsd_bench.answers.tokens import Token
from mgsd_envs.grid import MOVES

_RIGHT = ("right",)
_BETWEEN = Token("hard", "→")
_ALSO_SEPARATE = frozenset("-_:")
_BEFORE_ITEM = frozenset({"soft", "line", "open", "number", "step", "verb", "each"})
_BEHIND_ITEM = frozenset({"soft", "line", "close"})


def settle(tokens: Sequence[Token]) -> tuple[Sequence[Token], bool] | None:
    """The tokens with their arrows settled; None where an arrow can be read in two ways.

    - Of two kinds of arrows one may stand between the others ("⬇ → ⬇"): unclear.
    - Without words all arrows are moves. So is an arrow alone in brackets.
    - Among names or letters of moves, other arrows than → must each stand at their own name: pairs.
    - Else → separates wherever it stands between two words; at the start, or alone with "right" between separators, it
      repeats that word. Among words that name no move (PICK, DROP) arrows are moves where separators or other arrows
      show that they are; what is left is unclear.

    Returns:
        The tokens, arrows that separate being separators, and whether arrows and names come in pairs.
    """
    kinds = {token.family for token in tokens if token.kind == "arrow"}
    if len(kinds) > 1 and any(token.kind == "arrow" and token.actions != _RIGHT for token in tokens):
        return None
    if not any(token.kind == "word" for token in tokens):
        return (tokens, False) if len(kinds) == 1 else None
    arrows = [k for k, token in enumerate(tokens) if token.kind == "arrow" and not _bracketed(tokens, k)]
    right = [k for k in arrows if tokens[k].actions == _RIGHT]
    names_moves = any(token.kind == "word" and token.actions[0] in MOVES for token in tokens)
    if len(right) < len(arrows) and names_moves:
        return None if any(_joins(tokens, k) for k in right) else (tokens, True)
    between = {k for k in arrows if _between(tokens, k)}
    if len(right) < len(arrows):
        flow = [k for k in arrows if tokens[k].actions == ("down",)]
        drawn = bool(flow) and all(k in between and _on_own_line(tokens, k) for k in flow)
        return None if drawn or any(k in between for k in right) else (tokens, False)
    if any(_on_own_line(tokens, k) for k in between):
        return None
    settled = list(tokens)
    for k in right:
        if k in between:
            settled[k] = _BETWEEN
        elif _repeats(tokens, k):
            settled[k] = Token("soft", "→")
        elif names_moves or between or not _stands_alone(tokens, k):
            return None
    return settled, False


def _bracketed(tokens: Sequence[Token], k: int) -> bool:
    return 0 < k < len(tokens) - 1 and tokens[k - 1].kind == "open" and tokens[k + 1].kind == "close"


def _beside(tokens: Sequence[Token], k: int, step: int, skipped: frozenset[str] = frozenset({"soft"})) -> Token | None:
    """The next token in a direction that is none of the skipped ones."""
    k += step
    while 0 <= k < len(tokens) and tokens[k].kind in skipped:
        k += step
    return tokens[k] if 0 <= k < len(tokens) else None


def _between(tokens: Sequence[Token], k: int) -> bool:
    """Whether an arrow stands between two words, without a mark beside it that would part items too."""
    if any(0 <= side < len(tokens) and set(tokens[side].text) & _ALSO_SEPARATE for side in (k - 1, k + 1)):
        return False
    before, behind = _beside(tokens, k, -1, _BEHIND_ITEM), _beside(tokens, k, 1, _BEFORE_ITEM)
    return bool(before and behind and before.kind in ("word", "times") and behind.kind == "word")


def _joins(tokens: Sequence[Token], k: int) -> bool:
    """Whether an arrow stands between two words without another separator."""
    sides = (_beside(tokens, k, -1), _beside(tokens, k, 1))
    return all(side is not None and side.kind == "word" for side in sides)


def _on_own_line(tokens: Sequence[Token], k: int) -> bool:
    return all((token := _beside(tokens, k, step)) is not None and token.kind == "line" for step in (-1, 1))


def _stands_alone(tokens: Sequence[Token], k: int) -> bool:
    """Whether separators or other arrows show that an arrow is an item of its own."""
    sides = (_beside(tokens, k, -1), _beside(tokens, k, 1))
    if any(side is not None and side.kind == "arrow" for side in sides):
        return True
    return all(side is None or side.kind in ("hard", "line") for side in sides)


def _repeats(tokens: Sequence[Token], k: int) -> bool:
    """Whether → only repeats "right": before the whole list, or alone with it between separators."""
    before, behind = _beside(tokens, k, -1), _beside(tokens, k, 1)
    if behind is not None and behind.kind == "word" and behind.actions == _RIGHT:
        if _beside(tokens, k, -1, frozenset({"soft", "line", "open"})) is None:
            return True
        word, far = 1, before
    elif before is not None and before.kind == "word" and before.actions == _RIGHT:
        word, far = -1, behind
    else:
        return False
    position = k + word
    while tokens[position].kind != "word":
        position += word
    other = _beside(tokens, position, word)
    return all(side is None or side.kind in ("hard", "line", "number", "step") for side in (far, other))
