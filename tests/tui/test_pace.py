"""Frames come as often as they are cheap."""

from __future__ import annotations

import pytest

from studio.tui.pace import LEAST_S, MOST_S, SHARE, Pace


@pytest.mark.parametrize(
    ("spent", "cores", "delay"),
    [(0.0, 2, LEAST_S), (0.001, 2, LEAST_S), (0.0025, 2, 0.25), (0.1, 2, MOST_S), (0.0025, 1, MOST_S), (0.0025, 16, LEAST_S)],
)
def test_a_frame_waits_until_its_cost_is_its_share_of_the_machine(spent: float, cores: int, delay: float) -> None:
    times = iter([7.0, 7.0 + spent, 7.0 + spent])
    pace = Pace(cores, lambda: next(times))
    assert pace.delay() == pytest.approx(delay)
    assert LEAST_S <= delay <= MOST_S and (delay in (LEAST_S, MOST_S) or spent / delay == pytest.approx(SHARE * cores))
    assert pace.delay() == LEAST_S, "what was spent is counted once"
