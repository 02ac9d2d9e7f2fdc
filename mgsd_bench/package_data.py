"""Data files that come with the project: checkpoints, recipes, tables and published figures."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def shipped_folder(kind: str) -> Path:
    """A folder of data files that come with the package: beside it in a checkout, inside it once installed."""
    spec = find_spec("mgsd_baselines")  # found, not imported: its files are wanted, none of its code
    package = Path(spec.origin).parent if spec and spec.origin else Path()
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


def shipped(name: str) -> Path | None:
    """The folder of the shipped checkpoint called ``name``, for example ``tiny-mgsd``; None if there is none."""
    folder = shipped_folder("checkpoints") / name
    return folder if "/" not in name and (folder / "config.json").is_file() else None


def shipped_names() -> tuple[str, ...]:
    """Names of the shipped checkpoints."""
    return tuple(sorted(path.parent.name for path in shipped_folder("checkpoints").glob("*/config.json")))
