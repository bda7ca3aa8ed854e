"""Draws depend on where in the run they happen and on nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import UsageError
from studio.loop.session import Goal
from studio.loop.stages.asking import engine_seed, generator
from studio.loop.stages.instructions import in_context_tasks
from studio.pool.pool import Queries
from studio.records import Instance, Origin, SeedTask, Stage
from support.sessions import configuration, play

SEEDS = list(range(1, 176))
GENERATED = list(range(1000, 1050))


def test_six_seeds_and_two_generated_tasks() -> None:
    drawn = in_context_tasks(generator("s", 1, Stage.SAMPLE, 0), SEEDS, GENERATED, 8, 2)
    assert len(set(drawn)) == 8
    assert sum(task in GENERATED for task in drawn) == 2


def test_eight_seeds_while_nothing_has_been_generated() -> None:
    drawn = in_context_tasks(generator("s", 1, Stage.SAMPLE, 0), SEEDS, [], 8, 2)
    assert len(set(drawn)) == 8 and set(drawn) <= set(SEEDS)


def test_generated_tasks_stand_anywhere_in_the_prompt() -> None:
    places = {
        place
        for ordinal in range(50)
        for place, task in enumerate(in_context_tasks(generator("s", 1, Stage.SAMPLE, ordinal), SEEDS, GENERATED, 8, 2))
        if task in GENERATED
    }
    assert places == set(range(8))


def test_the_key_of_a_draw_is_its_place_in_the_run() -> None:
    places = [
        ("a", 1, Stage.SAMPLE, 0),
        ("b", 1, Stage.SAMPLE, 0),
        ("a", 2, Stage.SAMPLE, 0),
        ("a", 1, Stage.FILTER, 0),
        ("a", 1, Stage.SAMPLE, 1),
    ]
    seeds = [engine_seed(*place) for place in places]
    assert len(set(seeds)) == len(places)
    assert seeds == [engine_seed(*place) for place in places]
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_draws_never_change_between_versions() -> None:
    assert engine_seed("0", 1, Stage.INSTRUCTIONS, 0) == 14926543
    assert in_context_tasks(generator("0", 1, Stage.SAMPLE, 0), SEEDS, GENERATED, 8, 2) == (8, 1001, 1045, 21, 172, 48, 40, 105)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(UsageError, match="no task"):
        in_context_tasks(generator("s", 1, Stage.SAMPLE, 0), [], [], 8, 2)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 10), st.integers(0, 10), st.text())
def test_as_many_as_there_are(seeds: int, generated: int, total: int, from_generated: int, seed: str) -> None:
    if seeds + generated == 0:
        return
    pools = list(range(seeds)), list(range(100, 100 + generated))
    drawn = in_context_tasks(generator(seed.encode("utf-8", "replace").decode(), 1, Stage.SAMPLE, 0), *pools, total, from_generated)
    assert len(drawn) == len(set(drawn)) <= total
    assert set(drawn) <= {*pools[0], *pools[1]}
    if seeds >= total or generated > from_generated:
        assert len(drawn) == min(total, seeds + generated) or seeds >= total - len(drawn)


@pytest.mark.parametrize(("known", "drawn"), [(12, {True}), (3, {True, None})])
def test_tasks_of_which_it_is_unknown_stand_in_where_too_few_are_known_to_be_classification(
    path: Path, known: int, drawn: set[bool | None]
) -> None:
    flags = [True] * known + [None] * 9 + [False] * 9
    seeds = [
        SeedTask("", "", f"Say what kind of animal number {place} is.", (Instance("", "x"),), flag) for place, flag in enumerate(flags)
    ]
    play(path, Goal(rounds=1), asked=configuration(classification_only=True), seeds=seeds)
    with Queries.open(path) as pool:
        parents = {task for request in pool.requests.planned(1, Stage.INSTRUCTIONS) for task in request.parents}
        assert {task.is_classification for task in pool.tasks.many(sorted(parents)) if task.origin is Origin.SEED} == drawn
