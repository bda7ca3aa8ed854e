"""What more candidates bring: the acceptance of the latest, and an interval that holds for pools that are simulated."""

from __future__ import annotations

import random

import pytest

from studio.insight.statistics.figures import WINDOW, saturation
from studio.insight.statistics.report import saturation_line
from studio.pool.rounds import RoundYield


def rounds(*yields: tuple[int, int], run: int = 1) -> list[RoundYield]:
    """Rounds of a run from their candidates and how many of them were accepted."""
    return [RoundYield(number, candidates, accepted, run) for number, (candidates, accepted) in enumerate(yields, 1)]


def test_the_latest_candidates_stand_for_those_to_come() -> None:
    found = saturation(rounds(*[(50, 40)] * 6, *[(50, 20)] * 4), 1000)
    assert (found.expected, found.rate, found.rounds, found.candidates) == (400, 0.4, 4, 200)
    assert found.earlier_rate == 0.8
    assert found.low is not None and found.high is not None and 320 < found.low < 340 < 460 < found.high < 480
    assert saturation_line(found) == (
        f"another 1,000 candidates: about 400 new tasks (95 % interval {found.low:,.0f} to {found.high:,.0f}),"
        " at the 40.0% accepted of the latest 200; 80.0% before"
    )


def test_of_the_rounds_before_nothing_is_said_where_they_are_too_few() -> None:
    found = saturation(rounds((150, 150), (120, 60), (120, 60)))
    assert (found.earlier_rate, found.candidates) == (None, 240)
    assert saturation_line(found).endswith("at the 50.0% accepted of the latest 240")


def test_only_the_latest_run_says_what_comes() -> None:
    found = saturation([*rounds(*[(50, 49)] * 9), *rounds(*[(50, 10)] * 4, run=2)])
    assert (found.expected, found.rounds, found.candidates, found.earlier_rate) == (200, 4, 200, None)


def test_the_interval_holds_what_comes_in_about_95_of_100_pools() -> None:
    draw = random.Random(5)
    held = 0
    for _ in range(300):
        chance = draw.uniform(0.05, 0.95)
        found = saturation(rounds(*[(40, sum(draw.random() < chance for _ in range(40))) for _ in range(6)]))
        truth = sum(draw.random() < chance for _ in range(1000))
        assert found.low is not None and found.high is not None
        held += found.low <= truth <= found.high
    assert 276 <= held <= 297


@pytest.mark.parametrize("accepted", [0, 100])
def test_all_or_none_has_an_estimate_too(accepted: int) -> None:
    found = saturation(rounds((100, accepted), (100, accepted)))
    assert found.expected == 10 * accepted
    assert found.low is not None and found.high is not None
    assert found.low == 0 or found.high == 1000
    assert 10 < found.high - found.low < 40


@pytest.mark.parametrize(
    ("yields", "why"), [([], "the latest has 0"), ([(100, 50), (99, 1)], f"{WINDOW} candidates of one run; the latest has 199")]
)
def test_it_refuses_where_there_is_nothing_to_go_by(yields: list[tuple[int, int]], why: str) -> None:
    found = saturation(rounds(*yields))
    assert why in found.refused and why in saturation_line(found)
    assert (found.expected, found.low, found.high, found.rate, found.earlier_rate) == (None,) * 5
