"""The protocol between the loop and whatever runs the model: batches of requests in, a stream of events out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from studio.errors import ModelError
from studio.records import ModelIdentity


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    """End of text or a stop string."""
    LENGTH = "length"
    """`max_tokens` reached or the context full."""
    REPEAT = "repeat"
    """The engine saw that it only repeats itself or what the prompt lists; see `SamplingParams.stop_on_repeat`."""
    REFUSED = "refused"
    """The prompt does not fit the context; nothing was generated, `detail` says by how much."""
    CANCELLED = "cancelled"
    """The caller cancelled; the text is partial."""
    UNKNOWN = "unknown"
    """A server ended the text without saying why; it counts as whole."""


RepeatRule = Literal["", "items", "text"]
"""What ends a completion early as repetition; see `studio.engine.text_stream`."""

Asking = Literal["completion", "chat"]
"""How a model is asked: with a text that it goes on with, or with messages in its own chat template."""


@dataclass(frozen=True, slots=True)
class Chat:
    """What stands around a prompt that is a user's turn in the model's own chat template.

    With `writes_request` the user's turn is left open behind the prompt, which is mostly empty: the model writes the request itself.
    Source: Magpie, Xu et al. 2024, arXiv 2406.08464. It needs an engine with `EngineInfo.writes_requests`.
    """

    system: str = ""
    """The system turn, or empty for none, or for the one that the template has of its own."""
    begins: str = ""
    """How the model's turn begins; an engine that cannot begin it (`EngineInfo.prefills`) leaves this out."""
    writes_request: bool = False
    thinking: bool = True
    """Whether the model may think first; False asks the template or the server not to have it think, where they know how."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How tokens are drawn. The defaults are the plain distribution: nothing cut off, nothing penalised.

    `top_k` 0 means all tokens. Penalties follow OpenAI's meaning and count the completion only, all of it. `stop` strings are not
    part of the returned text. `max_tokens` counts completion tokens. A `temperature` of 0 is greedy decoding.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_penalty: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    grammar: str = ""
    """GBNF, or empty."""
    ignore_eos: bool = False
    """Never draw a token that ends the text, so that exactly `max_tokens` come: for measuring."""
    choices: tuple[str, ...] = ()
    """When there are any, nothing is drawn: the completion is the most likely of these continuations, the first of equally likely ones.

    They are compared by the logits of the first token in which `prompt + choice` differ; all else here is then without effect. They must
    differ in one and the same token, otherwise the request is refused. An engine that cannot see logits may write a completion as usual,
    so the other parameters should say how.
    """
    measure: bool = False
    """Whether `Completion.nats` is wanted. With `max_tokens` 0 nothing is drawn: it is the prompt that is measured."""
    thinking_tokens: int = 0
    """Tokens that thoughts at the beginning of the completion may take beside `max_tokens`; in them neither stop strings nor repetition are
    looked for. With 0 thoughts are text like any other. A completion that ends inside its thoughts has no answer."""
    stop_on_repeat: RepeatRule = ""
    """Whether the completion ends as `REPEAT` once it says nothing new; empty is never. It counts the text alone, not the time."""


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, `prefix + suffix`: a raw text to go on with, or, with `chat`, the user's turn of a conversation.

    The split is a hint: requests of one stage share their prefix (the few-shot template), which an engine may evaluate once.
    `seed` is 32 bits wide.

    `opening` and `closing` stand before and behind the prompt, as a chat template wants it. Only in these two are a model's control words
    (`<|im_start|>` and the like) what they mean; in the prompt itself they are plain text. An engine that cannot tell the two apart raises
    ModelError for a request that has them.
    """

    prefix: str
    suffix: str
    params: SamplingParams
    seed: int
    opening: str = ""
    closing: str = ""
    chat: Chat | None = None
    """In its place an engine puts what its model's template wants; one that cannot raises ModelError."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back.

    Where a chat template, or a server, has the opening mark of the model's thoughts outside the text, `text` begins with it all the same,
    and tells by itself what is thought. Token counts are tokens of the model; `cached_tokens` of the prompt were not evaluated anew;
    `seconds` is wall time.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    seconds: float = 0.0
    detail: str = ""
    """For a stop: the stop string that fired, or empty at the end of text. For a refusal: the reason."""
    probability: float | None = None
    """For a request with choices: the probability of its FIRST choice, 0 to 1, the choices' own sum being 1. Otherwise None."""
    nats: float | None = None
    """Where it was asked for: how unlikely the text is by the model's own distribution, whatever temperature and cuts it was drawn with.

    The sum of minus the natural logarithm of its tokens' probabilities over the number of tokens and five more: nats a token, where a short
    text is not held against its one rare word. What ends the text does not count, nor do thoughts. None for a text without tokens and where
    the engine sees no logits."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """More text of the request at `index`; pieces joined give the completion's text."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The request at `index` is complete."""

    index: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class Restarted:
    """The engine died of `cause` and was started again: the whole batch begins anew, events so far are void."""

    attempt: int
    cause: str


@dataclass(frozen=True, slots=True)
class Retried:
    """The request at `index` failed of `cause` and is sent again, for the `attempt`-th time: its text so far is void, others' stays."""

    index: int
    attempt: int
    cause: str
    wait: float = 0.0
    """Seconds until then."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something the user should know of how the requests are answered, in a sentence; it is among `EngineInfo.notices` from now on."""

    text: str


EngineEvent = TextPiece | Finished | Restarted | Retried | Noted


class OpenRequests:
    """The requests of a batch that have not ended, and their texts as far as they have been told."""

    def __init__(self, count: int) -> None:
        self._texts = dict.fromkeys(range(count), "")

    def note(self, event: EngineEvent) -> EngineEvent:
        """Take note of an event and return it."""
        match event:
            case TextPiece(index, text):
                self._texts[index] += text
            case Retried(index):
                self._texts[index] = ""
            case Finished(index):
                del self._texts[index]
        return event

    def cancelled(self) -> Iterator[Finished]:
        """End every request that has not ended, with the text that was told; its token counts are not known."""
        for index, text in self._texts.items():
            yield Finished(index, Completion(text, FinishReason.CANCELLED, 0, 0))
        self._texts.clear()


class CancelToken:
    """Asks a running batch to stop; safe to set from another thread or a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()


class LinkedToken(CancelToken):
    """A token that is cancelled with another one as well; cancelling it leaves the other alone."""

    def __init__(self, other: CancelToken) -> None:
        super().__init__()
        self._other = other

    @property
    def cancelled(self) -> bool:
        return super().cancelled or self._other.cancelled


SERVER = "server"
"""The `backend` of an engine that is somewhere else; see `EngineInfo.is_server`."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is running, for the screen and the pool's record. `layers_offloaded` and `layers` are 0 where the notion does not apply."""

    model: ModelIdentity
    backend: str
    context_tokens: int = 0
    threads: int = 0
    parallel: int = 1
    contexts: int = 1
    """Parts that the sequences are divided into, which compute side by side."""
    layers_offloaded: int = 0
    layers: int = 0
    flash_attention: bool = False
    kv_type: str = ""
    """What keys and values are kept in, such as `f16`; empty where that is not known."""
    streams: int = 0
    """The sequences of a context, those of templates among them, where each has keys and values of its own; 0 where they share them."""
    cpu_moe: int = 0
    """The layers, from the first on, whose experts are on the CPU though the layers need not be, -1 for all."""
    split: str = ""
    """How several GPUs were told to share the model, empty where that was left to llama.cpp."""
    adapter: str = ""
    """The path of the LoRA adapter that the model runs with, or empty; `model.name` then names both."""
    adapter_sha256: str = ""
    asking: Asking = "completion"
    """How the model wants to be asked: in chat where it has a template for it, or where its server knows nothing else."""
    askings: tuple[Asking, ...] = ("completion",)
    """How it can be asked."""
    writes_requests: bool = False
    """Whether it can be left to write the user's turn, see `Chat.writes_request`."""
    prefills: bool = False
    """Whether the model's turn can be begun for it, see `Chat.begins`."""
    measures: bool = False
    """Whether the engine sees logits, see `Completion.nats`."""
    grammars: bool = False
    """Whether it keeps to `SamplingParams.grammar`."""
    thinks: bool = False
    """Whether the model is known to think before it answers."""
    notices: tuple[str, ...] = ()
    """What the user should know of how the model runs, in sentences: what was given up for want of memory, what the model cannot do."""

    @property
    def is_server(self) -> bool:
        """Whether a server elsewhere completes: what it has answered cost money or waiting, so it is stored at once, not with its stage."""
        return self.backend == SERVER

    @property
    def is_local(self) -> bool:
        """Whether llama.cpp runs the model on this machine: what it writes depends on how it is set up."""
        return self.backend.startswith("llama.cpp")

    def no_room(self, detail: str) -> ModelError:
        """The error for prompts that the model refuses, all of them; `detail` is the reason of one."""
        less = "--set in_context_tasks=4 or a smaller sampling.instructions.max_tokens asks for less"
        if self.is_server:
            more = "the server itself takes more with `llama-server -c`, vLLM's --max-model-len, OLLAMA_CONTEXT_LENGTH"
            return ModelError(f"the server refused every prompt: {detail}", f"{less}; {more}")
        trained = self.model.context_length
        if trained and trained <= self.context_tokens // self.contexts // (self.streams or 1):
            return ModelError(f"no prompt fits the model, which was trained for {trained:,} tokens: {detail}", less)
        return ModelError(f"no prompt fits the model's context: {detail}", "raise --context, or shorten the prompts")


class Engine(Protocol):
    """Completes batches of requests.

    The completions depend on the requests alone: not on their order of finishing, on earlier batches, or on the clock.
    """

    @property
    def info(self) -> EngineInfo: ...

    def stream(self, requests: Sequence[Request], cancel: CancelToken) -> Iterator[EngineEvent]:
        """Run all `requests`; yield their text as it comes and one `Finished` for each, in any order.

        After `cancel` the requests still open finish as `CANCELLED`, within 0.2 s where the engine can.
        Raises ModelError when the engine itself fails.
        """
        ...

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        ...
