"""The body of a completion request: sampling parameters as each kind of server takes them.

The studio's defaults are the plain distribution. Servers have defaults of their own for what a request leaves out (llama-server: top_k
40, min_p 0.05; vLLM: the model's `generation_config.json`), so a server whose extensions are known is told everything. Unknown fields
are ignored by some servers and refused by others: a server of unknown kind gets the fields of OpenAI's protocol alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from studio.engine.api import Request, SamplingParams

MAX_STOPS = 4
"""OpenAI's limit; what is more is watched for on this side alone."""


class ServerKind(StrEnum):
    """The servers whose extensions to the protocol are known, named as they sign their model list (`owned_by`)."""

    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMA_SERVER = "llamacpp"
    OLLAMA = "library"
    """Takes OpenAI's fields alone; its own defaults for top_k and others stay in force."""
    OTHER = ""


def kind_of(owned_by: str) -> ServerKind:
    """Return the kind of server that signs with `owned_by`."""
    return ServerKind(owned_by) if owned_by in set(ServerKind) else ServerKind.OTHER


def request_body(request: Request, model: str, kind: ServerKind) -> dict[str, Any]:
    """Return the keyword arguments of the client's `completions.create` for one streamed request."""
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
        body["stop"] = stops if kind in _EXTENSIONS else stops[:MAX_STOPS]
    if kind in _EXTENSIONS:
        body["extra_body"] = _EXTENSIONS[kind](params)
    return body


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


_EXTENSIONS: Mapping[ServerKind, Callable[[SamplingParams], dict[str, Any]]] = MappingProxyType(
    {ServerKind.VLLM: _vllm, ServerKind.SGLANG: _vllm, ServerKind.LLAMA_SERVER: _llama_server}
)
