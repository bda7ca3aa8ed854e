"""The program itself in a real terminal, scripted and with the bundled model: a round is stepped, a verdict overruled, and both stay."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from studio.records import Stage
from support.pools import ask, assert_sound
from support.terminal import Terminal

SMALL = {
    "STUDIO_ASKING": "completion",
    "STUDIO_THREADS": "1",
    "STUDIO_REQUESTS_PER_ROUND": "1",
    "STUDIO_SAMPLING__INSTRUCTIONS__MAX_TOKENS": "48",
    "STUDIO_SAMPLING__INPUT_FIRST__MAX_TOKENS": "16",
    "STUDIO_SAMPLING__OUTPUT_FIRST__MAX_TOKENS": "16",
}
"""A small round: the way through it is the same."""
CHAT = {
    "STUDIO_THREADS": "1",
    "STUDIO_REQUESTS_PER_ROUND": "1",
    "STUDIO_TEMPLATE_REQUESTS": "2",
    **{f"STUDIO_SAMPLING__{name}__MAX_TOKENS": "32" for name in ("LIST_CHAT", "TEMPLATE", "INPUT_FIRST", "OUTPUT_FIRST", "ANSWER")},
}
STAGES = ("sample", "instructions", "filter", "classify", "instances", "commit")
VERDICTS = "SELECT verdict, decided_by FROM decisions WHERE candidate_id = 1 ORDER BY id"


SLOW = (pytest.mark.real_model, pytest.mark.slow)


@pytest.mark.parametrize(
    ("size", "model"),
    [((80, 24), ("--model", "scripted")), pytest.param((80, 24), (), marks=SLOW), pytest.param((120, 40), (), marks=SLOW)],
)
def test_a_round_and_a_verdict_outlive_the_program(tmp_path: Path, size: tuple[int, int], model: tuple[str, ...]) -> None:
    pool = tmp_path / "pool.db"
    with Terminal(tmp_path, ["run", pool, *model], size, **SMALL) as terminal:
        if not model:
            terminal.until("◌ loading")
        terminal.until("next: sample")
        for stage, following in pairwise(STAGES[:4]):
            terminal.press("s")
            terminal.until(f"✓ {stage}")
            terminal.until(f"next: {following}")
        terminal.until("✓ accepted  novel.")
        terminal.press("t")
        terminal.until("✗✎")
        terminal.until("✗ rejected by you. The rule said: accepted, novel.")
        terminal.press("r")
        terminal.until("✓ commit")
        terminal.until("next: sample")
        terminal.press("q")
        assert terminal.ended() == 0
    assert_sound(pool)
    assert ask(pool, VERDICTS) == [("accepted", "rule"), ("rejected", "human")]
    with Terminal(tmp_path, ["run", pool, *model] if model else [pool], size) as terminal:
        terminal.until("next: sample")
        terminal.until("✓ commit")
        terminal.until("✗ rejected by you. The rule said: accepted, novel.")
        terminal.press("u")
        terminal.until("✓ accepted  novel.")
        for _ in range(2):
            terminal.press("2")
            terminal.until(" · by id")
            terminal.press("1")
            terminal.until("✓ accepted  novel.")
        terminal.press("q")
        assert terminal.ended() == 0
    assert_sound(pool)


@pytest.mark.real_model
def test_from_the_picker_to_an_explained_task_with_the_keys_of_the_footer(tmp_path: Path) -> None:
    with Terminal(tmp_path, [], (80, 24), **SMALL) as terminal:
        terminal.until("^s Create and open")
        terminal.press("ctrl+s")
        for following in STAGES[1:4]:
            terminal.until("s Step")
            terminal.press("s")
            terminal.until(f"next: {following}")
        terminal.until("✓ accepted  novel.")
        terminal.until("nearest #")
        terminal.until("q Quit")
        terminal.press("q")
        assert terminal.ended() == 0
    assert_sound(tmp_path / "pool.db")


@pytest.mark.real_model
@pytest.mark.slow
def test_a_round_in_chat(tmp_path: Path) -> None:
    pool = tmp_path / "pool.db"
    with Terminal(tmp_path, ["run", pool], (80, 24), **CHAT) as terminal:
        for stage in Stage:
            terminal.until(f"next: {stage}")
            terminal.press("s")
        terminal.until("✓commit")
        terminal.until("next: sample")
        terminal.press("q")
        assert terminal.ended() == 0
    assert_sound(pool)
    asked = dict(ask(pool, "SELECT source, count(*) FROM requests WHERE source IS NOT NULL GROUP BY source"))
    assert asked == {"in_context": 1, "template": 2}
