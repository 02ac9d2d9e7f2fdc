"""Packages with tasks of somebody else's: installed into an environment of their own, and broken ones."""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugin-task"
COUNTS = ("data.count", "stages.cold-start.data.count", "stages.self-distill.data.count")
SMALL = tuple(word for count in COUNTS for word in ("--set", f"{count}=20"))
"""Makes a recipe out of `tiny` count twenty rows rather than thousands."""

_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def install_example(folder: Path) -> Path:
    """A new environment with the example package in it, beside what this one has; its Python. Needs no network."""
    shutil.copytree(EXAMPLE, folder / "source")
    build = [sys.executable, "-c", _BUILD, str(folder)]
    subprocess.run(build, cwd=folder / "source", check=True, capture_output=True)
    venv.create(folder / "venv", symlinks=True, with_pip=False)
    python = folder / "venv" / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(packages)
    outer = "".join(f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
    (packages / "outer.pth").write_text(outer)
    return python


BROKEN = {
    "raising": ("raise ImportError('no module named torch_geometry')", "raising"),
    "exiting": ("raise SystemExit(3)", "exiting"),
    "untyped": ("class Task: name = 'untyped'", "untyped"),
    "unfinished": ("from mgsd_envs import Task\nclass Task(Task): name = 'unfinished'", "unfinished"),
    "misnamed": ("from mgsd_envs.maze import Maze as Task", "misnamed"),
    "gone": ("x = 1", "gone"),
    "maze_again": ("from mgsd_envs.maze import Maze as Task", "maze"),
}
"""By package: its module, and the name of its task; the class is ``Task``."""


def broken_packages(folder: Path) -> Path:
    """A folder for ``sys.path`` in which every package of :data:`BROKEN` is installed."""
    for package, (code, task) in BROKEN.items():
        (folder / f"{package}.py").write_text(code + "\n")
        about = folder / f"{package}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[mgsd_envs.tasks]\n{task} = {package}:Task\n")
    return folder
