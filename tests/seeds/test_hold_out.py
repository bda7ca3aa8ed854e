"""Drawing seeds to keep apart: as many as asked, of both kinds, the same for the same seed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import UsageError
from studio.records import Instance, SeedTask
from studio.seeds.reading import draw_hold_out
from support.pools import seed_tasks
from support.sessions import all_seeds


def _open_ended(number: int) -> SeedTask:
    return SeedTask(str(number), "", f"Think of {number}.", (Instance("", ""),), False)


def test_the_draw_is_stratified_and_repeats() -> None:
    seeds = all_seeds()
    share = sum(task.is_classification is True for task in seeds) / len(seeds)
    held = draw_hold_out(seeds, 30, "0")
    assert (held.asked, held.seed, len(held.places)) == ("30", "0", 30)
    assert sum(seeds[place].is_classification is True for place in held.places) == pytest.approx(30 * share, abs=1)
    assert draw_hold_out(seeds, 30, "0") == held
    assert draw_hold_out(seeds, 30, "1").places != held.places


def test_a_share_is_of_the_seeds_that_can_be_evaluated() -> None:
    seeds = [*seed_tasks(20), *map(_open_ended, range(20))]
    held = draw_hold_out(seeds, 0.25, "x")
    assert held.asked == "0.25"
    assert len(held.places) == 5
    assert all(place < 20 for place in held.places)
    assert len(draw_hold_out(seeds, 0.001, "x").places) == 1


@given(st.integers(2, 40), st.integers(1, 60), st.text(max_size=3))
def test_as_many_as_asked_or_none(count: int, asked: int, seed: str) -> None:
    seeds = seed_tasks(count)
    if asked >= count:
        with pytest.raises(UsageError, match="hold-out"):
            draw_hold_out(seeds, asked, seed)
        return
    places = draw_hold_out(seeds, asked, seed).places
    assert len(places) == asked
    assert places <= set(range(count))


@pytest.mark.parametrize("asked", [1.5, 0.999, 10, 1000])
def test_what_cannot_be_held_out(asked: float) -> None:
    with pytest.raises(UsageError, match="--hold-out"):
        draw_hold_out(seed_tasks(10), asked, "0")
