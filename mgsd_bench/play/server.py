"""The server of the page: on this machine alone, for whoever has the address, token included.

It listens on 127.0.0.1. Every path begins with a random token; without it, or under another host name (which a page of
somebody else's could give to this address), there is nothing but a refusal. What changes something is a POST of JSON
from the page itself. The page loads nothing from elsewhere, and its content security policy would not let it.
"""

from __future__ import annotations

import json
import os
import secrets
import socketserver
import sys
import threading
from collections.abc import Mapping
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qs, urlsplit

from mgsd_bench.backends.human import Desk, LateError
from mgsd_bench.errors import UserError, option

HOST = "127.0.0.1"
LONGEST_BODY = 65_536
"""The most bytes of a request's body: the lines of a state and a long plan have far fewer."""
PATIENCE = 10.0
"""Seconds that a request may wait for something new."""

_PAGE: Mapping[str, tuple[str, str]] = {
    "": ("play.html", "text/html; charset=utf-8"),
    "play.css": ("play.css", "text/css; charset=utf-8"),
    "play.js": ("play.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class PlayServer(ThreadingHTTPServer):
    """Shows a desk in a browser; a context manager, which answers requests within its block.

    Args:
        desk: the desk.
        port: the port to listen on; 0 for any that is free.

    Raises:
        UserError: the port cannot be had.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = os.name == "posix"  # elsewhere it would let others have the same port

    def __init__(self, desk: Desk, port: int) -> None:
        self.desk, self.token = desk, secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(
                f"{option('port', port)}: cannot be had ({error.strerror or error}); name another, or 0 for any that "
                "is free"
            ) from error

    def server_bind(self) -> None:
        """Bind, without looking up what the address is called, which would ask the network."""
        socketserver.TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        """The page's address, which is a secret: whoever has it can answer."""
        return f"http://{self.hosts[0]}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """What requests may call this server."""
        port = self.server_address[1]
        return f"{HOST}:{port}", f"localhost:{port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.desk.stop()  # else pages that wait for something new would go on to
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, but for browsers that hang up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    """A request that is not answered: with which status, and what is said."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "mgsd-bench", ""
    timeout = 30  # seconds that a browser may take for its request

    @property
    def _play(self) -> PlayServer:
        return cast(PlayServer, self.server)

    def do_GET(self) -> None:
        """The page, or what lies on the desk; changes nothing."""
        try:
            place, query = self._place()
            if place in _PAGE:
                name, kind = _PAGE[place]
                self._send(HTTPStatus.OK, (files("mgsd_bench.play") / "template" / name).read_bytes(), kind)
            elif place == "desk":
                self._show(query)
            else:
                raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")
        except _RefusedError as refused:
            self._refuse(refused)

    def do_POST(self) -> None:
        """What a person does."""
        try:
            place, _ = self._place()
            if place not in ("begin", "answer", "stop"):
                raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")
            given = self._body()
            with self._play.desk.somebody():
                self._do(place, given)
            self._send_json(HTTPStatus.OK, {})
        except _RefusedError as refused:
            self._refuse(refused)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
        """Nothing: paths hold the token."""

    def _place(self) -> tuple[str, str]:
        """What is asked for behind the token, and the query.

        Raises:
            _RefusedError: the host is another one, or the token is not there.
        """
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0] not in self._play.hosts:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this server has another name")
        try:
            target = urlsplit(self.path)
        except ValueError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "this is no address") from None
        token, _, place = target.path.removeprefix("/").partition("/")
        if not compare_digest(token.encode("utf-8", "replace"), self._play.token.encode()):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "the address is not whole: use the one that the command printed")
        return place, target.query

    def _show(self, query: str) -> None:
        after = parse_qs(query, max_num_fields=4).get("after", ["-1"])[0] if len(query) < 100 else ""
        if not (after.removeprefix("-").isdecimal() and len(after) < 12):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "after is a number")
        with self._play.desk.somebody():
            found = self._play.desk.look(int(after), PATIENCE)
            self._send_json(HTTPStatus.OK, found)
            if "end" in found:
                self._play.desk.end_seen()

    def _body(self) -> dict[str, Any]:
        """The JSON object that is sent.

        Raises:
            _RefusedError: it does not come from the page, is no such thing, or is too long.
        """
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._play.hosts}:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this comes from another page")
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "say how long it is")
        if len(length) > 9 or int(length) > LONGEST_BODY:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send at most {LONGEST_BODY:,} bytes")
        try:
            given = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "send a JSON object")
        return given

    def _do(self, place: str, given: Mapping[str, Any]) -> None:
        desk = self._play.desk
        try:
            match place, given:
                case "stop", _:
                    desk.stop()
                case "begin", {"number": int(number)}:
                    desk.begin(number)
                case "answer", {"number": int(number), "actions": list(actions), "stated": str(stated)} if all(
                    isinstance(action, str) for action in actions
                ):
                    desk.answer(number, actions, stated)
                case _:
                    raise _RefusedError(HTTPStatus.BAD_REQUEST, "this is no answer")
        except LateError:
            raise _RefusedError(HTTPStatus.CONFLICT, "this question is not asked any more") from None
        except ValueError as error:
            raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None

    def _refuse(self, refused: _RefusedError) -> None:
        self._send_json(refused.status, {"error": str(refused)})

    def _send_json(self, status: HTTPStatus, content: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
