"""Finding the server that an address means, and which of its models: before anything is stored, and with few questions."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from studio.engine.remote.address import Address
from studio.engine.remote.client import Client
from studio.engine.remote.errors import Answered, Consequence, Failure, Patience, Waiting, given_up, no_endpoint
from studio.engine.remote.reading import whole_number
from studio.errors import ModelError, nearest_name
from studio.records import ModelIdentity
from studio.text import display_line

_NAMES_SHOWN = 8
_LIST_S = 30.0
_MAKESHIFT = {
    "{%-formessageinmessages-%}{{-'<|im_start|>'+message.role+''+message.content+'<|im_end|>'-}}{%-endfor-%}"
    "{%-ifadd_generation_prompt-%}{{-'<|im_start|>assistant'-}}{%-endif-%}",
    "chatml",
    "{{.Prompt}}",
}
"""Templates of servers for models without one, without their white space."""

Card = Mapping[str, Any]
"""One entry of the list."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model on a server that signs its list with `owner`. `context_tokens` is what one request may hold, 0 where it does not say."""

    identity: ModelIdentity
    owner: str
    context_tokens: int


@dataclass(eq=False)
class Moved(Exception):
    """The server sends to its address over TLS, which is `address`."""

    address: Address


async def find_server(client: Client, patience: Patience) -> tuple[Address, Sequence[Card] | None]:
    """Return the address where the server has the protocol, among those that may be meant, and its list of models, None for none.

    Raises ModelError when it cannot be reached, is no such server or does not take the key; Moved when it is to be asked over TLS.
    """
    meant = client.address
    failures: list[Failure] = []
    bases = list(meant.bases)
    while bases:
        client.address = replace(meant, url=bases.pop(0))
        try:
            cards = _cards(await _list_of(client, patience))
        except Answered as error:
            if moved := _moved(error, client.address):
                raise Moved(replace(meant, url=moved)) from error
            odd = error.status < 300 and not error.page
            failures.append(no_endpoint("") if odd else client.failure(error))
        else:
            if cards is not None:
                return client.address, cards
            failures.append(no_endpoint(""))
    telling = next((each for each in failures if not each.missing), None)
    client.address = replace(meant, url=meant.bases[0])
    if telling is None and meant.model:
        return client.address, None  # Some gateways have no list; whether there is a server at all, the first request tells.
    if telling is not None:
        raise given_up(telling, meant)
    hint = f"is it the right port and path? tried: {', '.join(meant.bases)}; for a server without a list, name the model: --model URL#NAME"
    raise ModelError(f"{meant.url}: what answers there has no list of models (GET /models)", hint)


def served_model(address: Address, cards: Sequence[Card] | None) -> ServedModel:
    """Return the model that `address` means, among the server's `cards`; a name counts where there are none.

    Raises ModelError when the name is not on the list, or there is none and the list has not exactly one.
    """
    named = {str(card["id"]): card for card in cards or () if card.get("id")}
    name = address.model
    if not named:
        if not name:
            has = "has no list of models" if cards is None else "lists no model"
            raise ModelError(f"{address.url} {has}", "load a model into the server, or name the model after the address: --model URL#NAME")
        return _described(address, name, {})
    # Those that embed texts stand on the list of many servers, beside the one that writes.
    writers = [each for each in named if "embed" not in each.lower()] or list(named)
    if not name and len(writers) == 1:
        name = writers[0]
    if not name:
        shown = ", ".join(display_line(known, 80) for known in sorted(named)[:_NAMES_SHOWN]) + (" ..." if len(named) > _NAMES_SHOWN else "")
        raise ModelError(f"{address.url} serves {len(named)} models: {shown}", "name one after the address: --model URL#NAME")
    if name not in named:
        # Ollama's names have a tag, which people leave out; case is nobody's difference.
        near = [each for each in named if each.removesuffix(":latest").lower() == name.removesuffix(":latest").lower()]
        if len(near) != 1:
            raise ModelError(f"{address.url} serves no model {display_line(name, 80)!r}", display_line(nearest_name(name, named), 200))
        name = near[0]
    return _described(address, name, named[name])


async def lacks_template(client: Client, served: ServedModel) -> bool:
    """Whether the server says that the model has no chat template, so that it answers chat in a makeshift one, as a base model.

    llama-server then writes ChatML, and Ollama the turn as it is. Others do not say, and count as having one.
    """
    asked = {"llamacpp": ("/props", None), "library": ("/api/show", {"model": served.identity.name})}.get(served.owner)
    if asked is None:
        return False
    try:
        told = await client.beside(*asked, _LIST_S)
    except Exception as error:
        client.failure(error)  # Raises what is not the server's.
        return False
    if not isinstance(told, Mapping):
        return False
    template = told.get("chat_template", told.get("template"))
    # Newer models of Ollama are rendered by its own code, and have a template that says nothing.
    able = told.get("capabilities")
    more = told.get("renderer") or told.get("parser") or (isinstance(able, list) and ("tools" in able or "thinking" in able))
    return isinstance(template, str) and not more and "".join(template.split()).replace("\\n", "") in _MAKESHIFT


def remote_sha256(address: Address, name: str) -> str:
    """Return what stands for a served model's hash: sha256 of address and name. No hash of a file: nobody here has seen the file."""
    return hashlib.sha256(f"remote:{address.url}#{name}".encode()).hexdigest()


async def _list_of(client: Client, patience: Patience) -> Any:
    """Return what the server has under `/models`, waiting a moment for one that is busy or loads.

    Raises Answered for other answers, ModelError for none.
    """
    waiting = Waiting(patience, total=patience.opening)
    while True:
        began = time.monotonic()
        try:
            return await client.get("/models", _LIST_S)
        except Exception as error:
            failure = await _failure(client, error)
            if not isinstance(error, Answered):
                raise _unreachable(failure, client.address) from error
            if failure.consequence is not Consequence.RETRY or error.status < 300:
                raise
            seconds = time.monotonic() - began
            wait = None if (failure.wait or 0.0) > patience.opening else waiting.after(seconds, failure.wait, stuck=failure.stuck)
            if wait is None:
                hint = "the server is not ready yet or has too much to do: try again in a moment"
                raise given_up(replace(failure, hint=failure.hint or hint), client.address) from error
        await patience.sleep(wait)


async def _failure(client: Client, error: Exception) -> Failure:
    """What a failed first contact means; a connection that breaks off may be one without the TLS that the server wants."""
    import httpx2

    failure = client.failure(error)
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError) and await client.speaks_tls():
        return client.failure(Answered(400, "HTTP request to an HTTPS server"))
    return failure


def _cards(value: Any) -> list[Card] | None:
    """The entries of a list of models, None for what is none. Names alone count as entries."""
    listed = value.get("data", value.get("models")) if isinstance(value, Mapping) else value
    if isinstance(value, Mapping) and not value.keys() & {"data", "models"}:
        return None
    if listed is not None and not isinstance(listed, list):
        return None
    cards = [{"id": each} if isinstance(each, str) else each for each in listed or ()]
    return [each for each in cards if isinstance(each, Mapping)]


def _moved(error: Answered, address: Address) -> str | None:
    """The address that a server redirects to: the same host, now over TLS."""
    place = urlsplit(urljoin(f"{address.url}/models", error.headers.get("location", "")))
    here = urlsplit(address.url)
    path = place.path.rstrip("/")
    if (here.scheme, place.scheme, place.hostname) != ("http", "https", here.hostname) or not path.endswith("/models"):
        return None
    return f"https://{place.netloc}{path.removesuffix('/models')}" if 300 <= error.status < 400 else None


def _unreachable(failure: Failure, address: Address) -> ModelError:
    if failure.consequence is Consequence.RETRY:
        hint = failure.hint or "start the server, or check the address; for a machine of your own it looks like http://127.0.0.1:8000/v1"
        return ModelError(f"cannot reach {address.url}: {failure.cause}", hint)
    return given_up(failure, address)


def _described(address: Address, name: str, card: Card) -> ServedModel:
    meta = card.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    trained = whole_number(meta.get("n_ctx_train"))
    context = whole_number(card.get("max_model_len")) or whole_number(meta.get("n_ctx")) or trained
    identity = ModelIdentity(
        name=name,
        sha256=remote_sha256(address, name),
        parameters=whole_number(meta.get("n_params")),
        context_length=trained or context,
        file_size=whole_number(meta.get("size")),
        path=f"{address.url}#{quote(name, safe='/:@')}",
    )
    return ServedModel(identity, str(card.get("owned_by", "")), context)
