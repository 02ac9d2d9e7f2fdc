"""Requests as they travel to another machine: texts, and how to draw the pictures, in a few hundred bytes.

Pixels stay where they are needed. A picture of ours travels as its episode's canonical JSON with the look in it, and in
the closed loop with the trail and the view; any other picture, such as an original of a test set, as a PNG file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from mgsd_bench.backends import Draw, Moment, Request, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mgsd_envs import Episode
    from mgsd_envs.rendering import Picture, Pixels
    from mgsd_envs.types import Cursor
    from mgsd_envs.views import View


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture of ours that is there already, and what it takes to draw it again elsewhere; a :data:`Draw`.

    Attributes:
        picture: the picture.
        episode: what it is a picture of.
        size: side in pixels; that of the episode if None.
        trail: in the closed loop, the cursors so far; None for the state as it is at first.
        view: in the closed loop, how much of the board is seen; None where there is no trail.
    """

    picture: Picture | Pixels
    episode: Episode
    size: int | None
    trail: tuple[Cursor, ...] | None = None
    view: View | None = None

    def __call__(self) -> NDArray[np.uint8]:
        """The picture, uint8 (height, width, 3)."""
        return self.picture.rgb()


@dataclass(frozen=True, slots=True)
class Parcel:
    """A request without its key.

    Attributes:
        text: everything but files, as JSON.
        files: PNG files of the pictures that no episode tells how to draw.
    """

    text: str
    files: tuple[bytes, ...] = ()


def pack(request: Request, *, scripted: bool) -> Parcel:
    """A request, ready to travel.

    Args:
        request: the request.
        scripted: whether who answers is told the episode and where it stands; a real model must not know.

    Raises:
        Exception: whatever drawing a picture that is none of ours failed with.
    """
    episodes: dict[str, int] = {}
    files: list[bytes] = []

    def numbered(episode: Episode) -> int:
        return episodes.setdefault(episode.canonical(), len(episodes))

    def picture(draw: Draw) -> dict[str, Any]:
        if not isinstance(draw, Drawn):
            files.append(png(draw()))
            return {"file": len(files) - 1}
        moved = {} if draw.trail is None else {"trail": draw.trail, "view": str(draw.view)}
        return {"episode": numbered(draw.episode), "size": draw.size, **moved}

    said = [(turn.role, turn.text, None if turn.image is None else picture(turn.image)) for turn in request.turns]
    moment = request.moment if scripted else None
    asked = numbered(request.episode) if scripted else None
    rest = {
        "seed": request.seed,
        "condition": request.condition,
        "turns": said,
        "asked": asked,
        "moment": None if moment is None else _moment_row(moment),
        "episodes": list(episodes),
    }
    return Parcel(json.dumps(rest, separators=(",", ":")), tuple(files))


def unpack(key: str, parcel: Parcel) -> Request:
    """The request that a parcel holds.

    Args:
        key: what it is called here.
        parcel: the parcel.

    Raises:
        KeyError: its task is not installed here.
    """
    data = json.loads(parcel.text)
    episodes = [_unsolved(text) for text in data["episodes"]]

    def draw(picture: Mapping[str, Any]) -> Draw:
        if "file" in picture:
            return lambda: _pixels(parcel.files[picture["file"]])
        return lambda: _draw(episodes[picture["episode"]], picture)

    turns = (Turn(role, text, None if picture is None else draw(picture)) for role, text, picture in data["turns"])
    return Request(
        key,
        tuple(turns),
        data["seed"],
        data["condition"],
        cast(Any, None) if data["asked"] is None else episodes[data["asked"]],
        None if data["moment"] is None else _moment(data["moment"]),
    )


def _draw(episode: Episode, picture: Mapping[str, Any]) -> NDArray[np.uint8]:
    from mgsd_envs.views import View
    from mgsd_envs.views import picture as picture_after

    if "trail" not in picture:
        return episode.draw(picture["size"]).rgb()
    return picture_after(episode, _trail(picture["trail"]), View.parse(picture["view"]), picture["size"]).rgb()


def _moment_row(moment: Moment) -> dict[str, Any]:
    return {
        "trail": list(moment.trail),
        "view": str(moment.view),
        "steps": moment.steps,
        "chunk": moment.chunk,
        "say_state": moment.say_state,
    }


def _moment(row: Mapping[str, Any]) -> Moment:
    from mgsd_envs.views import View

    return Moment(_trail(row["trail"]), View.parse(row["view"]), row["steps"], row["chunk"], row["say_state"])


def _trail(rows: Sequence[Sequence[int]]) -> tuple[Cursor, ...]:
    return tuple(tuple(cursor) for cursor in rows)


@lru_cache(maxsize=1024)  # an episode that is acted in comes back in every turn
def _unsolved(text: str) -> Episode:
    """An episode by its canonical line, without its plans: who draws it, or answers from it, does without."""
    from mgsd_envs.episodes import PIXELS, Episode
    from mgsd_envs.looks import Look
    from mgsd_envs.registry import get_task

    data = json.loads(text)
    task, look = get_task(data["task"]), Look.parse(data["theme"])
    return Episode(
        id=data["id"],
        task=data["task"],
        level=data["level"],
        split=data["split"],
        state=task.from_json(data["state"]),
        theme=look.theme,
        plan=(),
        plans=0,
        detour=False,
        straight=False,
        split_by=data.get("split_by", "state"),
        perturbation=look.perturbation,
        severity=look.severity,
        pixels=data.get("pixels", PIXELS),
    )


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels, uint8 (height, width, 3), as a PNG file."""
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _pixels(file: bytes) -> NDArray[np.uint8]:
    import numpy as np
    from PIL import Image

    with Image.open(BytesIO(file)) as image:
        return np.array(image.convert("RGB"), np.uint8)
