"""Chat completions on the wire: what a request says, and what a reply means. Nothing here touches the network.

A reply is an answer, or one of three faults: of the moment (``passing``: worth another try), of the ``request``
(another try would end the same way) or of the ``server`` (no request will fare better there). Only a completion in the
documented shape is ever an answer; error pages, empty choices and null contents are faults, whatever text they carry.

====================================  =========================================================================
finish reason                         means
====================================  =========================================================================
``stop``, ``length``                  an answer
``content_filter``                    a fault of the request: the provider took the answer away, not the model
``abort``, ``error``, none            a passing fault: the server gave the request up
any other (``tool_calls``, ...)       a fault of the request
====================================  =========================================================================

A refusal in the model's own words (``message.refusal``) is its answer. Null content is an answer, an empty one, where
the model thought (``reasoning``, ``reasoning_content``) and then said nothing, or ran out of tokens while it thought.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from mgsd_bench.backends import BackendConfig, FinishReason, Turn
from mgsd_bench.errors import UserError, option
from mgsd_bench.plain import plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["vllm", "openai"]
Template = dict[str, Any]
"""A request without its messages; ``seed`` stands for each request's own."""

NEUTRAL = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}
"""Values that do nothing: a server that does not know the parameter decodes just so."""

LARGEST_COUNT = 2**53
"""Every whole number below it is a JSON number that all readers agree on; no count of tokens comes near."""

LONGEST_ANSWER = 2**20
"""Characters; a hundred thousand tokens are shorter."""

LONGEST_NAME = 100
"""Characters that are kept of a name or a version that a server states."""

_OUT_OF_TOKENS = "output limit was reached"  # of reasoning models: all tokens went into thoughts
_ENDS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
_SERVER_FAULTS = {401, 402}
_PASSING = {404, 408, 409, 425, 429}  # 404: gateways say it while the server behind them restarts


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply as the server counts them, None where it does not say, and the model that it names."""

    prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None
    cached: int | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said."""

    text: str
    finish_reason: FinishReason
    usage: Usage


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no answer.

    Attributes:
        cause: what is at fault, see above.
        reason: one line.
        wait: seconds after which the server wants to be asked again, if it says.
        parameter: the parameter that the server names, if it does.
        status: the HTTP status that says so.
        usage: tokens that were spent all the same.
    """

    cause: Literal["passing", "request", "server"]
    reason: str
    wait: float | None = None
    parameter: str | None = None
    status: int | None = None
    usage: Usage | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", shown(self.reason))


@dataclass(frozen=True, slots=True)
class ModelCard:
    """An entry of a server's list of models.

    Attributes:
        id: the model's name, whole: only what is shown of it is shortened.
        is_vllm: whether vLLM says so.
        root: where the weights are, if the server says.
        max_model_len: the most tokens of prompt and answer, if the server says.
    """

    id: str
    is_vllm: bool
    root: str | None
    max_model_len: int | None


def shown(text: str, most: int = 200) -> str:
    """A text of others in one line of at most ``most`` printable characters."""
    start = text.strip()[: 8 * most]
    line = " ".join(plain(start).split())
    if len(line) <= most and len(start) == len(text.strip()):
        return line
    return line[: most - 4].rstrip() + " ..."


def user_turn(text: str, image: NDArray[np.uint8] | None) -> list[dict[str, Any]]:
    """The messages of a question: one user turn, the text first and the image, uint8 (height, width, 3), last."""
    if image is None:
        return [{"role": "user", "content": text}]
    from PIL import Image

    file = BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    url = "data:image/png;base64," + b64encode(file.getvalue()).decode()
    return [
        {
            "role": "user",
            "content": [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}],
        }
    ]


def messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The messages of a conversation."""
    found: list[dict[str, Any]] = []
    for turn in turns:
        (message,) = user_turn(turn.text, None if turn.image is None else turn.image())
        found.append({**message, "role": turn.role})
    return found


def template(kind: Kind, config: BackendConfig, extra: Mapping[str, Any]) -> tuple[Template, dict[str, str]]:
    """What every request says, and what of the run's settings it does not say and why.

    vLLM gets every decoding parameter, because it would take those left out from the checkpoint, and the limits of the
    image area. Other servers get those that the API documents, and further ones only where they do something.

    Raises:
        UserError: ``extra`` sets what is ours to set.
    """
    sampling = config.sampling
    asked = {
        **NEUTRAL,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
    }
    limits = {"min_pixels": config.min_pixels, "max_pixels": config.max_pixels}
    omitted: dict[str, str] = {}
    if kind == "openai":
        omitted["mm_processor_kwargs"] = f"the server scales images as it does; {limits} are not applied"
        kept = {"temperature", "top_p"} | {name for name in NEUTRAL if asked[name] != NEUTRAL[name]}
        omitted |= {name: f"{NEUTRAL[name]:g}, as without it" for name in NEUTRAL if name not in kept}
        asked = {name: value for name, value in asked.items() if name in kept}
    fields: Template = {"model": config.model, **asked, "max_tokens": sampling.max_tokens, "seed": None}
    if kind == "vllm":
        fields["mm_processor_kwargs"] = limits
    for name in extra:
        if name in {*fields, *NEUTRAL, "messages", "stream", "n", "max_completion_tokens"}:
            raise UserError(f"{option('engine.extra_body')}: {name} is set by the run itself; use its own option")
    return {**fields, **extra}, omitted


def drop_rejected_parameter(
    fields: Template, omitted: Mapping[str, str], fault: Fault
) -> tuple[Template, dict[str, str]] | None:
    """The template and what it omits after a server refused a parameter; None if it named none of ours.

    ``max_tokens`` takes its newer name. What does not change the decoding is left out: the seed, the image limits, a
    parameter with a value that does nothing.

    Raises:
        UserError: the server refuses a value that the run asks for, and without it the run would be another one.
    """
    fields, omitted = dict(fields), dict(omitted)
    ours = [name for name in fields if name != "model"]
    name = fault.parameter if fault.parameter in ours else None
    name = name or next((each for each in ours if re.search(rf"\b{each}\b", fault.reason)), None)
    if name is None:
        return None
    value = fields.pop(name)
    if name == "max_tokens" and "max_completion_tokens" in fault.reason:
        return {**fields, "max_completion_tokens": value}, omitted
    if name in ("seed", "mm_processor_kwargs") or (name in NEUTRAL and value == NEUTRAL[name]):
        applied = " are not applied" if name == "mm_processor_kwargs" else ""
        return fields, {**omitted, name: f"{'' if value is None else f'{value}'}{applied}; refused: {fault.reason}"}
    if name in ("max_tokens", "max_completion_tokens"):
        raise UserError(f"{option('max_tokens', value)}: refused by the server: {fault.reason}")
    if name in NEUTRAL:
        asked, neutral = option(name, f"{value:g}"), option(name, f"{NEUTRAL[name]:g}")
        raise UserError(f"{asked}: refused by the server, give {neutral}: {fault.reason}")
    raise UserError(f"{option('engine.extra_body')}: {name} is refused by the server: {fault.reason}")


def read_reply(status: int, headers: Mapping[str, str], body: bytes) -> Answer | Fault:
    """What a server's reply means. The content type is not asked: what counts is the body.

    Args:
        status: HTTP status.
        headers: response headers, looked up by lower-case names.
        body: the whole body.
    """
    try:
        return _read_reply(status, headers, body)
    except RecursionError:
        return Fault("request", "the reply is nested too deeply", status=status)


def read_cards(body: bytes) -> list[ModelCard]:
    """A server's list of models.

    Raises:
        ValueError: it is none.
    """
    match _json(body):
        case {"data": list(cards)}:
            return [_card(card) for card in cards if isinstance(card, dict) and isinstance(card.get("id"), str)]
    raise ValueError("no list of models")


def read_version(body: bytes) -> str | None:
    """The version that a server states, if it does."""
    reply = _json(body)
    return _name(reply.get("version")) if isinstance(reply, dict) else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _card(card: dict[str, Any]) -> ModelCard:
    root, most = _name(card.get("root")), _count(card.get("max_model_len"))
    return ModelCard(card["id"], card.get("owned_by") == "vllm", root, most)


def _name(value: Any) -> str | None:
    return shown(value, LONGEST_NAME) if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < LARGEST_COUNT else None  # bool is no count


def _read_reply(status: int, headers: Mapping[str, str], body: bytes) -> Answer | Fault:
    try:
        reply = json.loads(body)
    except ValueError:
        reply = None
    failed = isinstance(reply, dict) and bool(reply.get("error")) and not reply.get("choices")
    if status == 200 and failed:  # some gateways report with status 200 what went wrong behind them
        code = reply["error"].get("code") if isinstance(reply["error"], dict) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
    if status != 200:
        return _refusal(status, headers, reply, body)
    usage = _usage(reply)
    match reply:
        case {"choices": [{"message": dict(message), "finish_reason": str(reason)}, *_]}:
            return _answer(message, reason, usage)
        case {"choices": [{"message": dict()}, *_]}:
            return Fault("passing", "the answer has no finish reason", usage=usage)
        case {"choices": _}:
            return Fault("passing", "the reply holds no answer", usage=usage)
    return Fault("passing", f"the reply is no chat completion: {_excerpt(body)}", usage=usage)


def _answer(message: dict[str, Any], reason: str, usage: Usage) -> Answer | Fault:
    if reason in ("abort", "error"):
        return Fault("passing", f"the server gave the request up ({reason})", usage=usage)
    if reason == "content_filter":
        return Fault("request", "the provider's content filter stopped the answer", usage=usage)
    if reason not in _ENDS:
        return Fault("request", f"the answer ended with {shown(reason, 60)!r}, as no plain answer does", usage=usage)
    end = _ENDS[reason]
    if any(
        isinstance(text, str) and len(text) > LONGEST_ANSWER
        for text in (message.get("content"), message.get("refusal"))
    ):
        return Fault("request", f"the answer is longer than {LONGEST_ANSWER:,} characters", usage=usage)
    match message:
        case {"content": str(text)}:
            return Answer(text, end, usage)
        case {"refusal": str(text)} if text:
            return Answer(text, end, usage)
    thoughts = (message.get("reasoning"), message.get("reasoning_content"))
    if end == "length" or any(isinstance(each, str) and each for each in thoughts):
        return Answer("", end, usage)
    return Fault("passing", "the answer has no content", usage=usage)


def _refusal(status: int, headers: Mapping[str, str], reply: Any, body: bytes) -> Answer | Fault:
    error = reply.get("error", reply) if isinstance(reply, dict) else None
    details: dict[str, Any] = error if isinstance(error, dict) else {}
    text = details.get("message") or details.get("detail") or (error if isinstance(error, str) else None)
    said = shown(str(text)) if text else _excerpt(body)
    if status == 400 and _OUT_OF_TOKENS in said:
        return Answer("", "length", Usage())
    reason, parameter = f"HTTP {status}: {said}", _name(details.get("param"))
    if status in _SERVER_FAULTS or "insufficient_quota" in (details.get("code"), details.get("type")):
        return Fault("server", reason, status=status)
    if status in _PASSING or status >= 500 or status < 300:
        return Fault("passing", reason, retry_after(headers), parameter, status)
    return Fault("request", reason, None, parameter, status)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply asks to wait: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date.

    A date is set against the server's own ``Date``, so that a clock that is off does no harm.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / unit
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if isfinite(seconds) else None
    if (until := _date(headers.get("retry-after"))) is None:
        return None
    return max(0.0, until - (_date(headers.get("date")) or datetime.now(UTC).timestamp()))


def _date(text: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError):  # years and zones beyond all calendars raise the last two
        return None


def _usage(reply: Any) -> Usage:
    if not isinstance(reply, dict):
        return Usage()
    used = reply.get("usage")

    def count(*path: str) -> int | None:
        value: Any = used
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return _count(value)

    return Usage(
        count("prompt_tokens"),
        count("completion_tokens"),
        count("completion_tokens_details", "reasoning_tokens"),
        count("prompt_tokens_details", "cached_tokens"),
        _name(reply.get("model")),
    )


def _excerpt(body: bytes) -> str:
    """The first words of a body, without tags if it is a page."""
    text = re.sub(r"<[^>]*>", " ", body[:4000].decode(errors="replace"))
    return shown(text, 120) or "an empty body"
