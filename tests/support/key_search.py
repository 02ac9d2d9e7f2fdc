"""Looks for a key in texts, also for one that was spelled in another way; it shares nothing with what hides keys."""

from __future__ import annotations

import html
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}")


def holds_key(text: str, key: str) -> bool:
    """Whether a key stands in a text, as it is or escaped or in base64, up to three times over."""
    texts = {text}
    for _ in range(3):
        texts |= {other for each in texts for other in _spellings(each)}
        if any(key.lower() in each.lower() or _in_base64(each, key) for each in texts):
            return True
    return False


def files_with_key(folder: Path, key: str) -> list[str]:
    """Names of the files below a folder that hold a key, or have it in their names."""
    found = []
    for path in folder.rglob("*"):
        text = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        if holds_key(f"{path.name}\n{text}", key):
            found.append(path.name)
    return found


def _spellings(text: str) -> Iterator[str]:
    if "%" in text:
        yield unquote(text)
    if "&" in text:
        yield html.unescape(text)
    if "\\" in text:
        yield re.sub(r"\\+u00([0-9a-fA-F]{2})|\\+x([0-9a-fA-F]{2})", lambda m: chr(int(m[1] or m[2], 16)), text)
        yield re.sub(r"\\+[nrtbf]|\\+u(200|202|206|feff).?", "", text)
        yield text.replace("\\", "")
    if _UNSEEN.search(text):
        yield _UNSEEN.sub("", text)


def _in_base64(text: str, key: str) -> bool:
    for run in set(_BASE64.findall(text)):
        plain = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start : start + (len(plain) - start) // 4 * 4]
            if key.encode() in b64decode(part):
                return True
    return False
