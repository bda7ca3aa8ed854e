"""Which instances of a task are kept, and why the others are not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import UsageError
from studio.loop.filters import INSTANCE_REASONS, INSTANCE_RULES, decide_instances
from studio.loop.settings import Method, profile
from studio.records import Instance, Verdict


def method(limit: int = 5, rules: tuple[str, ...] = INSTANCE_RULES) -> Method:
    return profile("code").model_copy(update={"max_instances": limit, "instance_rules": rules})


def reasons(*pairs: tuple[str, str], truncated: bool = False, limit: int = 5, rules: tuple[str, ...] = INSTANCE_RULES) -> list[str]:
    parsed = [Instance(*pair) for pair in pairs]
    decided = decide_instances(parsed, method(limit, rules), truncated=truncated, rng=random.Random(7))
    assert [instance for instance, _, _ in decided] == parsed
    return [reason for _, _, reason in decided]


def test_each_rule() -> None:
    assert reasons(("a", "b")) == ["valid"]
    assert reasons(("a", "a"), ("a", ""), ("a:", "b"), ("a", "b:")) == [
        "same_as_input",
        "empty_output",
        "ends_with_colon",
        "ends_with_colon",
    ]
    assert reasons(("", "")) == ["same_as_input"]


def test_contradiction_takes_all_that_is_left() -> None:
    assert reasons(("a", "b"), ("x", ""), ("a", "c"), ("d", "e")) == ["contradictory", "empty_output", "contradictory", "contradictory"]


def test_an_empty_input_contradicts_nothing() -> None:
    assert reasons(("", "b"), ("", "c")) == ["valid", "valid"]


def test_what_is_dropped_before_contradicts_nothing() -> None:
    assert reasons(("a", "b"), ("a", "c:")) == ["valid", "ends_with_colon"]
    assert reasons(("a", "b"), ("a", "c"), truncated=True) == ["valid", "truncated"]


def test_first_of_duplicates_stays() -> None:
    assert reasons(("a", "b"), ("a", "b"), ("", "b"), ("", "b")) == ["valid", "duplicate", "valid", "duplicate"]


def test_limit_draws_a_sample() -> None:
    drawn = reasons(*[("", str(number)) for number in range(9)])
    assert drawn.count("valid") == 5
    assert drawn.count("over_limit") == 4
    assert drawn == reasons(*[("", str(number)) for number in range(9)])


def test_generator_is_left_alone_without_need() -> None:
    rng = random.Random(3)
    decide_instances([Instance("", "a")], method(1), truncated=False, rng=rng)
    assert rng.getstate() == random.Random(3).getstate()


def test_rules_can_be_left_out() -> None:
    assert reasons(("a", "a"), ("a", "b"), ("a", "b"), rules=()) == ["valid"] * 3


def test_unknown_rule() -> None:
    with pytest.raises(UsageError, match="duplicates") as caught:
        reasons(("a", "b"), rules=("duplicates",))
    assert "duplicate" in caught.value.hint


def test_nothing_parsed_is_on_record() -> None:
    decided = decide_instances([], method(), truncated=True, rng=random.Random(0), raw_text=" what it wrote\n")
    assert decided == [(Instance("", "what it wrote"), Verdict.REJECTED, "unparsed")]


pairs = st.tuples(st.sampled_from(["", "a", "b", "a:"]), st.sampled_from(["", "a", "b", "c", "c:"]))


@given(st.lists(pairs, min_size=1, max_size=12), st.booleans(), st.integers(1, 5), st.sets(st.sampled_from(INSTANCE_RULES)))
def test_every_decision_has_its_reason(found: list[tuple[str, str]], truncated: bool, limit: int, rules: set[str]) -> None:
    parsed = [Instance(*pair) for pair in found]
    decided = decide_instances(parsed, method(limit, tuple(rules)), truncated=truncated, rng=random.Random(1))
    assert [instance for instance, _, _ in decided] == parsed
    kept = [reason for _, verdict, reason in decided if verdict is Verdict.ACCEPTED]
    assert set(kept) <= {"valid"}
    assert len(kept) <= limit
    assert {reason for _, verdict, reason in decided if verdict is Verdict.REJECTED} <= set(INSTANCE_REASONS) - {"valid"}
    assert ("over_limit" in {reason for _, _, reason in decided}) <= (len(kept) == limit)
