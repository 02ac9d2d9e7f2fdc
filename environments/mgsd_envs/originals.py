"""Pictures that come with an external test set, shown in place of our own."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mgsd_envs.files import open_regular

MOST_PIXELS = 4096
"""Longest side of a picture that is read."""


@dataclass(frozen=True, slots=True)
class Original:
    """A picture by the authors of a test set.

    Attributes:
        sha256: digest of its RGB pixels as they are in the file; what makes two pictures the same.
        path: the file; None where only the digest is known, as in an episode read back from a run.
    """

    sha256: str
    path: Path | None = field(default=None, compare=False)

    def pixels(self, size: int) -> NDArray[np.uint8]:
        """The picture brought to ``size`` pixels square with Lanczos, uint8 (size, size, 3).

        Raises:
            ValueError: the file is unknown, missing or damaged, or holds other pixels than it did.
        """
        if self.path is None:
            raise ValueError(f"the file of the picture {self.sha256[:12]} is not known here")
        picture = _read(self.path)
        if _digest(picture) != self.sha256:
            raise ValueError(f"{self.path}: the picture has changed since it was loaded")
        return np.array(picture.resize((size, size), Image.Resampling.LANCZOS), np.uint8)


def read_original(path: Path) -> Original:
    """A picture by its file.

    Raises:
        ValueError: the file is missing, is no picture, or is not square.
    """
    return Original(_digest(_read(path)), path)


def _read(path: Path) -> Image.Image:
    try:
        with open_regular(path) as stream, Image.open(stream) as image:
            if image.width != image.height or image.width > MOST_PIXELS:
                raise ValueError(f"{image.width}x{image.height} pixels; a square of at most {MOST_PIXELS} is needed")
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: cannot be shown ({' '.join(str(error).split())})") from error


def _digest(picture: Image.Image) -> str:
    return sha256(b"%d\n" % picture.width + picture.tobytes()).hexdigest()
