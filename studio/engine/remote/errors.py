"""What a failed request means: send it again, refuse it alone, or end the run; and how to say so without giving a key away."""

from __future__ import annotations

import email.utils
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from studio.engine.api import Asking
from studio.engine.remote.address import KEY_VARIABLE, OPENAI_KEY_VARIABLE, Address
from studio.errors import ModelError, causes_of
from studio.text import display_line

_MESSAGE_WIDTH = 300
ABOUT_CONTEXT = re.compile(
    r"context[_ ](length|size|window)|maximum (context|model) length|max_model_len|longer than the (model|maximum)"
    r"|prompt is too long|too many tokens|tokens? (plus|\+) .?max_(new_)?tokens|exceeds? the (model|maximum|context)",
    re.IGNORECASE,
)
"""OpenAI: `context_length_exceeded`; llama-server: `exceed_context_size_error`; vLLM: "maximum context length is"; SGLang: "longer than
the model's context length"; TGI: "`inputs` tokens + `max_new_tokens` must be <="."""
_NO_MODEL = re.compile(
    r"model\b.*(not (found|exist|loaded|available)|does ?n.t exist|unknown)|(unknown|no such|invalid) model|try pulling", re.I
)
_NO_PATH = re.compile(r"unexpected endpoint|(endpoint|path|route|url|page) (was )?not found|not found: /|no (such )?(route|endpoint)", re.I)
_NO_TEXT = re.compile(r"(does|do) ?(n.t| not) (support|have|allow) .{0,30}(generat|completion|chat)|embedding model|reranker", re.I)
"""Ollama: "does not support generate" or "chat"; vLLM: "The model does not support Completions API"."""
_NO_TEMPLATE = re.compile(r"(provide|define|have|need|without|no) (an? )?chat.template|template not found", re.I)
"""A base model that is asked in chat. vLLM: "you must provide a chat template if the tokenizer does not define one"; TGI: "template not
found"."""
_STUCK = re.compile(
    r"out of memory|(not enough|insufficient) memory|(requires|needs) more (\w+ )?memory|(unable|failed) to allocate|malloc failed"
    r"|(fail(ed|ure)?|unable|not|n.t) (to )?load (the )?model|no models? .{0,20}loaded|model.{0,60} (is )?not loaded",
    re.I,
)
"""What seldom gets better by itself. Ollama: "model requires more system memory (5.6 GiB) than is available", "cudaMalloc failed: out of
memory"; LM Studio: "No models loaded", "Failed to load model"; vLLM: "CUDA out of memory"."""
_STUCK_HINT = "see that the server has its model loaded, and memory for it: a smaller model or context, or fewer requests (--parallel)"
_WANTS_TLS = re.compile(r"HTTP request (was sent )?to (an )?HTTPS", re.I)

_NO_ENDPOINT: Mapping[Asking, tuple[str, str]] = {
    "completion": (
        "this server or model has no completions endpoint",
        "raw text needs POST /completions: llama-server, vLLM, SGLang and Ollama have it, best with a base model; "
        "many hosted services only answer /chat/completions",
    ),
    "chat": ("this server or model does not answer chat", "chat needs POST /chat/completions, and a model with a chat template"),
}
_ASK_SO: Mapping[Asking, str] = {"completion": "ask it with raw text: --asking completion", "chat": "ask it in chat: --asking chat"}


class Consequence(Enum):
    """What follows from a failure."""

    RETRY = auto()
    REFUSE = auto()
    FAIL = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that did not come to its end. `wait` is what the server asked for, in seconds.

    `own` tells that it lies in this request alone, as far as the server says; `missing`, that the server does not know the path; `stuck`,
    that it seldom gets better by itself.
    """

    consequence: Consequence
    cause: str
    hint: str = ""
    wait: float | None = None
    own: bool = False
    missing: bool = False
    stuck: bool = False


class BrokenStream(Exception):
    """The stream ended, stalled or said something unreadable before the completion was whole."""


class EndUnsaid(BrokenStream):
    """The stream ended in order, but without a word that the completion is whole: cut off, or a server that never says so."""


@dataclass
class Answered(Exception):
    """The server answered with something else than what was asked for: an error status, an error object, a web page.

    `named` are the fields of the request that it names as faulty, apart from its words `said`.
    """

    status: int
    said: str = ""
    named: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    page: bool = False


def answered(status: int, headers: Mapping[str, str], body: Any) -> Answered:
    """Read an answer that is none: `body` is its JSON, or its text."""
    if isinstance(body, str):
        page = body.lstrip("\ufeff \t\r\n")[:1] == "<"
        title = re.search(r"<title[^>]*>(.*?)</title>", body, re.IGNORECASE | re.DOTALL) if page else None
        said = title[1].strip() if title else "" if page else body.strip()
        return Answered(status, said, headers=headers, page=page)
    inner = body
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping | str):
        inner = body["error"]
    if not isinstance(inner, Mapping):
        return Answered(status, str(inner) if inner else "", headers=headers)
    told = inner.get("message") or inner.get("detail") or inner.get("error")
    code, kind = inner.get("code"), inner.get("type") or inner.get("error_type")
    named = {str(inner["param"])} if inner.get("param") else set()
    if isinstance(told, list):
        # As FastAPI lists faults: each with the place of the field and what is wrong with it.
        faults = [fault for fault in told if isinstance(fault, Mapping)]
        places = [[str(part) for part in fault["loc"]] if isinstance(fault.get("loc"), list) else [] for fault in faults]
        named |= {part for place in places for part in place}
        told = "; ".join(": ".join([*place[-1:], str(fault.get("msg", ""))]) for place, fault in zip(places, faults, strict=True)) or told
    said = str(told or inner or "")
    kinds = [word for word in (kind, code) if isinstance(word, str) and ABOUT_CONTEXT.search(word)]
    if status < 400 and isinstance(code, int) and 400 <= code < 600:
        status = code
    return Answered(status, f"{said} ({kinds[0]})" if kinds else said, frozenset(named), headers)


def failure_of(error: Exception, address: Address, key: str, proxy: str = "") -> Failure:
    """Return what `error` means; `proxy` names the variable of the proxy in between. An error of another kind is raised again."""
    import httpx2

    if isinstance(error, Answered):
        return _of_answer(error, address, key)
    if isinstance(error, BrokenStream):
        return Failure(Consequence.RETRY, clean(str(error), key))
    if isinstance(error, httpx2.ProxyError) or (isinstance(error, httpx2.TransportError) and proxy):
        hint = f"{proxy} names a proxy for it: check it, or set NO_PROXY={address.host} to go without"
        return Failure(Consequence.RETRY, f"through the proxy of {proxy}: {clean(_root(error), key) or 'no connection'}", hint)
    if isinstance(error, httpx2.TimeoutException):
        return Failure(Consequence.RETRY, "no connection in time" if isinstance(error, httpx2.ConnectTimeout) else "no answer in time")
    if isinstance(error, httpx2.DecodingError):
        return Failure(Consequence.RETRY, "the answer is compressed in a way that cannot be read")
    if isinstance(error, httpx2.TransportError):
        return _of_connection(error, address, key)
    # Lines of the stream that are no JSON.
    if isinstance(error, ValueError):
        return Failure(Consequence.RETRY, f"the stream cannot be read ({type(error).__name__})")
    raise error


def given_up(failure: Failure, address: Address, attempts: int = 1) -> ModelError:
    """The error that ends the batch: the address, the cause, the hint, and how often it was tried."""
    times = f" (tried {attempts} times)" if attempts > 1 else ""
    hint = failure.hint or "see whether the server runs and what its log says"
    kept = "; the same command goes on: what was answered is kept" if attempts > 1 else ""
    return ModelError(f"{address.url}: {failure.cause}{times}", hint + kept)


def clean(text: str, key: str) -> str:
    """Return a server's words as one harmless line, without the key: some servers repeat it when they refuse it."""
    return display_line(text.replace(key, "(key)") if len(key) > len("none") else text, _MESSAGE_WIDTH)


def no_endpoint(said: str) -> Failure:
    """The server is there, and does not know what is asked for, or not for this model."""
    return Failure(Consequence.FAIL, said, missing=True)


def not_asked_so(failure: Failure, asking: Asking, other: Asking | None) -> Failure:
    """Return the failure in words where the server cannot be asked so; `other` is how it can be."""
    if not failure.missing:
        return failure
    words, hint = _NO_ENDPOINT[asking]
    said = f" ({failure.cause})" if failure.cause else ""
    return replace(failure, cause=f"{words}{said}", hint=f"{_ASK_SO[other]}; {hint}" if other else hint)


def not_asked_at_all(failures: Iterable[Failure]) -> Failure:
    """The server answers neither chat nor raw text."""
    said = "; ".join(dict.fromkeys(failure.cause for failure in failures if failure.cause))
    hint = (
        "the studio needs a model that writes, behind POST /chat/completions or POST /completions: llama-server, vLLM, SGLang, Ollama, "
        "LM Studio and most hosted services have one or both"
    )
    return Failure(Consequence.FAIL, f"this server or model answers neither chat nor completions{f' ({said})' if said else ''}", hint)


def _of_answer(answer: Answered, address: Address, key: str) -> Failure:
    status, said = answer.status, clean(answer.said, key)
    cause = (f"status {status}: {said}" if said else f"status {status}") if status >= 300 else said or "an error without words"
    if answer.page and status < 400:
        hint = "check port and path of the address: it is the web interface of something; for example http://127.0.0.1:8000/v1"
        return Failure(Consequence.FAIL, "a web page answers there, not an API", hint)
    if status == 429:
        return Failure(Consequence.RETRY, cause, "the server limits its clients: lower --parallel", retry_after(answer.headers))
    if status in (401, 403):
        return Failure(Consequence.FAIL, cause, _key_hint(address, key))
    if status == 413 or ABOUT_CONTEXT.search(said):
        return Failure(Consequence.REFUSE, cause)
    if _WANTS_TLS.search(said):
        return Failure(Consequence.FAIL, "the server speaks HTTPS", f"name it with {address.url.replace('http://', 'https://', 1)}")
    unknown = status in (404, 405, 501) or (status < 300 and _NO_PATH.search(said))
    if unknown and _NO_MODEL.search(said):
        return Failure(Consequence.FAIL, cause, "check the model's name after # in the address")
    if unknown or _NO_TEMPLATE.search(said):
        return no_endpoint(cause)
    if status in (408, 425) or status >= 500 or status < 300:
        stuck = _STUCK.search(said) is not None
        return Failure(Consequence.RETRY, cause, _STUCK_HINT if stuck else "", retry_after(answer.headers), stuck=stuck)
    if 300 <= status < 400:
        place = clean(answer.headers.get("location", "").split("?")[0], key)
        to = f" to {place}" if place else " elsewhere"
        return Failure(Consequence.FAIL, f"status {status}, it redirects{to}", "name the address that it redirects to")
    if _NO_TEXT.search(said) or ("chat" in said.lower() and "completions" in said.lower()):
        return no_endpoint(cause)
    if status == 402:
        return Failure(Consequence.FAIL, cause, "the account behind the key has no credit left")
    return Failure(Consequence.FAIL, cause, "the server does not accept the request; see its log", own=True)


def _of_connection(error: Exception, address: Address, key: str) -> Failure:
    """Connections that were not made or broke: a wrong scheme and certificates cannot get better, everything else may."""
    said = clean(_root(error), key) or "the connection broke"
    causes = list(causes_of(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes) or "CERTIFICATE_VERIFY_FAILED" in said:
        reason = re.sub(r"\s*\(_ssl\.c:\d+\)", "", said.partition("CERTIFICATE_VERIFY_FAILED] ")[2] or said)
        hint = "name the file of its own authority in the variable SSL_CERT_FILE, or the host by the name in its certificate"
        return Failure(Consequence.FAIL, f"its certificate is not trusted: {reason}", hint)
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or said.startswith("[SSL"):
        plain = address.url.replace("https://", "http://", 1)
        return Failure(Consequence.FAIL, f"no TLS is spoken there: {said}", f"if the server has no certificate, name it with {plain}")
    if any(isinstance(cause, socket.gaierror) for cause in causes) or re.search(r"name or service|getaddrinfo|nodename", said, re.I):
        return Failure(Consequence.RETRY, f"no host is called {display_line(address.host, 80)}", "check its spelling, and the network")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes) or re.search(r"connection attempts failed|refused", said, re.I):
        return Failure(Consequence.RETRY, "connection refused", "does the server run, and on this port?")
    return Failure(Consequence.RETRY, said)


def _key_hint(address: Address, key: str) -> str:
    variable = f"{KEY_VARIABLE} or {OPENAI_KEY_VARIABLE}" if address.is_openai else KEY_VARIABLE
    if key:
        return f"the server refuses the key in the environment variable {variable}: check it, and what it may be used for"
    return f"the server wants a key: set it in the environment variable {variable}"


def _root(error: BaseException) -> str:
    """The words of the innermost cause that has any: the client's own say little."""
    return next((words for cause in reversed(list(causes_of(error))) if (words := str(cause))), type(error).__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server, in seconds.

    For a connection; for the first piece of a completion (it may queue behind others, or the model be loaded for it); between two pieces;
    for the token counts behind the text; for the others, once one request has failed for good.

    Failed requests are sent again after waits that double from `shortest` to `longest`, each shortened by up to `jitter` of itself, so
    that those that failed together do not come back together. A request is given up after `total` in vain, after the server itself asked
    for more than `asked`, when its answer broke off `torn` times with text, which costs money each time, or when the server was `stuck` as
    often. `sleep` and `draw` (of a number in [0, 1)) are replaced in tests.
    """

    sleep: Callable[[float], Awaitable[None]]
    draw: Callable[[], float]
    connect: float = 10.0
    first: float = 600.0
    between: float = 120.0
    tail: float = 5.0
    grace: float = 60.0
    opening: float = 20.0
    shortest: float = 0.5
    longest: float = 30.0
    jitter: float = 0.25
    total: float = 600.0
    asked: float = 3600.0
    torn: int = 3
    stuck: int = 3


class Waiting:
    """How long one request has been waited for."""

    def __init__(self, patience: Patience, total: float | None = None) -> None:
        self._patience = patience
        self._total = patience.total if total is None else total
        self._failures = self._torn = self._stuck = 0
        self._spent = self._asked = 0.0

    def after(self, seconds: float, asked: float | None, *, torn: bool = False, stuck: bool = False) -> float | None:
        """Return the wait after a failure that took `seconds`, None when patience is at its end. What was `asked` for is never undercut."""
        patience = self._patience
        self._failures += 1
        self._torn += torn
        self._stuck += stuck
        if asked is not None:
            self._asked += asked
            wait = asked * (1 + patience.jitter * patience.draw())
        else:
            # The exponent is bounded so that no count of failures overflows a float.
            longer = min(patience.shortest * 2.0 ** min(self._failures - 1, 32), patience.longest)
            wait = longer * (1 - patience.jitter * patience.draw())
            self._spent += seconds + wait
        # However long an attempt takes, one is not enough.
        late = self._spent > self._total and (self._failures > 2 or seconds < self._total)
        over = late or self._asked > patience.asked or self._torn >= patience.torn or self._stuck >= patience.stuck
        return None if over else wait


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or as a date (RFC 9110, 10.2.3); None where it does not say."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    # A number that is not finite compares as false and counts as silence.
    return max(seconds, 0.0) if seconds < float("inf") else None
