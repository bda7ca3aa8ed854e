"""What a failed request means: send it again, refuse it alone, or end the run; and how to say so without giving a key away."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from studio.engine.remote_address import KEY_VARIABLE, OPENAI_KEY_VARIABLE, Address
from studio.engine.remote_retry import retry_after
from studio.errors import ModelError
from studio.text import display_line

_MESSAGE_WIDTH = 300
_CONTEXT = re.compile(
    r"context[_ ](length|size|window)|maximum (context|model) length|max_model_len|longer than the (model|maximum)"
    r"|prompt is too long|too many tokens",
    re.IGNORECASE,
)
"""OpenAI: `context_length_exceeded`; llama-server: `exceed_context_size_error`; vLLM: "maximum context length is"; SGLang: "longer than
the model's context length"."""


class Consequence(Enum):
    """What follows from a failure."""

    RETRY = auto()
    REFUSE = auto()
    FAIL = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that did not come to its end. `wait` is what the server asked for, in seconds."""

    consequence: Consequence
    cause: str
    hint: str = ""
    wait: float | None = None


class BrokenStream(Exception):
    """The stream ended, stalled or said something unreadable before the completion was whole."""


def failure_of(error: Exception, address: Address, key: str) -> Failure:
    """Return what `error`, raised by the client or by reading the stream, means. An error of another kind is raised again."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _of_status(error.status_code, error.response.headers, clean(_said(error), key), address)
    if isinstance(error, openai.APITimeoutError):
        return Failure(Consequence.RETRY, "no answer in time")
    if isinstance(error, openai.APIConnectionError):
        return Failure(Consequence.RETRY, clean(_root(error), key) or "the connection broke")
    if isinstance(error, openai.APIError):
        said = clean(_said(error), key)
        return Failure(Consequence.REFUSE if _CONTEXT.search(said) else Consequence.RETRY, said)
    if isinstance(error, BrokenStream):
        return Failure(Consequence.RETRY, clean(str(error), key))
    # Lines of the stream that are no UTF-8 or no JSON.
    if isinstance(error, ValueError):
        return Failure(Consequence.RETRY, f"the stream cannot be read ({type(error).__name__})")
    raise error


def given_up(failure: Failure, address: Address, attempts: int) -> ModelError:
    """The error that ends the batch: the address, the cause, the hint, and how often it was tried."""
    times = f" (tried {attempts} times)" if attempts > 1 else ""
    hint = failure.hint or "see whether the server runs and what its log says; the same command goes on from the last committed stage"
    return ModelError(f"{address.url}: {failure.cause}{times}", hint)


def clean(text: str, key: str) -> str:
    """Return a server's words as one harmless line, without the key: some servers repeat it when they refuse it."""
    return display_line(text.replace(key, "(key)") if len(key) > len("none") else text, _MESSAGE_WIDTH)


def _of_status(status: int, headers: Mapping[str, str], said: str, address: Address) -> Failure:
    cause = f"status {status}: {said}" if said else f"status {status}"
    if status == 429:
        return Failure(Consequence.RETRY, cause, "the server limits its clients: lower --parallel", retry_after(headers))
    if status in (401, 403):
        variable = f"{KEY_VARIABLE} or {OPENAI_KEY_VARIABLE}" if address.is_openai else KEY_VARIABLE
        return Failure(Consequence.FAIL, cause, f"set the server's key in the environment variable {variable}")
    if status == 413 or _CONTEXT.search(said):
        return Failure(Consequence.REFUSE, cause)
    if status >= 500:
        return Failure(Consequence.RETRY, cause, wait=retry_after(headers))
    if status == 404:
        return Failure(Consequence.FAIL, cause, "check the address, which mostly ends in /v1, and the model's name after #")
    if status < 400:
        return Failure(Consequence.FAIL, f"{cause}, it redirects elsewhere", "name the address that it redirects to")
    return Failure(Consequence.FAIL, cause, "the server does not accept the request; see its log")


def _said(error: Any) -> str:
    """The server's own message: `error.message` or `message` of the body, with the type where that tells more; else the client's words."""
    body = error.body
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping | str):
        body = body["error"]
    if isinstance(body, Mapping):
        words = [body.get("message") or body.get("detail"), body.get("type"), body.get("code")]
        kinds = [word for word in words[1:] if isinstance(word, str) and _CONTEXT.search(word)]
        return f"{words[0]} ({kinds[0]})" if words[0] and kinds else str(words[0] or body or "")
    return str(body) if body else ("" if hasattr(error, "status_code") else str(error.message))


def _root(error: BaseException) -> str:
    """The words of the innermost cause: the client's own are only `Connection error.`"""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__
