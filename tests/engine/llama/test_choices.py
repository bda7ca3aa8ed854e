"""Choosing between continuations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.llama.sampling import likeliest
from studio.engine.llama.vocab import Prompt, fork


def test_choices_part_after_the_prompt_or_later() -> None:
    assert fork([(1, 2, 7), (1, 2, 9, 4)]) == Prompt((1, 2), (7, 9))
    assert fork([(1, 5, 7), (1, 5, 9), (1, 5, 8)]) == Prompt((1, 5), (7, 9, 8))


@pytest.mark.parametrize(
    "texts", [[(1, 2)], [(1, 2), (1, 2)], [(1, 2), (1, 2, 3)], [(1, 2), (1, 3), (1, 2)], [(1, 2, 5), (1, 3), (1, 2, 6)]]
)
def test_choices_that_one_token_does_not_tell_apart(texts: list[tuple[int, ...]]) -> None:
    assert fork(texts) is None


def test_the_first_of_equals_is_chosen() -> None:
    assert likeliest([2.0, 2.0]) == (0, 0.5)


@given(st.lists(st.floats(-60, 60), min_size=2, max_size=5))
def test_the_probability_is_that_of_the_first(logits: list[float]) -> None:
    place, probability = likeliest(logits)
    assert logits[place] == max(logits)
    assert math.isclose(probability, 1 / sum(math.exp(logit - logits[0]) for logit in logits))
    if len(logits) == 2:
        assert (probability >= 0.5) == (place == 0) or math.isclose(probability, 0.5)
