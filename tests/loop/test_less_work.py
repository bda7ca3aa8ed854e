"""What the switches for less work ask of the engine, and that the loop decides the same with and without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.engine.api import Completion, FinishReason, Request
from studio.engine.scripted import ScriptedEngine
from studio.loop.session import Goal
from studio.loop.settings import PROFILES, profile
from support.pools import ask
from support.sessions import configuration, play

GOAL = Goal(rounds=2)


def params(path: Path, stage: str) -> set[tuple[tuple[str, ...], str]]:
    """Choices and repeat rule of the stage's requests."""
    rows = ask(path, "SELECT DISTINCT params FROM requests JOIN sampling ON sampling.id = sampling_id WHERE stage = ?", stage)
    return {(tuple(values["choices"]), values["stop_on_repeat"]) for values in (json.loads(text) for (text,) in rows)}


def test_only_the_studio_profile_has_them() -> None:
    assert {name for name in PROFILES if profile(name).classify_from_logits} == {"studio"}
    assert {name for name in PROFILES if profile(name).early_stop} == {"studio"}


def test_what_the_requests_ask_for(tmp_path: Path) -> None:
    play(tmp_path / "studio.db", GOAL)
    assert params(tmp_path / "studio.db", "instructions") == {((), "items")}
    assert params(tmp_path / "studio.db", "classify") == {((" Yes", " No"), "")}
    assert params(tmp_path / "studio.db", "instances") == {((), "text")}
    play(tmp_path / "paper.db", GOAL, asked=configuration("paper"))
    for stage in ("instructions", "classify", "instances"):
        assert params(tmp_path / "paper.db", stage) == {((), "")}
    play(tmp_path / "alpaca.db", GOAL, asked=configuration("alpaca", early_stop=True))
    assert params(tmp_path / "alpaca.db", "instructions") == {((), "text")}


def test_answers_are_the_same_from_logits_and_from_text(tmp_path: Path) -> None:
    """The scripted engine chooses what it would have written."""
    for name, switch in (("logits", True), ("text", False)):
        play(tmp_path / f"{name}.db", GOAL, asked=configuration(classify_from_logits=switch))
    sql = "SELECT id, instruction, is_classification FROM tasks WHERE origin = 'generated'"
    assert ask(tmp_path / "logits.db", sql) == ask(tmp_path / "text.db", sql)
    assert {answer for _, _, answer in ask(tmp_path / "logits.db", sql)} == {0, 1}
    classified = "FROM requests JOIN completions ON id = request_id WHERE stage = 'classify'"
    for name, expected in (("logits", (0, 1, 1)), ("text", (1, 0, 0))):
        sql = f"SELECT sum(completion_tokens) > 0, count(probability) = count(*), count(probability) > 0 {classified}"
        assert ask(tmp_path / f"{name}.db", sql) == [expected]


def test_of_a_list_that_repeats_itself_the_whole_items_stay(tmp_path: Path) -> None:
    def respond(request: Request) -> str:
        if request.params.stop_on_repeat == "items":
            return " Name the tallest mountain of Peru.\n" + "10. Sing about an old green boat.\n" * 9
        return " No" if request.params.choices else "Output: It is Huascarán.\n"

    play(tmp_path / "pool.db", Goal(rounds=1), ScriptedEngine(respond), configuration(requests_per_round=1))
    assert ask(tmp_path / "pool.db", "SELECT finish_reason, text FROM completions WHERE request_id = 1") == [
        ("repeat", " Name the tallest mountain of Peru.\n" + "10. Sing about an old green boat.\n" * 3)
    ]
    decided = "SELECT candidates.text, reason FROM verdicts JOIN candidates ON candidates.id = candidate_id ORDER BY candidate_id"
    assert ask(tmp_path / "pool.db", decided) == [
        ("Name the tallest mountain of Peru.", "novel"),
        ("Sing about an old green boat.", "novel"),
        ("Sing about an old green boat.", "not_novel"),
        ("Sing about an old green boat.", "truncated"),
    ]


def test_of_instances_that_repeat_themselves_the_first_stays(tmp_path: Path) -> None:
    block = "Input: How far is it to the moon?\nOutput: Not far, if you can fly.\n"

    def respond(request: Request) -> str | Completion:
        if request.params.stop_on_repeat == "items":
            return " Answer the question of a child.\n\n"
        if request.params.choices:
            return " No"
        return "".join(f"Example {n}\n{block}" for n in range(1, 40))

    play(tmp_path / "pool.db", Goal(rounds=1), ScriptedEngine(respond), configuration(requests_per_round=1))
    decided = ask(tmp_path / "pool.db", "SELECT input, reason FROM instances WHERE request_id IS NOT NULL ORDER BY position")
    assert decided == [("How far is it to the moon?", reason) for reason in ("valid", "duplicate", "duplicate")] + [
        ("How far is it to the moon?", "truncated")
    ]


@pytest.mark.parametrize("finish", [FinishReason.REPEAT, FinishReason.LENGTH])
def test_a_completion_ended_early_counts_as_cut(tmp_path: Path, finish: FinishReason) -> None:
    def respond(request: Request) -> str | Completion:
        if request.params.choices:
            return " No"
        if request.params.stop_on_repeat == "items":
            return " Answer the question of a child.\n\n"
        return Completion("Example 1\nInput: a\nOutput: b\nExample 2\nInput: c\nOutput: d", finish, 1, 1)

    play(tmp_path / "pool.db", Goal(rounds=1), ScriptedEngine(respond), configuration(requests_per_round=1))
    decided = ask(tmp_path / "pool.db", "SELECT input, reason FROM instances WHERE request_id IS NOT NULL ORDER BY position")
    assert decided == [("a", "valid"), ("c", "truncated")]
