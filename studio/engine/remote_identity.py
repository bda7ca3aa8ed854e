"""Which model a server runs, as its list of models (`GET /models`) tells."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from studio.engine.remote_address import Address
from studio.engine.remote_parameters import ServerKind, kind_of
from studio.errors import ModelError, nearest_name
from studio.records import ModelIdentity
from studio.text import display_line

_NAMES_SHOWN = 8

Card = Mapping[str, Any]
"""One entry of the list."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model on a server. `context_tokens` is what one request may hold, 0 where the server does not say."""

    identity: ModelIdentity
    kind: ServerKind
    context_tokens: int


def served_model(address: Address, cards: Sequence[Card] | None) -> ServedModel:
    """Return the model that `address` means, among the server's `cards`; None stands for a server that has no list.

    Raises ModelError when the name is not on the list, or there is none and the list has not exactly one.
    """
    if cards is None:
        if not address.model:
            raise ModelError(f"{address.url} has no list of models", "name the model after the address: --model URL#NAME")
        return _described(address, address.model, {})
    named = {str(card["id"]): card for card in cards if card.get("id")}
    name = address.model
    if not name and len(named) == 1:
        name = next(iter(named))
    if not name:
        shown = ", ".join(display_line(known, 80) for known in sorted(named)[:_NAMES_SHOWN]) + (" ..." if len(named) > _NAMES_SHOWN else "")
        raise ModelError(
            f"{address.url} serves {len(named)} models: {shown}" if named else f"{address.url} serves no model",
            "name one after the address: --model URL#NAME" if named else "load a model into the server first",
        )
    if name not in named:
        raise ModelError(f"{address.url} serves no model {display_line(name, 80)!r}", display_line(nearest_name(name, named), 200))
    return _described(address, name, named[name])


def remote_sha256(address: Address, name: str) -> str:
    """Return what stands for a served model's hash: sha256 of address and name. No hash of a file: nobody here has seen the file."""
    return hashlib.sha256(f"remote:{address.url}#{name}".encode()).hexdigest()


def _described(address: Address, name: str, card: Card) -> ServedModel:
    meta = card.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    trained = _number(meta.get("n_ctx_train"))
    context = _number(card.get("max_model_len")) or _number(meta.get("n_ctx")) or trained
    identity = ModelIdentity(
        name=name,
        sha256=remote_sha256(address, name),
        parameters=_number(meta.get("n_params")),
        context_length=trained or context,
        file_size=_number(meta.get("size")),
        path=f"{address.url}#{quote(name, safe='/:@')}",
    )
    return ServedModel(identity, kind_of(str(card.get("owned_by", ""))), context)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
