"""Writing episodes to disk, for people and for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from mgsd_bench.errors import UserError
from mgsd_bench.files import new_folder
from mgsd_bench.suites.suite import digest
from mgsd_envs import get_task

if TYPE_CHECKING:
    from mgsd_envs import Episode


def record(episode: Episode) -> dict[str, Any]:
    """What is exported of an episode besides its picture: identity, state, symbolic text, solution and difficulty."""
    task = get_task(episode.task)
    return {
        **episode.to_json(),
        **({} if episode.source is None else {"source": episode.source}),
        "text": task.describe(episode.state),
        "plan": list(episode.plan),
        "shortest": episode.shortest,
        "plans": str(episode.plans),  # may exceed 64 bits
        "detour": episode.detour,
        "straight": episode.straight,
    }


def write_folder(episodes: Sequence[Episode], out: Path, size: int | None = None) -> None:
    """Write ``images/*.png``, ``episodes.jsonl`` and ``suite.json`` (digest and counts), whole or not at all.

    Raises:
        UserError: the folder is not empty or cannot be written.
    """
    with new_folder(out, str(out)) as part:
        (part / "images").mkdir()
        with (part / "episodes.jsonl").open("w", encoding="utf-8") as stream:
            for episode in episodes:
                name = f"images/{file_name(episode)}"
                (part / name).write_bytes(png_file(episode, size))
                stream.write(json.dumps({**record(episode), "image": name}) + "\n")
        about = {
            "episodes": len(episodes),
            "digest": digest(episodes),
            "image_size": size or max(episode.pixels for episode in episodes),
        }
        (part / "suite.json").write_text(json.dumps(about, indent=2) + "\n")


def png_file(episode: Episode, size: int | None) -> bytes:
    """The picture that a model is shown, as a PNG file; ``size`` pixels square, or the episode's own if None.

    Raises:
        UserError: an original picture cannot be read any more.
        ValueError: fewer pixels than the grid needs.
    """
    if episode.original is None:
        return episode.draw(size).png()
    try:
        pixels = episode.shown(size)
    except ValueError as error:
        raise UserError(str(error)) from error
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def file_name(episode: Episode) -> str:
    """What the picture of an episode is called as a file."""
    return episode.id.replace("/", "_") + ".png"
