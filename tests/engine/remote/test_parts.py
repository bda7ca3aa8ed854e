"""The parts of the servers' engine that need no server: addresses, keys, waits, parameters, lists of models."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.api import Completion, Finished, FinishReason, Request, SamplingParams, TextPiece
from studio.engine.remote.address import Address, api_key, is_address, parse_address
from studio.engine.remote.engine import Handover
from studio.engine.remote.errors import BrokenStream, Patience, Waiting, failure_of, retry_after
from studio.engine.remote.reading import Reading
from studio.engine.remote.request import request_body
from studio.engine.remote.server import remote_sha256, served_model
from studio.errors import ModelError, UsageError
from support.engines import request

PARAMS = SamplingParams(top_k=0, min_p=0.0, max_tokens=5, stop=("a", "b", "c", "d", "e"), grammar="root ::= x", choices=("Yes", "No"))
HERE = parse_address("http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://127.0.0.1:8000/v1", Address("http://127.0.0.1:8000/v1", "", "127.0.0.1")),
        ("HTTP://LocalHost:8000/v1/#meta/Llama%203", Address("http://localhost:8000/v1", "meta/Llama 3", "localhost")),
        ("https://[::1]/v1#m", Address("https://[::1]/v1", "m", "::1")),
        ("http://gpu-box", Address("http://gpu-box", "", "gpu-box")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert is_address(text)
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["http://", "http:///v1", "http://host:port/v1", "http://host:99999", "http://[::1/v1"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="the server's address"):
        parse_address(text)


@pytest.mark.parametrize("text", ["http://me:hunter2@host/v1", "http://hunter2@host/v1", "http://host/v1?api_key=hunter2"])
def test_addresses_with_secrets_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "STUDIO_API_KEY" in caught.value.hint


@pytest.mark.parametrize("name", ["scripted", "SmolLM2", "models/http.gguf", "httpmodel"])
def test_names_are_no_addresses(name: str) -> None:
    assert not is_address(name)


def test_which_hosts_are_this_machine() -> None:
    here = ("http://localhost/v1", "http://a.localhost/v1", "http://127.3.2.1/v1", "http://[::1]:80/v1")
    there = ("http://192.168.0.7/v1", "http://localhost.example/v1", "https://api.openai.com/v1")
    assert all(parse_address(text).is_this_machine for text in here)
    assert not any(parse_address(text).is_this_machine for text in there)


@pytest.mark.parametrize(
    ("url", "environment", "key"),
    [
        ("http://host/v1", {}, ""),
        ("http://host/v1", {"STUDIO_API_KEY": " mine\n"}, "mine"),
        ("http://host/v1", {"OPENAI_API_KEY": "openai"}, ""),
        ("http://api.openai.com/v1", {"OPENAI_API_KEY": "openai"}, ""),
        ("https://api.openai.com.evil.example/v1", {"OPENAI_API_KEY": "openai"}, ""),
        ("https://API.openai.com/v1", {"OPENAI_API_KEY": "openai"}, "openai"),
        ("https://api.openai.com/v1", {"OPENAI_API_KEY": "openai", "STUDIO_API_KEY": "mine"}, "mine"),
    ],
)
def test_which_key_goes_where(url: str, environment: dict[str, str], key: str) -> None:
    assert api_key(parse_address(url), environment) == key


def test_keys_that_no_header_can_carry() -> None:
    with pytest.raises(UsageError, match="STUDIO_API_KEY") as caught:
        api_key(HERE, {"STUDIO_API_KEY": "se\ncret"})
    assert "cret" not in caught.value.message.replace("characters", "")


PATIENCE = Patience(anyio.sleep, lambda: 0.0)


@given(st.floats(0, 1, exclude_max=True))
def test_waits_grow_until_patience_ends_after_minutes(draw: float) -> None:
    waiting = Waiting(replace(PATIENCE, draw=lambda: draw))
    waits = list(iter(lambda: waiting.after(0.1, None), None))
    assert all(0 < wait <= PATIENCE.longest for wait in waits)
    assert waits == sorted(waits)
    assert PATIENCE.total - 2 * PATIENCE.longest < sum(waits) <= PATIENCE.total


@given(st.lists(st.floats(0, 4000), max_size=9))
def test_what_a_server_asks_for_is_never_undercut_but_not_for_ever(asked: list[float]) -> None:
    waiting = Waiting(PATIENCE)
    for place, seconds in enumerate(asked):
        wait = waiting.after(0.1, seconds)
        assert (wait is None) == (sum(asked[: place + 1]) > PATIENCE.asked)
        assert wait is None or wait >= seconds


def test_patience_with_the_slow_and_with_what_costs() -> None:
    slow = Waiting(PATIENCE)
    assert [slow.after(700.0, None) is None for _ in range(3)] == [False, False, True]
    torn = Waiting(PATIENCE)
    assert [torn.after(1.0, None, torn=True) is None for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Wed, 01 Jan 2025 00:00:30 GMT", 30.0),
        ("Wed, 01 Jan 2025 00:00:30 -0000", 30.0),
        ("Tue, 31 Dec 2024 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, datetime(2025, 1, 1, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("owned_by", "extra", "stops"),
    [
        ("vllm", {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}, 5),
        ("sglang", {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}, 5),
        ("llamacpp", {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0, "grammar": "root ::= x"}, 5),
        ("library", {}, 4),
        ("somebody", {}, 4),
    ],
)
def test_each_kind_of_server_gets_what_it_knows(owned_by: str, extra: dict[str, Any] | None, stops: int) -> None:
    body = request_body(Request("pre", "fix", PARAMS, 9), "m", owned_by)
    openai = {"model", "prompt", "max_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stream", "stop"}
    assert {name: value for name, value in body.items() if name not in openai | {"stream_options"}} == extra
    assert len(body["stop"]) == stops
    assert body["prompt"] == "prefix" and body["seed"] == 9 and body["max_tokens"] == 5


def test_what_is_asked_for_is_passed_on() -> None:
    params = replace(PARAMS, top_k=40, min_p=0.1, repeat_penalty=1.2, ignore_eos=True, grammar="", stop=())
    asked = Request("", "x", params, 1)
    expected = {"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.2, "ignore_eos": True}
    assert request_body(asked, "m", "vllm").items() >= expected.items()
    assert request_body(asked, "m", "llamacpp")["repeat_penalty"] == 1.2
    assert "stop" not in request_body(asked, "m", "")


def test_the_only_model_of_a_server() -> None:
    served = served_model(HERE, [{"id": "Qwen/Q 3", "owned_by": "vllm", "max_model_len": 4096}])
    assert (served.owner, served.context_tokens) == ("vllm", 4096)
    identity = served.identity
    assert (identity.name, identity.context_length) == ("Qwen/Q 3", 4096)
    assert identity.path == "http://127.0.0.1:8000/v1#Qwen/Q%203"
    assert parse_address(identity.path).model == identity.name
    assert identity.sha256 == remote_sha256(HERE, "Qwen/Q 3") != remote_sha256(parse_address("http://127.0.0.1:8001/v1"), "Qwen/Q 3")


def test_what_llama_server_tells_of_its_model() -> None:
    meta = {"n_ctx_train": 8192, "n_ctx": 2048, "n_params": 135_000_000, "size": 99_000_000}
    served = served_model(HERE, [{"id": "m", "owned_by": "llamacpp", "meta": meta}])
    assert served.context_tokens == 2048
    assert (served.identity.context_length, served.identity.parameters, served.identity.file_size) == (8192, 135_000_000, 99_000_000)
    assert served_model(HERE, [{"id": "m", "meta": None, "max_model_len": "many"}]).context_tokens == 0


def test_several_models_must_be_told_apart() -> None:
    cards = [{"id": f"model-{number}\x1b"} for number in range(10)]
    with pytest.raises(ModelError) as caught:
        served_model(HERE, cards)
    assert caught.value.message.startswith("http://127.0.0.1:8000/v1 serves 10 models: model-0␛, model-1␛")
    assert caught.value.message.endswith(" ...") and "URL#NAME" in caught.value.hint
    named = replace(HERE, model="model-7\x1b")
    assert served_model(named, cards).identity.name == "model-7\x1b"
    with pytest.raises(ModelError, match="serves no model 'modle-7'") as caught:
        served_model(replace(HERE, model="modle-7"), cards)
    assert "model-7" in caught.value.hint


def test_servers_without_models_or_lists() -> None:
    with pytest.raises(ModelError, match="lists no model"):
        served_model(HERE, [])
    with pytest.raises(ModelError, match="has no list of models"):
        served_model(HERE, None)
    assert served_model(replace(HERE, model="m"), None).identity.name == "m"


def chunk(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, **more}]}


def test_stop_strings_that_the_server_does_not_know() -> None:
    reading = Reading(request("", stop=("\n7.", "END")))
    pieces = [reading.take(chunk(text)) for text in ("one", "\n", "7", ". two")]
    assert pieces == ["one", "", "", ""]
    assert reading.stopped and reading.ended
    assert reading.completion(1.0).finish_reason is FinishReason.STOP
    assert (reading.completion(1.0).text, reading.completion(1.0).detail) == ("one", "\n7.")


def test_repetition_ends_the_text_where_every_engine_ends_it() -> None:
    reading = Reading(request("", stop_on_repeat="items"))
    pieces = [reading.take(chunk(text)) for text in ("1. Name a river.\n", "2. Name a river.\n3. Name a river.\n4. Name", " a river.")]
    assert pieces == ["1. Name a river.\n", "2. Name a river.\n3. Name a river.\n", ""]
    assert reading.stopped
    assert reading.completion(0.0).finish_reason is FinishReason.REPEAT


@pytest.mark.parametrize(
    ("end", "reason", "detail"),
    [
        ({"finish_reason": "stop", "stop_reason": "\n7."}, FinishReason.STOP, "\n7."),
        ({"finish_reason": "stop", "matched_stop": 128009}, FinishReason.STOP, ""),
        ({"finish_reason": "length"}, FinishReason.LENGTH, ""),
        ({"finish_reason": "content_filter"}, FinishReason.LENGTH, "content_filter"),
    ],
)
def test_how_servers_say_why_they_ended(end: dict[str, Any], reason: FinishReason, detail: str) -> None:
    reading = Reading(request("", stop=("\n7.",)))
    assert reading.take(chunk("text\n")) == "text"
    assert reading.take(chunk("", **end)) == "\n"
    completion = reading.completion(0.0)
    assert (completion.text, completion.finish_reason, completion.detail) == ("text\n", reason, detail)


def test_token_counts_as_servers_tell_them() -> None:
    openai = Reading(request(""))
    openai.take({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}})
    llama = Reading(request(""))
    llama.take(chunk("x") | {"usage": {"prompt_tokens": 9, "completion_tokens": 2}, "timings": {"cache_n": 6}})
    nobody = Reading(request(""))
    nobody.take(chunk("x") | {"usage": {"prompt_tokens": None, "completion_tokens": "two", "prompt_tokens_details": None}})
    absurd = Reading(request(""))
    absurd.take(chunk("x") | {"usage": {"prompt_tokens": 1e308, "completion_tokens": 10**400}, "timings": {"cache_n": -5}})
    readings = (openai, llama, nobody, absurd)
    counts = [(c.prompt_tokens, c.completion_tokens, c.cached_tokens) for c in (each.completion(0.0) for each in readings)]
    assert counts == [(9, 2, 4), (9, 2, 6), (0, 0, 0), (0, 0, 0)]


@given(st.text())
def test_any_text_comes_through_whole(text: str) -> None:
    reading = Reading(request("", stop=("\x00stop",)))
    pieces = [reading.take(chunk(character)) for character in text] + [reading.take(chunk("", finish_reason="stop"))]
    assert "".join(pieces) == reading.completion(0.0).text
    assert reading.completion(0.0).text == text or "\x00stop" in text


@pytest.mark.parametrize("odd", [None, [], "text", 5, {"choices": "none"}, {"choices": [None]}, {"choices": [{"text": 5}]}])
def test_chunks_that_are_none(odd: Any) -> None:
    with pytest.raises(BrokenStream):
        Reading(request("")).take(odd)


def test_mistakes_of_our_own_are_not_taken_for_the_server_s() -> None:
    with pytest.raises(ZeroDivisionError):
        failure_of(ZeroDivisionError(), HERE, "")


def piece(number: int) -> TextPiece:
    return TextPiece(0, str(number))


async def test_a_full_handover_holds_the_writers_back() -> None:
    handover = Handover(2)
    written: list[int] = []

    async def write() -> None:
        for number in range(5):
            await handover.put(piece(number))
            written.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        await wait_all_tasks_blocked()
        assert written == [0, 1]
        got: list[Any] = []
        while len(got) < 5:
            got += await handover.take(0)
            await wait_all_tasks_blocked()
    assert got == [piece(number) for number in range(5)]
    assert await handover.take(0) == []


async def test_who_ends_a_request_goes_on_once_its_completion_has_been_dealt_with() -> None:
    handover = Handover(8)
    written: list[int] = []
    ends = [Finished(number, Completion("", FinishReason.STOP, 1, 1)) for number in range(2)]

    async def write() -> None:
        for number, end in enumerate(ends):
            await handover.put(end)
            written.append(number)

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        await wait_all_tasks_blocked()
        assert await handover.take(0) == ends[:1]
        await wait_all_tasks_blocked()
        assert written == [], "the reader has it, but may not have stored it"
        await handover.take(0)
        await wait_all_tasks_blocked()
        assert written == [0]
        assert await handover.take(0) == ends[1:]
        assert await handover.take(0) == []
