"""Backends answer requests. This module holds what they share: the types, the protocol and the look-up by name.

A backend module is imported only when its backend is used, so vLLM and torch never load on the way to ``--help``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

from mgsd_bench.config.fields import Amount, Count, Natural, Share
from mgsd_bench.errors import Exit, UserError, option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mgsd_envs import Episode
    from mgsd_envs.types import Cursor
    from mgsd_envs.views import View

FinishReason = Literal["stop", "length", "error"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Every decoding parameter of a run, none left to an engine's or a checkpoint's default.

    Attributes:
        temperature: 0 is greedy decoding.
        top_p: nucleus mass, 1 keeps all tokens.
        top_k: 0 keeps all tokens.
        repetition_penalty: 1 is none.
        max_tokens: most new tokens a response may have.
        seed: seed of the run; each request's own seed is derived from it.
    """

    temperature: Amount = 0.0
    top_p: Share = 1.0
    top_k: Natural = 0
    repetition_penalty: Amount = 1.0
    max_tokens: Count = 4096
    seed: Natural = 0


Draw = Callable[[], "NDArray[np.uint8]"]
"""Draws a picture, uint8 (height, width, 3)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says in a conversation.

    Attributes:
        role: ``user``, or ``assistant`` for what the model has said before.
        text: the text; the image comes behind it.
        image: draws the picture; None for text alone. Drawn when the backend needs it, so that a window of requests,
            not a whole suite, is held in memory.
    """

    role: Literal["user", "assistant"]
    text: str
    image: Draw | None = None

    def message(self) -> dict[str, Any]:
        """The turn as chat templates take it; ``{"type": "image"}`` stands for its picture."""
        picture = [] if self.image is None else [{"type": "image"}]
        return {"role": self.role, "content": [{"type": "text", "text": self.text}, *picture]}


@dataclass(frozen=True, slots=True)
class Moment:
    """Where an episode in the closed loop stands, for scripted models alone.

    Attributes:
        trail: the cursors so far, that of now last.
        view: how much of the board is seen.
        steps: how many steps were spent: actions tried, and turns that could not be read.
        chunk: most actions of one answer that are carried out; None for a whole plan.
        say_state: whether the answer is to state what is seen.
    """

    trail: Sequence[Cursor]
    view: View
    steps: int
    chunk: int | None
    say_state: bool


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model: the turns of a conversation, the last of which waits for its answer.

    Attributes:
        key: unique within a run; the response carries it back.
        turns: user and assistant by turns, from a user's to a user's.
        seed: this request's sampling seed, below 2**31.
        condition: which condition of the protocol this is (``visual``, ``symbolic``, ...).
        episode: the episode asked about. Real models must not look at it; scripted ones answer from it.
        moment: where the episode stands, for the same; None for one-shot conditions.
    """

    key: str
    turns: tuple[Turn, ...]
    seed: int
    condition: str
    episode: Episode
    moment: Moment | None = None

    @property
    def images(self) -> list[Draw]:
        """What draws the pictures of all turns, in their order."""
        return [turn.image for turn in self.turns if turn.image is not None]


def single_turn(key: str, text: str, image: Draw | None, seed: int, condition: str, episode: Episode) -> Request:
    """A request of one user turn."""
    return Request(key, (Turn("user", text, image),), seed, condition, episode)


@dataclass(frozen=True, slots=True)
class Response:
    """What a backend got for one request; ``error`` is set exactly when ``finish_reason`` is ``"error"``.

    Attributes:
        key: the request's key.
        text: the raw text of the answer, special tokens removed; empty on error.
        finish_reason: ``stop``, ``length`` (ran into ``max_tokens`` or the context window) or ``error``.
        prompt_tokens: tokens of the prompt, image tokens included; None where unknown.
        completion_tokens: tokens of the answer; None where unknown.
        seconds: from handing the request over to its last token; None where unknown.
        error: one line saying why there is no answer.
    """

    key: str
    text: str
    finish_reason: FinishReason
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """What a run asks of a backend; recorded as it is in ``run.json``.

    Attributes:
        model: folder, hub name or scripted name.
        sampling: decoding parameters.
        min_pixels: smallest image area, in pixels, that the model's processor may scale to (paper: 65,536).
        max_pixels: largest such area (paper: 262,144).
        engine_args: the engine's own keyword arguments.
        trust_remote_code: run Python code that comes with the checkpoint.
        images: the most pictures that one request holds.
    """

    model: str
    sampling: Sampling = field(default_factory=Sampling)
    min_pixels: int = 65_536
    max_pixels: int = 262_144
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False
    images: int = 1

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return {**asdict(self), "engine_args": dict(self.engine_args)}


def request_key(episode: str, condition: str, repeat: int) -> str:
    """What names a question, its request and its sample within a run."""
    return f"{episode}/{condition}/{repeat}"


def turn_key(question: str, turn: int) -> str:
    """What names the request of a turn, and its answer, within a run; turns are counted from 0."""
    return f"{question}#{turn}"


class Backend(AbstractContextManager["Backend"], Protocol):
    """A model that answers requests, in any order.

    Used as a context manager: engines start in the constructor and are shut down on leaving. :func:`hold` hands
    requests over with :meth:`submit` and waits for some of the answers with :meth:`collect`.
    """

    @property
    def capacity(self) -> int:
        """How many requests it wants to hold at once to be busy."""
        ...

    def describe(self) -> dict[str, Any]:
        """Facts for ``run.json``: engine and its version, model identity, hardware."""
        ...

    def submit(self, request: Request) -> None:
        """Take a request, without waiting for its answer; one that cannot be asked gets a response with ``error``.

        Raises:
            EngineError: the engine itself died.
        """
        ...

    def collect(self) -> list[Response]:
        """Wait until some requests are answered, and give back one response for each of those.

        To be called while there are requests that were submitted and not answered.

        Raises:
            EngineError: the engine itself died; what was submitted is lost, and may be asked for again.
            StoppedError: whoever answers has stopped; likewise.
        """
        ...

    def abort(self) -> None:
        """Give up everything that was submitted and not collected; the backend is ready for new requests."""
        ...


@runtime_checkable
class Metered(Protocol):
    """A backend whose answers are paid for, or counted by somebody else."""

    def usage(self) -> dict[str, Any]:
        """What the session has sent and spent so far, as plain JSON values."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A backend that answers certain questions and no others."""

    def check_asked(self, keys: Iterable[str]) -> None:
        """Refuse a run that does not ask all of them.

        Args:
            keys: of all questions of the run, those that have been answered before too.

        Raises:
            UserError: there is an answer to a question that is not asked.
        """
        ...


@runtime_checkable
class Informed(Protocol):
    """A backend that shows by itself how far a run is; it is asked in the suite's own order."""

    def progress(self, done: int, total: int) -> None:
        """So many of all questions of the run are answered."""
        ...


class StoppedError(Exception):
    """Whoever answers has stopped; what was answered is kept.

    Attributes:
        code: the exit code that a command leaves with.
    """

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


class EngineError(RuntimeError):
    """The engine died and cannot answer anything any more."""


T = TypeVar("T")
Talk = Generator[Request, Response, T]
"""Yields what to ask next, is sent what came back, and returns what it comes to."""


def hold(backend: Backend, talks: Iterable[Talk[T]]) -> Iterator[T]:
    """Hold talks, as many at a time as the backend has room for, and yield what each comes to, in any order.

    None waits for another: an answer goes to its talk at once, and what that asks next joins what is running. Talks are
    drawn from the iterable only as there is room. Closing the iterator early gives up what is still on its way.

    Raises:
        EngineError: the engine itself died, or gives nothing back; what was not yielded may be asked for again.
    """
    todo, more = iter(talks), True
    waiting: dict[str, Talk[T]] = {}

    def advance(talk: Talk[T], response: Response | None) -> Iterator[T]:
        try:
            request = talk.send(response)  # type: ignore[arg-type]  # one that has not begun is sent None
        except StopIteration as end:
            yield end.value
            return
        waiting[request.key] = talk
        backend.submit(request)

    try:
        while True:
            while more and len(waiting) < backend.capacity:
                if (talk := next(todo, None)) is None:
                    more = False
                else:
                    yield from advance(talk, None)
            if not waiting:
                return
            responses = backend.collect()
            if not responses:
                raise EngineError("it has lost the requests that it was given")
            for response in responses:
                yield from advance(waiting.pop(response.key), response)
    finally:
        if waiting:
            backend.abort()


def generate(backend: Backend, requests: Iterable[Request]) -> Iterator[Response]:
    """Yield one response per request, no two of which have the same key; see :func:`hold`."""

    def ask(request: Request) -> Talk[Response]:
        return (yield request)

    return hold(backend, map(ask, requests))


HUMAN = "human"
"""What a run's record calls the backend where a person was asked."""

NOT_DECODED = ("scripted", "recorded", HUMAN)
"""Backends whose answers no decoding draws: sampling says nothing of them."""

_MODULES = {name: f"mgsd_bench.backends.{name}" for name in ("vllm", "openai", "hf", "ray", "scripted", "recorded")}
NAMES: tuple[str, ...] = tuple(_MODULES)


def check_settings(name: str, config: BackendConfig) -> None:
    """Look at a backend's settings before anything of them is stored: a secret may stand where none belongs.

    Raises:
        UserError: they cannot be used.
    """
    if name == "openai":
        from mgsd_bench.backends.chat_settings import read_settings

        read_settings(config.engine_args, config.model)
    if name == "ray":
        from mgsd_bench.backends.ray_settings import read_settings as read_ray_settings

        read_ray_settings(config)


def answering(name: str, engine_args: Mapping[str, Any]) -> str:
    """The backend that answers: the one called ``name`` or, where that only holds others, the one in each worker."""
    if name != "ray":
        return name
    from mgsd_bench.backends.ray_settings import inner_name

    return inner_name(engine_args)


def open_backend(name: str, config: BackendConfig) -> Backend:
    """Start the backend called ``name``.

    Raises:
        UserError: unknown backend, a missing extra, or a model that the backend cannot load.
    """
    if name not in _MODULES:
        raise UserError(f"{option('backend', name)}: unknown backend; choose from {', '.join(NAMES)}")
    backend: Backend = import_module(_MODULES[name]).open_backend(config)
    return backend
