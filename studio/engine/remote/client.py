"""HTTP to one server: no cookies, no redirects to others, nothing sent but what a request needs; and what its answers hold."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from studio.engine.remote.address import Address, reached
from studio.engine.remote.errors import Answered, BrokenStream, Failure, Patience, answered, clean, failure_of
from studio.errors import ModelError

if TYPE_CHECKING:
    import httpx2

DONE = "[DONE]"
"""Stands in a stream for its proper end."""
_REDIRECTS = 3
_LINE_BYTES = 1 << 24
_BODY_BYTES = 1 << 22
_NO_JSON = (ValueError, RecursionError)  # What is nested too deeply to be read is none, either.


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy of the environment, and the variable that names it."""

    url: str
    variable: str


def proxy_for(address: Address) -> Proxy | None:
    """Return the proxy that the environment names for `address`; None for this machine, and for hosts of `no_proxy`.

    Hosts of a private network are no exception by themselves: as everywhere, `no_proxy` names them, by ending or by network (10.0.0.0/8).
    """
    import urllib.request

    if address.is_this_machine:
        return None
    known = urllib.request.getproxies()
    scheme = address.url.partition("://")[0]
    for kind in (scheme, "all"):
        if url := known.get(kind):
            if urllib.request.proxy_bypass(urlsplit(address.url).netloc) or _in_networks(address.host, known.get("no", "")):
                return None
            names = (f"{kind}_proxy", f"{kind}_PROXY".upper())
            return Proxy(url, next((name for name in names if os.environ.get(name)), "the system's settings"))
    return None


class Client:
    """Requests to the server at `address`. To be made, used and closed within one event loop."""

    def __init__(self, address: Address, key: str, parallel: int, patience: Patience) -> None:
        """Raises ModelError for a proxy of the environment that cannot be used."""
        import httpx2

        self.address = address
        self.key = key
        self.proxy = proxy_for(address)
        timeout = httpx2.Timeout(patience.first, connect=patience.connect, pool=None)
        limits = httpx2.Limits(max_connections=parallel, max_keepalive_connections=parallel)
        try:
            self._http = httpx2.AsyncClient(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=timeout,
                limits=limits,
                proxy=self.proxy.url if self.proxy else None,
                # Not made where it is never used: the variables that it heeds may name what is not there.
                verify=httpx2.create_ssl_context() if address.url.startswith("https://") else False,
                # What it would take from the environment is taken above; a key for the host in ~/.netrc is not this server's business.
                trust_env=False,
            )
        except (ValueError, ImportError, httpx2.InvalidURL) as error:
            if self.proxy is None:
                raise
            hint = f"give an http:// or socks5:// proxy, or go without: NO_PROXY={address.host}"
            raise ModelError(f"the proxy in {self.proxy.variable} cannot be used: {clean(str(error), key)}", hint) from error
        except OSError as error:
            raise ModelError(f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}", "correct or unset it") from error

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, timeout: float) -> Any:
        """Return the JSON behind `path` of the address. Raises Answered for anything else that is sent, and the client's errors."""
        async with self._sent("GET", path, None, timeout) as response:
            body = await _body(response)
            if isinstance(body, str):
                raise answered(response.status_code, response.headers, body)
            return body

    async def beside(self, path: str, body: Any, timeout: float) -> Any:
        """Return what a server has of its own at `path`, beside OpenAI's protocol: a GET, or with a `body` a POST. Raises as `get` does."""
        root = self.address.url.removesuffix("/v1")
        async with self._sent("GET" if body is None else "POST", path, body, timeout, root) as response:
            return await _body(response)

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[AsyncGenerator[Any, None]]:
        """Send `body` and give the JSON values of the answer as they come, `DONE` where the server says so: events or whole documents.

        Raises Answered for error statuses, error objects and web pages, BrokenStream for what cannot be read, and the client's errors.
        """
        async with self._sent("POST", path, body, None) as response:
            if "html" in response.headers.get("content-type", ""):
                raise answered(response.status_code, response.headers, str(await _body(response)))
            yield values_of(response)

    def failure(self, error: Exception) -> Failure:
        """Return what an error of `get` or `post` means. An error of another kind is raised again."""
        return failure_of(error, self.address, self.key, self.proxy.variable if self.proxy else "")

    async def speaks_tls(self) -> bool:
        """Whether an address with http:// is one of a server that speaks HTTPS, by its way of breaking off."""
        import httpx2

        if not self.address.url.startswith("http://") or self.proxy:
            return False
        try:
            # Nothing is sent over it but the question itself: whom it belongs to does not matter.
            async with httpx2.AsyncClient(verify=False, trust_env=False, timeout=5.0) as client:
                await client.get(reached(self.address.url.replace("http://", "https://", 1)))
        except httpx2.HTTPError:
            return False
        return True

    @contextlib.asynccontextmanager
    async def _sent(self, method: str, path: str, body: Any, timeout: float | None, base: str = "") -> AsyncIterator[httpx2.Response]:
        """Give the response to a request, its body still to be read; redirects are followed within the server. Raises Answered."""
        url = reached(f"{base or self.address.url}{path}")
        more: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        for _ in range(_REDIRECTS):
            async with self._http.stream(method, url, json=body, follow_redirects=False, **more) as response:
                place = urljoin(url, response.headers.get("location", ""))
                if not response.is_redirect or _origin(place) != _origin(url):
                    if not response.is_success:
                        raise answered(response.status_code, response.headers, await _body(response))
                    yield response
                    return
            url = place
        raise Answered(310, headers={"location": url})


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _in_networks(host: str, no_proxy: str) -> bool:
    with contextlib.suppress(ValueError):
        ip = ipaddress.ip_address(host)
        for entry in no_proxy.split(","):
            with contextlib.suppress(ValueError):
                if "/" in entry and ip in ipaddress.ip_network(entry.strip(), strict=False):
                    return True
    return False


async def _body(response: httpx2.Response) -> Any:
    """The whole body: its JSON if it is some, else its text."""
    data = b""
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > _BODY_BYTES:
            break
    try:
        return json.loads(_text(data))
    except _NO_JSON:
        return data.decode("utf-8", "replace")


async def values_of(response: httpx2.Response) -> AsyncGenerator[Any, None]:
    """The JSON values of an answer: of server-sent events in whatever line ends, of JSON lines, or one document.

    What the server calls its content counts for nothing: streams come as `text/plain`, documents as `text/event-stream`.
    """
    event: list[bytes] = []
    rest: list[bytes] = []
    kind = b""
    documents = 0
    async for line in _lines(response):
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ").rstrip()
            if value == DONE.encode():
                yield DONE
                return
            event += [value] if value else []
            # Not every server ends an event with an empty line; a value is whole when it can be read.
            if event and (found := _read(b"\n".join(event))) is not None:
                event, kind = [], _checked(found, kind)
                yield found
        elif not line:
            if event:
                if kind == b"error":
                    raise answered(200, {}, _text(b"\n".join(event)))
                raise BrokenStream("a piece of the stream is no JSON")
            kind = b""
        elif name == b"event":
            kind = value.strip()
        elif name in (b"", b"id", b"retry"):
            continue
        elif not rest and (found := _read(line)) is not None:
            _checked(found, b"")
            documents += 1
            yield found
        else:
            rest.append(line)
    if event:
        raise BrokenStream("the stream ended in the middle of a piece")
    if rest:
        document = b"\n".join(rest)
        if (found := _read(document)) is None:
            raise answered(200, {}, _text(document[:_BODY_BYTES]))
        _checked(found, b"")
        documents += 1
        yield found
    if documents == 1:
        yield DONE  # A document that can be read is whole.


def _checked(value: Any, kind: bytes) -> bytes:
    """Raise Answered for an error object; return an empty kind for what comes next."""
    if isinstance(value, Mapping) and (kind == b"error" or value.get("error") or (value.get("object") == "error")):
        raise answered(200, {}, value)
    return b""


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Lines end with CR, LF or both, and only with those: other line ends of Unicode may stand in JSON."""
    held = b""
    first = True
    async for piece in response.aiter_bytes():
        held += piece
        if len(held) > _LINE_BYTES:
            raise BrokenStream("the server sent a line without an end")
        if first and len(held) >= 3:
            held, first = held.removeprefix(b"\xef\xbb\xbf"), False
        # A CR at the very end may be half of a line end.
        end = len(held) - held.endswith(b"\r")
        *lines, last = held[:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        held = last + held[end:]
        for line in lines:
            yield line
    for line in held.splitlines():
        yield line


def _read(data: bytes) -> Any:
    """The JSON value, None where it is none or not whole."""
    try:
        return json.loads(_text(data))
    except _NO_JSON:
        return None


def _text(data: bytes) -> str:
    """Bytes that are no UTF-8 stay in the text, as lone surrogates: a character may be divided between two pieces."""
    return data.decode("utf-8", "surrogateescape")
