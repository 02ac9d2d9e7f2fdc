"""Questions and answers in inspect's types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageUser,
    ContentImage,
    ContentText,
    ModelOutput,
)

from mgsd_bench.backends import FinishReason, Response, Turn
from mgsd_bench.backends.chat_api import messages
from mgsd_bench.errors import UserError

_ENDS: dict[str, FinishReason] = {"stop": "stop", "unknown": "stop", "max_tokens": "length", "model_length": "length"}


def chat(turns: Sequence[Turn]) -> list[ChatMessage]:
    """The messages that the openai backend sends, in inspect's types.

    Raises:
        UserError: an original picture cannot be read.
    """
    try:
        return [_message(message) for message in messages(turns)]
    except ValueError as error:
        raise UserError(str(error)) from error


def _message(message: dict[str, Any]) -> ChatMessage:
    content = message["content"]
    if message["role"] == "assistant":
        return ChatMessageAssistant(content=content)
    if isinstance(content, str):
        return ChatMessageUser(content=content)
    said, picture = content
    return ChatMessageUser(content=[ContentText(text=said["text"]), ContentImage(image=picture["image_url"]["url"])])


def read_output(output: ModelOutput) -> Response:
    """A model's output as a response, without its key.

    A stop reason that inspect does not know ends an answer like any other. No output at all (the request failed, or
    one of inspect's limits ended the sample), a content filter or a tool call is an error.
    """
    if output.empty:
        return Response("", "", "error", error="there is no output: the request failed, or a limit ended it")
    if output.stop_reason not in _ENDS:
        return Response("", "", "error", error=f"the answer ended with {output.stop_reason}, as no plain answer does")
    return Response("", output.completion, _ENDS[output.stop_reason])
