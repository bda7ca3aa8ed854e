"""Servers that answer chat: how each kind is found out and asked, and what its answers become."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from studio.engine.api import CancelToken, Chat, Completion, EngineEvent, FinishReason, Noted, Request, Retried
from studio.engine.opening import open_engine
from studio.engine.options import EngineOptions
from studio.engine.remote.address import parse_address
from studio.engine.remote.engine import RemoteEngine
from studio.engine.remote.errors import Patience
from studio.engine.scripted import ScriptedEngine
from studio.errors import ModelError
from studio.loop.parsing import answer_of
from support.chat_kinds import BASE_MODEL, KINDS, ChatKind
from support.completions_server import CompletionsServer, Fault, serving
from support.engines import collect, complete, request

QUESTIONS = [request(f"Name a river.\n{number}.", seed=number, max_tokens=60, stop=("\n7.",)) for number in range(2, 5)]
ASKED = [replace(each, chat=Chat(system="Be short.", begins="1.")) for each in QUESTIONS]
ANSWERS = [replace(each, seconds=0.0, cached_tokens=0, detail="") for each in complete(ScriptedEngine(), QUESTIONS)]


async def no_sleep(_seconds: float) -> None:
    """Waits for nothing."""


@contextlib.contextmanager
def opened(kind: ChatKind | None, **more: Any) -> Iterator[tuple[RemoteEngine, CompletionsServer]]:
    with serving(CompletionsServer(chat=kind, **more)) as server:
        engine = RemoteEngine(parse_address(server.url), EngineOptions(parallel=1), Patience(no_sleep, lambda: 0.0))
        with contextlib.closing(engine):
            yield engine, server


def asked(engine: RemoteEngine, requests: Sequence[Request] = ASKED) -> tuple[list[Completion], list[EngineEvent]]:
    events: list[EngineEvent] = []
    done = collect(engine.stream(requests, CancelToken()), len(requests), events.append)
    return [replace(each, seconds=0.0, detail="", cached_tokens=0) for each in done], events


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_server_is_asked_in_chat_and_understood(name: str) -> None:
    kind = KINDS[name]
    with opened(kind) as (engine, server):
        info = engine.info
        assert info.asking == "chat" and info.askings == (("chat", "completion") if kind.raw is None else ("chat",))
        assert not (info.writes_requests or info.prefills or info.measures) and info.thinks == bool(kind.thoughts)
        assert len([path for path in server.paths if path.endswith("completions")]) <= 2 + len(kind.refuses)
        assert all(body.get("max_tokens", body.get("max_completion_tokens")) == 1 for body in server.probes)
        done, events = asked(engine, [replace(each, chat=Chat(begins="1.")) for each in QUESTIONS])
    thoughts = f"<think>\n{kind.thoughts}\n</think>\n\n" if kind.thoughts else ""
    assert done == [replace(each, text=thoughts + each.text) for each in ANSWERS]
    assert [answer_of(each, whole=False).text.lstrip("\n") for each in done] == [each.text for each in ANSWERS]
    assert server.paths[-1] == "/v1/chat/completions" and not any(isinstance(each, Retried) for each in events)


def test_the_turns_of_a_chat_and_nothing_else_than_is_known() -> None:
    with opened(ChatKind()) as (engine, server):
        asked(engine, [replace(ASKED[0], prefix="Say: ", chat=Chat(begins="1."))])
        asked(engine, [replace(ASKED[0], prefix="Say: ")])
    turns = [body["messages"] for body in server.bodies]
    user = {"role": "user", "content": "Say: Name a river.\n2."}
    assert turns == [[user], [{"role": "system", "content": "Be short."}, user]]
    drawing = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "max_tokens", "stop"}
    assert set(server.bodies[0]) == drawing | {"model", "messages", "stream", "stream_options"}


def test_a_base_model_is_asked_with_raw_text() -> None:
    with opened(BASE_MODEL) as (engine, server):
        assert (engine.info.asking, engine.info.askings, engine.info.notices) == ("completion", ("completion",), ())
        assert asked(engine, QUESTIONS)[0] == ANSWERS
        with pytest.raises(ModelError) as caught:
            asked(engine)
    assert "does not answer chat (status 400: As of transformers" in caught.value.message
    assert "--asking completion" in caught.value.hint and "template" in caught.value.hint
    assert len(server.bodies) == len(QUESTIONS) + 1


CHATML = """{%- for message in messages -%}
  {{- '<|im_start|>' + message.role + '
' + message.content + '<|im_end|>
' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant
' -}}
{%- endif -%}"""


@pytest.mark.parametrize(
    ("owner", "path", "told", "asking"),
    [
        ("llamacpp", "/props", {"chat_template": CHATML}, "completion"),
        ("llamacpp", "/props", {"chat_template": CHATML.replace("\n'", "\\n'")}, "completion"),
        ("llamacpp", "/props", {"chat_template": "{{ bos_token }}" + CHATML}, "chat"),
        ("llamacpp", "/props", {"chat_template": None}, "chat"),
        ("llamacpp", "/props", "text", "chat"),
        ("library", "/api/show", {"template": "{{ .Prompt }}", "capabilities": ["completion"]}, "completion"),
        ("library", "/api/show", {"template": "{{ .Prompt }}", "capabilities": None, "renderer": "qwen3-coder"}, "chat"),
        ("library", "/api/show", {"template": "{{ .Prompt }}", "capabilities": ["completion", "tools"]}, "chat"),
        ("library", "/api/show", {"template": 5, "capabilities": 5}, "chat"),
        ("library", "/api/show", {"template": "{{ .System }} {{ .Prompt }}"}, "chat"),
        ("vllm", "/props", {"chat_template": CHATML}, "chat"),
    ],
)
def test_a_base_model_behind_a_makeshift_template_is_asked_with_raw_text(owner: str, path: str, told: Any, asking: str) -> None:
    with opened(ChatKind(owner, None, tells={path: told})) as (engine, server):
        assert engine.info.asking == asking and sorted(engine.info.askings) == ["chat", "completion"]
    assert (path in server.paths) == (owner != "vllm")


def test_a_chat_server_that_is_asked_with_raw_text_says_so() -> None:
    with opened(KINDS["openai"]) as (engine, _), pytest.raises(ModelError) as caught:
        asked(engine, QUESTIONS)
    assert "no completions endpoint (status 404: This is a chat model" in caught.value.message and "--asking chat" in caught.value.hint


@pytest.mark.parametrize("status", [429, 503])
def test_a_chat_that_is_busy_at_first_is_not_forbidden(status: int) -> None:
    with opened(ChatKind(raw=None, error=(status, {"error": "busy"}))) as (engine, _):
        assert (engine.info.asking, engine.info.askings) == ("completion", ("completion", "chat"))
    with opened(ChatKind(raw=(status, {"error": "busy"}))) as (engine, _):
        assert (engine.info.asking, engine.info.askings) == ("chat", ("chat", "completion"))
    with opened(ChatKind(), probe=Fault(status=status, headers={"Retry-After": "100"})) as (engine, _):
        assert (engine.info.asking, engine.info.askings) == ("chat", ("chat",))
        assert asked(engine)[0] == ANSWERS


def test_a_server_that_is_busy_for_a_moment_is_asked_again_how_it_is_asked() -> None:
    class Busy(ChatKind):
        tried = 0

        def refusal(self, _body: Any) -> tuple[int, Any] | None:
            Busy.tried += 1
            return (503, {"error": "busy"}) if Busy.tried < 3 else None

    with opened(Busy(raw=None)) as (engine, _):
        assert engine.info.asking == "chat" and Busy.tried == 3


@pytest.mark.parametrize(
    ("chat", "raw", "words"),
    [
        ((404, {}), (404, {}), "answers neither chat nor completions (status 404)"),
        ((400, {"error": '"bge-m3" does not support chat'}), (400, {"error": '"bge-m3" does not support generate'}), "support generate)"),
        ((404, {}), (401, {"error": "no"}), "status 401: no"),
        ((400, {"error": "strange"}), (402, {"error": "no credit"}), "status 402: no credit"),
        ((500, {"error": "Failed to load model"}), None, "Failed to load model"),
    ],
)
def test_a_server_that_answers_neither_is_told_before_a_run(chat: Any, raw: Any, words: str) -> None:
    with pytest.raises(ModelError) as caught, opened(ChatKind(raw=raw, error=chat)):
        pass
    assert words in caught.value.message and caught.value.hint


def test_fields_of_strict_servers_are_left_out_or_renamed_and_noted_once() -> None:
    with opened(KINDS["openai"]) as (engine, server):
        expected = (
            "the server does not take `frequency_penalty`, `max_tokens`, `stop`: its own frequency_penalty holds; "
            "`max_completion_tokens` is sent in its place; stop strings are watched for here alone"
        )
        assert engine.info.notices == (expected,)
        done, events = asked(engine, [replace(each, chat=Chat(thinking=False)) for each in QUESTIONS])
        assert done == ANSWERS
        assert [each.text for each in events if isinstance(each, Noted)] == [
            "the server does not take `chat_template_kwargs`, `reasoning_effort`: the model may think first"
        ]
    assert [body["max_completion_tokens"] for body in server.bodies[2:]] == [60] * len(QUESTIONS)
    assert len(server.bodies) == len(QUESTIONS) + 2 and "max_tokens" not in server.bodies[0]


def test_a_temperature_that_a_reasoning_model_does_not_take() -> None:
    said = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported."
    with opened(ChatKind(refuses={"temperature": said})) as (engine, server):
        done, _ = asked(engine, [replace(each, params=replace(each.params, temperature=0.0)) for each in ASKED])
    assert done == ANSWERS and "temperature" not in server.bodies[-1]


@pytest.mark.parametrize(
    "said",
    [
        "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens",
        "max_tokens is too large: 5000. This model supports at most 4096 completion tokens",
    ],
)
def test_a_limit_that_is_too_large_is_not_renamed(said: str) -> None:
    with opened(ChatKind()) as (engine, server):
        server.always = Fault(status=400, body={"error": {"message": said, "param": "max_tokens"}})
        if "context" in said:
            assert {each.finish_reason for each in asked(engine)[0]} == {FinishReason.REFUSED}
        else:
            with pytest.raises(ModelError, match="too large"):
                asked(engine)
    assert not any("max_completion_tokens" in body for body in server.bodies)


@pytest.mark.parametrize(
    ("owner", "fields"),
    [
        ("vllm", {"chat_template_kwargs"}),
        ("sglang", {"chat_template_kwargs"}),
        ("llamacpp", {"chat_template_kwargs"}),
        ("library", {"think", "reasoning_effort"}),
        ("somebody", {"chat_template_kwargs", "reasoning_effort"}),
    ],
)
def test_a_model_is_asked_not_to_think_as_its_server_knows(owner: str, fields: set[str]) -> None:
    with opened(ChatKind(owner)) as (engine, server):
        asked(engine, [ASKED[0], replace(ASKED[0], chat=Chat(thinking=False))])
    assert server.bodies[1].keys() - server.bodies[0].keys() == fields
    assert server.bodies[1].get("chat_template_kwargs", {"enable_thinking": False})["enable_thinking"] is False


@pytest.mark.parametrize(
    "said",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "Developer instruction is not enabled for models/gemma-3-27b-it",
    ],
)
def test_a_template_without_a_system_turn(said: str) -> None:
    with opened(ChatKind(no_system=said)) as (engine, server):
        _, events = asked(engine)
    assert [len(body["messages"]) for body in server.bodies] == [2, 1, 1, 1]
    assert server.bodies[1]["messages"][0]["content"] == "Be short.\n\nName a river.\n2."
    assert [each.text for each in events if isinstance(each, Noted)] == [
        "the server does not take `system`: it stands before the user's turn"
    ]


@pytest.mark.parametrize("fault", [Fault("reset", after=4), Fault("end", after=4), Fault("garbage", after=2), Fault(status=503, body={})])
def test_faults_are_met_as_those_of_raw_text_are(fault: Fault) -> None:
    with opened(KINDS["vllm"]) as (engine, server):
        calm, _ = asked(engine)
        server.faults.append(fault)
        again, events = asked(engine)
    assert again == calm and sum(isinstance(each, Retried) for each in events) == 1


def test_stop_strings_are_for_the_answer_and_not_looked_for_in_thoughts() -> None:
    with opened(KINDS["lm studio"]) as (engine, server):
        longer = replace(ASKED[0], suffix="Name a river.\n5.", seed=5)
        done = asked(engine, [longer])[0][0]
        whole = asked(engine, [replace(longer, params=replace(longer.params, stop=()))])[0][0]
    thoughts, answer = done.text.split("</think>")
    assert "\n7. A draft" in thoughts and "\n7." not in answer and whole.text.startswith(f"{done.text}\n7.")
    assert not any("stop" in body for body in server.bodies), "the server would look for them in the thoughts"


def test_there_is_room_for_thoughts_where_answers_have_had_some() -> None:
    roomy = replace(ASKED[0], params=replace(ASKED[0].params, max_tokens=40, thinking_tokens=100))
    quiet = replace(roomy, chat=Chat(thinking=False))
    for kind, rooms in ((KINDS["lm studio"], [140, 40, 140]), (ChatKind(), [40, 40, 40])):
        with opened(kind) as (engine, server):
            for each in (roomy, quiet, quiet):
                asked(engine, [each])
            assert [body["max_tokens"] for body in server.bodies] == rooms


def test_all_tokens_spent_on_thoughts_that_nobody_sees() -> None:
    said = "Could not finish the message because max_tokens or model output limit was reached."
    with opened(ChatKind()) as (engine, server):
        server.faults.append(Fault(status=400, body={"error": {"message": said}}))
        (spent, *others), events = asked(engine)
    assert (spent.text, spent.finish_reason) == ("", FinishReason.LENGTH) and others == ANSWERS[1:]
    assert any(isinstance(each, Noted) and "thinks unseen" in each.text for each in events)


def test_a_server_cannot_write_the_user_s_turn() -> None:
    with opened(KINDS["vllm"]) as (engine, server), pytest.raises(ModelError, match="write the user's turn"):
        asked(engine, [replace(ASKED[0], prefix="", suffix="", chat=Chat(writes_request=True))])
    assert server.bodies == []


@pytest.mark.parametrize("slip", ["{url}/chat/completions", "{url}/chat", "{url}/chat/completions/#scripted", "{url}/v1/chat"])
def test_the_address_of_the_chat_endpoint_itself(slip: str) -> None:
    with (
        serving(CompletionsServer(chat=KINDS["openai"])) as server,
        contextlib.closing(open_engine(slip.format(url=server.url))) as engine,
    ):
        assert engine.info.model.path == f"{server.url}#scripted" and engine.info.asking == "chat"
