"""How the models of a pool's runs were asked: as a text to go on with or in their own chat template, and with which words around it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio.pool.rounds import RunRecord

_SYSTEMS = {
    "template_system": "System turn before a request that the model writes itself",
    "answer_system": "System turn before a task that is answered",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """How one run asked its model, in words that are empty where its settings do not say it.

    `quotes` are names and texts that stood around the prompts, the brief first; those that are empty are left out.
    """

    words: str
    quotes: tuple[tuple[str, str], ...]


def asked_in(run: RunRecord) -> Asked:
    """Read from a run's settings how its model was asked."""
    settings = json.loads(run.settings)
    method = settings.get("method") if isinstance(settings, dict) else None
    values: dict[str, Any] = method if isinstance(method, dict) else {}
    chat, brief = values.get("asking") == "chat", str(values.get("brief") or "").strip()
    apart = chat if "answers" not in values else values["answers"] == "chat"
    prompts = values.get("prompts") if isinstance(values.get("prompts"), dict) else {}
    said = {"template_system": chat, "answer_system": apart}
    texts = [("Brief", brief), *((name, str((prompts or {}).get(key) or "").strip()) for key, name in _SYSTEMS.items() if said[key])]
    words = _in_chat(values) if chat else "to go on with a text" if "asking" in values else ""
    words += _answers(values, chat=chat) if apart else ""
    return Asked(words, tuple((name, text) for name, text in texts if text))


def distinct_quotes(asked: Sequence[Asked]) -> tuple[tuple[str, str], ...]:
    """Return the quotes of several runs, each once, in their order."""
    return tuple(dict.fromkeys(quote for each in asked for quote in each.quotes))


def _in_chat(values: dict[str, Any]) -> str:
    lists, own, share = (values.get(name) for name in ("requests_per_round", "template_requests", "likely_share"))
    words = f"in its own chat template: {lists} lists of tasks{f' and {own} requests of its own' if own else ''} a round"
    if isinstance(share, int | float) and share < 1:
        words += f", of which the likeliest {share:.0%} were kept"
    return words


def _answers(values: dict[str, Any], *, chat: bool) -> str:
    words = "" if chat else ", and to answer in chat"
    best_of, agreement = values.get("best_of"), values.get("min_agreement")
    if isinstance(best_of, int) and best_of > 1:
        words += f"; of {best_of} answers the one that agrees most with the others"
        if isinstance(agreement, int | float) and agreement > 0:
            words += f", by ROUGE-L {agreement:g} at least"
    likely = values.get("likely_answers")
    return words + (f"; the likeliest {likely:.0%} of the answers" if isinstance(likely, int | float) and likely < 1 else "")
