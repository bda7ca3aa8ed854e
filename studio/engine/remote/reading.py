"""The pieces of a server's answer, on their way to a completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studio.engine.api import Completion, FinishReason, Request
from studio.engine.remote.client import DONE
from studio.engine.remote.errors import Answered, BrokenStream, EndUnsaid
from studio.engine.text_stream import TextStream
from studio.engine.thoughts import WrittenText, ends_thoughts

_UNCOUNTABLE = 1 << 48
_NO_COMPLETION = "the server sent something that is no completion"
_STOPS = ("stop", "eos", "eos_token", "end_of_text", "stop_sequence", "end", "end_turn", "complete", "completed")
"""Words of servers for an end of the model's own."""
_THOUGHTS = ("reasoning_content", "reasoning")
"""Where servers put what a model thinks: DeepSeek, llama-server, SGLang and LM Studio in the first; Ollama, OpenRouter and newer vLLM in
the second, some in both."""
_THINK, _THOUGHT = "<think>\n", "\n</think>\n\n"


class Reading:
    """Takes the values of the answer to `request` in turn, events of a stream or a whole document.

    Repetition is watched for here, and stop strings here too: not every server knows them all. `end_unsaid` is for servers that never say
    that a text is whole: whatever ends in order is.

    What a server keeps apart as thoughts stands in the text before the answer, between `<think>` and `</think>`, as it does where a server
    leaves it in the text. Neither stop strings nor repetition are looked for in thoughts.
    """

    def __init__(self, request: Request, *, end_unsaid: bool = False) -> None:
        self._written = WrittenText(request.params, request.suffix)
        self._thoughts = TextStream()
        self._max_tokens = request.params.max_tokens
        self._chat = request.chat is not None
        self._text = ""
        self._half = ""
        self._reason = ""
        self._matched = ""
        self._refusal = False
        self._end_unsaid = end_unsaid
        self._answered = self._runaway = self._summed_up = self._thinking = self._thought = self._begins = False
        self._prompt_tokens = self._completion_tokens = self._cached_tokens = self._unseen_tokens = 0

    @property
    def text(self) -> str:
        return self._text

    @property
    def counted(self) -> bool:
        """Whether the server told token counts."""
        return self._prompt_tokens + self._completion_tokens > 0

    @property
    def stopped(self) -> bool:
        """Whether the text was ended here, so that whatever the server goes on to write is of no use."""
        return self._written.stopped is not None or self._written.repeats or self._runaway

    @property
    def ended(self) -> bool:
        """Whether the text is whole; token counts may still follow."""
        return bool(self._reason) or self.stopped

    @property
    def thought(self) -> bool:
        """Whether the model thought, as far as the server shows or counts it."""
        if self._thought or self._unseen_tokens > 0:
            return True
        return self._chat and (self._text.lstrip().startswith(("<think", "[THINK]")) or ends_thoughts(self._text))

    @property
    def spent(self) -> bool:
        """Whether all tokens went into thoughts that the server does not show."""
        return self._unseen_tokens > 0 and self._reason == "length" and not self._text

    def spend(self) -> None:
        """Take note that the server says so itself, in place of an answer."""
        self._answered, self._reason = True, "length"
        self._unseen_tokens = max(self._unseen_tokens, 1)

    def take(self, value: Any) -> str:
        """Take in a value and return the new text it brings. Raises BrokenStream for one that is no part of a completion."""
        if value == DONE:
            return self.close(said=True)
        if not isinstance(value, Mapping):
            raise BrokenStream(_NO_COMPLETION)
        self._count(value)
        choices = value.get("choices")
        if choices is None or choices == []:
            if "content" in value and "choices" not in value:
                raise Answered(404, "it speaks llama.cpp's own protocol; name its address with /v1")
            # Token counts by themselves come behind the text.
            self._summed_up = self.counted
            return ""
        choice = next((each for each in choices if _is_first(each)), None) if isinstance(choices, list) else None
        if not isinstance(choice, Mapping):
            raise BrokenStream(_NO_COMPLETION)
        thought, text = self._parts(choice)
        self._answered = True
        piece = self._think(thought) + self._speak(text)
        if reason := choice.get("finish_reason"):
            self._end(str(reason), choice)
            piece += self._finish(whole=self._reason == "stop")
        self._text += piece
        # No tokenizer's tokens are that long: the server does not keep to `max_tokens`, and may never end.
        self._runaway = len(self._text) > 16 * self._max_tokens + 256
        return piece

    def _parts(self, choice: Mapping[str, Any]) -> tuple[str, str]:
        """The thoughts and the text that a choice brings."""
        said = choice.get("delta")
        if said is None and not self._answered:  # Some servers repeat the whole message at the end of its stream.
            said = choice.get("message")
        is_chat = "delta" in choice or "message" in choice
        if "text" in choice and not (is_chat and self._chat):
            if self._chat:
                raise Answered(404, "it goes on with the text, and answers no chat")
            text = choice["text"] or ""
            if not isinstance(text, str):
                raise BrokenStream(_NO_COMPLETION)
            return "", text
        if is_chat and not self._chat:
            raise Answered(404, "it answers as chat")
        if not isinstance(said or {}, Mapping):
            raise BrokenStream(_NO_COMPLETION)
        thoughts, text = said_in(said or {})
        if self._chat and not text and said and isinstance(refusal := said.get("refusal"), str) and refusal:
            self._refusal = True
            text = refusal
        return thoughts, text

    def _think(self, thoughts: str) -> str:
        if not thoughts:
            return ""
        opening = "" if self._thinking else _THINK if not self._text else f"\n{_THINK}"
        self._thinking = self._thought = True
        return opening + self._thoughts.feed(self._bytes(thoughts))

    def _speak(self, text: str) -> str:
        if not text:
            return ""
        mark = self._end_thoughts()
        if self._begins:
            # Servers take the thoughts out and leave the line ends behind them, where a stop string may be one.
            text = text.lstrip("\n")
            self._begins = not text
        return mark + self._written.feed(self._bytes(text))

    def _end_thoughts(self) -> str:
        if not self._thinking:
            return ""
        self._thinking, self._begins = False, True
        rest, self._thoughts = self._thoughts.finish(), TextStream()
        return rest + _THOUGHT

    def _finish(self, *, whole: bool) -> str:
        """The last of the text. Thoughts that are not `whole` stay open: the model never came to an answer."""
        if self._thinking:
            return self._end_thoughts() if whole else self._thoughts.finish()
        return self._written.finish()

    def close(self, *, said: bool = False) -> str:
        """Take note that the answer has come to its end, `said` to be so by the server, and return the last of the text.

        Raises BrokenStream where it was no completion, or not a whole one.
        """
        if self.ended:
            return ""
        if not self._answered:
            raise BrokenStream("the answer holds no completion")
        if not (said or self._summed_up or self._end_unsaid):
            raise EndUnsaid("the stream ended before the completion did")
        self._reason = "length" if 0 < self._max_tokens <= self._completion_tokens else FinishReason.UNKNOWN
        piece = self._finish(whole=False)
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
        if self._written.repeats:
            return FinishReason.REPEAT, ""
        if self._written.stopped is not None or self._reason == "stop":
            return FinishReason.STOP, self._written.stopped or self._matched
        if self._reason == FinishReason.UNKNOWN:
            return FinishReason.UNKNOWN, ""
        if self._runaway and not self._reason:
            return FinishReason.LENGTH, "the server did not keep to max_tokens"
        # Whatever else ended it, a content filter for one, cut the text off.
        return FinishReason.LENGTH, "" if self._reason == "length" else self._reason

    def _end(self, reason: str, choice: Mapping[str, Any]) -> None:
        # What SGLang and vLLM give as the reason when they lost a request.
        if reason in ("abort", "error"):
            raise BrokenStream(f"the server gave the request up ({reason})")
        self._reason = "stop" if reason.lower() in _STOPS else reason
        if self._refusal and self._reason == "stop":
            self._reason = "refusal"  # What its authors put in the model's mouth is no answer of its own.
        # vLLM and SGLang name the stop string; a number is the token that ends a text.
        matched = choice.get("stop_reason") or choice.get("matched_stop")
        self._matched = matched if isinstance(matched, str) else ""

    def _bytes(self, text: str) -> bytes:
        """The text as bytes, put together where a character was divided between two pieces: as bytes, or as halves of UTF-16."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        text = text.removesuffix(self._half) if self._half else text
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
            return whole.encode("utf-8", "surrogatepass")

    def _count(self, value: Mapping[str, Any]) -> None:
        """Take the token counts of OpenAI's `usage`; llama-server tells what it had cached among its `timings`."""
        usage, timings = value.get("usage"), value.get("timings")
        if isinstance(usage, Mapping):
            self._prompt_tokens = whole_number(usage.get("prompt_tokens"))
            self._completion_tokens = whole_number(usage.get("completion_tokens"))
            details = usage.get("prompt_tokens_details")
            if isinstance(details, Mapping):
                self._cached_tokens = whole_number(details.get("cached_tokens"))
            more = usage.get("completion_tokens_details")
            if isinstance(more, Mapping):
                self._unseen_tokens = whole_number(more.get("reasoning_tokens"))
        if isinstance(timings, Mapping) and not self._cached_tokens:
            self._cached_tokens = whole_number(timings.get("cache_n"))


class PromptWatch:
    """Sees by the server's token counts when it cuts prompts off: different ones then count the same, or one counts far too few."""

    def __init__(self) -> None:
        self._sizes: dict[int, list[int]] = {}

    def is_cut(self, request: Request, tokens: int) -> bool:
        """Take note of what a prompt was counted as; whether prompts of this count seem to be cut."""
        size = len((request.prefix + request.suffix).encode("utf-8", "replace"))
        if not tokens:
            return False
        sizes = self._sizes.setdefault(tokens, [])
        sizes.append(size)
        # English has about four bytes a token; few counted tokens may be what a server with a cache calls the rest.
        if tokens < 256:
            return False  # No server has so little room, and short prompts of a chat easily have the same count.
        if size > 8 * tokens:
            return True
        return len(sizes) >= 3 and max(sizes) - min(sizes) >= 64 and tokens == max(self._sizes)


def said_in(message: Mapping[str, Any]) -> tuple[str, str]:
    """Return the thoughts and the text of a message or of a piece of one. Raises BrokenStream for what is neither text nor parts of it."""
    thoughts = next((said for name in _THOUGHTS if isinstance(said := message.get(name), str) and said), "")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return thoughts, content or ""
    if not isinstance(content, list):
        raise BrokenStream(_NO_COMPLETION)
    text = ""
    for part in content:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        said = part.get(kind, part.get("text")) if isinstance(part, Mapping) else part
        if kind in ("text", "output_text"):
            text += _joined(said)
        elif kind in ("thinking", "reasoning"):
            # Mistral's thoughts are a list of parts themselves.
            thoughts += _joined(said)
    return thoughts, text


def _joined(said: Any) -> str:
    """The texts of a part: a string, or a list of parts."""
    if isinstance(said, list):
        said = "".join(str(each.get("text") or "") if isinstance(each, Mapping) else "" for each in said)
    if said is not None and not isinstance(said, str):
        raise BrokenStream(_NO_COMPLETION)
    return said or ""


def _is_first(choice: Any) -> bool:
    return isinstance(choice, Mapping) and choice.get("index") in (0, None)


def whole_number(value: Any) -> int:
    """Return what a server gave as a count; 0 for what is none, or more than anything here has (a pool could not hold the sum)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _UNCOUNTABLE:
        return 0
    return int(value) if value == value // 1 else 0
