"""From the pieces of one streamed answer to a completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studio.engine.api import Completion, FinishReason, Request
from studio.engine.remote_errors import BrokenStream
from studio.engine.repetition import RepeatWatch
from studio.engine.text_stream import TextStream

_ENDED_BY_FAULT = ("abort", "error")
"""What SGLang and vLLM give as the reason when they lost a request."""


class Reading:
    """Takes the chunks of the answer to `request` in turn.

    Repetition is watched for here, and stop strings here too: not every server knows them all.
    """

    def __init__(self, request: Request) -> None:
        self._stream = TextStream(request.params.stop)
        self._watch = RepeatWatch(request.params.stop_on_repeat, request.suffix)
        self._text = ""
        self._reason = ""
        self._matched = ""
        self._prompt_tokens = self._completion_tokens = self._cached_tokens = 0

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text

    @property
    def stopped(self) -> bool:
        """Whether the text was ended here, so that whatever the server goes on to write is of no use."""
        return self._stream.stopped is not None or self._watch.fired

    @property
    def ended(self) -> bool:
        """Whether the text is whole; token counts may still follow."""
        return bool(self._reason) or self.stopped

    def take(self, chunk: Any) -> str:
        """Take in a chunk and return the new text it brings. Raises BrokenStream for one that is no chunk of a completion."""
        if not isinstance(chunk, Mapping):
            raise BrokenStream("the server sent something that is no completion")
        self._count(chunk)
        choices = chunk.get("choices") or [{}]
        choice = choices[0] if isinstance(choices, list) else None
        text = choice.get("text") or "" if isinstance(choice, Mapping) else None
        if not isinstance(choice, Mapping) or not isinstance(text, str):
            raise BrokenStream("the server sent something that is no completion")
        piece = self._stream.feed(text.encode("utf-8", "surrogatepass"))
        if reason := choice.get("finish_reason"):
            self._end(str(reason), choice)
            piece += self._stream.finish()
        piece = self._watch.feed(piece)
        self._text += piece
        return piece

    def completion(self, seconds: float) -> Completion:
        """The whole; token counts are 0 where the server gave none."""
        reason, detail = self._ending()
        return Completion(
            text=self._text,
            finish_reason=reason,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            cached_tokens=min(self._cached_tokens, self._prompt_tokens),
            seconds=seconds,
            detail=detail,
        )

    def _ending(self) -> tuple[FinishReason, str]:
        if self._watch.fired:
            return FinishReason.REPEAT, ""
        if self._stream.stopped is not None or self._reason == "stop":
            return FinishReason.STOP, self._stream.stopped or self._matched
        # Whatever else ended it, a content filter for one, cut the text off.
        return FinishReason.LENGTH, "" if self._reason == "length" else self._reason

    def _end(self, reason: str, choice: Mapping[str, Any]) -> None:
        if reason in _ENDED_BY_FAULT:
            raise BrokenStream(f"the server gave the request up ({reason})")
        self._reason = reason
        # vLLM and SGLang name the stop string; a number is the token that ends a text.
        matched = choice.get("stop_reason") or choice.get("matched_stop")
        self._matched = matched if isinstance(matched, str) else ""

    def _count(self, chunk: Mapping[str, Any]) -> None:
        """Take the token counts of OpenAI's `usage`; llama-server tells what it had cached among its `timings`."""
        usage, timings = chunk.get("usage"), chunk.get("timings")
        if isinstance(usage, Mapping):
            self._prompt_tokens = _number(usage.get("prompt_tokens"))
            self._completion_tokens = _number(usage.get("completion_tokens"))
            details = usage.get("prompt_tokens_details")
            if isinstance(details, Mapping):
                self._cached_tokens = _number(details.get("cached_tokens"))
        if isinstance(timings, Mapping) and not self._cached_tokens:
            self._cached_tokens = _number(timings.get("cache_n"))


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
