"""A stand-in on this machine for the Hugging Face hub: its HTTP interface as far as publishing a dataset needs it."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "hf_aTokenThatNobodyMaySee"

Reply = tuple[int, Mapping[str, Any] | list[Any] | bytes]


@dataclass
class Hub:
    """A hub at ``url``, as a context manager.

    Attributes:
        mode: how it wants files: ``lfs`` or ``regular``.
        faults: replies in the place of its own, by a part of the path that is asked for.
        repos: what is in each repository, by name of the file.
        made: how each repository was made.
        asked: method and path of every request.
    """

    mode: str = "lfs"
    faults: dict[str, Reply] = field(default_factory=dict)
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0

    def __enter__(self) -> Self:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self) -> None:
                path = self.path.partition("?")[0]
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                hub.asked.append(f"{self.command} {path}")
                status, reply = hub.reply(self.command, path, body, self.headers.get("Authorization"))
                content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, method: str, path: str, body: bytes, token: str | None) -> Reply:
        """What is answered to a request."""
        for part, fault in self.faults.items():
            if part in path:
                return fault
        if method == "PUT":
            digest = path.rpartition("/")[2]
            assert sha256(body).hexdigest() == digest
            self.stored[digest] = body
            return 200, {}
        if token != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid credentials in Authorization header"}
        data = json.loads(body) if body and not path.endswith("/commit/main") else {}
        if path == "/api/repos/create":
            return self._create(data)
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path.endswith("/info/lfs/objects/batch"):
            return 200, {"transfer": "basic", "objects": [self._object(each) for each in data["objects"]]}
        repo = "/".join(path.removeprefix("/api/datasets/").split("/")[:2])
        if repo not in self.repos:
            return 404, {"error": "Repository not found"}
        if "/tree/main" in path:
            held = self.repos[repo].items()
            return 200, [{"type": "file", "path": name, "size": len(of), "oid": "0" * 40} for name, of in held]
        if path.endswith("/preupload/main"):
            files = [{"path": each["path"], "uploadMode": self.mode, "shouldIgnore": False} for each in data["files"]]
            return 200, {"files": files}
        if path.endswith("/commit/main"):
            return self._commit(repo, [json.loads(line) for line in body.splitlines()])
        return 404, {"error": f"no such path: {path}"}

    def _create(self, data: dict[str, Any]) -> Reply:
        repo = f"{data['organization']}/{data['name']}"
        if data["organization"] == "others":
            return 403, {"error": f"You don't have the rights to create a dataset there with {TOKEN}"}
        if repo in self.repos:
            return 409, {"error": "You already created this dataset repo", "url": f"{self.url}/datasets/{repo}"}
        self.repos[repo], self.made[repo] = {}, data
        return 200, {"url": f"{self.url}/datasets/{repo}"}

    def _object(self, wanted: dict[str, Any]) -> dict[str, Any]:
        known = wanted["oid"] in self.stored
        return wanted | ({} if known else {"actions": {"upload": {"href": f"{self.url}/lfs/{wanted['oid']}"}}})

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> Reply:
        held = self.repos[repo]
        for line in lines:
            match line:
                case {"key": "file", "value": {"path": str(name), "content": str(content)}}:
                    held[name] = b64decode(content)
                case {"key": "lfsFile", "value": {"path": str(name), "oid": str(oid)}}:
                    held[name] = self.stored[oid]
                case {"key": "deletedFile", "value": {"path": str(name)}}:
                    del held[name]
        self.commits += 1
        oid = f"{self.commits:040x}"
        return 200, {"commitUrl": f"{self.url}/datasets/{repo}/commit/{oid}", "commitOid": oid}
