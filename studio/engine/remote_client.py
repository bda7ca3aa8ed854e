"""The `openai` client, kept to one address: no redirects, no retries of its own, nothing sent but what the request needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.engine.remote_address import Address

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_HEADERS = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding", "user-agent"}
_OPENAI_HEADERS = {"openai-organization", "openai-project"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait: for a connection, for the first piece of a completion (it may queue behind others), and between two pieces."""

    connect: float = 10.0
    first: float = 600.0
    between: float = 120.0


def open_client(address: Address, key: str, parallel: int, timeouts: Timeouts) -> AsyncOpenAI:
    """Return a client for `address`. To be called, used and closed within one event loop."""
    import httpx2
    import openai

    allowed = _HEADERS | (_OPENAI_HEADERS if address.is_openai else set())

    async def keep_to_the_request(request: httpx2.Request) -> None:
        # The client adds headers from OPENAI_* variables and a description of this machine; those are not this server's business.
        for name in [name for name in request.headers if name.lower() not in allowed]:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {key}"

    timeout = httpx2.Timeout(timeouts.first, connect=timeouts.connect, pool=None)
    http = httpx2.AsyncClient(
        timeout=timeout,
        limits=httpx2.Limits(max_connections=parallel, max_keepalive_connections=parallel),
        follow_redirects=False,
        trust_env=not address.is_this_machine,
        event_hooks={"request": [keep_to_the_request]},
    )
    return openai.AsyncOpenAI(base_url=address.url, api_key=key, max_retries=0, timeout=timeout, http_client=http)


def plain(value: Any) -> Any:
    """Return what the client parsed as the server wrote it, fields unknown to OpenAI's protocol included."""
    import openai

    return value.to_dict(mode="python", warnings=False) if isinstance(value, openai.BaseModel) else value


async def model_cards(client: AsyncOpenAI) -> list[dict[str, Any]] | None:
    """Return the server's list of models as it wrote them; None when it has none (status 404 or 405). Raises the client's errors."""
    import openai

    try:
        page = await client.models.list(timeout=30.0)
    except openai.APIStatusError as error:
        if error.status_code in (404, 405):
            return None
        raise
    return [card for model in page.data or () if isinstance(card := plain(model), dict)]
