"""Intervals and tests of an evaluation: against every outcome counted by hand, and against scipy."""

from __future__ import annotations

from itertools import product
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from studio.tuning.scores import by_task, estimate, mcnemar_p, permutation_p

SCORES = [0.1, 0.9, 0.4, 0.4, 0.0, 0.7, 0.35, 0.62, 0.18, 0.05, 0.5, 0.33, 0.27, 0.81, 0.44]
OTHERS = [0.0, 0.8, 0.45, 0.1, 0.0, 0.75, 0.2, 0.6, 0.2, 0.0, 0.3, 0.3, 0.1, 0.6, 0.5]


def test_the_interval_is_that_of_all_resamples_counted() -> None:
    values = [0.0, 0.2, 0.9, 0.5]
    means = [fmean(drawn) for drawn in product(values, repeat=4)]
    found = estimate(values, range(4), "x", 200_000)
    assert found.value == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.026)
    assert found.low in np.round(means, 12) or found.low == pytest.approx(min(means, key=lambda mean: abs(mean - found.low)))


def test_the_interval_is_scipys() -> None:
    theirs = stats.bootstrap((SCORES,), np.mean, method="percentile", n_resamples=50_000, rng=np.random.default_rng(1)).confidence_interval
    ours = estimate(SCORES, range(len(SCORES)), "0", 50_000)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.004)


def test_whole_tasks_are_drawn() -> None:
    """Two tasks of two equal items each: only three means can be drawn, weighted by the tasks' items."""
    tasks = [0, 0, 1, 1, 1]
    found = estimate([0.0, 0.0, 1.0, 1.0, 1.0], tasks, "0", 4000)
    assert (found.value, found.low, found.high) == (0.6, 0.0, 1.0)
    one = estimate([0.25, 0.75], [7, 7], "0")
    assert (one.value, one.low, one.high) == (0.5, 0.5, 0.5)


def test_equal_seeds_draw_equally() -> None:
    ask = [estimate(SCORES, range(15), seed) for seed in ("a", "a", "b")]
    assert ask[0] == ask[1] != ask[2]


def test_there_must_be_values_with_their_tasks() -> None:
    for values, tasks in (([], []), ([0.5], [1, 2])):
        with pytest.raises(ValueError):
            by_task(values, tasks)


@pytest.mark.parametrize("count", [5, 9, 12])
def test_the_permutation_test_of_few_tasks_is_scipys_exact_one(count: int) -> None:
    ours, theirs = SCORES[:count], OTHERS[:count]
    exact = stats.permutation_test((ours, theirs), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=1 << 13)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    assert permutation_p(differences, range(count), "0") == pytest.approx(float(exact.pvalue))


def test_the_permutation_test_of_many_tasks_comes_near_scipys() -> None:
    differences = [a - b for a, b in zip(SCORES, OTHERS, strict=True)]
    exact = stats.permutation_test((SCORES, OTHERS), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=1 << 16)
    assert permutation_p(differences, range(15), "0", 100_000) == pytest.approx(float(exact.pvalue), abs=0.004)
    assert permutation_p([1.0] * 60, range(60), "0", 999) == 1 / 1000
    assert permutation_p([0.0] * 60, range(60), "0", 999) == 1.0


def test_items_of_one_task_change_signs_together() -> None:
    # Four items of one task are one coin: it falls as it did, or the other way, which is as extreme.
    assert permutation_p([0.3, 0.2, 0.1, 0.4], [5, 5, 5, 5], "0") == 1.0
    assert permutation_p([0.3, 0.2, 0.1, 0.4], [1, 2, 3, 4], "0") == 2 / 16


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemars_p_is_scipys_binomial(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_p(first, second) == pytest.approx(float(expected))
    assert mcnemar_p(second, first) == mcnemar_p(first, second)


def test_mcnemars_p_by_hand() -> None:
    assert mcnemar_p(0, 0) == 1.0
    assert mcnemar_p(5, 0) == 2 / 32
    assert mcnemar_p(1, 3) == 2 * 5 / 16


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=40))
def test_the_interval_holds_the_data(pairs: list[tuple[float, int]]) -> None:
    values, tasks = [value for value, _ in pairs], [task for _, task in pairs]
    found = estimate(values, tasks, "0", 200)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert found.value == pytest.approx(fmean(values))
    assert 0.0 < permutation_p(values, tasks, "0", 200) <= 1.0
