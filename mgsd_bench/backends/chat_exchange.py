"""The one way to a server and back: whatever comes through here, replies or errors, is bounded and without secrets.

Bounded means: an exchange ends in so many seconds from its first byte to its last, and a body in so many bytes after it
was unpacked. Secrets are hidden (:mod:`mgsd_bench.backends.chat_secrets`) before anything looks at a reply.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from mgsd_bench.backends.chat_api import shown
from mgsd_bench.backends.chat_secrets import Secrets
from mgsd_bench.backends.chat_settings import ChatSettings
from mgsd_bench.errors import UserError, option

LONGEST_REPLY = 4 * 2**20
"""Bytes of a body, unpacked. Answers of a hundred thousand tokens with all their thoughts stay below a quarter."""

LARGE, MOST_LARGE = 2**18, 8
"""No more than so many bodies of more than so many bytes are in memory at once; the others wait their turn."""

_HEADERS = ("retry-after-ms", "retry-after", "date")  # all that anybody asks for
_LONGEST_HEADER = 100
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")
_IDLE = 3.0  # seconds; servers close idle connections after 5 and more, and a request on its way then is lost


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said, without secrets.

    Attributes:
        status: HTTP status.
        headers: those that matter, by lower-case names.
        body: the whole body, unpacked.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class ExchangeError(Exception):
    """There is no whole reply; the message says why in one line without secrets.

    Attributes:
        cause: ``unreachable``: there is no connection; ``passing``: worth another try; ``request``: another try would
            end the same way.
    """

    def __init__(self, reason: str, cause: Literal["unreachable", "passing", "request"] = "passing") -> None:
        super().__init__(shown(reason))
        self.cause = cause


class Connection:
    """The connections to one server. To be used on one loop."""

    def __init__(self, url: str, settings: ChatSettings) -> None:
        self._settings, self._secrets = settings, settings.secrets
        self._client = _client(url, settings)
        self._large = asyncio.Semaphore(MOST_LARGE)
        self._filter = _HideInLogs(self._secrets)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._filter)

    async def close(self) -> None:
        """End all connections."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)
        await self._client.aclose()

    async def get(self, path: str) -> Reply:
        """What a server says of itself, within the time that it has to be reached.

        Raises:
            ExchangeError: there is no whole reply.
        """
        seconds = self._settings.connect_timeout
        return await self._exchange("GET", path, None, seconds, httpx.Timeout(seconds))

    async def post(self, path: str, content: bytes) -> Reply:
        """The reply to a request.

        Raises:
            ExchangeError: there is no whole reply.
        """
        silence = httpx.Timeout(self._settings.read_timeout, connect=self._settings.connect_timeout, pool=None)
        return await self._exchange("POST", path, content, self._settings.timeout, silence)

    async def _exchange(
        self, method: str, path: str, content: bytes | None, seconds: float, silence: httpx.Timeout
    ) -> Reply:
        """Every error ends here, without its cause: that may quote what the server said."""
        try:
            async with (
                asyncio.timeout(seconds),
                AsyncExitStack() as held,
                self._client.stream(method, path, content=content, timeout=silence) as response,
            ):
                return self._read(response, await self._body(response, held))
        except ExchangeError:
            raise
        except TimeoutError:
            raise ExchangeError(f"no answer within {seconds:g} s") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ExchangeError(f"cannot be reached ({self._reason(error)})", "unreachable") from None
        except httpx.TimeoutException:
            raise ExchangeError(f"nothing came for {silence.read:g} s") from None
        except Exception as error:  # whatever a server can make the libraries raise
            raise ExchangeError(f"the connection broke ({self._reason(error)})") from None

    async def _body(self, response: httpx.Response, held: AsyncExitStack) -> bytes | None:
        """The body, unpacked; None if it is too long.

        What was not asked for, one layer of gzip or zlib, is borne with. A large body takes one of the places for such.

        Raises:
            ExchangeError: it cannot be unpacked.
        """
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ExchangeError("the reply is compressed in a way that was not asked for")
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if coding not in ("", "identity") else None
        body, received, has_place = bytearray(), 0, False
        async for chunk in response.aiter_raw():
            received += len(chunk)
            if not has_place and (unpacker or received > LARGE):
                await held.enter_async_context(self._large)
                has_place = True
            try:
                body += unpacker.decompress(chunk, LONGEST_REPLY + 1 - len(body)) if unpacker else chunk
            except zlib.error:
                raise ExchangeError("the reply is compressed, and damaged") from None
            if max(received, len(body)) > LONGEST_REPLY:
                return None
            if unpacker and unpacker.eof:
                return bytes(body)
        if unpacker and received:
            raise ExchangeError("the reply is compressed, and cut short")
        return bytes(body)

    def _read(self, response: httpx.Response, body: bytes | None) -> Reply:
        if body is None:
            reason = f"the reply is longer than {LONGEST_REPLY // 2**20} MB"
            if response.status_code == 200:
                raise ExchangeError(reason, "request")
            body = reason.encode()
        found = {name: response.headers.get(name, "")[:_LONGEST_HEADER] for name in _HEADERS}
        headers = {name: self._secrets.hide_text(value) for name, value in found.items() if value}
        return Reply(response.status_code, headers, self._secrets.hide(body))

    def _reason(self, error: Exception) -> str:
        return self._secrets.hide_text(str(error)) or type(error).__name__


class _HideInLogs(logging.Filter):
    """For whoever logs what the HTTP libraries do: they quote status lines and headers."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._secrets.hide_text(record.getMessage()), ()
        return True


def _client(url: str, settings: ChatSettings) -> httpx.AsyncClient:
    headers = {"Content-Type": "application/json", "User-Agent": "mgsd-bench", "Accept-Encoding": "identity"}
    if settings.key:
        headers["Authorization"] = f"Bearer {settings.key}"
    cookies: Any = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # takes none: nobody logs in here
    try:
        return httpx.AsyncClient(
            base_url=url + "/",
            headers=headers,
            cookies=cookies,
            follow_redirects=False,  # the key goes where the user said, and nowhere else
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_IDLE),
            trust_env=not _is_local(url),  # no proxy leads to this machine
        )
    except httpx.InvalidURL:
        raise UserError(f"{option('base_url', url)}: give a URL such as http://127.0.0.1:8000/v1") from None
    except (ValueError, ImportError, OSError) as error:
        raise UserError(
            f"{option('base_url', url)}: the proxies (HTTPS_PROXY, ALL_PROXY, ...) or certificates (SSL_CERT_FILE, "
            f"SSL_CERT_DIR) that the environment names cannot be used ({type(error).__name__}); set them anew"
        ) from None


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
