"""Cancelling at every phase of a batch."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from studio.engine.api import CancelToken, EngineEvent, Finished, FinishReason
from studio.engine.llama.context import LlamaContext
from studio.engine.llama.engine import LlamaEngine
from support.engines import TEMPLATE, animal_requests, complete, request

pytestmark = pytest.mark.real_model

LONG = "The quick brown fox jumps over the lazy dog. " * 400


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """How each call of llama_decode ended: True evaluated, False aborted."""
    results: list[bool] = []
    original = LlamaContext.evaluate

    def evaluate(self: LlamaContext) -> bool:
        results.append(original(self))
        return results[-1]

    monkeypatch.setattr(LlamaContext, "evaluate", evaluate)
    return results


def cancel_during_evaluation(cancel: CancelToken, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Cancel from another thread once call `number` of llama_decode has begun."""
    original: Callable[[LlamaContext], bool] = LlamaContext.evaluate
    calls = iter(range(1, 1000))

    def evaluate(self: LlamaContext) -> bool:
        if next(calls) == number:
            threading.Thread(target=cancel.cancel).start()
        return original(self)

    monkeypatch.setattr(LlamaContext, "evaluate", evaluate)


@pytest.mark.parametrize("prefix", ["", LONG], ids=["prompt", "prefix"])
def test_a_prompt_under_evaluation_is_aborted(
    llama: LlamaEngine, decoded: list[bool], monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    llama.forget_prefixes()
    cancel = CancelToken()
    cancel_during_evaluation(cancel, monkeypatch, 2)
    completions = complete(llama, [request(LONG if not prefix else "Go on.", prefix), *animal_requests(5)], cancel)
    assert {c.finish_reason for c in completions} == {FinishReason.CANCELLED}
    assert len(decoded) <= 3 and decoded[0]
    assert all(c.text == "" for c in completions)
    assert complete(llama, animal_requests(1))[0].completion_tokens > 0


def test_cancelled_before_it_began(llama: LlamaEngine, decoded: list[bool]) -> None:
    cancel = CancelToken()
    cancel.cancel()
    completions = complete(llama, animal_requests(6), cancel)
    assert {c.finish_reason for c in completions} == {FinishReason.CANCELLED} and decoded == []


def test_cancelled_when_the_first_is_finished(llama: LlamaEngine) -> None:
    cancel = CancelToken()

    def watch(event: EngineEvent) -> None:
        if isinstance(event, Finished):
            cancel.cancel()

    requests = [request("One", max_tokens=2), *(request(TEMPLATE, max_tokens=100) for _ in range(6))]
    first, *others = complete(llama, requests, cancel, watch)
    assert first.finish_reason is FinishReason.LENGTH
    assert {c.finish_reason for c in others} == {FinishReason.CANCELLED}
    assert others[0].prompt_tokens > 0


def test_closing_the_events_frees_the_engine(llama: LlamaEngine) -> None:
    events = llama.stream(animal_requests(6), CancelToken())
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert len(complete(llama, animal_requests(6))) == 6
