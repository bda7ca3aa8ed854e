"""A completion's request as each kind of server takes it, and the pieces of its answer on the way to a completion.

The studio's defaults are the plain distribution. Servers have defaults of their own for what a request leaves out (llama-server: top_k
40, min_p 0.05; vLLM: the model's `generation_config.json`), so a server whose extensions are known is told everything. Unknown fields
are ignored by some servers and refused by others: a server of unknown kind gets the fields of OpenAI's protocol alone, and none that it
has refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from studio.engine.api import Completion, FinishReason, Request, SamplingParams
from studio.engine.remote.client import DONE
from studio.engine.remote.errors import Answered, BrokenStream, EndUnsaid
from studio.engine.text_stream import RepeatWatch, TextStream

MAX_STOPS = 4
"""OpenAI's limit; what is more is watched for on this side alone."""


def request_body(request: Request, model: str, owner: str, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Return the JSON of one streamed request, without the fields that are to be left out.

    `owner` is what the server signs its list of models with (`owned_by`), which tells the kind of server.
    """
    params = request.params
    stops = [stop for stop in params.stop if stop]
    body: dict[str, Any] = {
        "model": model,
        "prompt": request.prefix + request.suffix,
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "frequency_penalty": params.frequency_penalty,
        "presence_penalty": params.presence_penalty,
        "seed": request.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if stops:
        body["stop"] = stops if owner in _EXTENSIONS else stops[:MAX_STOPS]
    if owner in _EXTENSIONS:
        body |= _EXTENSIONS[owner](params)
    if "stream" in left_out:
        left_out = {*left_out, "stream_options"}
    return {name: value for name, value in body.items() if name not in left_out}


def _vllm(params: SamplingParams) -> dict[str, Any]:
    # Older versions of vLLM refuse a top_k of 0; all of them and SGLang take -1 for all tokens.
    extra = {"top_k": params.top_k or -1, "min_p": params.min_p, "repetition_penalty": params.repeat_penalty}
    return extra | ({"ignore_eos": True} if params.ignore_eos else {})


def _llama_server(params: SamplingParams) -> dict[str, Any]:
    extra: dict[str, Any] = {"top_k": params.top_k, "min_p": params.min_p, "repeat_penalty": params.repeat_penalty}
    if params.ignore_eos:
        extra["ignore_eos"] = True
    if params.grammar:
        extra["grammar"] = params.grammar
    return extra


_EXTENSIONS: Mapping[str, Callable[[SamplingParams], dict[str, Any]]] = {"vllm": _vllm, "sglang": _vllm, "llamacpp": _llama_server}
"""The servers whose extensions to the protocol are known. Ollama (`library`) takes OpenAI's fields alone."""

_WITHOUT = {
    "stream_options": "it may not tell token counts",
    "seed": "the same seed may bring other texts",
    "stop": "stop strings are watched for here alone",
    "stream": "each text comes at once",
}
"""Fields that any request can do without, and what follows."""
_NEUTRAL: Mapping[str, tuple[float, ...]] = {
    "temperature": (),
    "top_p": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "repetition_penalty": (1,),
    "repeat_penalty": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "ignore_eos": (),
    "grammar": (),
}
"""How tokens are drawn: what each field is when it says nothing. Others are left out only where the server does not know the field."""
_BAD_VALUE = re.compile(r"must be|should be|out of range|at (most|least)|between|(greater|less|larger|smaller) than|(in)?valid value", re.I)


def fields_refused(answer: Answered, body: Mapping[str, Any]) -> set[str]:
    """Return the fields of `body` that the server names as what it does not take, and that the request can do without."""
    if answer.status not in (400, 422):
        return set()
    optional = {name for name in (*_WITHOUT, *_NEUTRAL) if name in body}
    named = optional & answer.named or {name for name in optional if re.search(rf"(?<!\w){name}(?!\w)", answer.said)}
    if _BAD_VALUE.search(answer.said):
        named = {name for name in named if name in _WITHOUT or body[name] in _NEUTRAL[name]}
    return named


def without(fields: Collection[str]) -> str:
    """What the user should know of requests without these fields."""
    names = ", ".join(f"`{name}`" for name in sorted(fields))
    follows = [_WITHOUT.get(name, f"its own {name} holds") for name in sorted(fields)]
    return f"the server does not take {names}: {'; '.join(follows)}"


_UNCOUNTABLE = 1 << 48
_STOPS = ("stop", "eos", "eos_token", "end_of_text", "stop_sequence", "end", "complete", "completed")
"""Words of servers for an end of the model's own."""


class Reading:
    """Takes the values of the answer to `request` in turn, events of a stream or a whole document.

    Repetition is watched for here, and stop strings here too: not every server knows them all. `end_unsaid` is for servers that never say
    that a text is whole: whatever ends in order is.
    """

    def __init__(self, request: Request, *, end_unsaid: bool = False) -> None:
        self._stream = TextStream(request.params.stop)
        self._watch = RepeatWatch(request.params.stop_on_repeat, request.suffix)
        self._max_tokens = request.params.max_tokens
        self._text = ""
        self._half = ""
        self._reason = ""
        self._matched = ""
        self._end_unsaid = end_unsaid
        self._answered = self._runaway = self._summed_up = False
        self._prompt_tokens = self._completion_tokens = self._cached_tokens = 0

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text

    @property
    def counted(self) -> bool:
        """Whether the server told token counts."""
        return self._prompt_tokens + self._completion_tokens > 0

    @property
    def stopped(self) -> bool:
        """Whether the text was ended here, so that whatever the server goes on to write is of no use."""
        return self._stream.stopped is not None or self._watch.fired or self._runaway

    @property
    def ended(self) -> bool:
        """Whether the text is whole; token counts may still follow."""
        return bool(self._reason) or self.stopped

    def take(self, value: Any) -> str:
        """Take in a value and return the new text it brings. Raises BrokenStream for one that is no part of a completion."""
        if value == DONE:
            return self.close(said=True)
        if not isinstance(value, Mapping):
            raise BrokenStream("the server sent something that is no completion")
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
            raise BrokenStream("the server sent something that is no completion")
        if "text" not in choice and ("delta" in choice or "message" in choice):
            raise Answered(404, "it answers as chat")
        text = choice.get("text") or ""
        if not isinstance(text, str):
            raise BrokenStream("the server sent something that is no completion")
        self._answered = True
        piece = self._stream.feed(self._bytes(text))
        if reason := choice.get("finish_reason"):
            self._end(str(reason), choice)
            piece += self._stream.finish()
        piece = self._watch.feed(piece)
        self._text += piece
        # No tokenizer's tokens are that long: the server does not keep to `max_tokens`, and may never end.
        self._runaway = len(self._text) > 16 * self._max_tokens + 256
        return piece

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
        piece = self._watch.feed(self._stream.finish())
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
        if tokens >= 256 and size > 8 * tokens:
            return True
        return len(sizes) >= 3 and max(sizes) - min(sizes) >= 64 and tokens == max(self._sizes)


def _is_first(choice: Any) -> bool:
    return isinstance(choice, Mapping) and choice.get("index") in (0, None)


def whole_number(value: Any) -> int:
    """Return what a server gave as a count; 0 for what is none, or more than anything here has (a pool could not hold the sum)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _UNCOUNTABLE:
        return 0
    return int(value) if value == value // 1 else 0
