"""From stored answers to figures: each contestant's, and each pair's on the items that both answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio.insight.studies.raters import wilson
from studio.pool.pool import Pool
from studio.tuning.results import evaluation_result, result_tables
from studio.tuning.scores import estimate, permutation_p
from support.evaluations import BASE, TUNED, answered, item
from support.pools import make_pool
from support.tables import printed

ITEMS = [
    item(0, outputs=("the river Elbe",)),
    item(1, outputs=("kind",), is_classification=True),
    item(2, outputs=("unkind",), is_classification=True),
    item(3, task=1, outputs=("kind", "neither"), is_classification=True),
    item(4, outputs=("東京",)),
]
BASE_SAID = ["the river Elbe is what I would name if I were asked", "unkind", "unkind.", "It is kind", "Tokyo"]
TUNED_SAID = ["the river", "Kind", "I cannot say.", "neither", ""]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool.open(make_pool(tmp_path / "pool.db")) as opened:
        yield opened


def test_figures_of_contestants_by_hand(pool: Pool) -> None:
    evaluation, (base, tuned) = answered(pool, ITEMS, {BASE: BASE_SAID, TUNED: TUNED_SAID})
    result = evaluation_result(pool, evaluation)
    assert result.unscorable == 1
    first, second = result.contestants
    assert (first.id, second.id) == (tuned, base)  # The one with an adapter is the main one.
    scores = [2 * (2 / 2) * (2 / 3) / (2 / 2 + 2 / 3), 1.0, 0.0, 1.0, 0.0]
    assert first.rouge_l == estimate(scores, [0, 1, 2, 1, 4], "0")
    assert first.exact_match is not None
    assert first.exact_items == 3 and first.exact_match.value == pytest.approx(2 / 3)
    assert (first.exact_match.low, first.exact_match.high) == wilson(2, 3)
    assert (first.mean_words, first.median_words, first.refusals, first.empty) == (1.4, 1, 1, 1)
    assert (second.adapter, second.format, second.answered, second.empty) == ("", "chat", 5, 0)


def test_figures_of_a_pair_by_hand(pool: Pool) -> None:
    evaluation, _ = answered(pool, ITEMS, {BASE: BASE_SAID, TUNED: TUNED_SAID})
    [pair] = evaluation_result(pool, evaluation).pairs
    ours, theirs = [0.8, 1.0, 0.0, 1.0, 0.0], [6 / 15, 0.0, 1.0, 0.5, 0.0]
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    assert pair.rouge_l.first == pytest.approx(sum(ours) / 5)
    assert pair.rouge_l.second == pytest.approx(sum(theirs) / 5)
    assert pair.rouge_l.difference.value == pytest.approx(sum(differences) / 5)
    assert pair.rouge_l.p == pytest.approx(permutation_p(differences, [0, 1, 2, 1, 4], "0"))
    assert (pair.items, pair.wins, pair.losses) == (5, 3, 1)
    assert pair.exact_match is not None
    assert (pair.exact_match.items, pair.exact_match.first_only, pair.exact_match.second_only, pair.exact_match.p) == (3, 2, 1, 1.0)
    # Cut to two words "the river ..." is worth what "the river" is; "It is kind" cut to one word is "It".
    assert pair.equal_length.second == pytest.approx((0.8 + 0.0 + 1.0 + 0.0 + 0.0) / 5)
    assert pair.equal_length.first == pytest.approx(pair.rouge_l.first)


def test_an_answer_that_rambles_on_loses_its_handicap_at_equal_length(pool: Pool) -> None:
    """The control does what it is for: two models that say the same, but one goes on, differ only before the cut."""
    items = [item(place, outputs=(f"river number {place}",)) for place in range(20)]
    short = [f"river number {place}" for place in range(20)]
    long = [f"river number {place} and then many other words that nobody asked for" for place in range(20)]
    evaluation, _ = answered(pool, items, {BASE: long, TUNED: short})
    [pair] = evaluation_result(pool, evaluation).pairs
    assert pair.rouge_l.difference.low > 0.3
    assert pair.rouge_l.p < 0.001
    assert (pair.equal_length.difference.value, pair.equal_length.p) == (0.0, 1.0)


def test_only_what_both_answered_is_compared_and_who_said_nothing_is_left_out(pool: Pool) -> None:
    silent = replace(BASE, format="alpaca", template="alpaca")
    evaluation, (base, tuned, _) = answered(pool, ITEMS, {BASE: BASE_SAID, TUNED: TUNED_SAID[:2], silent: []})
    result = evaluation_result(pool, evaluation, [base, tuned])
    assert [each.answered for each in result.contestants] == [5, 2]
    assert [(pair.first_id, pair.items) for pair in result.pairs] == [(base, 2)]
    assert len(evaluation_result(pool, evaluation).contestants) == 2
    empty, _ = answered(pool, ITEMS[:1], {BASE: []})
    nothing = evaluation_result(pool, empty)
    assert (nothing.contestants, nothing.pairs) == ((), ())


def test_tables_hold_the_figures_and_no_markup(pool: Pool) -> None:
    hostile = replace(TUNED, adapter="[red]\x1b[31m evil")
    evaluation, _ = answered(pool, ITEMS, {BASE: BASE_SAID, hostile: TUNED_SAID})
    text = printed(result_tables(evaluation_result(pool, evaluation)), 100)
    assert "\x1b[31m" not in text
    assert "[red]" in text
    for words in ("56.0 (", "66.7 (", "of 3", "A and B: ROUGE-L", "at equal length", "1 items have references"):
        assert words in text, text
