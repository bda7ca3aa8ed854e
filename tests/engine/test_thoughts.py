"""Thoughts at the beginning of a completion: told from the answer in pieces of any size, with tokens of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.api import SamplingParams
from studio.engine.text_stream import RepeatWatch, TextStream
from studio.engine.thoughts import ThoughtWatch, WrittenText, is_mark

MARKS = [
    ("<think>", "</think>"),
    ("\n <Thinking effort='low'>", "</Thinking>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
]
ROOMY = SamplingParams(max_tokens=10_000, thinking_tokens=10_000)


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def written(text: str, params: SamplingParams, size: int = 1, opening: str = "") -> tuple[str, WrittenText]:
    """The text of a completion whose tokens have `size` bytes, as an engine would have it end."""
    watch, shown = WrittenText(params, "", opening), ""
    for piece in pieces_of(text.encode(), size):
        shown += watch.feed(piece)
        if watch.full or watch.repeats or watch.stopped is not None:
            break
    return shown + watch.finish(), watch


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_thoughts_end_where_their_mark_does(opening: str, closing: str, size: int) -> None:
    watch = ThoughtWatch()
    parts = [watch.feed(piece) for piece in pieces_of(f"{opening}They say é.{closing}Für dich.".encode(), size)]
    assert b"".join(thoughts for thoughts, _ in parts).endswith(f"They say é.{closing}".encode()) or size == 1
    answer = b"".join(answer for _, answer in parts).decode(errors="replace")
    assert answer.endswith("Für dich.") and closing not in answer and "They" not in answer
    text = f"{opening}They say é.{closing}Für dich."
    assert written(text, ROOMY, size)[0] == text
    assert not watch.inside and not watch.may_open


@pytest.mark.parametrize("text", ["The <think> mark.", "<thead>", "analysis of it", "<p>", "analyse", "[THIN", "", "  ", "x<think>"])
def test_other_texts_have_none(text: str) -> None:
    watch = ThoughtWatch()
    assert b"".join(watch.feed(piece)[1] for piece in pieces_of(text.encode(), 1)) == text.encode()
    assert not watch.inside


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_neither_stops_nor_repetition_fire_in_thoughts(size: int) -> None:
    params = SamplingParams(max_tokens=10_000, thinking_tokens=10_000, stop=("\n\n",), stop_on_repeat="text")
    thoughts = "<think>\nFirst.\n\n" + "Again and again. " * 20 + "</think>\n\n"
    text, watch = written(f"{thoughts}Riesling.\n\nTawny.", params, size)
    assert text == f"{thoughts}Riesling." and watch.stopped == "\n\n"
    text, watch = written(f"{thoughts}Riesling. {'Say it again. ' * 30}", params, size)
    assert watch.repeats and text.startswith(f"{thoughts}Riesling.")


def test_thoughts_have_tokens_of_their_own() -> None:
    params = SamplingParams(max_tokens=5, thinking_tokens=30)
    text, watch = written("<think>A long thought.</think>Rieslings are white.", params)
    assert text == "<think>A long thought.</think>Riesl" and watch.full
    text, watch = written("<think>A thought that is too long for it.</think>Riesling.", params)
    assert text == "<think>A thought that is too l" and watch.full
    # A mark of several tokens is none of the answer, however few it may have.
    assert written("<think>So</think>Yes", SamplingParams(max_tokens=3, thinking_tokens=50))[0] == "<think>So</think>Yes"


def test_a_prompt_may_have_opened_them() -> None:
    params = SamplingParams(max_tokens=4, thinking_tokens=20, stop=("\n",))
    assert written("Hm.\nSo.</think>\n\nTawny", params, opening="<think>\n")[0] == "<think>\nHm.\nSo.</think>\n\nTawn"
    assert written("Hm, so many words to think", params, opening="<think>\n")[0] == "<think>\nHm, so many words to"
    assert written("", params, opening="<think>\n")[0] == "<think>\n"


def test_without_a_budget_they_are_text_like_any_other() -> None:
    assert written("<think>One.\n\nTwo.</think>", SamplingParams(max_tokens=100, stop=("\n\n",)))[0] == "<think>One."
    assert written("<think>One.</think>", SamplingParams(max_tokens=8))[0] == "<think>O"


@given(st.text("<thinks>/ \n\u25c1analysE[A", max_size=60), st.integers(1, 9), st.integers(1, 70))
def test_a_text_without_thoughts_is_as_it_was(text: str, size: int, most: int) -> None:
    plain = SamplingParams(max_tokens=most, stop=("\n\n", "sE"), stop_on_repeat="text")
    assert written(text, plain, size)[0] == _before(text, plain, size)
    watched = ThoughtWatch()
    if not any(watched.feed(piece)[0] for piece in pieces_of(text.encode(), size)) and not watched.may_open:
        roomy = SamplingParams(max_tokens=most, stop=plain.stop, stop_on_repeat="text", thinking_tokens=most)
        assert written(text, roomy, size)[0] == _before(text, plain, size)


def _before(text: str, params: SamplingParams, size: int) -> str:
    """What engines did before thoughts had room."""
    stream, watch, shown = TextStream(params.stop), RepeatWatch(params.stop_on_repeat), ""
    for piece in pieces_of(text.encode(), size)[: params.max_tokens]:
        shown += watch.feed(stream.feed(piece))
        if stream.stopped is not None or watch.fired:
            break
    return shown + watch.feed(stream.finish())


@given(st.text(max_size=40), st.text("a<b/> \n", max_size=20), st.integers(1, 9))
def test_pieces_do_not_matter(thoughts: str, answer: str, size: int) -> None:
    text = f"<think>{thoughts}</think>{answer}"
    assert written(text, ROOMY, size)[0] == written(text, ROOMY, 10_000)[0] == text


def test_marks_are_known() -> None:
    assert is_mark(b"[THINK]") and is_mark(b"</think>") and is_mark(b"<|channel>") and not is_mark(b"<|im_start|>")
