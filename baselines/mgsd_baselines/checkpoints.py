"""The checkpoints that come with the project, by name."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def shipped_folder(kind: str) -> Path:
    """A folder of data files that come with the package: beside it in a checkout, inside it once installed."""
    inside = _HERE / kind
    return inside if inside.is_dir() else _HERE.parent / kind


def shipped(name: str) -> Path | None:
    """The folder of the shipped checkpoint called ``name``, for example ``tiny-mgsd``; None if there is none."""
    folder = shipped_folder("checkpoints") / name
    return folder if "/" not in name and (folder / "config.json").is_file() else None


def shipped_names() -> tuple[str, ...]:
    """Names of the shipped checkpoints."""
    return tuple(sorted(path.parent.name for path in shipped_folder("checkpoints").glob("*/config.json")))
