"""How servers are to be asked: base URLs, the key, and what ``engine`` sets for the openai backend."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from mgsd_bench.backends.chat_secrets import Secrets, proxy_passwords
from mgsd_bench.config.fields import Bounds, Says
from mgsd_bench.config.layers import Key, Layers, Option
from mgsd_bench.config.validate import validate
from mgsd_bench.errors import UserError, option

DEFAULT_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"

_SECRET_NAME = re.compile(r"^key$|^token$|api[_-]?key|authorization|password|secret|(auth|access)[_-]token", re.I)
"""Names under which gateways take keys in a request's body; ``max_tokens`` and its like are none."""

Seconds = Annotated[float, Bounds(above=0, what="a number of seconds above 0")]
Price = Annotated[float, Bounds(0, what="the price of a million tokens")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatArguments:
    """The engine arguments of the openai backend.

    Attributes:
        base_url: base URLs of the servers; empty where the environment is to say.
        key_env: environment variable that holds the API key.
        concurrency: requests in flight at each server; None: 256 for vLLM, 32 for others.
        retries: further tries of a request that failed for a reason that may pass.
        backoff: seconds before the second try; doubled from try to try up to a minute, times a random 0.5 to 1.
        connect_timeout: seconds to reach a server, and for its list of models and its version.
        read_timeout: seconds of silence after which a try is given up.
        timeout: seconds that one try may take from beginning to end, however busy the connection is.
        patience: seconds after which a server that cannot be reached is dropped.
        longest_wait: seconds; a server that asks to be left alone for longer is dropped.
        price_in: price of a million prompt tokens, in any currency.
        price_out: price of a million tokens of answers, thoughts included.
        server: ``vllm`` sends vLLM's own parameters, ``openai`` only those of the API; ``auto`` finds out.
        extra_body: further fields of every request, for example ``{"reasoning_effort": "low"}``.
    """

    base_url: tuple[str, ...] = ()
    key_env: Annotated[str, Says("the name of an environment variable")] = KEY_VARIABLE
    concurrency: Annotated[int, Bounds(1, what="a whole number of at least 1")] | None = None
    retries: Annotated[int, Bounds(0, what="a whole number of at least 0")] = 8
    backoff: Seconds = 1.0
    connect_timeout: Seconds = 10.0
    read_timeout: Seconds = 600.0
    timeout: Seconds = 1200.0
    patience: Seconds = 60.0
    longest_wait: Seconds = 900.0
    price_in: Price | None = None
    price_out: Price | None = None
    server: Literal["auto", "vllm", "openai"] = "auto"
    extra_body: Annotated[Mapping[str, Any], Says('a JSON object, for example \'{"reasoning_effort": "low"}\'')] = (
        field(default_factory=dict)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSettings(ChatArguments):
    """How servers are asked; ``base_url`` holds at least one, without a slash at the end.

    Attributes:
        key: the API key; it is sent to the servers, and never stored or shown.
        secrets: what is hidden in everything that servers say.
    """

    key: str | None = field(repr=False)
    secrets: Secrets = field(repr=False, compare=False)

    def cost(self, prompt: int, completion: int) -> float | None:
        """Price of this many tokens; None without prices."""
        if self.price_in is None and self.price_out is None:
            return None
        return ((self.price_in or 0.0) * prompt + (self.price_out or 0.0) * completion) / 1e6


def read_settings(arguments: Mapping[str, Any], model: str = "") -> ChatSettings:
    """The settings that engine arguments and the environment give.

    Args:
        arguments: the engine arguments.
        model: the model's name, which is only looked at for secrets.

    Raises:
        UserError: an argument is unknown or out of range, a URL is none, a secret is where it would be stored, or the
            variable that is to hold the key is not set.
    """
    key = _key(arguments.get("key_env"))
    secrets = Secrets([key, os.environ.get(KEY_VARIABLE), *proxy_passwords()])
    _refuse_secrets(arguments, "engine", secrets)
    if model in secrets:
        raise UserError(f"{option('model')}: holds the key, and would be stored with the run; set {KEY_VARIABLE} alone")
    shown = ChatArguments.__dataclass_fields__.keys() - {"base_url"}  # a URL, or what is not known, may hold a secret
    origins: dict[Key, str] = {(): option("engine")}
    for name, value in arguments.items():
        origins[(name,)] = Option(option(f"engine.{name}", value if name in shown else "..."))
    given = validate(ChatArguments, Layers(dict(arguments), origins))
    urls = given.base_url or os.environ.get(URL_VARIABLE, "").split() or [DEFAULT_URL]
    return ChatSettings(
        **{**asdict(given), "base_url": tuple(dict.fromkeys(_url(url, secrets) for url in urls))},
        key=key,
        secrets=secrets,
    )


def _refuse_secrets(value: Any, name: str, secrets: Secrets) -> None:
    """Engine arguments are stored with the run: none, however deep, may be called like a key, or hold it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            path = name if "." in name or str(key) in secrets else f"{name}.{key}"
            if _SECRET_NAME.search(str(key)) or str(key) in secrets:
                raise UserError(
                    f"{option(path)}: a key given here would be stored with the run; set {KEY_VARIABLE} instead"
                )
            _refuse_secrets(inner, path, secrets)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_secrets(inner, name, secrets)
    elif isinstance(value, str) and value in secrets:
        raise UserError(f"{option(name)}: holds the key, and would be stored with the run; set {KEY_VARIABLE} alone")


def _key(variable: Any) -> str | None:
    if not (variable is None or isinstance(variable, str)):
        return None  # refused by its type, later
    key = os.environ.get(variable or KEY_VARIABLE, "").strip()
    if variable and not key:
        is_name = re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable)  # anything else may be the key itself
        named = option("engine.key_env", variable) if is_name else option("engine.key_env")
        hint = "" if is_name else "; give the name of the variable, not the key"
        raise UserError(f"{named}: this environment variable is not set{hint}")
    if not key.isascii() or not key.isprintable():
        raise UserError(f"{variable or KEY_VARIABLE}: the key holds characters that no key has; set it anew")
    return key or None


def _url(text: str, secrets: Secrets) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        shown = option("base_url", None if re.search("[@?&=]", text) or text in secrets else text)
        raise UserError(f"{shown}: give a URL such as http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment or text in secrets:
        host = secrets.hide_text(parts.hostname or "")
        raise UserError(
            f"{option('base_url')}: what {host} is to be told besides the path would be stored with the run; give the "
            f"bare URL, and the key in {KEY_VARIABLE}"
        )
    return text.rstrip("/")
