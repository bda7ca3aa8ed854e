"""Kinds of servers that answer chat, as the tests' server plays them: what they take, and in which form they answer."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio.engine.api import Chat, Request
from studio.engine.scripted import write_in_chat


@dataclass(frozen=True)
class ChatKind:
    """How a server answers `/chat/completions`, and what it has beside it."""

    owner: str = "studio-tests"
    raw: tuple[int, Any] | None = (404, {"detail": "Not Found"})
    """Status and body of what answers at `/completions`; None for completions."""
    error: tuple[int, Any] | None = None
    """The same of `/chat/completions`, where chat is not answered."""
    refuses: Mapping[str, Any] = field(default_factory=dict)
    """By the field that is not taken, the body of the error, or its message."""
    no_system: str = ""
    """The message of the error for a system turn, where there is none."""
    thoughts: str = ""
    """What the model thinks before it answers."""
    thoughts_in: tuple[str, ...] = ("reasoning_content",)
    tells: Mapping[str, Any] = field(default_factory=dict)
    """What the server tells of its model at paths of its own: `/props` of llama-server, `/api/show` of Ollama."""
    form: str = "stream"
    """`stream`, or one document: `json`, or `parts` with the content as a list of parts."""

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, Any] | None:
        """Status and body for a request that is not taken."""
        if self.error is not None:
            return self.error
        if self.no_system and any(turn["role"] == "system" for turn in body["messages"]):
            return 400, {"error": {"message": self.no_system}}
        for name, said in self.refuses.items():
            if name in body:
                return 400, {"error": said if isinstance(said, Mapping) else {"message": said}}
        return None

    def begins(self) -> list[dict[str, Any]]:
        """The choices that stand before the answer of a stream."""
        pieces = [self.thoughts[at : at + 7] for at in range(0, len(self.thoughts), 7)]
        deltas = [{"role": "assistant", "content": ""}, *({"content": None} | dict.fromkeys(self.thoughts_in, each) for each in pieces)]
        behind = [{"content": "\n\n"}] if pieces else []
        return [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas + behind]

    def message(self, text: str) -> dict[str, Any]:
        """The message of a document."""
        if self.form == "json":
            said = dict.fromkeys(self.thoughts_in, self.thoughts) if self.thoughts else {}
            return {"role": "assistant", "content": text, "refusal": None, "tool_calls": []} | said
        thoughts = [{"type": "thinking", "thinking": [{"type": "text", "text": self.thoughts}]}] if self.thoughts else []
        return {"role": "assistant", "content": [*thoughts, {"type": "text", "text": text}]}


def unsupported(name: str, instead: str = "") -> dict[str, Any]:
    """The error of OpenAI's reasoning models for a parameter."""
    said = f"Unsupported parameter: '{name}' is not supported with this model.{f' Use {instead!r} instead.' if instead else ''}"
    return {"message": said, "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"}


_THOUGHTS = "The user wants a list.\n7. A draft of it.\n\nKeep it short."

KINDS: Mapping[str, ChatKind] = {
    "openai": ChatKind(
        "system",
        (404, {"error": {"message": "This is a chat model and not supported in the v1/completions endpoint.", "param": "model"}}),
        refuses={
            "max_tokens": unsupported("max_tokens", "max_completion_tokens"),
            "frequency_penalty": unsupported("frequency_penalty"),
            "stop": unsupported("stop"),
            "chat_template_kwargs": "Unrecognized request argument supplied: chat_template_kwargs",
            "reasoning_effort": "Unsupported value: 'reasoning_effort' does not support 'none' with this model.",
        },
    ),
    "lm studio": ChatKind("organization_owner", None, thoughts=_THOUGHTS),
    "ollama": ChatKind("library", None, thoughts=_THOUGHTS, thoughts_in=("reasoning",)),
    "vllm": ChatKind(
        "vllm", None, no_system="System role not supported", thoughts=_THOUGHTS, thoughts_in=("reasoning", "reasoning_content")
    ),
    "llama-server": ChatKind("llamacpp", None, form="json", thoughts=_THOUGHTS),
    "openrouter": ChatKind("", (200, {"error": "Unexpected endpoint or method. (POST /v1/completions)"}), form="parts", thoughts=_THOUGHTS),
}
"""Those that answer chat; some of them raw text as well."""


def instructed(request: Request) -> str:
    """What an instruct model of the scripted kind writes: lists with their numbers and something before them."""
    prompt = request.prefix + request.suffix
    rng = random.Random(f"{request.seed}/{prompt}")
    numbers = re.findall(r"(?m)^(\d+)\. ", prompt) if "Go on with the list" in prompt else []
    if not numbers:
        return write_in_chat(request, Chat(), rng).lstrip()
    first = f"{int(numbers[-1]) + 1}."
    return f"Here are more tasks:\n\n{first}{write_in_chat(request, Chat(begins=first), rng)}"


BASE_MODEL = ChatKind(
    "vllm",
    None,
    error=(
        400,
        {
            "object": "error",
            "message": "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template "
            "if the tokenizer does not define one.",
            "code": 400,
        },
    ),
)
"""What vLLM answers for a model without a template."""
