"""The way into a Ray cluster and out of it, without a word of Ray's own; what is private to Ray stands here alone.

Tried with Ray 2.60. An address is looked at before Ray is: Ray itself takes up to two minutes to say that nobody is
there, and ends the process then.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import ceil
from typing import Any

from mgsd_bench.backends.ray_settings import RaySettings
from mgsd_bench.backends.shared import one_line
from mgsd_bench.errors import Exit, UserError, option

PROBE_SECONDS = 5.0
"""How long an address has to answer."""

_ENVIRONMENT = {  # each only where the user has not decided otherwise
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else a driver under `uv run` sends its folder to every node
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's next default, of whose coming it would tell in every process
}
_STORE = 2**28  # bytes of a local cluster's object store: requests are small, and Ray would take a third of the memory
_CLIENT = "ray://"
_ALIVE = {  # by kind of address, a call that the right kind of server knows
    _CLIENT: "/ray.rpc.RayletDriver/ClusterInfo",
    "": "/ray.rpc.NodeInfoGcsService/CheckAlive",
}


class Cluster:
    """A connection to a cluster; a context manager, which ends what it has begun.

    Raises:
        UserError: Ray is not installed, or (exit code ``ENGINE``) nobody answers at the address, or somebody else.
    """

    def __init__(self, settings: RaySettings) -> None:
        for package in ("ray", "grpc"):
            if find_spec(package) is None:
                raise UserError(f"{package} is not installed: pip install 'mgsd-bench[ray]'")
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import ray

        self._ray = ray
        self._settings = settings
        self._groups: list[Any] = []
        self._print: Any = None
        self.version = str(ray.__version__)
        self._ours = not (settings.address == "auto" and ray.is_initialized())
        if self._ours:
            if ray.is_initialized():
                raise UserError(
                    f"{option('engine.address', settings.address)}: this process is in a Ray cluster already; use "
                    f"{option('engine.address', 'auto')}"
                )
            self._connect()

    def close(self) -> None:
        """Leave the cluster; one of this machine alone ends. A second call does nothing."""
        from ray.util import remove_placement_group

        for group in self._groups:
            with _whatever():
                remove_placement_group(group)
        self._groups = []
        if self._ours:
            with _whatever():
                self._ray.shutdown()
            self._ours = False
        if self._print is not None:
            self._ray._private.worker.print_to_stdstream = self._print
            self._print = None

    def resources(self) -> list[dict[str, float]]:
        """What each node has in all."""
        return [dict(node["Resources"]) for node in self._ray.nodes() if node["Alive"]]

    def gpus(self) -> float:
        """GPUs of a worker."""
        if self._settings.gpus is not None:
            return self._settings.gpus
        has = self._settings.of != "scripted" and any(node.get("GPU") for node in self.resources())
        return float(self._settings.split) if has else 0.0

    def workers(self) -> int:
        """How many workers there are to be."""
        if self._settings.workers is not None:
            return self._settings.workers
        gpus = self.gpus()
        return max(1, sum(int(node.get("GPU", 0) // gpus) for node in self.resources())) if gpus else 1

    def need(self) -> str:
        """What a worker takes of one node, in words."""
        gpus = self.gpus()
        return f"{self._settings.cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")

    def start(self, kind: type[Any], *arguments: Any) -> Any:
        """An actor, which Ray starts once there is room for it, and again whenever its process or its node is lost."""
        cpus, gpus = self._settings.cpus, self.gpus()
        where: Any = "SPREAD"
        if self._settings.split > 1:
            from ray.util import placement_group
            from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

            # what an engine is split over stays together, and stays its own while its process starts anew
            group = placement_group([{"CPU": cpus, **({"GPU": gpus} if gpus else {})}], strategy="STRICT_PACK")
            self._groups.append(group)
            where = PlacementGroupSchedulingStrategy(group)
        actor = self._ray.remote(kind).options(
            num_cpus=cpus,
            num_gpus=gpus,
            max_restarts=-1,
            max_task_retries=0,  # what is asked again is for the ledger to say
            max_concurrency=8,
            scheduling_strategy=where,
        )
        return actor.remote(*arguments)

    def _connect(self) -> None:
        address = self._settings.address
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if address == "local":
            options |= {
                "num_cpus": ceil(self._settings.cpus * (self._settings.workers or 1)),
                "include_dashboard": False,
                "object_store_memory": _STORE,
            }
        else:
            address = self._found(address)
            probe(address, self._settings.address)
        from ray._private import ray_constants
        from ray._private import worker as internals

        self._print, internals.print_to_stdstream = internals.print_to_stdstream, _silent
        clusters = ray_constants.ENABLE_RAY_CLUSTER
        # off, as Ray has it on macOS: the processes of this machine's own cluster listen on the loopback alone
        ray_constants.ENABLE_RAY_CLUSTER = clusters and address != "local"
        try:
            self._begin(address, options)
        except (Exception, SystemExit) as error:
            internals.print_to_stdstream = self._print
            raise self._refusal(_reason(error)) from error
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = clusters

    def _begin(self, address: str, options: dict[str, Any]) -> None:
        """Ray's own beginning, of which nothing is left where it fails.

        A client server forks a process for each driver, and where that hangs, as it does now and then (a fork among
        threads of gRPC), the next one works.
        """
        for last in (not address.startswith(_CLIENT), True):
            try:
                self._ray.init(address=address, **options)
                return
            except (Exception, SystemExit):
                with _whatever():
                    self._ray.shutdown()
                if last:
                    raise

    def _found(self, address: str) -> str:
        """The address of a cluster that is meant by ``auto``; never one that is still to be started."""
        if address != "auto":
            return address
        if named := os.environ.get("RAY_ADDRESS"):
            if named in ("local", "auto"):
                raise self._refusal(f"RAY_ADDRESS is {named}, which names no cluster")
            return named
        from ray._private.services import canonicalize_bootstrap_address

        try:
            return str(canonicalize_bootstrap_address("auto"))
        except (ConnectionError, ValueError) as error:
            raise self._refusal("this machine is in no Ray cluster") from error

    def _refusal(self, reason: str) -> UserError:
        return _refusal(self._settings.address, reason)


def probe(address: str, given: str) -> None:
    """Make sure that a Ray cluster answers at an address.

    Args:
        address: ``HOST:PORT`` or ``ray://HOST:PORT``.
        given: what the user calls it.

    Raises:
        UserError: (exit code ``ENGINE``) nobody does, or somebody else.
    """
    import grpc

    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # Ray alone knows the certificates
    kind = _CLIENT if address.startswith(_CLIENT) else ""
    with grpc.insecure_channel(address.removeprefix(_CLIENT), options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(_ALIVE[kind])(b"", timeout=PROBE_SECONDS)
        except grpc.RpcError as error:
            code = error.code()
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise _refusal(given, f"no Ray cluster answers at {address}") from error
            if code == grpc.StatusCode.UNIMPLEMENTED:
                other = "HOST:PORT of the head, mostly 6379" if kind else "ray://HOST:PORT, mostly 10001"
                raise _refusal(given, f"{address} is another kind of server; is it {other}?") from error


def _reason(error: BaseException) -> str:
    """What went wrong, in a line; of a traceback that a server sent, its end."""
    _, _, traceback = str(error).rstrip(". \n").partition("Traceback (most recent call last):\n")
    return one_line(RuntimeError(traceback.splitlines()[-1]) if traceback else error)


def _refusal(given: str, reason: str) -> UserError:
    return UserError(
        f"{option('engine.address', given)}: {reason}; start one by `ray start --head`, name one by HOST:PORT or "
        f"ray://HOST:PORT, or use {option('engine.address', 'local')} for this machine alone",
        Exit.ENGINE,
    )


def _silent(*_: Any, **__: Any) -> None:
    """Say nothing of what Ray tells on the driver's output: deaths are the backend's to tell."""


@contextmanager
def _whatever() -> Iterator[None]:
    """A cluster that is gone cannot be left in good order."""
    try:
        yield
    except Exception:
        logging.getLogger(__name__).debug("leaving the cluster", exc_info=True)
