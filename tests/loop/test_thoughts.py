"""What a reasoning model thinks is taken out before anything is parsed, and a text that speaks of the marks stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from loop.nasty import any_text
from studio.engine.api import Completion, FinishReason, Request
from studio.engine.scripted import ScriptedEngine
from studio.loop.events import Noted
from studio.loop.parsing import MODEL_THINKS, Answer, answer_of, first_mark, without_thoughts
from studio.loop.session import Goal
from support.pools import ask
from support.sessions import configuration, play

THOUGHT = "They want\n\none name."


@pytest.mark.parametrize(
    "text",
    [
        f"<think>\n{THOUGHT}\n</think>\n\nRiesling.",
        f"  <Thinking>{THOUGHT}</Thinking>Riesling.",
        f"<think budget='9'>{THOUGHT}</think><answer>Riesling.</answer>",
        f"{THOUGHT}\n</think>\n\nRiesling.",
        f"{THOUGHT}</think>\nRiesling.",
        f"<reasoning>{THOUGHT}</reasoning>Riesling.",
        f"[THINK]{THOUGHT}[/THINK]Riesling.",
        f"◁think▷{THOUGHT}◁/think▷Riesling.",
        f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>Riesling.<|END_RESPONSE|>",
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>Riesling.<|return|>",
        f"{THOUGHT}<|channel|>final<|message|>Riesling.",
        "analysisThey want one name.assistantfinalRiesling.",
        f"<think>{THOUGHT}</think> <think>{THOUGHT}</think>Riesling.",
    ],
)
def test_thoughts_go_and_the_answer_stays(text: str) -> None:
    found = without_thoughts(text)
    assert (found.text.strip(), found.thought, found.truncated) == ("Riesling.", True, False)


@pytest.mark.parametrize(
    "text", [f"<think>{THOUGHT}", "◁think▷ Yes", "<|channel|>analysis<|message|>Yes", "[THINK]", "<think>a</think><think>b"]
)
def test_a_completion_that_ends_inside_its_thoughts_is_truncated(text: str) -> None:
    found = without_thoughts(text)
    assert found.missing and found.truncated
    kept = answer_of(Completion(text, FinishReason.STOP, 1, 1), whole=True)
    assert kept == Answer(text)


@pytest.mark.parametrize(
    "text", ["Explain what the <think> tag does.", "Wrap it in <think> and </think> tags.", "So <think>short</think> Tawny."]
)
def test_marks_within_a_sentence_stay_and_are_seen(text: str) -> None:
    assert without_thoughts(text) == Answer(text)
    assert first_mark(text)


def test_a_mark_in_quotation_marks_is_spoken_of() -> None:
    text = "Explain what `<think>` is for."
    assert without_thoughts(text) == Answer(text)
    assert not first_mark(text)
    assert first_mark(text, spoken_of=True)


def test_thoughts_behind_a_number_or_a_field_go() -> None:
    assert without_thoughts(" A.\n10. <think>x</think> B.\n**11.** <think>y</think>C.").text == " A.\n10.  B.\n**11.** C."
    assert without_thoughts(" A.\n10. <think>x</think>no\n</think>B.").text == " A.\n10. B."
    assert without_thoughts("Output: <think>x\n\nOutput: no</think>Forty-two").text == "Output: Forty-two"


@given(any_text)
def test_a_text_without_marks_is_as_it_was(text: str) -> None:
    assert without_thoughts(text) == Answer(text)


@pytest.mark.parametrize("piece", ["<think>", "</think>", "\n<think>", "<think ", "<|channel|>analysis", "<\n", "a</think>", "1. <think>"])
def test_long_texts_stay_affordable(piece: str) -> None:
    # What takes the square of a text's length would not come back from this.
    assert len(without_thoughts(piece * 100_000).text) <= len(piece) * 100_000


def thinking(request: Request) -> Completion | str:
    """A model that thinks before everything; of its second list it writes nothing else."""
    if request.params.stop_on_repeat == "items" or request.suffix.endswith("9."):
        if "unfinished" in request.params.stop:
            return f"<think>\n{THOUGHT}"
        text = (
            "<think>\n10. Tasks I think of.\n</think> Describe the lighthouse at night.\n10. Count <think>all</think> winter apples here."
        )
        return Completion(text, FinishReason.STOP, 9, 9)
    if "classification?" in request.suffix:
        return Completion("<think></think>\n\nNo", FinishReason.STOP, 9, 9)
    return Completion("<think>\nOutput: no\n</think>\nOutput: Forty-two boats.", FinishReason.STOP, 9, 9)


@pytest.mark.parametrize("profile", ["studio", "paper", "code"])
def test_no_thought_reaches_a_task(path: Path, profile: str) -> None:
    events = play(path, Goal(rounds=2), ScriptedEngine(thinking), configuration(profile, requests_per_round=1))
    assert [event for event in events if isinstance(event, Noted)] == [Noted(MODEL_THINKS)]
    decided = dict(ask(path, "SELECT text, reason FROM candidates JOIN verdicts ON candidate_id = candidates.id WHERE request_id = 1"))
    first = "Describe the lighthouse at night."
    assert decided.pop(first) == "novel"
    assert list(decided.values()) == ["thinking"]
    assert ask(path, "SELECT output, verdict FROM instances WHERE request_id IS NOT NULL") == [("Forty-two boats.", "accepted")]
    assert "<think>" in ask(path, "SELECT text FROM completions LIMIT 1")[0][0]


def test_thoughts_can_be_kept(path: Path) -> None:
    asked = configuration("code", requests_per_round=1, thinking="keep")
    assert not [event for event in play(path, Goal(rounds=1), ScriptedEngine(thinking), asked) if isinstance(event, Noted)]
    assert ask(path, "SELECT reason FROM verdicts ORDER BY candidate_id") == [("too_short",), ("novel",), ("novel",)]


def test_nothing_but_thoughts_is_no_candidate_and_no_instance(path: Path) -> None:
    asked = configuration(requests_per_round=1, stall_rounds=1, sampling__instructions__stop=["unfinished"])
    play(path, Goal(rounds=1), ScriptedEngine(thinking), asked)
    assert ask(path, "SELECT text, reason FROM candidates JOIN verdicts ON candidate_id = candidates.id") == [("", "thinking")]
