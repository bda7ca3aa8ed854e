"""The estimate of what more candidates bring, against a search of the likelihood without matrices, and against pools that are simulated."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from scipy import stats
from sklearn import linear_model

from studio.insight.statistics.saturation import LEAST_CANDIDATES, LEAST_ROUNDS, _student, saturation

ROUNDS = [(40, 38), (35, 30), (42, 33), (40, 33), (38, 27), (44, 30), (40, 28), (41, 27), (39, 29), (40, 26)]


def odds_power(intercept: float, exponent: float, place: float) -> float:
    odds = math.exp(intercept + exponent * math.log(1 + place))
    return odds / (1 + odds)


def likelihood(intercept: float, exponent: float, before: int) -> float:
    total, place = 0.0, float(before)
    for candidates, accepted in ROUNDS:
        chance = odds_power(intercept, exponent, place + candidates / 2)
        total += accepted * math.log(chance) + (candidates - accepted) * math.log(1 - chance)
        place += candidates
    return total


def highest(of: Callable[[float], float], low: float, high: float) -> float:
    """Golden-section search."""
    ratio = (math.sqrt(5) - 1) / 2
    for _ in range(80):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if of(left) > of(right) else (left, high)
    return (low + high) / 2


@pytest.mark.parametrize("before", [0, 500])
def test_the_fit_is_the_most_likely_one(before: int) -> None:
    earlier = [(before, before // 2)] if before else []
    found = saturation(earlier, ROUNDS, 1000)

    def best_intercept(exponent: float) -> float:
        return highest(lambda intercept: likelihood(intercept, exponent, before), -60, 60)

    exponent = highest(lambda each: likelihood(best_intercept(each), each, before), -8, 3)
    intercept = best_intercept(exponent)
    seen = before + sum(candidates for candidates, _ in ROUNDS)
    expected = sum(odds_power(intercept, exponent, seen + step + 0.5) for step in range(1000))
    assert found.exponent == pytest.approx(exponent, abs=1e-4)
    assert found.expected == pytest.approx(expected, abs=0.05)
    assert found.exponent is not None and found.exponent < 0
    assert (found.rounds, found.candidates, found.refused) == (10, 399, "")


def test_the_interval_holds_what_comes_in_about_95_of_100_pools() -> None:
    draw = random.Random(5)
    held = 0
    for _ in range(300):
        rounds, place = [], 0
        for _ in range(15):
            rounds.append((40, sum(draw.random() < odds_power(3, -0.4, place + step) for step in range(40))))
            place += 40
        truth = sum(draw.random() < odds_power(3, -0.4, place + step) for step in range(1000))
        found = saturation([], rounds)
        assert found.low is not None and found.high is not None
        held += found.low <= truth <= found.high
    assert 276 <= held <= 297


def test_rounds_that_differ_more_than_chance_widen_the_interval() -> None:
    steady = saturation([], [(100, 60)] * 20)
    restless = saturation([], [(100, 90), (100, 30)] * 10)
    assert steady.low is not None and steady.high is not None and restless.low is not None and restless.high is not None
    assert steady.expected == pytest.approx(600)
    assert restless.high - restless.low > 2 * (steady.high - steady.low)


@pytest.mark.parametrize(
    ("rounds", "why"),
    [
        ([], "the latest has 0 and 0"),
        ([(100, 50)] * (LEAST_ROUNDS - 1), f"the latest has {LEAST_ROUNDS - 1}"),
        ([(LEAST_CANDIDATES // LEAST_ROUNDS - 1, 3)] * LEAST_ROUNDS, f"{LEAST_CANDIDATES} candidates"),
        ([(100, 50)] * 7 + [(0, 0)] * 5, "8 rounds"),
        ([(100, 100)] * 10, "all of 1000 candidates were accepted"),
        ([(100, 0)] * 10, "none of 1000 candidates were accepted"),
        ([(100, 100)] * 5 + [(100, 0)] * 5, "too abruptly"),
    ],
)
def test_it_refuses_where_there_is_nothing_to_go_by(rounds: list[tuple[int, int]], why: str) -> None:
    found = saturation([], rounds)
    assert why in found.refused
    assert (found.expected, found.low, found.high, found.exponent) == (None, None, None, None)


def test_the_curve_is_a_running_sum_with_few_points() -> None:
    assert saturation([(10, 9)], [(5, 1), (0, 0)]).curve == ((10, 9), (15, 10), (15, 10))
    curve = saturation([], [(3, 2)] * 1001).curve
    assert len(curve) <= 40
    assert curve[-1] == (3003, 2002)


@pytest.mark.parametrize("freedom", [6, 7, 8, 10, 15, 30, 100, 10_000])
def test_student_is_scipys(freedom: int) -> None:
    assert _student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=0.003)


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_that_of_scikit_learn(seed: int) -> None:
    draw = random.Random(seed)
    rounds, place = [], 0
    for _ in range(30):
        rounds.append((20, sum(draw.random() < odds_power(2, -0.3, place + step) for step in range(20))))
        place += 20
    answers = [int(step < accepted) for candidates, accepted in rounds for step in range(candidates)]
    places = [[math.log(1 + 20 * number + 10)] for number in range(30) for _ in range(20)]
    model = linear_model.LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(places, answers)
    ahead = [[math.log(1 + place + step + 0.5)] for step in range(500)]
    found = saturation([], rounds, 500)
    assert found.exponent == pytest.approx(model.coef_[0][0], abs=1e-4)
    assert found.expected == pytest.approx(model.predict_proba(ahead)[:, 1].sum(), abs=0.01)
