"""Which server is meant by what was typed after `--model`, and which key may be sent to it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from studio.errors import UsageError

KEY_VARIABLE = "STUDIO_API_KEY"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"
_OPENAI_HOST = "api.openai.com"
_EXAMPLE = "for example --model http://127.0.0.1:8000/v1"

QUOTES = " \t\r\n\"'`<>\u201c\u201d\u2018\u2019"
"""What a copied or configured address may be wrapped in: a container's file of variables keeps the quotes."""
_SCHEME = re.compile(r"https?:|https?//", re.IGNORECASE)
_BARE = re.compile(
    r"(?://)?(?:[^/@\s]+@)?(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?::(?P<port>\d{2,5}))?(?P<rest>[/#?].*)?",
    re.IGNORECASE,
)
"""A host and maybe a port without a scheme."""
_HUB_PAGE = re.compile(r"(https?://)?(www\.)?(huggingface\.co|hf\.co)/(?!v\d)[^/]+/", re.IGNORECASE)
"""A model's page on the Hugging Face hub, of which its name is taken."""
_VERSION = re.compile(r"v\d+[a-z0-9]*", re.IGNORECASE)
_ENDPOINTS = {"completions", "completion", "chat", "models", "embeddings", "responses", "messages", "generate", "tags"}
"""Ends of addresses of single endpoints, here and in the servers' own protocols: what stands before them is meant."""


@dataclass(frozen=True, slots=True)
class Address:
    """A server of the OpenAI protocol. `url` has no trailing slash; `model` is empty where the user named none."""

    url: str
    model: str
    host: str

    @property
    def is_this_machine(self) -> bool:
        """Whether the host is a loopback or the wildcard address, or a name for it: no proxy lies between."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        with contextlib.suppress(ValueError):
            ip = ipaddress.ip_address(self.host)
            mapped = getattr(ip, "ipv4_mapped", None) or ip
            return mapped.is_loopback or mapped.is_unspecified
        return False

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI itself, over TLS: the only one that gets OpenAI's own key."""
        return self.host == _OPENAI_HOST and self.url.startswith("https://")

    @property
    def bases(self) -> tuple[str, ...]:
        """The addresses that may be meant, the likeliest first; the protocol's paths (`/models`) are appended to one of them.

        Nearly all servers have the protocol under `/v1`, and some have another one of their own beside it.
        """
        scheme, _, rest = self.url.partition("://")
        place, _, path = rest.partition("/")
        segments = [segment for segment in path.split("/") if segment]
        versions = [place for place, segment in enumerate(segments) if _VERSION.fullmatch(segment)]
        paths = [segments, segments[: versions[0] + 1], ["v1"]] if versions else [[*segments, "v1"], segments, ["v1"]]
        return tuple(dict.fromkeys("/".join((f"{scheme}://{place}", *each)) for each in paths))


def reached(url: str) -> str:
    """Return where to send what is for `url`: servers print the wildcard address they listen at, which means this machine."""
    return url.replace("//0.0.0.0", "//127.0.0.1", 1).replace("//[::]", "//[::1]", 1)


def is_address(model: str) -> bool:
    """Whether a model is named by a server's address: with a scheme, or a host and port that no file is called by."""
    text = _with_host(model.strip(QUOTES))
    if _HUB_PAGE.match(text):
        return False
    return bool(_SCHEME.match(text)) or (_is_bare(text) and not Path(text).exists())


def parse_address(text: str) -> Address:
    """Read `http(s)://host:port/v1#model`, also as people paste it: without the scheme, in quotes, with an endpoint's path behind.

    Raises UsageError for an address without a host, and for one with a user, a password or a query: what is secret would be stored with
    the pool, so the message does not repeat it.
    """
    text = _with_scheme(_with_host(text.strip(QUOTES)))
    try:
        parts = urlsplit(text)
        host, port = _host_and_port(parts.netloc)
    except ValueError as error:
        raise UsageError(f"--model: the server's address cannot be read: {error}", _EXAMPLE) from error
    if "@" in parts.netloc or parts.query:
        raise UsageError(
            "--model: a server's address must not hold a user name, a password or a query", f"give a key in the variable {KEY_VARIABLE}"
        )
    if not host or re.search(r"[\s%\\\x00-\x1f]", host):
        raise UsageError("--model: the server's address has no host", _EXAMPLE)
    name = f"[{host}]" if ":" in host else host
    place = name if port is None else f"{name}:{port}"
    return Address("/".join((f"{parts.scheme}://{place}", *_path(parts.path))), unquote(parts.fragment).strip(), host)


def api_key(address: Address, environment: Mapping[str, str]) -> str:
    """Return the key for `address`: STUDIO_API_KEY, else OPENAI_API_KEY for OpenAI itself and nobody else, else an empty one.

    Raises UsageError for a key that no HTTP header can carry, without repeating it.
    """
    for variable in (KEY_VARIABLE, OPENAI_KEY_VARIABLE) if address.is_openai else (KEY_VARIABLE,):
        key = environment.get(variable, "").strip(QUOTES)
        key = key[7:].strip() if key.lower().startswith("bearer ") else key
        if key and not (key.isascii() and key.isprintable()):
            raise UsageError(f"{variable} holds characters that a key cannot have", "set it again, without line breaks")
        if key:
            return key
    return ""


def _with_host(text: str) -> str:
    """A port alone, as servers print and take it (`:8080`), is one of this machine."""
    return f"127.0.0.1{text}" if re.match(r":\d{4,5}(?![^/#])", text) else text


def _is_bare(text: str) -> bool:
    found = _BARE.fullmatch(text)
    if found is None:
        return False
    host, port, rest = found["host"].lower(), found["port"], found["rest"] or ""
    if port is not None:
        return int(port) in (80, 443) or 1000 <= int(port) <= 65535
    if host == "localhost" or host.startswith("[") or re.fullmatch(r"[0-9.]+\.[0-9]+", host):
        return not rest or not rest.endswith(".gguf")
    return "." in host and bool(re.match(r"/([a-z]+/)*v\d", rest)) and not rest.endswith(".gguf")


def _with_scheme(text: str) -> str:
    """Put right what is nearly a scheme: `http:/host`, `https//host`, one written twice, or none at all."""
    found = re.match(r"(?:https?:?/*(?=https?:))?(https?):?(/*)(.*)", text, re.IGNORECASE | re.DOTALL)
    if _SCHEME.match(text) and found is not None:
        slashes = found[2] if len(found[2]) > 2 else "//"
        return f"{found[1].lower()}:{slashes}{found[3]}"
    bare = _BARE.fullmatch(text)
    public = bare is not None and bare["port"] is None and "." in bare["host"] and not re.fullmatch(r"[0-9.]+", bare["host"])
    secure = bare is not None and (bare["port"] == "443" or public)
    return f"{'https' if secure else 'http'}://{text.lstrip('/')}"


def _host_and_port(netloc: str) -> tuple[str, int | None]:
    """Return both; an IPv6 address of this machine may lack its brackets."""
    unbracketed = re.fullmatch(r"(::1?)(?::(\d+))?", netloc)
    parts = urlsplit(f"//[{unbracketed[1]}]:{unbracketed[2] or ''}" if unbracketed else f"//{netloc}")
    return (parts.hostname or "").lower(), parts.port


def _path(path: str) -> list[str]:
    """The segments of an address's path: none twice in a row, versions in lower case, and no endpoint at the end."""
    segments: list[str] = []
    for segment in path.split("/"):
        segment = segment.strip()
        segment = segment.lower() if _VERSION.fullmatch(segment) else segment
        if segment and segments[-1:] != [segment]:
            segments.append(segment)
    while segments and segments[-1].lower() in _ENDPOINTS:
        segments.pop()
    return segments
