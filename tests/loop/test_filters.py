"""What rejects a candidate or an instance, and the reason codes: for programs; their sentences are for people."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.nasty import any_text
from studio.errors import UsageError
from studio.loop.filters import (
    FILTERS,
    INSTANCE_REASONS,
    INSTANCE_RULES,
    INSTRUCTION_REASONS,
    OF_FORM,
    REASONS,
    decide_instances,
    first_failure,
    stall_hint,
)
from studio.loop.settings import Method, profile
from studio.records import Instance, Verdict

WORDS = ("image", "go to", "C++")
PLAIN = profile("code").model_copy(update={"blocked_words": WORDS})
SCRIPTS = profile("studio").model_copy(update={"blocked_words": WORDS})


def failure(text: str, names: Sequence[str], method: Method = PLAIN) -> str:
    return first_failure(text, method.model_copy(update={"filters": tuple(names)}))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("empty", "", "empty"),
        ("empty", "x", ""),
        ("length", "a b c", "too_short"),
        ("length", "a b c d", ""),
        ("length", "w " * 150, ""),
        ("length", "w " * 151, "too_long"),
        ("blocked_words", "Describe the IMAGE, please", "blocked_word"),
        ("blocked_words", "images imagery pre-image's", "blocked_word"),
        ("blocked_words", "images imagery _image_", ""),
        ("blocked_words", "Where should I Go To now", "blocked_word"),
        ("blocked_words", "undergo tooth surgery", ""),
        ("blocked_words", "Explain C++ templates", "blocked_word"),
        ("write_a_program", "write A Program in C", "write_a_program"),
        ("write_a_program", "Please write a program", ""),
        ("write_a_program_exact", "write a program in C", ""),
        ("write_a_program_exact", "Write a programme", "write_a_program"),
        ("ascii_punctuation", "(Do this", "starts_with_punctuation"),
        ("ascii_punctuation", "“Do” this", ""),
        ("ascii_punctuation", "", ""),
        ("unicode_punctuation", "“Do” this", "starts_with_punctuation"),
        ("unicode_punctuation", "→ do this", "starts_with_punctuation"),
        ("unicode_punctuation", "`do` this", "starts_with_punctuation"),
        ("unicode_punctuation", "¿Qué hora es?", ""),
        ("unicode_punctuation", "", ""),
        ("non_ascii", "Éclair", "starts_with_non_ascii"),
        ("non_ascii", "Eclair é", ""),
    ],
)
def test_filter(name: str, text: str, reason: str) -> None:
    assert failure(text, [name]) == reason


def test_other_scripts_have_words() -> None:
    chinese = "请把下面的句子翻译成英文"
    assert failure(chinese, ["length"]) == "too_short"
    assert failure(chinese, ["length"], SCRIPTS) == ""
    assert failure("翻译", ["length"], SCRIPTS) == "too_short"


def test_the_first_of_the_named_filters_gives_the_reason() -> None:
    assert failure("(image", ["ascii_punctuation", "length"]) == "starts_with_punctuation"
    assert failure("(image", ["length", "ascii_punctuation"]) == "too_short"
    assert failure("(image", []) == ""


def test_no_blocked_words() -> None:
    assert failure("an image", ["blocked_words"], PLAIN.model_copy(update={"blocked_words": ()})) == ""


def test_unknown_filter() -> None:
    with pytest.raises(UsageError, match="lenght") as caught:
        failure("text", ["lenght"])
    assert "length" in caught.value.hint


@given(any_text)
def test_every_discard_has_a_reason(text: str) -> None:
    for name in FILTERS:
        for settings in (PLAIN, SCRIPTS):
            assert failure(text, [name], settings) in ("", *REASONS)


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
