"""A request as each kind of server takes it, of raw text or of a chat.

The studio's defaults are the plain distribution. Servers have defaults of their own for what a request leaves out (llama-server: top_k
40, min_p 0.05; vLLM: the model's `generation_config.json`), so a server whose extensions are known is told everything. Unknown fields
are ignored by some servers and refused by others: a server of unknown kind gets the fields of OpenAI's protocol alone, and none that it
has refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from studio.engine.api import Request, SamplingParams
from studio.engine.remote.errors import ABOUT_CONTEXT, Answered

MAX_STOPS = 4
"""OpenAI's limit; what is more is watched for on this side alone."""


def request_body(request: Request, model: str, owner: str, left_out: Collection[str] = ()) -> dict[str, Any]:
    """Return the JSON of one streamed request, without the fields that are to be left out.

    `owner` is what the server signs its list of models with (`owned_by`), which tells the kind of server. How the model's turn begins
    (`Chat.begins`) is no part of the protocol.
    """
    params = request.params
    prompt = request.prefix + request.suffix
    stops = [stop for stop in params.stop if stop]
    body: dict[str, Any] = {
        "model": model,
        **({"prompt": prompt} if request.chat is None else {"messages": _messages(request.chat.system, prompt, "system" not in left_out)}),
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
    if request.chat is not None and not request.chat.thinking:
        body |= _WITHOUT_THOUGHTS.get(owner, _ANY_WITHOUT_THOUGHTS)
    if request.chat is not None and "max_tokens" in left_out:
        body["max_completion_tokens"] = params.max_tokens
    if "stream" in left_out:
        left_out = {*left_out, "stream_options"}
    return {name: value for name, value in body.items() if name not in left_out}


def _messages(system: str, user: str, has_system: bool) -> list[dict[str, str]]:
    if system and not has_system:
        return [{"role": "user", "content": f"{system}\n\n{user}"}]
    turns = [{"role": "user", "content": user}]
    return [{"role": "system", "content": system}, *turns] if system else turns


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

_TEMPLATE_SWITCH = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}
"""Qwen's and GLM's templates know the first, DeepSeek's and Granite's the second."""
_WITHOUT_THOUGHTS: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("vllm", "sglang", "llamacpp"), _TEMPLATE_SWITCH),
    "library": {"think": False, "reasoning_effort": "none"},
}
"""How a model is asked not to think, where the kind of server is known; Ollama's names in both of its protocols."""
_ANY_WITHOUT_THOUGHTS = _TEMPLATE_SWITCH | {"reasoning_effort": "none"}

_MAY_THINK = "the model may think first"
_WITHOUT = {
    "stream_options": "it may not tell token counts",
    "seed": "the same seed may bring other texts",
    "stop": "stop strings are watched for here alone",
    "stream": "each text comes at once",
    "chat_template_kwargs": _MAY_THINK,
    "reasoning_effort": _MAY_THINK,
    "think": _MAY_THINK,
    "max_tokens": "`max_completion_tokens` is sent in its place",
    "system": "it stands before the user's turn",
}
"""Fields that any request can do without, and what follows. `system` is a turn; `max_tokens` gets another name, in chat alone."""
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
_UNKNOWN = re.compile(r"unsupported|unrecognized|unknown|unexpected|not (supported|permitted|allowed|recognized)|deprecated|instead", re.I)
_NO_SYSTEM = re.compile(
    r"system\W.{0,40}(n.t|not) (be )?(support|allow|enabled)|not support .{0,3}system|developer instruction is not enabled"
    r"|roles must alternate|only (user|.user.) (and|,)",
    re.IGNORECASE,
)
"""Gemma's and Mistral's templates; OpenAI: "'messages[0].role' does not support 'system' with this model"."""


def fields_refused(answer: Answered, body: Mapping[str, Any]) -> set[str]:
    """Return the fields of `body` that the server names as what it does not take, and that the request can do without."""
    messages = body.get("messages", ())
    if len(messages) > 1 and answer.status in (400, 422, 500) and _NO_SYSTEM.search(answer.said):
        return {"system"}
    if answer.status not in (400, 422):
        return set()
    optional = {name for name in (*_WITHOUT, *_NEUTRAL) if name in body}
    named = optional & answer.named or {name for name in optional if re.search(rf"(?<!\w){name}(?!\w)", answer.said)}
    # A limit that is too large, or not to be had beside the prompt, is no name that the server does not know.
    if "max_tokens" in named and (not messages or not _UNKNOWN.search(answer.said) or ABOUT_CONTEXT.search(answer.said)):
        named.remove("max_tokens")
    if _BAD_VALUE.search(answer.said):
        named = {name for name in named if name in _WITHOUT or body[name] in _NEUTRAL[name]}
    return named


def without(fields: Collection[str]) -> str:
    """What the user should know of requests without these fields."""
    names = ", ".join(f"`{name}`" for name in sorted(fields))
    follows = dict.fromkeys(_WITHOUT.get(name, f"its own {name} holds") for name in sorted(fields))
    return f"the server does not take {names}: {'; '.join(follows)}"


def spent_on_thoughts(answer: Answered) -> bool:
    """Whether the server says as an error what is a completion without text: all its tokens were thoughts that it does not show."""
    return answer.status == 400 and "could not finish the message" in answer.said.lower()
