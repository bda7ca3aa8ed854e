"""What engines of every kind say: why no prompt fits, and how a batch ends that is given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from studio.engine.api import SERVER, Completion, EngineInfo, Finished, FinishReason, OpenRequests, Retried, TextPiece
from studio.records import ModelIdentity

LOCAL = EngineInfo(ModelIdentity("m", "", context_length=2048), "llama.cpp (CPU)", context_tokens=8192, parallel=16, contexts=2)


@pytest.mark.parametrize(
    ("info", "message", "hint"),
    [
        (LOCAL, "the model, which was trained for 2,048 tokens: too long", "--set in_context_tasks=4"),
        (replace(LOCAL, contexts=4), "the model, which was trained for 2,048 tokens: too long", "--set in_context_tasks=4"),
        (replace(LOCAL, contexts=8), "the model's context: too long", "raise --context"),
        (replace(LOCAL, model=ModelIdentity("m", "")), "the model's context: too long", "raise --context"),
    ],
)
def test_what_to_do_when_no_prompt_fits(info: EngineInfo, message: str, hint: str) -> None:
    error = info.no_room("too long")
    assert error.message == f"no prompt fits {message}" and hint in error.hint
    assert ("--context" in error.hint) == ("context: " in error.message), "more context is of no use beyond what the model was trained for"


def test_what_to_do_when_a_server_refuses_every_prompt() -> None:
    error = replace(LOCAL, backend=SERVER, context_tokens=0, contexts=1).no_room("too long")
    assert error.message == "the server refused every prompt: too long"
    assert "--set in_context_tasks=4" in error.hint and "--max-model-len" in error.hint


def test_what_is_open_ends_with_the_text_that_was_told() -> None:
    still_open = OpenRequests(3)
    whole = Finished(1, Completion("b", FinishReason.STOP, 1, 1))
    for event in (TextPiece(0, "a"), TextPiece(1, "b"), TextPiece(2, "c"), whole, Retried(2, 2, "broken"), TextPiece(0, "a")):
        assert still_open.note(event) is event
    ends = {event.index: event.completion for event in still_open.cancelled()}
    assert {index: (end.text, end.finish_reason) for index, end in ends.items()} == {
        0: ("aa", FinishReason.CANCELLED),
        2: ("", FinishReason.CANCELLED),
    }
    assert list(still_open.cancelled()) == []
