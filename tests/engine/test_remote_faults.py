"""Servers that fail: what is sent again, after what wait, and what ends the run with which words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from studio.engine.api import CancelToken, Completion, EngineEvent, FinishReason, Retried
from studio.engine.options import EngineOptions
from studio.engine.remote import RemoteEngine
from studio.engine.remote_address import parse_address
from studio.engine.remote_client import Timeouts
from studio.engine.remote_request import Patience
from studio.engine.remote_retry import ATTEMPTS, Backoff
from studio.errors import ModelError
from support.completions_server import CompletionsServer, Fault, serving
from support.engines import collect, request

REQUESTS = [request("Name a river.\n2.", "1. ", seed=number, max_tokens=40) for number in range(3)]
BUSY = Fault(status=503, body={"error": {"message": "overloaded\x1b[2J"}})


@dataclass
class Client:
    """An engine that notes how long it would wait instead of waiting."""

    server: CompletionsServer
    timeouts: Timeouts = field(default_factory=Timeouts)
    parallel: int = 1
    slept: list[float] = field(default_factory=list)
    retried: list[Retried] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def note(self, event: EngineEvent) -> None:
        if isinstance(event, Retried):
            self.retried.append(event)

    def complete(self, count: int = 1) -> list[Completion]:
        patience = Patience(self.timeouts, Backoff(), self.sleep, lambda: 0.0)
        engine = RemoteEngine(parse_address(self.server.url), "the-key-of-the-server", EngineOptions(parallel=self.parallel), patience)
        with contextlib.closing(engine):
            done = collect(engine.stream(REQUESTS[:count], CancelToken()), count, self.note)
        return [replace(each, seconds=0.0) for each in done]

    def failure(self) -> ModelError:
        with pytest.raises(ModelError) as caught:
            self.complete()
        return caught.value


@pytest.fixture
def server() -> Iterator[CompletionsServer]:
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
    assert client.retried == [Retried(0, 2, "status 429: slow down")]


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
        (Fault("end", after=0), "the stream ended before the completion did"),
        (Fault("garbage", after=4), "the stream cannot be read (JSONDecodeError)"),
        (Fault("event", after=4, body={"message": "engine core died", "code": 500}), "engine core died"),
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
    ("timeouts", "fault"),
    [(Timeouts(first=0.2), Fault("silent_hang")), (Timeouts(first=0.2), Fault("hang")), (Timeouts(between=0.2), Fault("hang", after=2))],
)
def test_a_silent_server_is_asked_again(server: CompletionsServer, expected: list[Completion], timeouts: Timeouts, fault: Fault) -> None:
    client = Client(server, timeouts)
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
    assert error.message == f"{client.server.url}: status 503: overloaded␛[2J (tried {ATTEMPTS} times)"
    assert "see whether the server runs" in error.hint
    assert client.slept == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert len(client.server.bodies) == ATTEMPTS


def test_a_server_that_goes_away_for_good() -> None:
    with serving(CompletionsServer(wait_for=1)) as server:
        client = Client(server)
        patience = Patience(Timeouts(), Backoff(), client.sleep, lambda: 0.0)
        engine = RemoteEngine(parse_address(server.url), "none", EngineOptions(parallel=2), patience)
    with contextlib.closing(engine), pytest.raises(ModelError) as caught:
        list(engine.stream(REQUESTS, CancelToken()))
    assert caught.value.message.startswith(f"{server.url}: ") and "connect" in caught.value.message.lower()
    assert caught.value.message.endswith(f"(tried {ATTEMPTS} times)")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error": {"message": "top_p must be in (0, 1]"}}, ("status 400: top_p must be in (0, 1]", "see its log")),
        (401, {"error": "Incorrect API key the-key-of-the-server"}, ("status 401: Incorrect API key (key)", "STUDIO_API_KEY")),
        (403, {"detail": "no"}, ("status 403: no", "STUDIO_API_KEY")),
        (404, {"message": "The model `m` does not exist."}, ("status 404: The model `m` does not exist.", "after #")),
        (307, {}, ("status 307, it redirects elsewhere", "redirects to")),
        (422, "text", ("status 422: text", "see its log")),
    ],
)
def test_what_cannot_get_better_fails_at_once(client: Client, status: int, body: Any, words: tuple[str, str]) -> None:
    client.server.always = Fault(status=status, body=body, headers={"Location": "/v1/models"} if status == 307 else {})
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
        Client(server, parallel=3).complete(3)
    assert server.hang_up.wait(600)
