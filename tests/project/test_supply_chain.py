"""What others could slip in: actions by a tag that moves, and a network at import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = [ROOT / "action.yml", *sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*$")
OURS = ("./", "OWNER/mgsd-bench@")
"""Actions of this repository: the one beside the workflow, and its own name where others would write it."""


def uses(text: str) -> list[str]:
    """The lines that name an action of somebody else."""
    lines = (line.strip().removeprefix("- ") for line in text.splitlines())
    return [
        line for line in lines if line.startswith("uses:") and not line.startswith(tuple(f"uses: {x}" for x in OURS))
    ]


@pytest.mark.parametrize(
    "path", [*WORKFLOWS, *sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=lambda p: p.name
)
def test_actions_are_pinned_by_digest_with_their_version_beside(path: Path) -> None:
    for line in uses(path.read_text(encoding="utf-8")):
        assert PINNED.fullmatch(line), f"{path.name}: {line}"


def test_the_pins_are_the_same_everywhere() -> None:
    found: dict[str, set[str]] = {}
    for path in [*WORKFLOWS, *ROOT.glob("docs/*.md")]:
        for line in uses(path.read_text(encoding="utf-8")):
            name, _, pin = line.removeprefix("uses: ").partition("@")
            found.setdefault(name, set()).add(pin)
    assert found
    assert {name: pins for name, pins in found.items() if len(pins) > 1} == {}


@pytest.mark.parametrize("path", WORKFLOWS[1:], ids=lambda p: p.name)
def test_workflows_ask_for_no_more_than_reading(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


IMPORT_ALL = """
import importlib, pkgutil, socket, sys

def refuse(*arguments, **_):
    raise SystemExit(f"the network was asked: {arguments}")

for name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, name, refuse)
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
missing = set()
for package in ("mgsd_envs", "mgsd_bench", "mgsd_baselines"):
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            missing.add(str(error.name).partition(".")[0])
print(len([name for name in sys.modules if name.partition(".")[0].startswith("mgsd_")]), *sorted(missing))
"""


@pytest.mark.train
@pytest.mark.timeout(300)
def test_importing_asks_the_network_for_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-1500:]
    count, *missing = done.stdout.split("\n")[-2].split()
    assert int(count) > 150
    assert not {"mgsd_bench", "mgsd_envs", "mgsd_baselines", "numpy", "transformers"} & set(missing)
