"""Perturbations: what may be done to a picture without changing what it shows.

Every axis has severities from 1 upwards, whose values stand in :data:`PERTURBATIONS`. Lengths are in cells, so that one
severity is the same share of a glyph at every grid size. The pixels after a perturbation are a function of the pixels
before it, the grid size and a random stream; the stream is seeded by a hash of the state's key, the axis and the
severity, so that a picture is the same in every run. numpy, Pillow and scipy alone.

Values follow ImageNet-C (arXiv 1903.12261) where it has the axis, with lengths in cells. They may be no higher than
what a decoder that knows the tiles can read (:mod:`mgsd_envs.certificate`); docs/robustness.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mgsd_envs import perturbed_boards as boards
from mgsd_envs import perturbed_overlays as overlays
from mgsd_envs.perturbed_overlays import clipped
from mgsd_envs.rendering import Picture, Pixels
from mgsd_envs.symmetry import TURNED

Array = NDArray[np.uint8]
"""uint8 (size, size, 3), RGB."""

Change = Callable[[Array, int, float, np.random.Generator], Array]
"""Makes new pixels of (pixels, cells a side, the severity's value, random stream)."""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One axis along which pictures are changed.

    Attributes:
        about: what is done, and what the values are, in one line.
        values: what the severities 1, 2, ... stand for.
        change: does it.
        kind: ``ordered`` severities are more and more of one thing; ``categorical`` ones are looks of their own;
            ``control`` changes nothing, or more than one thing; ``symmetry`` changes the state and not its picture.
    """

    about: str
    values: tuple[float, ...]
    change: Change
    kind: Literal["ordered", "categorical", "control", "symmetry"] = "ordered"


def perturb(pixels: Array, level: int, name: str, severity: int, key: str) -> Array:
    """The pixels after a perturbation, always the same for the same arguments.

    Args:
        pixels: uint8 (size, size, 3), RGB.
        level: cells a side.
        name: one of :data:`PERTURBATIONS`.
        severity: 1 to the number of the axis's values.
        key: names the state, for the random stream (:meth:`mgsd_envs.Task.key`).

    Raises:
        ValueError: there is no such perturbation, or it has no such severity.
    """
    check_perturbation(name, severity)
    axis = PERTURBATIONS[name]
    return axis.change(pixels, level, axis.values[severity - 1], stream(key, name, severity))


def perturbed(picture: Picture | Pixels, level: int, name: str, severity: int, key: str) -> Picture | Pixels:
    """A picture after a perturbation; the picture itself where that changes nothing. See :func:`perturb`."""
    before = picture.rgb()
    after = perturb(before, level, name, severity, key)
    return picture if after is before else Pixels(after)


def stream(key: str, name: str, severity: int) -> np.random.Generator:
    """The random stream of a state, an axis and a severity."""
    digest = sha256(f"{key}/{name}/{severity}".encode()).digest()
    return np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "big")))


def check_perturbation(name: str, severity: int) -> None:
    """Refuse what there is not.

    Raises:
        ValueError: there is no such perturbation, or it has no such severity.
    """
    if name not in PERTURBATIONS:
        raise ValueError(f"{name!r:.40} is no perturbation; choose from {', '.join(PERTURBATIONS)}")
    if not 1 <= severity <= len(PERTURBATIONS[name].values):
        raise ValueError(f"{name} has severities 1 to {len(PERTURBATIONS[name].values)}, not {severity}")


def _noise(pixels: Array, level: int, sigma: float, rng: np.random.Generator) -> Array:
    noise = rng.standard_normal(pixels.shape, np.float32)
    return clipped(pixels + 255 * np.float32(sigma) * noise)


def _shot(pixels: Array, level: int, photons: float, rng: np.random.Generator) -> Array:
    return clipped(rng.poisson(pixels * (photons / 255)) * np.float32(255 / photons))


def _blur(pixels: Array, level: int, sigma: float, rng: np.random.Generator) -> Array:
    picture = Image.fromarray(pixels)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(sigma * picture.width / level)))


def _jpeg(pixels: Array, level: int, quality: float, rng: np.random.Generator) -> Array:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(quality))
    return np.asarray(Image.open(file).convert("RGB"))


def _resample(pixels: Array, level: int, cell_pixels: float, rng: np.random.Generator) -> Array:
    picture = Image.fromarray(pixels)
    small = min(int(cell_pixels) * level, picture.width)
    reduced = picture.resize((small, small), Image.Resampling.BICUBIC)
    return np.asarray(reduced.resize(picture.size, Image.Resampling.BICUBIC))


def _brightness(pixels: Array, level: int, change: float, rng: np.random.Generator) -> Array:
    return brighter(pixels, change if rng.random() < 0.5 else -change)


def brighter(pixels: Array, change: float) -> Array:
    """The pixels with ``change`` added to the V of their HSV, from 0 to 1; hue and saturation stay."""
    value = pixels.max(axis=2, keepdims=True).astype(np.float32)
    new = np.clip(value + np.float32(255 * change), 0, 255)
    lit = pixels * (new / np.maximum(value, 1))
    return clipped(np.where(value > 0, lit, new))


def _hue(pixels: Array, level: int, degrees: float, rng: np.random.Generator) -> Array:
    return other_hue(pixels, degrees if rng.random() < 0.5 else -degrees)


def other_hue(pixels: Array, degrees: float) -> Array:
    """The pixels with ``degrees`` added to the hue of their HSV."""
    hsv = np.array(Image.fromarray(pixels).convert("HSV"))
    hsv[:, :, 0] += np.uint8(round(degrees * 256 / 360) % 256)
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


def _contrast(pixels: Array, level: int, factor: float, rng: np.random.Generator) -> Array:
    mean = pixels.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return clipped((pixels - mean) * np.float32(factor) + mean)


def _copy(pixels: Array, level: int, value: float, rng: np.random.Generator) -> Array:
    return pixels


def _pair(pixels: Array, level: int, severity: float, rng: np.random.Generator) -> Array:
    """Two different axes, one after the other."""
    for name in _two_axes(rng):
        pixels = PERTURBATIONS[name].change(pixels, level, PERTURBATIONS[name].values[int(severity) - 1], rng)
    return pixels


def _two_axes(rng: np.random.Generator) -> list[str]:
    """Two of the ordered axes: what shows the board elsewhere comes before what marks its pixels."""
    names = [ORDERED[i] for i in sorted(rng.choice(len(ORDERED), 2, replace=False).tolist())]
    return sorted(names, key=lambda name: name not in GEOMETRIC)


def steps(name: str, severity: int, key: str) -> list[tuple[str, int]]:
    """The axes and severities that a perturbation of a state consists of: two for ``pair``, else itself."""
    if name != "pair":
        return [(name, severity)]
    return [(axis, severity) for axis in _two_axes(stream(key, name, severity))]


PERTURBATIONS: dict[str, Perturbation] = {
    "noise": Perturbation("Gaussian noise; standard deviation, of 1", (0.04, 0.08, 0.12, 0.18, 0.26), _noise),
    "shot": Perturbation("shot noise; photons of a white pixel", (60, 25, 12, 5, 3), _shot),
    "blur": Perturbation("Gaussian blur; standard deviation in cells", (0.02, 0.04, 0.06, 0.08, 0.1), _blur),
    "jpeg": Perturbation("JPEG; quality", (50, 25, 15, 10, 7), _jpeg),
    "resample": Perturbation("made small and large again; pixels a cell", (20, 14, 10, 7, 5), _resample),
    "brightness": Perturbation("brighter or darker; change of V, of 1", (0.1, 0.2, 0.3, 0.4, 0.5), _brightness),
    "contrast": Perturbation("less contrast; factor", (0.7, 0.5, 0.35, 0.2, 0.1), _contrast),
    "rotation": Perturbation("board turned either way, nothing cut; degrees", (1, 2, 4, 7, 10), boards.turned),
    "offset": Perturbation(
        "smaller board off the middle; margin, of the canvas", (0.05, 0.1, 0.2, 0.3, 0.4), boards.moved
    ),
    "texture": Perturbation("texture over the board; opacity", (0.05, 0.1, 0.15, 0.22, 0.3), overlays.textured),
    "scratches": Perturbation(
        "lines 0.04 cells wide over everything; share covered", (0.02, 0.05, 0.08, 0.12, 0.16), overlays.scratched
    ),
    "distractors": Perturbation("icons in a margin around the board; how many", (1, 2, 4, 8, 12), overlays.decorated),
    "gridlines": Perturbation(
        "lines between the cells; width in cells", (0.03, 0.08), overlays.ruled, kind="categorical"
    ),
    "labels": Perturbation(
        "numbers of rows and columns: 1 in a margin, 2 in every cell", (1, 2), overlays.labelled, kind="categorical"
    ),
    "hue": Perturbation("another hue; degrees either way", (15, 30), _hue, kind="categorical"),
    "copy": Perturbation("nothing: the same picture once more", (0,), _copy, kind="control"),
    "pair": Perturbation(
        "two of the ordered axes, drawn anew for each state; severity of both", (1, 2), _pair, kind="control"
    ),
    TURNED: Perturbation(
        "the state in a mirror or turned by quarters; number of the symmetry", (1, 2, 3, 4, 5, 6, 7), _copy, "symmetry"
    ),
}
"""Every perturbation by name."""

ORDERED = tuple(name for name, axis in PERTURBATIONS.items() if axis.kind == "ordered")
"""The axes with ordered severities: those of the robustness suites."""

GEOMETRIC = frozenset({"rotation", "offset", "distractors"})
"""The axes that show the board in another place or smaller."""
