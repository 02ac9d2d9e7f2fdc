"""How servers are to be asked: base URLs, the key, and what ``engine`` sets for the openai backend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import urlsplit

from mgsd_bench.errors import UserError, option

DEFAULT_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"

_COUNTS = {"concurrency": 1, "retries": 0}  # with the smallest value that makes sense
_SECONDS = ("backoff", "connect_timeout", "read_timeout", "timeout", "patience")
_PRICES = ("price_in", "price_out")
_SERVERS = ("auto", "vllm", "openai")


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """How servers are asked; each but the first two is an engine argument of the same name.

    Attributes:
        urls: base URLs, without a slash at the end.
        key: the API key; it is sent to the servers, and never stored or shown.
        key_env: environment variable that holds the key.
        concurrency: requests in flight at each server; None: 256 for vLLM, 32 for others.
        retries: further tries of a request that failed for a reason that may pass.
        backoff: seconds before the second try; doubled from try to try up to a minute, times a random 0.5 to 1.
        connect_timeout: seconds to reach a server.
        read_timeout: seconds of silence after which a try is given up.
        timeout: seconds that one try may take from beginning to end, however busy the connection is.
        patience: seconds after which a server that cannot be reached is dropped.
        price_in: price of a million prompt tokens, in any currency.
        price_out: price of a million tokens of answers, thoughts included.
        server: ``vllm`` sends vLLM's own parameters, ``openai`` only those of the API; ``auto`` finds out.
        extra_body: further fields of every request, for example ``{"reasoning_effort": "low"}``.
    """

    urls: tuple[str, ...]
    key: str | None = field(repr=False)
    key_env: str = KEY_VARIABLE
    concurrency: int | None = None
    retries: int = 8
    backoff: float = 1.0
    connect_timeout: float = 10.0
    read_timeout: float = 600.0
    timeout: float = 1200.0
    patience: float = 60.0
    price_in: float | None = None
    price_out: float | None = None
    server: Literal["auto", "vllm", "openai"] = "auto"
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def cost(self, prompt: int, completion: int) -> float | None:
        """Price of this many tokens; None without prices."""
        if self.price_in is None and self.price_out is None:
            return None
        return ((self.price_in or 0.0) * prompt + (self.price_out or 0.0) * completion) / 1e6


def read_settings(arguments: Mapping[str, Any]) -> ChatSettings:
    """The settings that engine arguments and the environment give.

    Raises:
        UserError: an argument is unknown or out of range, a URL is none or holds a secret, or the variable that is to
            hold the key is not set.
    """
    known = {each.name for each in fields(ChatSettings)} - {"urls", "key"} | {"base_url"}
    for name, value in arguments.items():
        if name in ("api_key", "key", "token"):  # do not show the value: it is a secret
            raise UserError(
                f"{option(f'engine.{name}')}: a key given here would be stored with the run; set {KEY_VARIABLE} instead"
            )
        if name not in known:
            near = "".join(f"; did you mean {each}?" for each in get_close_matches(name, known, 1))
            raise UserError(f"{option(f'engine.{name}', '...')}: the openai backend has no such argument{near}")
        _check(name, value)
    given = {name: value for name, value in arguments.items() if name != "base_url"}
    urls = arguments.get("base_url") or os.environ.get(URL_VARIABLE, "").split() or [DEFAULT_URL]
    return ChatSettings(
        urls=tuple(dict.fromkeys(_url(url) for url in urls)), key=_key(arguments.get("key_env")), **given
    )


def _check(name: str, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _COUNTS and not (number and isinstance(value, int) and value >= _COUNTS[name]):
        raise UserError(f"{option(f'engine.{name}', value)}: must be a whole number of at least {_COUNTS[name]}")
    if name in _SECONDS and not (number and value > 0):
        raise UserError(f"{option(f'engine.{name}', value)}: must be a number of seconds above 0")
    if name in _PRICES and not (number and value >= 0):
        raise UserError(f"{option(f'engine.{name}', value)}: must be the price of a million tokens")
    if name == "server" and value not in _SERVERS:
        raise UserError(f"{option('engine.server', value)}: choose from {', '.join(_SERVERS)}")
    if name == "extra_body" and not isinstance(value, dict):
        raise UserError(
            f'{option("engine.extra_body")}: must be a JSON object, for example \'{{"reasoning_effort": "low"}}\''
        )
    if name == "key_env" and not isinstance(value, str):
        raise UserError(f"{option('engine.key_env', value)}: must be the name of an environment variable")


def _key(variable: str | None) -> str | None:
    key = os.environ.get(variable or KEY_VARIABLE, "").strip()
    if variable and not key:
        raise UserError(f"{option('engine.key_env', variable)}: this environment variable is not set")
    if not key.isascii() or not key.isprintable():
        raise UserError(f"{variable or KEY_VARIABLE}: the key holds characters that no key has; set it anew")
    return key or None


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        shown = option("base_url", None if "@" in text else text)
        raise UserError(f"{shown}: give a URL such as http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UserError(
            f"{option('base_url')}: what {parts.hostname} is to be told besides the path would be stored with the "
            f"run; give the bare URL, and the key in {KEY_VARIABLE}"
        )
    return text.rstrip("/")
