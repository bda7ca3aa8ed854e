"""The engine of servers, against a real one: what comes back, how many requests run at once, how they end."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from studio.engine.api import CancelToken, Completion, EngineEvent, Finished, FinishReason, Request, TextPiece
from studio.engine.llama.engine import LlamaEngine
from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions
from studio.engine.remote.address import parse_address
from studio.engine.remote.engine import PARALLEL, RemoteEngine
from studio.engine.remote.errors import Patience
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError
from support.completions_server import CompletionsServer, Fault, dead_address, serving
from support.engines import animal_requests, collect, complete, outcome, request

REQUESTS = [request(f"Name a river.\n{number}.", "1. ", seed=number, max_tokens=60, stop=("\n7.",)) for number in range(2, 22)]


@pytest.fixture
def server() -> Iterator[CompletionsServer]:
    with serving(CompletionsServer()) as running:
        yield running


@pytest.fixture
def engine(server: CompletionsServer) -> Iterator[RemoteEngine]:
    opened = open_engine(server.url, EngineOptions(parallel=4))
    assert isinstance(opened, RemoteEngine)
    yield opened
    opened.close()
    opened.close()


def untimed(completions: list[Completion]) -> list[Completion]:
    return [replace(each, seconds=0.0, detail="", cached_tokens=0) for each in completions]


def test_completions_are_those_of_the_engine_behind_the_server(engine: RemoteEngine) -> None:
    whole = [Request(each.prefix + each.suffix, "", each.params, each.seed) for each in REQUESTS]
    expected = complete(ScriptedEngine(), whole)
    assert {c.finish_reason for c in expected} == {FinishReason.STOP, FinishReason.LENGTH}
    completions = complete(engine, REQUESTS)
    assert untimed(completions) == untimed(expected)
    assert all(c.seconds > 0 for c in completions)
    assert untimed(complete(engine, REQUESTS[::-1])) == untimed(expected)[::-1]


def test_no_requests_no_events(engine: RemoteEngine, server: CompletionsServer) -> None:
    assert list(engine.stream([], CancelToken())) == []
    assert server.bodies == []


def test_what_is_running(engine: RemoteEngine, server: CompletionsServer) -> None:
    info = engine.info
    assert (info.backend, info.parallel, info.model.name) == ("server", 4, "scripted")
    assert info.model.path == f"{server.url}#scripted"
    opened = open_engine(server.url)
    assert opened.info.parallel == PARALLEL
    opened.close()


@pytest.mark.parametrize("parallel", [1, 3, 16])
def test_as_many_requests_are_in_flight_as_were_asked_for(parallel: int) -> None:
    with serving(CompletionsServer(wait_for=parallel)) as server:
        engine = open_engine(server.url, EngineOptions(parallel=parallel))
        complete(engine, REQUESTS)
        engine.close()
    assert server.most_in_flight == parallel
    assert len(server.bodies) == len(REQUESTS)


def test_one_slow_request_does_not_change_the_others(engine: RemoteEngine, server: CompletionsServer) -> None:
    expected = complete(engine, REQUESTS)
    server.faults.append(Fault("silent_hang"))
    cancel = CancelToken()
    finished: list[int] = []

    def watch(event: EngineEvent) -> None:
        if isinstance(event, Finished):
            finished.append(event.index)
            if len(finished) == len(REQUESTS) - 1:
                cancel.cancel()

    completions = collect(engine.stream(REQUESTS, cancel), len(REQUESTS), watch)
    late = finished[-1]
    assert completions[late] == Completion("", FinishReason.CANCELLED, 0, 0)
    assert untimed(completions[:late] + completions[late + 1 :]) == untimed(expected[:late] + expected[late + 1 :])


def test_cancelling_closes_the_connections_and_keeps_the_text_so_far(engine: RemoteEngine, server: CompletionsServer) -> None:
    server.always = Fault("hang", after=3)
    cancel = CancelToken()
    pieces: list[str] = []

    def watch(event: EngineEvent) -> None:
        if isinstance(event, TextPiece):
            pieces.append(event.text)
            if len(pieces) == 3:
                assert server.hanging.wait(600)
                cancel.cancel()

    completions = collect(engine.stream(REQUESTS[:1], cancel), 1, watch)
    assert completions == [Completion("".join(pieces), FinishReason.CANCELLED, 0, 0)]
    assert server.hang_up.wait(600)
    server.always = None
    assert complete(engine, REQUESTS[:1])[0].finish_reason is not FinishReason.CANCELLED


def test_cancelled_before_it_begins(engine: RemoteEngine) -> None:
    cancel = CancelToken()
    cancel.cancel()
    assert {c.finish_reason for c in complete(engine, REQUESTS, cancel)} == {FinishReason.CANCELLED}


def test_giving_the_events_up_closes_the_connections(engine: RemoteEngine, server: CompletionsServer) -> None:
    server.always = Fault("hang", after=2)
    events = engine.stream(REQUESTS, CancelToken())
    next(events)
    assert server.hanging.wait(600)
    events.close()  # type: ignore[attr-defined]
    assert server.hang_up.wait(600)


def test_cancelling_from_another_thread(engine: RemoteEngine, server: CompletionsServer) -> None:
    server.always = Fault("silent_hang")
    cancel = CancelToken()

    def cancel_when_it_hangs() -> None:
        server.hanging.wait()
        cancel.cancel()

    threading.Thread(target=cancel_when_it_hangs).start()
    assert {c.finish_reason for c in complete(engine, REQUESTS, cancel)} == {FinishReason.CANCELLED}


def test_a_reader_that_pauses_loses_nothing() -> None:
    long = [request("go", seed=seed, max_tokens=600) for seed in range(4)]
    engine_behind = ScriptedEngine(lambda _: "word " * 600)
    with serving(CompletionsServer(engine_behind)) as server:
        opened = open_engine(server.url)
        events = opened.stream(long, CancelToken())
        first = next(events)
        # More events than are held for a reader: the writers wait for it.
        completions = collect([first, *events], 4)
        opened.close()
    assert {c.completion_tokens for c in completions} == {600}
    assert {c.text for c in completions} == {("word " * 600).rstrip()}


def test_after_closing(engine: RemoteEngine, server: CompletionsServer) -> None:
    server.always = Fault("silent_hang")
    events = engine.stream(REQUESTS, CancelToken())

    def close_when_it_hangs() -> None:
        server.hanging.wait()
        engine.close()

    threading.Thread(target=close_when_it_hangs).start()
    with pytest.raises(ModelError, match="was closed while it worked"):
        list(events)
    assert server.hang_up.wait(600)
    with pytest.raises(ModelError, match="the engine is closed"):
        next(engine.stream(REQUESTS, CancelToken()))


def test_a_server_that_is_not_there() -> None:
    url = dead_address()
    with pytest.raises(ModelError) as caught:
        open_engine(url)
    assert caught.value.message == f"cannot reach {url}: connection refused"
    assert "does the server run" in caught.value.hint


def test_a_server_that_still_loads_its_model(server: CompletionsServer) -> None:
    server.models = Fault(status=503, body={"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}})
    patience = Patience(asyncio.sleep, random.random, opening=1.0)
    with pytest.raises(ModelError, match="status 503: Loading model") as caught:
        RemoteEngine(parse_address(server.url), EngineOptions(), patience)
    assert "not ready yet" in caught.value.hint


@pytest.mark.parametrize("key", ["secret-key-0815", ""])
def test_the_key_goes_to_the_server_and_nowhere_else(key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("STUDIO_API_KEY", key)
    foreign = {"OPENAI_API_KEY": "openai-key", "OPENAI_ORG_ID": "my-org", "OPENAI_CUSTOM_HEADERS": "X-Secret: hush\nAuthorization: hush"}
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    with serving(CompletionsServer(key=key)) as server:
        engine = open_engine(server.url)
        complete(engine, REQUESTS[:2])
        server.key = "another"
        with pytest.raises(ModelError, match="status 401: wrong key") as caught:
            complete(engine, REQUESTS[:2])
        engine.close()
    assert "STUDIO_API_KEY" in caught.value.hint and "OPENAI" not in caught.value.hint
    sent = repr(server.headers)
    assert server.headers[0].get("authorization", "") == (f"Bearer {key}" if key else "")
    assert not any(word in sent for word in ("openai-key", "my-org", "hush", "stainless"))
    assert "secret-key" not in caplog.text + caught.value.message + caught.value.hint + repr(engine.info)
    assert len(caplog.records) > 0


def test_no_proxy_between_this_machine_and_itself(server: CompletionsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, dead_address())
    engine = open_engine(server.url)
    assert complete(engine, REQUESTS[:1])[0].text
    engine.close()


@pytest.mark.real_model
def test_a_real_model_behind_the_server(llama: LlamaEngine) -> None:
    requests = animal_requests(4, temperature=0.9, max_tokens=6)
    alone = [complete(llama, [Request(each.prefix + each.suffix, "", each.params, each.seed)])[0] for each in requests]
    with serving(CompletionsServer(llama)) as server:
        engine = open_engine(server.url)
        completions = complete(engine, requests)
        engine.close()
    assert [part[:4] for part in outcome(completions)] == [part[:4] for part in outcome(alone)]


def test_every_field_that_servers_read(engine: RemoteEngine, server: CompletionsServer) -> None:
    params: dict[str, Any] = {"temperature": 0.7, "top_p": 0.5, "frequency_penalty": 0.25, "presence_penalty": 2.0, "max_tokens": 9}
    complete(engine, [request("suffix", "prefix ", seed=2**32 - 1, stop=("a", "b"), **params)])
    expected = params | {"model": "scripted", "prompt": "prefix suffix", "seed": 2**32 - 1, "stop": ["a", "b"], "stream": True}
    assert server.bodies == [expected | {"stream_options": {"include_usage": True}}]
