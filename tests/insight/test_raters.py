"""Intervals and kappa against scipy, scikit-learn and worked examples."""

from __future__ import annotations

import math
import random

import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from studio.insight.studies.raters import Agreement, Share, cohen, share_of, wilson


def test_wilson_is_scipys_at_every_share_of_small_samples_and_the_papers() -> None:
    for count in (1, 2, 3, 10, 57, 200, 100_000):
        for yes in {0, 1, count // 3, count - 1, count}:
            expected = binomtest(yes, count).proportion_ci(0.95, method="wilson")
            assert wilson(yes, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_has_the_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17, p. 857, table I, method 3 (score): 81/263, 15/148, 0/20, 1/29.
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (yes, count), interval in published.items():
        assert wilson(yes, count) == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize(("yes", "count"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(yes: int, count: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(yes, count)


def test_a_share_without_answers_has_no_interval() -> None:
    assert share_of([]) == Share(0, 0, None, None, None)
    whole = share_of([True] * 4)
    assert (whole.yes, whole.count, whole.share, whole.high) == (4, 4, 1.0, 1.0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("seed", range(40))
def test_kappa_is_scikit_learns(seed: int) -> None:
    chance = random.Random(seed)
    count, bias = chance.randint(2, 120), chance.random()
    first = [chance.random() < bias for _ in range(count)]
    second = [each if chance.random() < 0.7 else chance.random() < bias for each in first]
    found = cohen(first, second)
    expected = 1.0 if first == second and len(set(first)) == 2 else cohen_kappa_score(first, second, labels=[False, True])
    if found.kappa is None:
        assert math.isnan(expected)
        assert len({*first, *second}) == 1
    else:
        assert found.kappa == pytest.approx(expected, abs=1e-12)
    assert found.agreement == sum(one == other for one, other in zip(first, second, strict=True)) / count


def test_kappa_of_a_table_worked_by_hand() -> None:
    # 20 both yes, 15 both no, 5 and 10 apart: p_o = 0.7, p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa 0.4.
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    found = cohen([one for one, _ in pairs], [other for _, other in pairs])
    assert (found.count, found.agreement) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4, abs=1e-15)


def test_kappa_at_the_ends() -> None:
    assert cohen([], []) == Agreement(0, None, None)
    assert cohen([True] * 3, [True] * 3) == Agreement(3, 1.0, None)
    assert cohen([True, False], [False, True]).kappa == -1
    assert cohen([True, True], [True, False]).kappa == 0
    with pytest.raises(ValueError, match="zip"):
        cohen([True], [])
