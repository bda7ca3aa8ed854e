"""Servers that fail: what is sent again, after what wait, and what ends the run with which words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from studio.engine.api import CancelToken, Completion, EngineEvent, Finished, FinishReason, Noted, Retried
from studio.engine.options import EngineOptions
from studio.engine.remote.address import parse_address
from studio.engine.remote.engine import RemoteEngine
from studio.engine.remote.errors import Patience
from studio.errors import ModelError
from support.completions_server import CompletionsServer, Fault, serving
from support.engines import collect, complete, request

REQUESTS = [request("Name a river.\n2.", "1. ", seed=number, max_tokens=40) for number in range(3)]
BUSY = Fault(status=503, body={"error": {"message": "overloaded\x1b[2J"}})


@dataclass
class Client:
    """An engine that notes how long it would wait instead of waiting."""

    server: CompletionsServer
    times: dict[str, Any] = field(default_factory=dict)
    """Of `Patience`, where they are others."""
    parallel: int = 1
    slept: list[float] = field(default_factory=list)
    retried: list[Retried] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def note(self, event: EngineEvent) -> None:
        if isinstance(event, Retried):
            self.retried.append(event)
        if isinstance(event, Noted):
            self.noted.append(event.text)

    def engine(self) -> RemoteEngine:
        patience = Patience(self.sleep, lambda: 0.0, **self.times)
        return RemoteEngine(parse_address(self.server.url), EngineOptions(parallel=self.parallel), patience)

    def complete(self, count: int = 1) -> list[Completion]:
        with contextlib.closing(self.engine()) as engine:
            done = collect(engine.stream(REQUESTS[:count], CancelToken()), count, self.note)
        return [replace(each, seconds=0.0) for each in done]

    def failure(self) -> ModelError:
        with pytest.raises(ModelError) as caught:
            self.complete()
        return caught.value


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CompletionsServer]:
    monkeypatch.setenv("STUDIO_API_KEY", "the-key-of-the-server")
    with serving(CompletionsServer()) as running:
        yield running


@pytest.fixture
def client(server: CompletionsServer) -> Client:
    return Client(server)


@pytest.fixture
def expected(client: Client) -> list[Completion]:
    """What comes when nothing fails."""
    return client.complete(3)


def test_too_many_requests_wait_as_long_as_the_server_says(client: Client, expected: list[Completion]) -> None:
    client.server.faults.append(Fault(status=429, headers={"Retry-After": "7"}, body={"message": "slow down"}))
    assert client.complete(3) == expected
    assert client.slept == [7.0]
    assert client.retried == [Retried(0, 2, "status 429: slow down", 7.0)]


def test_errors_of_the_server_wait_longer_each_time(client: Client, expected: list[Completion]) -> None:
    client.server.faults.extend([Fault(status=500, body={}), BUSY])
    assert client.complete(3) == expected
    assert client.slept == [0.5, 1.0]
    assert [each.cause for each in client.retried] == ["status 500", "status 503: overloaded␛[2J"]


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault("reset", after=4), "peer closed connection"),
        (Fault("reset", after=0), "peer closed connection"),
        (Fault("end", after=4), "the stream ended before the completion did"),
        (Fault("end", after=0), "the answer holds no completion"),
        (Fault("garbage", after=4), "a piece of the stream is no JSON"),
        (Fault("event", after=4, body={"message": "engine core died", "code": 500}), "status 500: engine core died"),
        (Fault(extra={"choice": {"finish_reason": "abort"}}), "the server gave the request up (abort)"),
        (Fault(extra={"choice": {"text": 5}}), "the server sent something that is no completion"),
    ],
)
def test_a_broken_stream_starts_over(client: Client, expected: list[Completion], fault: Fault, cause: str) -> None:
    client.server.faults.append(fault)
    assert client.complete(3) == expected
    assert len(client.retried) == 1 and client.retried[0].cause.startswith(cause)
    assert len(client.server.bodies) == 3 + 3 + 1


@pytest.mark.parametrize(
    ("times", "fault"),
    [({"first": 0.2}, Fault("silent_hang")), ({"first": 0.2}, Fault("hang")), ({"between": 0.2}, Fault("hang", after=2))],
)
def test_a_silent_server_is_asked_again(
    server: CompletionsServer, expected: list[Completion], times: dict[str, float], fault: Fault
) -> None:
    client = Client(server, times)
    server.faults.append(fault)
    assert client.complete(3) == expected
    assert "no text for 0.2 s" in client.retried[0].cause or client.retried[0].cause == "no answer in time"
    assert server.hang_up.wait(600)


def test_token_counts_that_never_come_are_no_failure(client: Client, expected: list[Completion]) -> None:
    client.server.always = Fault("no_usage")
    assert client.complete(3) == [replace(each, prompt_tokens=0, completion_tokens=0) for each in expected]
    assert client.retried == []


def test_a_server_that_stays_broken_is_given_up(client: Client) -> None:
    client.server.always = BUSY
    error = client.failure()
    assert error.message == f"{client.server.url}: status 503: overloaded␛[2J (tried {len(client.server.bodies)} times)"
    assert "see whether the server runs" in error.hint and "what was answered is kept" in error.hint
    assert client.slept[:8] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert 540 < sum(client.slept) <= 600


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "model requires more system memory (5.6 GiB) than is available (3.1 GiB)"),
        (500, "llama runner process has terminated: cudaMalloc failed: out of memory"),
        (500, "CUDA out of memory. Tried to allocate 20.00 MiB"),
        (503, "The model `m` is not loaded."),
        (503, "No models are currently loaded."),
        (500, "Failed to load model"),
    ],
)
def test_what_seldom_gets_better_is_not_waited_for_long(client: Client, status: int, said: str) -> None:
    client.server.always = fault = Fault(status=status, body={"error": said})
    error = client.failure()
    assert error.message == f"{client.server.url}: status {status}: {said} (tried 3 times)"
    assert "memory for it" in error.hint
    assert client.slept == [0.5, 1.0]
    client.server.probe = fault
    with pytest.raises(ModelError) as caught:
        client.engine()
    assert said in caught.value.message and client.slept == [0.5, 1.0], "before a run it is said at once"


def test_a_server_that_loads_its_model_is_waited_for(client: Client, expected: list[Completion]) -> None:
    client.server.faults.extend([Fault(status=503, body={"error": {"message": "Loading model"}})] * 6)
    assert client.complete(3) == expected and len(client.slept) == 6


def test_memory_that_is_short_for_a_moment(client: Client, expected: list[Completion]) -> None:
    client.server.faults.extend([Fault(status=500, body={"error": "out of memory"})] * 2)
    assert client.complete(3) == expected


def test_a_server_that_goes_away_for_good() -> None:
    with serving(CompletionsServer(wait_for=1)) as server:
        engine = Client(server, {"total": 3.0}, parallel=2).engine()
    with contextlib.closing(engine), pytest.raises(ModelError) as caught:
        list(engine.stream(REQUESTS, CancelToken()))
    assert caught.value.message.startswith(f"{server.url}: ") and "connect" in caught.value.message.lower()
    assert caught.value.message.endswith("times)")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error": {"message": "max_tokens must be 9"}}, ("status 400: max_tokens must be 9", "see its log")),
        (401, {"error": "Incorrect API key the-key-of-the-server"}, ("status 401: Incorrect API key (key)", "STUDIO_API_KEY")),
        (403, {"detail": "no"}, ("status 403: no", "STUDIO_API_KEY")),
        (404, {"message": "The model `m` does not exist."}, ("status 404: The model `m` does not exist.", "after #")),
        (307, {}, ("status 307, it redirects to http://127.0.0.2/v1/models", "redirects to")),
        (422, "text", ("status 422: text", "see its log")),
    ],
)
def test_what_cannot_get_better_fails_at_once(client: Client, status: int, body: Any, words: tuple[str, str]) -> None:
    client.server.always = Fault(
        status=status, body=body, headers={"Location": "http://127.0.0.2/v1/models?key=secret"} if status == 307 else {}
    )
    error = client.failure()
    assert error.message == f"{client.server.url}: {words[0]}"
    assert words[1] in error.hint
    assert client.slept == [] and len(client.server.bodies) == 1
    assert "the-key-of-the-server" not in error.message + error.hint


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "Too long.", "code": "context_length_exceeded"}}),
        (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"}),
        (400, {"message": "The input (61709 tokens) is longer than the model's context length (40960 tokens)."}),
        (500, {"error": {"code": 500, "message": "the request exceeds the available context size", "type": "exceed_context_size_error"}}),
        (413, {"message": "Payload too large"}),
    ],
)
def test_a_prompt_too_long_is_refused_alone(client: Client, expected: list[Completion], status: int, body: Any) -> None:
    client.server.faults.append(Fault(status=status, body=body))
    refused, *others = client.complete(3)
    assert others == expected[1:]
    assert (refused.text, refused.finish_reason, refused.completion_tokens) == ("", FinishReason.REFUSED, 0)
    assert refused.detail.startswith(f"status {status}: ")
    assert client.retried == []


def test_a_context_that_fills_up_on_the_way_cuts_the_text_off(client: Client, expected: list[Completion]) -> None:
    client.server.faults.append(Fault("event", after=3, body={"message": "the context size is exceeded", "code": 500}))
    cut, *others = client.complete(3)
    assert others == expected[1:]
    assert cut.finish_reason is FinishReason.LENGTH and cut.text and expected[0].text.startswith(cut.text)


def test_one_request_that_fails_for_good_ends_those_beside_it(server: CompletionsServer) -> None:
    server.faults.extend([Fault("silent_hang"), Fault("silent_hang"), Fault(status=400, body={"message": "no"})])
    with pytest.raises(ModelError, match="status 400: no"):
        Client(server, {"grace": 0.1}, parallel=3).complete(3)
    assert server.hang_up.wait(600)


def test_what_is_in_flight_beside_a_failure_comes_to_its_end(server: CompletionsServer) -> None:
    server.faults.extend([Fault(status=401), Fault()])
    done: list[EngineEvent] = []
    with contextlib.closing(Client(server, parallel=2).engine()) as engine, pytest.raises(ModelError, match="status 401"):
        done.extend(engine.stream(REQUESTS, CancelToken()))
    assert [type(event) for event in done].count(Finished) == 1


def test_a_field_that_the_server_refuses_is_left_out_from_then_on(client: Client, expected: list[Completion]) -> None:
    client.server.bodies.clear()
    client.server.always = Fault(refuses="frequency_penalty")
    assert client.complete(3) == expected
    assert ["frequency_penalty" in body for body in client.server.bodies] == [True, False, False, False]
    assert client.noted == ["the server does not take `frequency_penalty`: its own frequency_penalty holds"]
    assert client.retried == []


def test_what_the_first_small_request_shows_is_known_before_the_run(client: Client) -> None:
    client.server.probe = client.server.always = Fault(refuses="seed")
    with contextlib.closing(client.engine()) as engine:
        assert engine.info.notices == ("the server does not take `seed`: the same seed may bring other texts",)
        complete(engine, REQUESTS)
    assert len(client.server.bodies) == 3 and not any("seed" in body for body in client.server.bodies)


def test_a_request_that_fails_while_others_are_answered_is_refused_alone(server: CompletionsServer) -> None:
    server.poison = REQUESTS[0].seed
    refused, *others = Client(server, parallel=2).complete(3)
    assert refused.finish_reason is FinishReason.REFUSED and refused.detail.startswith("status 500: poison (tried ")
    assert {each.finish_reason for each in others} == {FinishReason.LENGTH}


@pytest.mark.parametrize(
    ("probe", "words", "hint"),
    [
        (Fault(status=404, body={"detail": "Not Found"}), "neither chat nor completions", "/chat/completions"),
        (Fault(status=400, body={"error": {"message": "use v1/chat/completions"}}), "neither chat nor completions", "/chat/completions"),
        (Fault(status=400, body={"error": '"bge-m3" does not support generate'}), "neither chat nor completions", "/completions"),
        (Fault(status=400, body={"error": "The model does not support Completions API"}), "neither chat nor completions", "/completions"),
        (Fault(status=404, body={"error": {"message": "model 'm' not found, try pulling it"}}), "try pulling it", "name after #"),
        (Fault(status=401, body={"error": "no"}), "status 401: no", "the server refuses the key"),
        (Fault(status=400, body={"error": "no generation here"}), "no generation here", "see its log"),
    ],
)
def test_a_server_that_will_never_complete_is_told_before_a_run(client: Client, probe: Fault, words: str, hint: str) -> None:
    client.server.probe = probe
    with pytest.raises(ModelError) as caught:
        client.engine()
    assert words in caught.value.message and hint in caught.value.hint
    assert str(probe.status) in caught.value.message
    assert len(client.server.probes) == 1 and client.server.bodies == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_at_first_is_waited_for_in_the_run(client: Client, expected: list[Completion], status: int) -> None:
    client.server.probe = Fault(status=status, headers={"Retry-After": "100"})
    assert client.complete(3) == expected
    assert client.slept == []
