"""Messages between the studio and the model's process."""

from __future__ import annotations

from dataclasses import asdict, replace

from hypothesis import given
from hypothesis import strategies as st

from studio.engine.api import Completion, EngineEvent, EngineInfo, Finished, FinishReason, Request, SamplingParams, TextPiece
from studio.engine.process.pipe import event_message, event_of, info_of, pack, request_of, unpack
from studio.records import ModelIdentity

TEXT = st.text(st.characters(codec=None))


@given(TEXT, TEXT, st.lists(TEXT, max_size=3), st.floats(0, 2), st.integers(0, 2**32 - 1))
def test_a_request_survives(prefix: str, suffix: str, stops: list[str], temperature: float, seed: int) -> None:
    request = Request(
        prefix, suffix, SamplingParams(temperature=temperature, stop=tuple(stops), grammar=suffix, choices=tuple(stops)), seed
    )
    [message] = unpack(pack([asdict(request)]))
    assert request_of(message) == request


@given(st.lists(TEXT, max_size=6))
def test_events_survive(texts: list[str]) -> None:
    events: list[EngineEvent] = [TextPiece(n, text) for n, text in enumerate(texts)]
    events += [Finished(n, Completion(text, FinishReason.LENGTH, 3, 2, 1, 0.25, "why", 0.1 + n, 2.5)) for n, text in enumerate(texts)]
    messages = unpack(pack([event_message(7, event) for event in events]))
    assert [event_of(message) for message in messages] == events
    assert all(message["batch"] == 7 for message in messages)


def test_the_description_survives() -> None:
    info = EngineInfo(ModelIdentity("m", "ff", path="/x"), "llama.cpp (CPU)", 100, 2, 16, 0, 30)
    info = replace(info, asking="chat", askings=("completion", "chat"), writes_requests=True, prefills=True, measures=True, thinks=True)
    [message] = unpack(pack([{"info": asdict(info)}]))
    assert info_of(message) == info
