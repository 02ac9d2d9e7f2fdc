"""What a server may not get into a run folder or onto a screen by quoting it: the API key, and passwords of proxies.

A secret that stands in a reply as it is, or in base64, becomes ``***``. One that is spelled by escapes (``%73``,
``\\u0073``, ``&#115;``, characters that nobody sees between its letters, one within another) is found by undoing them;
no sound reply holds such a thing, so nothing of it is kept.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

HIDDEN = "***"
SHORTEST = 8
"""Characters; what is shorter is a placeholder such as ``EMPTY``, as servers of one's own are given."""

_ROUNDS = 4  # so many times may a secret be escaped
_ESCAPED = re.compile(  # one set of first bytes, so that the search is fast; each run of backslashes is read once
    rb"""[\\%&\x00-\x1f\x7f\xc2\xe2\xef]
    (?: (?<=\\) \\* (?: u00(?P<json>[0-9a-f]{2}) | x(?P<repr>[0-9a-f]{2})
                      | [nrtbf] | u(?:200[b-f]|202[a-e]|206[0-9a-f]|feff) | (?P<plain>[^\\]) | \Z)
      | (?<=%) (?:25)* (?P<url>[0-9a-f]{2})
      | (?<=&) \# (?: x0*(?P<html>[0-9a-f]{2}) | 0*(?P<decimal>[0-9]{2,3}) ) ;?
      | (?<=[\x00-\x1f\x7f]) [\x00-\x1f\x7f]*
      | (?<=\xc2)[\x80-\x9f\xad] | (?<=\xe2)(?:\x80[\x8b-\x8f\xaa-\xae]|\x81[\xa0-\xaf]) | (?<=\xef)\xbb\xbf )""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


class Secrets:
    """Secrets of at least ``SHORTEST`` characters, and what hides them."""

    def __init__(self, secrets: Iterable[str | None]) -> None:
        plain = {secret.encode() for secret in secrets if secret and len(secret) >= SHORTEST}
        forms = {form for each in plain for form in (each, _unescaped(each), *_in_base64(each))}
        self._forms = sorted({form.lower() for form in forms if len(form) >= SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(re.escape(form) for form in self._forms), re.IGNORECASE)

    def hide(self, data: bytes) -> bytes:
        """The data without the secrets; ``***`` and nothing else where one is spelled by escapes."""
        if not self._forms:
            return data
        hidden = HIDDEN.encode()
        if self._are_in(data):
            data = self._pattern.sub(hidden, data)
        layer = data
        for _ in range(_ROUNDS):
            layer, before = _unescaped(layer), layer
            if layer == before:
                break
            if self._are_in(layer):
                return hidden
        return data

    def hide_text(self, text: str) -> str:
        """The same of a text."""
        return self.hide(text.encode(errors="backslashreplace")).decode(errors="replace")

    def __contains__(self, text: str) -> bool:
        return self.hide_text(text) != text

    def _are_in(self, data: bytes) -> bool:
        lower = data.lower()
        return any(form in lower for form in self._forms)


def proxy_passwords() -> list[str]:
    """The passwords of the proxies that the environment names."""
    return [secret for url in getproxies().values() for secret in url_passwords(url)]


def url_passwords(url: str) -> list[str]:
    """The password in a URL, as it stands there and as it is meant; a name without one may be a token."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
    except ValueError:
        return []
    secret = parts.password or parts.username
    return [secret, unquote(secret)] if secret else []


def _in_base64(secret: bytes) -> list[bytes]:
    """What stands in base64 of any text with the secret in it: one form for each place of its first byte."""
    forms = []
    for before in range(3):
        whole = b64encode(b"\0" * before + secret + b"\0" * 3)
        first, last = -(-8 * before // 6), 8 * (before + len(secret)) // 6
        forms.append(whole[first:last])
    return [*forms, *(form.translate(bytes.maketrans(b"+/", b"-_")) for form in forms)]


def _unescaped(data: bytes) -> bytes:
    """The data with one layer of escapes undone, and without what nobody sees."""
    return _ESCAPED.sub(_meaning, data)


def _meaning(escape: re.Match[bytes]) -> bytes:
    match escape.lastgroup:
        case None:  # what nobody sees
            return b""
        case "plain":
            return escape["plain"]
        case kind:
            code = int(escape[kind], 10 if kind == "decimal" else 16)
            return bytes([code]) if code < 256 else b"?"
