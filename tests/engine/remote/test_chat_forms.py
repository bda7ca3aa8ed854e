"""The forms in which servers answer chat: where text and thoughts stand, and how an answer ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.api import Chat, Completion, FinishReason
from studio.engine.remote.errors import Answered, BrokenStream
from studio.engine.remote.reading import PromptWatch, Reading
from studio.loop.parsing import answer_of
from support.answers import events, read
from support.engines import request

CHAT = Chat()


def delta(reason: Any = None, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said, "finish_reason": reason}]}


def document(reason: str = "stop", **said: Any) -> bytes:
    message = {"role": "assistant", **said}
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}).encode()


USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
ENDS = (delta("stop"), USAGE, "[DONE]")
EXPECTED = Completion("<think>\nhm é\n</think>\n\ntwo 🙂", FinishReason.STOP, 7, 3)
TEXT = ({"content": "tw"}, {"content": "o 🙂"})
FORMS = {
    "reasoning_content": events(*(delta(**said) for said in ({"reasoning_content": "hm"}, {"reasoning_content": " é"}, *TEXT)), *ENDS),
    "reasoning": events(*(delta(**said) for said in ({"reasoning": "hm é", "content": ""}, *TEXT)), *ENDS),
    "both": events(*(delta(**said) for said in ({"reasoning": "hm é", "reasoning_content": "hm é", "content": None}, *TEXT)), *ENDS),
    "all at once": events(delta(reasoning="hm é", content="two 🙂"), *ENDS),
    "with the end": events(delta(reasoning="hm é"), delta("stop", content="two 🙂"), *ENDS[1:]),
    "role first": events(
        delta(role="assistant", content=""), delta(reasoning="hm é", content=None), *(delta(**each) for each in TEXT), *ENDS
    ),
    "line ends left behind": events(delta(reasoning="hm é"), delta(content="\n"), delta(content="\ntw"), delta(content="o 🙂"), *ENDS),
    "thoughts as parts": events(delta(content=[{"type": "thinking", "thinking": [{"text": "hm é"}]}]), delta(content="two 🙂"), *ENDS),
    "comments": b": OPENROUTER PROCESSING\n\n" + events(delta(reasoning="hm é"), delta(content="two 🙂"), *ENDS),
    "the message again": events(
        delta(reasoning="hm é"),
        delta(content="two 🙂"),
        {"choices": [{"delta": None, "message": {"content": "two 🙂"}, "finish_reason": "stop"}]},
        USAGE,
    ),
    "json": document(reasoning_content="hm é", content="two 🙂", refusal=None),
    "json with parts": document(reasoning="hm é", content=[{"type": "text", "text": "two "}, {"type": "text", "text": "🙂"}]),
}


@pytest.mark.parametrize("form", FORMS)
@given(cuts=st.lists(st.integers(0, 2000), max_size=5))
def test_every_form_of_a_chat_s_answer_is_read_however_it_is_cut(form: str, cuts: list[int]) -> None:
    assert read(FORMS[form], cuts, CHAT) == EXPECTED


@pytest.mark.parametrize(
    ("chunks", "text", "reason", "detail"),
    [
        ((delta(content="half"), delta("length")), "half", FinishReason.LENGTH, ""),
        ((delta(content="half"), delta("content_filter")), "half", FinishReason.LENGTH, "content_filter"),
        ((delta(content=None), delta("tool_calls", tool_calls=[{}])), "", FinishReason.LENGTH, "tool_calls"),
        ((delta(refusal="I can't"), delta("stop", refusal=" do that.")), "I can't do that.", FinishReason.LENGTH, "refusal"),
        ((delta(content="whole"), delta("end_turn")), "whole", FinishReason.STOP, ""),
        ((delta(content="whole"), delta("STOP")), "whole", FinishReason.STOP, ""),
        ((delta(content=""), delta("stop")), "", FinishReason.STOP, ""),
        ((delta(content="whole"), "[DONE]"), "whole", FinishReason.UNKNOWN, ""),
        ((delta(reasoning="hm"), delta("length")), "<think>\nhm", FinishReason.LENGTH, ""),
        ((delta(reasoning="hm"), "[DONE]"), "<think>\nhm", FinishReason.UNKNOWN, ""),
        ((delta(reasoning="hm"), delta("stop")), "<think>\nhm\n</think>\n\n", FinishReason.STOP, ""),
        (
            (delta(reasoning="a"), delta(content="b"), delta(reasoning="c"), delta(content="d"), delta("stop")),
            "<think>\na\n</think>\n\nb\n<think>\nc\n</think>\n\nd",
            FinishReason.STOP,
            "",
        ),
    ],
)
def test_how_an_answer_ends(chunks: Sequence[Any], text: str, reason: FinishReason, detail: str) -> None:
    completion = read(events(*chunks), chat=CHAT)
    assert (completion.text, completion.finish_reason, completion.detail) == (text, reason, detail)
    answer = answer_of(completion, whole=False)
    assert "hm" not in answer.text and answer.truncated == (reason is FinishReason.LENGTH or text == "<think>\nhm")


@given(st.text(max_size=30), st.text(min_size=1, max_size=30))
def test_thoughts_never_get_into_the_answer(thoughts: str, text: str) -> None:
    plain = "".join(f"thought{ord(each)}." for each in thoughts)
    reading = Reading(replace(request("", max_tokens=999), chat=CHAT))
    pieces = [reading.take(delta(reasoning=each)) for each in plain]
    pieces += [reading.take(delta(content=each)) for each in text] + [reading.take(delta("stop"))]
    whole = f"<think>\n{plain}\n</think>\n\n{text.lstrip(chr(10))}" if plain else text
    assert "".join(pieces) == reading.completion(0.0).text == whole


def test_a_stop_string_is_not_found_between_the_thoughts_and_the_answer() -> None:
    completion = read(events(delta(reasoning="hm"), delta(content="\n\nYes"), delta(content="\nTask: x"), *ENDS), chat=CHAT, stop=("\n",))
    assert (completion.text, completion.finish_reason) == ("<think>\nhm\n</think>\n\nYes", FinishReason.STOP)


def test_closing_marks_among_the_thoughts_do_not_let_them_out() -> None:
    completion = read(events(delta(reasoning="say </think> then\nmore"), delta(content="answer"), *ENDS), chat=CHAT)
    assert answer_of(completion, whole=False).text.strip() == "answer"


@pytest.mark.parametrize(
    ("text", "thought"),
    [("<think>hm</think>Yes", True), ("Hm.\n</think>\n\nYes", True), ("Say </think> at its end.", False), ("Yes", False)],
)
def test_thoughts_that_a_server_leaves_in_the_text_are_seen(text: str, thought: bool) -> None:
    reading = Reading(replace(request(""), chat=CHAT))
    for chunk in (delta(content=text), *ENDS):
        reading.take(chunk)
    assert reading.thought is thought
    assert answer_of(reading.completion(0.0)).text.strip() == ("Yes" if thought else text)


def test_stop_strings_are_not_found_in_thoughts_that_a_server_leaves_in_the_text() -> None:
    thinking = events(delta(content="<think>\n\nhm"), delta(content="\n\n</think>\n\nYes"), delta(content="\n\nNo"), *ENDS)
    completion = read(thinking, chat=CHAT, stop=("\n\n",), thinking_tokens=9)
    assert (completion.text, completion.detail) == ("<think>\n\nhm\n\n</think>\n\nYes", "\n\n")


def test_repetition_is_looked_for_in_the_answer_alone() -> None:
    lines = "1. Name a river.\n2. Name a lake.\n3. Name a hill.\n"
    drafts = events(delta(reasoning=lines * 4), delta(content=lines), *ENDS)
    assert read(drafts, chat=CHAT, stop_on_repeat="items").finish_reason is FinishReason.STOP
    assert read(events(delta(content=lines * 3), *ENDS), chat=CHAT, stop_on_repeat="items").finish_reason is FinishReason.REPEAT


def test_tokens_spent_on_thoughts_that_are_not_shown() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 64, "completion_tokens_details": {"reasoning_tokens": 64}}
    reading = Reading(replace(request(""), chat=CHAT))
    for value in (delta(content=""), delta("length"), {"choices": [], "usage": usage}):
        reading.take(value)
    assert reading.spent and reading.thought and reading.completion(0.0).finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (events({"choices": [{"text": "x", "finish_reason": "stop"}]}), Answered),
        (events({"choices": [{"delta": "x"}]}), BrokenStream),
        (events(delta(content=5)), BrokenStream),
        (events(delta(content=[5])), BrokenStream),
        (events(delta(content=[{"type": "text", "text": 5}])), BrokenStream),
        (events(delta(content={"text": "x"})), BrokenStream),
        (events({"error": {"message": "Provider returned error", "code": 502}, "choices": [delta()["choices"][0]]}), Answered),
        (events(delta("error")), BrokenStream),
        (events(delta(content="x")), BrokenStream),
        (b'{"error": "Unexpected endpoint or method. (POST /v1/chat/completions)"}', Answered),
    ],
)
def test_what_is_no_answer(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(data, chat=CHAT)


@pytest.mark.parametrize(
    "odd",
    [delta(content=[None, {"type": "image"}, {"type": "text"}]), delta(reasoning={"a": 1}), delta(reasoning=["x"]), delta(refusal={})],
)
def test_parts_that_are_no_text_are_passed_over(odd: Any) -> None:
    assert Reading(replace(request(""), chat=CHAT)).take(odd) == ""


def test_short_prompts_of_a_chat_may_have_the_same_count() -> None:
    watch = PromptWatch()
    assert [watch.is_cut(request("x" * size), 40) for size in (120, 190, 260, 330)] == [False] * 4


_NAMES = (
    "choices delta message content text reasoning refusal finish_reason index usage "
    "completion_tokens_details reasoning_tokens type thinking"
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "stop", "error", "\ud83d", "thinking", "</think>"])
_KEYS = st.sampled_from(_NAMES.split())
_ANYTHING = st.recursive(_LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(_KEYS, each, max_size=4), max_leaves=12)
_CHOICES = st.dictionaries(_KEYS, _ANYTHING, max_size=4) | st.fixed_dictionaries({"delta": st.dictionaries(_KEYS, _ANYTHING, max_size=4)})


@given(st.lists(_ANYTHING | st.fixed_dictionaries({"choices": st.lists(_CHOICES, max_size=2)}), max_size=5))
def test_whatever_a_server_sends_is_read_or_refused(values: list[Any]) -> None:
    reading = Reading(replace(request("", max_tokens=20, stop=("top",)), chat=CHAT))
    pieces: list[str] = []
    try:
        pieces += [reading.take(value) for value in values if not reading.stopped]
        pieces.append(reading.close())
    except (Answered, BrokenStream):
        return
    assert "".join(pieces) == reading.completion(0.0).text
