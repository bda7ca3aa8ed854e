"""Reason codes are for programs, their sentences for people."""

from __future__ import annotations

from studio.loop.instance_rules import INSTANCE_RULES
from studio.loop.reasons import INSTANCE_REASONS, INSTRUCTION_REASONS, REASONS


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
