"""Reason codes are for programs, their sentences for people."""

from __future__ import annotations

import pytest

from studio.loop.filters import INSTANCE_REASONS, INSTANCE_RULES, INSTRUCTION_REASONS, OF_FORM, REASONS, stall_hint


def test_each_code_has_one_sentence() -> None:
    assert set(REASONS) == set(INSTRUCTION_REASONS) | set(INSTANCE_REASONS)
    for code, sentence in REASONS.items():
        assert code == code.lower().replace(" ", "_")
        assert sentence[0].isupper()
        assert sentence.endswith(".")


def test_shared_codes_mean_the_same() -> None:
    for code in set(INSTRUCTION_REASONS) & set(INSTANCE_REASONS):
        assert INSTRUCTION_REASONS[code] == INSTANCE_REASONS[code]


def test_every_instance_rule_is_a_reason() -> None:
    assert set(INSTANCE_RULES) < set(INSTANCE_REASONS)


@pytest.mark.parametrize(
    ("rejected", "words"),
    [
        ({"thinking": 5, "not_novel": 4}, "inside the model's thoughts"),
        ({"empty": 3, "unmarked": 3, "not_novel": 5}, "the form is the trouble, not the temperature"),
        ({"not_novel": 5, "malformed_item": 5}, "a higher temperature"),
        ({}, "a higher temperature"),
    ],
)
def test_a_stalled_run_is_told_what_most_candidates_fell_for(rejected: dict[str, int], words: str) -> None:
    assert words in stall_hint(rejected)
    assert set(INSTRUCTION_REASONS) > OF_FORM
