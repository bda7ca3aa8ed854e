"""Which server is meant by `--model http://host:port/v1#name`, and which key may be sent to it."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from studio.errors import UsageError

KEY_VARIABLE = "STUDIO_API_KEY"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"
NO_KEY = "none"
"""Sent where no key is set: the client insists on one, and servers without keys do not look."""
_OPENAI_HOST = "api.openai.com"
_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Address:
    """A server of the OpenAI protocol. `url` has no trailing slash; `model` is empty where the user named none."""

    url: str
    model: str
    host: str

    @property
    def is_this_machine(self) -> bool:
        """Whether the host is a loopback name or address: no proxy lies between."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI itself, over TLS: the only one that gets OpenAI's own variables."""
        return self.host == _OPENAI_HOST and self.url.startswith("https://")


def is_address(model: str) -> bool:
    """Whether a model is named by a server's address."""
    return model.lower().startswith(_SCHEMES)


def parse_address(text: str) -> Address:
    """Read `http(s)://host:port/v1#model`.

    Raises UsageError for an address without a host, and for one with a user, a password or a query: what is secret would be stored with
    the pool, so the message does not repeat it.
    """
    hint = "for example --model http://127.0.0.1:8000/v1"
    try:
        parts = urlsplit(text.strip())
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise UsageError(f"--model: the server's address cannot be read: {error}", hint) from error
    if not host or parts.scheme not in ("http", "https"):
        raise UsageError("--model: the server's address has no host", hint)
    if "@" in parts.netloc or parts.query:
        raise UsageError(
            "--model: a server's address must not hold a user name, a password or a query", f"give a key in the variable {KEY_VARIABLE}"
        )
    name = f"[{host}]" if ":" in host else host
    place = name if port is None else f"{name}:{port}"
    return Address(f"{parts.scheme}://{place}{parts.path.rstrip('/')}", unquote(parts.fragment), host)


def api_key(address: Address, environment: Mapping[str, str]) -> str:
    """Return the key for `address`: STUDIO_API_KEY, else OPENAI_API_KEY for OpenAI itself and nobody else, else `NO_KEY`.

    Raises UsageError for a key that no HTTP header can carry, without repeating it.
    """
    for variable in (KEY_VARIABLE, OPENAI_KEY_VARIABLE) if address.is_openai else (KEY_VARIABLE,):
        key = environment.get(variable, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise UsageError(f"{variable} holds characters that a key cannot have", "set it again, without line breaks")
        if key:
            return key
    return NO_KEY
