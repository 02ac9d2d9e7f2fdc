"""Whole commands in processes of their own, measured, without the seconds that an interpreter takes to start.

``python forking.py [MODULE ...]`` imports the command line once, and forks for every job that it is told of: one JSON
object a line on its input, one on its output as each job ends.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

ABROAD = "tried to reach"
"""What a command that may reach this machine alone says when it tries for more."""

ENGINE_MODULES = (
    "mgsd_bench.backends.hf",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.processing_auto",
    "transformers.models.qwen3_vl.modeling_qwen3_vl",
)
"""What commands that load a checkpoint import, and what takes long."""

MOST_DATA = 3 * 2**30  # bytes; a process that wants more gets a MemoryError, and the machine lives


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; None if it was killed as it was asked for.
        seconds: wall time.
        rss: largest resident memory in MB.
        shown: what it wrote to its output and to its errors.
    """

    code: int | None
    seconds: float
    rss: float
    shown: str


class Forker:
    """Runs commands, several at a time if threads ask for them, as a context manager.

    Args:
        modules: further modules that are imported once for all of them.
        environment: for all of them.
    """

    def __init__(self, *modules: str, **environment: str) -> None:
        self._modules = modules
        self._environment = environment

    def __enter__(self) -> Self:
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "100"}
        environment = {**os.environ, **alone, **self._environment}
        self._process = subprocess.Popen(
            [sys.executable, __file__, *self._modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._ended: dict[int, dict[str, Any]] = {}
        self._changed, self._jobs = threading.Condition(), 0
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)

    def run(
        self,
        words: Sequence[str],
        file: Path,
        limit: float,
        *,
        folder: Path | None = None,
        full: tuple[Path, int] | None = None,
        processor: float | None = None,
        **environment: str,
    ) -> Ended:
        """Run ``mgsd-bench`` with these words; its output goes to ``file``.

        In a ``folder``, if one is given; then it can reach this machine alone, and says so where it tries for more. It
        is killed after ``limit`` seconds, by the system after ``processor`` seconds of a processor, and as soon as the
        files below the path of ``full`` have so many bytes.
        """
        file.touch()  # a command may be killed before it writes anything
        job = {"words": words, "file": str(file), "limit": limit, "environment": environment}
        job |= {"processor": processor}
        job |= {"full": full and (str(full[0]), full[1]), "folder": folder and str(folder)}
        end = self._send(job)
        return Ended(end["code"], end["seconds"], end["rss"], file.read_bytes().decode(errors="backslashreplace"))

    def _send(self, what: dict[str, Any]) -> dict[str, Any]:
        """Have a job done, and wait for how it ends."""
        with self._changed:
            job, self._jobs = self._jobs, self._jobs + 1
            assert self._process.stdin
            self._process.stdin.write(json.dumps({"job": job, **what}) + "\n")
            self._process.stdin.flush()
            while job not in self._ended:
                assert self._process.poll() is None
                self._changed.wait(5.0)
            return self._ended.pop(job)

    def warm(self, *commands: Sequence[str]) -> None:
        """Run commands where all later ones are forked from, so that those need not import what these do."""
        for words in commands:
            assert self._send({"words": words, "warm": True})["code"] == 0

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            end = json.loads(line)
            with self._changed:
                self._ended[end["job"]] = end
                self._changed.notify_all()


def _main(words: Sequence[str]) -> int:
    """The exit code of a command in this process."""
    from mgsd_bench.cli import main

    sys.argv = ["mgsd-bench", *words]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _child(job: dict[str, Any]) -> None:
    code = 99
    try:
        output = os.open(job["file"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_DATA, MOST_DATA))
        if job["processor"] is not None:
            seconds = int(job["processor"])
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        os.environ.update(job["environment"])
        if job["folder"] is not None:
            tempfile.tempdir = None  # that of its own environment
            os.chdir(job["folder"])
            sys.addaudithook(_stay_here)
        code = _main(job["words"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _quietly(words: Sequence[str]) -> int:
    """The exit code of a command in this process, and whatever it imported left where it is."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        code = _main(words)
    gc.collect()
    gc.freeze()
    return code


def _bytes(folder: str) -> int:
    """Bytes of all files below a folder, some of which may be gone by now."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(path, name).stat().st_size
    return total


def _is_over(job: dict[str, Any], began: float) -> bool:
    """Whether a job has come to the moment at which it is to be killed."""
    full = job["full"]
    return time.monotonic() - began > job["limit"] or (full is not None and _bytes(full[0]) >= full[1])


def _stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    """Let no connection leave this machine."""
    place = None
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        place = arguments[1][0]
    elif event == "socket.getaddrinfo":
        place = arguments[0]
    if isinstance(place, bytes):
        place = place.decode(errors="replace")
    if place not in (None, "", "localhost", "::1") and not str(place).startswith("127."):
        os.write(2, f"{ABROAD} {place!a}\n".encode())
        raise PermissionError(f"not to {place}")


def _warm_up() -> None:
    """Import and draw once what every command would import and draw anew."""
    import anyio._backends._asyncio  # noqa: F401
    import PIL.PngImagePlugin  # noqa: F401

    if sys.argv[1:]:
        from mgsd_bench.backends.torchvision_compat import patch_torchvision

        patch_torchvision()  # as the engines' backends do before they import anything
    for module in sys.argv[1:]:
        importlib.import_module(module)
    with TemporaryDirectory() as folder:
        run, page = str(Path(folder) / "run"), str(Path(folder) / "report.html")
        questions = ["--suite", "smoke", "--tasks", "frozenlake", "--levels", "3", "--prompts", "compact"]
        assert _quietly(["eval", "--backend", "scripted", "--model", "random", *questions, "--out", run]) == 0
        assert _quietly(["report", run, "--out", page]) == 0


def _serve() -> None:
    _warm_up()
    running: dict[int, tuple[dict[str, Any], float]] = {}
    killed: set[int] = set()
    pending, is_open = b"", True
    while is_open or running:
        if is_open and select.select([0], [], [], 0.002 if running else 0.1)[0]:
            data = os.read(0, 65_536)
            is_open = bool(data)
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                job = json.loads(line)
                if job.get("warm"):
                    end = {"job": job["job"], "code": _quietly(job["words"]), "seconds": 0.0, "rss": 0.0}
                    os.write(1, (json.dumps(end) + "\n").encode())
                    continue
                pid = os.fork()
                if pid == 0:
                    _child(job)
                running[pid] = job, time.monotonic()
        elif not is_open:
            time.sleep(0.002)
        for pid, (job, began) in list(running.items()):
            if pid not in killed and _is_over(job, began):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            gone, status, used = os.wait4(pid, os.WNOHANG)
            if gone:
                del running[pid]
                code = None if pid in killed else os.waitstatus_to_exitcode(status)
                seconds = round(time.monotonic() - began, 2)
                end = {"job": job["job"], "code": code, "seconds": seconds, "rss": used.ru_maxrss / 1024}
                os.write(1, (json.dumps(end) + "\n").encode())


if __name__ == "__main__":
    _serve()
