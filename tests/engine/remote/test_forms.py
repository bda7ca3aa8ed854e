"""The forms in which servers answer, and the addresses by which people call them."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.api import Completion, FinishReason
from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions
from studio.engine.remote.address import is_address, parse_address, reached
from studio.engine.remote.client import proxy_for
from studio.engine.remote.errors import Answered, BrokenStream, EndUnsaid
from studio.engine.remote.reading import PromptWatch, Reading
from studio.engine.remote.request import fields_refused
from studio.engine.remote.server import served_model
from studio.errors import ModelError
from support.answers import events, read
from support.completions_server import CompletionsServer, serving
from support.engines import complete, request


def chunk(text: Any, reason: Any = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "text": text, "finish_reason": reason}], **more}


WHOLE = (
    chunk("one\u2028tw"),
    chunk("o é🙂"),
    chunk("", "stop"),
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    "[DONE]",
)
EXPECTED = Completion("one\u2028two é🙂", FinishReason.STOP, 7, 3)
FORMS = {
    "plain": events(*WHOLE),
    "crlf": events(*WHOLE, end="\r\n\r\n"),
    "cr": events(*WHOLE, end="\r\r"),
    "no space": events(*WHOLE, before="data:"),
    "one line end": events(*WHOLE, end="\n"),
    "comments": events(*WHOLE, before=": keep-alive\n\nevent: completion\nid: 3\nretry: 9\ndata: "),
    "byte order mark": b"\xef\xbb\xbf" + events(*WHOLE),
    "no done": events(*WHOLE[:-1]),
    "no end behind the last": events(*WHOLE).rstrip(),
    "several lines": events(*WHOLE).replace(b'"choices"', b'\ndata: "choices"'),
    "json": json.dumps(chunk(EXPECTED.text, "stop", usage={"prompt_tokens": 7, "completion_tokens": 3})).encode(),
    "indented json": json.dumps(chunk(EXPECTED.text, "stop", usage={"prompt_tokens": 7.0, "completion_tokens": 3}), indent=1).encode(),
    "json as event": events(chunk(EXPECTED.text, "stop", usage={"prompt_tokens": 7, "completion_tokens": 3})),
    "other choices": events({"choices": [{"index": 1, "text": "no"}, {"index": 0, "text": "one\u2028two é🙂"}]}, *WHOLE[2:]),
}


@pytest.mark.parametrize("form", FORMS)
@given(cuts=st.lists(st.integers(0, 4000), max_size=5))
def test_every_form_of_an_answer_is_read_however_it_is_cut(form: str, cuts: list[int]) -> None:
    assert read(FORMS[form], cuts) == EXPECTED


def test_characters_divided_between_two_pieces() -> None:
    first, second = events(chunk("é🙂"), "[DONE]").split("é".encode())
    divided = first + b'\xc3"}]}\n\ndata: {"choices": [{"text": "\xa9' + second
    halves = rb'data: {"choices":[{"text":"\ud83d"}]}' + b"\n\n" + rb'data: {"choices":[{"text":"\ude42"}]}' + b"\n\ndata: [DONE]\n\n"
    assert read(divided).text == "é🙂"
    assert read(halves).text == "🙂"


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ((chunk("text"), "[DONE]"), FinishReason.UNKNOWN),
        ((chunk("text", ""), chunk(None, ""), "[DONE]"), FinishReason.UNKNOWN),
        ((chunk("text"), {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}), FinishReason.UNKNOWN),
        ((chunk("text"), {"choices": [], "usage": {"completion_tokens": 100}}, "[DONE]"), FinishReason.LENGTH),
        ((chunk("text", "eos"),), FinishReason.STOP),
    ],
)
def test_ends_without_a_reason_are_ends(chunks: Sequence[Any], reason: FinishReason) -> None:
    completion = read(events(*chunks), stop=("text!",))
    assert (completion.text, completion.finish_reason) == ("text", reason)


def test_a_stream_that_never_says_its_end_is_taken_the_second_time() -> None:
    for lenient in (False, True):
        reading = Reading(request(""), end_unsaid=lenient)
        reading.take(chunk("text"))
        with contextlib.nullcontext() if lenient else pytest.raises(EndUnsaid):
            reading.close()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", BrokenStream),
        (events("[DONE]"), BrokenStream),
        (events(chunk("x"))[:-9], BrokenStream),
        (b"<!doctype html><title>Hello</title>", Answered),
        (b"[" * 100_000, Answered),
        (b"data: " + b"[" * 100_000 + b"\n\n", BrokenStream),
        (b'{"error": "Unexpected endpoint or method. (POST /completions)"}', Answered),
        (events({"error": {"message": "dead"}}), Answered),
        (events({"message": "dead"}, before="event: error\ndata: "), Answered),
        (events("dead", before="event: error\ndata: "), Answered),
        (events({"choices": [{"delta": {"content": "x"}}]}), Answered),
        (events({"content": "x", "stop": False}), Answered),
    ],
)
def test_what_is_no_completion(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(data)


def test_a_server_that_ignores_its_limits_is_cut_here() -> None:
    completion = read(events(*[chunk("word ") for _ in range(999)]), max_tokens=9)
    assert completion.finish_reason is FinishReason.LENGTH and len(completion.text) < 500
    assert read(events(chunk("one. two. three"), "[DONE]"), stop=(". t",)).text == "one"


BODY = {"prompt": "", "seed": 1, "stop": ["x"], "temperature": 0.7, "top_p": 1.0, "stream": True, "stream_options": {}}


@pytest.mark.parametrize(
    ("said", "named", "fields"),
    [
        ("Unrecognized request argument supplied: stream_options", (), {"stream_options"}),
        ("Extra inputs are not permitted", ("body", "seed"), {"seed"}),
        ("seed: this server takes no seed", (), {"seed"}),
        ("top_p must be in (0, 1)", (), {"top_p"}),
        ("temperature must be 1", (), set()),
        ("Unsupported parameter: temperature", (), {"temperature"}),
        ("the request was stopped for want of seeds", (), set()),
        ("prompt must not be empty", (), set()),
    ],
)
def test_fields_that_a_request_can_do_without(said: str, named: Sequence[str], fields: set[str]) -> None:
    assert fields_refused(Answered(422, said, frozenset(named)), BODY) == fields
    assert fields_refused(Answered(500, said, frozenset(named)), BODY) == set()


def test_prompts_that_the_server_cuts_show_in_its_counts() -> None:
    watch = PromptWatch()
    assert [watch.is_cut(request("x" * size), tokens) for size, tokens in ((400, 100), (440, 110), (480, 120), (480, 120))] == [False] * 4
    assert [watch.is_cut(request("x" * size), 512) for size in (2200, 2300, 2400)] == [False, False, True]
    assert not PromptWatch().is_cut(request("x" * 9000), 12), "the rest of a prompt that was cached"


@pytest.mark.parametrize(
    "slip", ["{here}", "localhost:{port}", '"{here}/v1/" ', "http:/{here}/v1/v1", "{here}/v1/chat/completions", "HTTP://{here}/V1/"]
)
def test_slips_in_the_address_lead_to_the_server(slip: str) -> None:
    with serving(CompletionsServer()) as server:
        here = server.url.removeprefix("http://").removesuffix("/v1")
        with contextlib.closing(open_engine(slip.format(here=here, port=here.partition(":")[2]), EngineOptions(parallel=1))) as engine:
            assert engine.info.model.path.replace("localhost", "127.0.0.1") == f"{server.url}#scripted"
            assert len(complete(engine, [request("go")])) == 1
    assert len(server.paths) <= 5


@pytest.mark.parametrize(
    ("text", "url", "first"),
    [
        ("[::1]:8000", "http://[::1]:8000", "http://[::1]:8000/v1"),
        (":11434", "http://127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        (":8000/v1#org/Model:7b", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://::1:8000/v1", "http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("https//host/v1", "https://host/v1", "https://host/v1"),
        ("http://http://host:1234/", "http://host:1234", "http://host:1234/v1"),
        ("api.openai.com/v1", "https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://openrouter.ai/api/", "https://openrouter.ai/api", "https://openrouter.ai/api/v1"),
        ("https://host/v1beta/openai/", "https://host/v1beta/openai", "https://host/v1beta/openai"),
        ("http://localhost:11434/api/tags", "http://localhost:11434/api", "http://localhost:11434/api/v1"),
        ("gpu-box:8000/v1#org/Model:7b", "http://gpu-box:8000/v1", "http://gpu-box:8000/v1"),
    ],
)
def test_what_is_meant_by_an_address(text: str, url: str, first: str) -> None:
    assert is_address(text)
    address = parse_address(text)
    assert (address.url, address.bases[0]) == (url, first)
    assert address.model == ("org/Model:7b" if "#" in text else "")


@pytest.mark.parametrize(
    "text", ["qwen2.5:7b", "model.gguf", "my.models/v1/x.gguf", "C:\\models\\a.gguf", "phi:14", "smollm2", ":7b", ":2024-10"]
)
def test_names_of_models_are_no_addresses(text: str) -> None:
    assert not is_address(text)


def test_the_wildcard_address_means_this_machine() -> None:
    assert parse_address("http://0.0.0.0:80/v1").is_this_machine and parse_address("http://[::]:80/v1").is_this_machine
    assert reached("http://0.0.0.0:80/v1") == "http://127.0.0.1:80/v1" and reached("http://[::]/v1") == "http://[::1]/v1"


def test_a_name_that_only_version_six_of_the_protocol_answers() -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    with serving(CompletionsServer(), host="::1") as server, contextlib.closing(open_engine(server.url)) as engine:
        assert engine.info.model.name == "scripted"


@pytest.mark.parametrize(
    ("models", "address", "words"),
    [
        ("<!doctype html><title>Hello</title>", "{url}", "a web page answers there"),
        ("not found", "{url}", "has no list of models"),
        ([], "{url}", "lists no model"),
        ([{"id": "a"}, {"id": "b"}], "{url}", "serves 2 models: a, b"),
    ],
)
def test_what_is_no_server_of_models(models: Any, address: str, words: str) -> None:
    with serving(CompletionsServer(models=models)) as server, pytest.raises(ModelError) as caught:
        open_engine(address.format(url=server.url))
    assert words in caught.value.message and "\n" not in caught.value.message + caught.value.hint
    assert len(server.paths) <= 4 and server.probes == []


def test_names_of_models_as_people_write_them() -> None:
    cards = [{"id": "llama3.2:latest"}, {"id": "Qwen/Q3"}, {"id": "text-embedding-nomic"}]

    def found(name: str, count: int = 3) -> str:
        return served_model(parse_address(f"http://host/v1#{name}"), cards[:count]).identity.name

    assert (found("llama3.2"), found("qwen/q3"), found("llama3.2:latest")) == ("llama3.2:latest", "Qwen/Q3", "llama3.2:latest")
    assert served_model(parse_address("http://host/v1"), cards[1:]).identity.name == "Qwen/Q3"
    assert served_model(parse_address("http://host/v1#any"), []).identity.name == "any"


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("url", "no_proxy", "variable"),
    [
        ("http://host:8000/v1", "", "ALL_PROXY"),
        ("https://host/v1", "", "https_proxy"),
        ("http://10.1.2.3/v1", "", "ALL_PROXY"),
        ("http://10.1.2.3/v1", "localhost, 10.0.0.0/8", None),
        ("http://gpu.lab.example/v1", ".lab.example", None),
        ("http://host/v1", "*", None),
        ("http://0.0.0.0:8000/v1", "", None),
        ("http://[::1]:8000/v1", "", None),
    ],
)
@pytest.mark.usefixtures("no_proxies")
def test_the_proxy_in_between(monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str, variable: str | None) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", no_proxy)
    proxy = proxy_for(parse_address(url))
    assert (proxy.variable if proxy else None) == variable


@pytest.mark.parametrize("proxy", ["socks://127.0.0.1:9/", "nonsense://x", "http://127.0.0.1:9", "socks5://127.0.0.1:9"])
@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ModelError) as caught:
        open_engine("http://model-server.invalid:8000/v1#m")
    assert "ALL_PROXY" in caught.value.message and "NO_PROXY=model-server.invalid" in caught.value.hint
