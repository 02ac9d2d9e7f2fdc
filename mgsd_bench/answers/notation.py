"""One notation out of many: full-width forms, Unicode spaces, LaTeX, mark-up and special tokens become plain.

What a text means is not decided here. Tags of mark-up become ends of line, so that ``<b>R</b><b>D</b>`` stays two
items; special tokens of chat templates become spaces; names of LaTeX that only set type are dropped, and its arrows
become arrows. Whatever is not known stays, and makes the text unreadable as a plan.
"""

from __future__ import annotations

import re
import unicodedata

SPECIAL = r"<[|｜][^<>|｜\n]{1,40}[|｜]>|</?s>|<(?:bos|eos|pad|unk|endoftext|(?:start|end)_of_(?:turn|utterance|text))>"
"""A special token of a chat template, as a pattern."""

_TRAILING = re.compile(SPECIAL, re.IGNORECASE)
_MARKUP = re.compile(
    r"<[/\\]?\s?(?:answer|plan|moves?|actions?|path|route|sequence|solution|final|result|output|"
    r"b|i|em|strong|code|pre|p|li|ol|ul|tt|span|div|br)\s?/?>",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```(?:text|txt|plain|plaintext|json|python|markdown|md|yaml|xml|html|none)?[ \t]*(?=\n|$)", re.I)
_TYPESETTING = re.compile(
    r"\\(?:boxed|fbox|text|textbf|textit|texttt|textrm|mathrm|mathbf|mathtt|mathsf|mathit|operatorname|displaystyle"
    r"|left(?![a-z])|right(?![a-z])|bigl?|bigr|quad|qquad)(?![a-z])|\\[,;:!()\[\] ]|\$",
    re.IGNORECASE,
)
_LATEX = re.compile(r"\\(?:long)?(left|right|up|down)arrow(?![a-z])|\\(to|times|cdot|_|\*|#|n(?![eoa]))", re.IGNORECASE)
_LATEX_MEANS = {"left": "←", "right": "→", "up": "↑", "down": "↓", "to": "→", "times": "×", "cdot": "•", "n": "\n"}
_ENTITIES = {"&gt;": ">", "&lt;": "<", "&nbsp;": " ", "&quot;": '"', "&#39;": "'", "&times;": "×"}
_ENTITIES |= {"&larr;": "←", "&rarr;": "→", "&uarr;": "↑", "&darr;": "↓"}
_ENTITY = re.compile("|".join(_ENTITIES))


def _table() -> dict[int, str]:
    """Single characters and what stands for them."""
    table = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width ASCII
    for code in (*range(0x1D400, 0x1D7FF), *range(0x2460, 0x249C)):  # letters of mathematics, numbers in circles
        plain = unicodedata.normalize("NFKC", chr(code))
        table[code] = f"({plain})" if plain.isdigit() and code < 0x2474 else plain
    groups = {
        "←": "⟵⭠🡐🠐",
        "↓": "⭣🡓🠓",
        "→": "⟶⭢🡒🠒",
        "↑": "⭡🡑🠑",
        "⬅": "🡄",
        "⬇": "🡇",
        "➡": "⮕🡆",
        "⬆": "🡅",
        "⇐": "⟸",
        "⇒": "⟹➔➜➝➞➙➤",
        " ": "".join(
            map(chr, (*range(0x1C, 0x20), 0xA0, 0x1680, *range(0x2000, 0x200C), 0x202F, 0x205F, 0x2063, 0x3000))
        ),
        "": "\u200c\u200d\u2060\ufeff\u00ad\ufe0e\ufe0f\u200e\u200f",
        "\n": "\u0085\u2028\u2029",
        "'": "‘’‚‹›′",
        '"': "“”„«»「」『』″",
        "(": "【〔《〈",
        ")": "】〕》〉",
        ",": "、､،",
        ";": "；؛",
        ".": "。｡．",
        "•": "·‧∙●◦‣⁃▪▫■□★☆○◆◇・･",
        "-": "‐‑−",
        "–": "—―",
        "×": "✕✖⨯",
    }
    return table | {ord(one): plain for plain, some in groups.items() for one in some}


_TABLE = _table()


def plain(text: str) -> str:
    """A short text in the one notation, in lower case."""
    if not text.isascii():
        text = text.translate(_TABLE)
    if "&" in text:
        text = _ENTITY.sub(lambda found: _ENTITIES[found[0]], text)
    if "<" in text:
        text = _MARKUP.sub("\n", _TRAILING.sub(" ", text))
    if "```" in text:
        text = _FENCE.sub(" ", text)
    if "\\" in text or "$" in text:
        text = _LATEX.sub(lambda found: _LATEX_MEANS.get((found[1] or found[2]).lower(), found[2]), text)
        text = _TYPESETTING.sub(" ", text)
    return text.lower()


def end_of_speech(text: str, end: int | None = None) -> int:
    """Where the text ends once white space and special tokens behind it are left out."""
    end = len(text) if end is None else end
    while end:
        if text[end - 1].isspace() or text[end - 1] in "\u200b\ufeff":
            end -= 1
        elif text[end - 1] == ">":
            start = text.rfind("<", max(0, end - 45), end)
            if start < 0 or not _TRAILING.fullmatch(text, start, end):
                break
            end = start
        else:
            break
    return end
