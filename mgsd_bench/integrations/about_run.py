"""What is told of a run where its figures are published: which model answered, run by whom, and when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from mgsd_bench.analysis.run import Run
from mgsd_bench.errors import UserError
from mgsd_envs.files import well_formed

WITH_SAMPLING = ("vllm", "hf", "openai")
"""Backends whose models answer with the sampling of the run's record; of others it says nothing."""

_ON_HUB = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_HERE = {"127.0.0.1", "localhost", "::1"}
_HOSTED = {"api.openai.com"}


@dataclass(frozen=True, slots=True)
class Model:
    """Who answered, as far as a run's record says.

    Attributes:
        name: its name, without the folders above it.
        id: ``OWNER/NAME`` where it came from the hub, or what the user says; else the name alone.
        owner: who made it; ``unknown`` where nothing says.
        engine: what ran it, and its version, as far as they are known.
        platform: the host of somebody's servers that answered; None of others.
        deployment: ``self_deployed``, ``externally_managed`` or ``unknown``.
        weights: ``open_weights`` where they came from the hub, else ``unknown``.
    """

    name: str
    id: str
    owner: str
    engine: tuple[str | None, str | None]
    platform: str | None
    deployment: str
    weights: str

    @property
    def place(self) -> tuple[str, str]:
        """Its owner, and its name without that."""
        return self.owner, self.id.partition("/")[2] or self.id


def model_of(run: Run, given: str | None = None) -> Model:
    """The model of a run.

    Args:
        run: the run.
        given: its id, where the user knows better.
    """
    name, backend = str(run.identity["model"]), str(run.identity.get("backend", "unknown"))
    described: Mapping[str, Any] = _sessions(run)[-1].get("backend", {})
    local = backend in ("vllm", "hf")
    on_hub = local and described.get("model") == name and _ON_HUB.fullmatch(name) is not None
    known = given or (name if on_hub else f"mgsd-bench/{name}" if backend == "scripted" else run.model) or "unknown"
    hosts, behind = _servers(described)
    engine = behind if backend == "openai" else (described.get("engine", backend), described.get("engine_version"))
    managed = bool(hosts) and hosts <= _HOSTED
    at_home = local or backend == "scripted" or (bool(hosts) and hosts <= _HERE)
    return Model(
        name=run.model or "unknown",
        id=known,
        owner=(known.partition("/")[0] if "/" in known else "") or "unknown",
        engine=(_text(engine[0]), _text(engine[1])),
        platform=next(iter(hosts)) if managed else None,
        deployment="self_deployed" if at_home else "externally_managed" if managed else "unknown",
        weights="open_weights" if on_hub else "unknown",
    )


def _servers(described: Mapping[str, Any]) -> tuple[set[str], tuple[Any, Any]]:
    """The hosts of the servers that answered, and the engine behind them with its version where it is one they name."""
    servers = described.get("servers")
    found = [server for server in servers if isinstance(server, dict)] if isinstance(servers, list) else []
    hosts = {_host(str(server.get("url"))) for server in found}
    vllm = bool(found) and all(server.get("kind") == "vllm" for server in found)
    return hosts, ("vllm", found[0].get("version")) if vllm else (None, None)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _text(value: Any) -> str | None:
    return None if value is None else well_formed(str(value))


def times_of(run: Run) -> tuple[datetime, datetime]:
    """When a run began and ended.

    Raises:
        UserError: its record does not say.
    """
    sessions = _sessions(run)
    try:
        began = min(datetime.fromisoformat(session["started"]) for session in sessions)
        ended = max(datetime.fromisoformat(session["ended"]) for session in sessions if "ended" in session)
        begins, ends = began.timestamp(), ended.timestamp()
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{run.path}: run.json does not say when the run began and ended; run it anew") from error
    return (began, ended) if begins <= ends else (ended, ended)


def _sessions(run: Run) -> list[dict[str, Any]]:
    sessions: list[dict[str, Any]] = run.record["sessions"]
    return sessions or [{}]
