"""Tasks of equal instructions become one, whether the first of them is written already or still waits for others."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.pool import bringing
from studio.pool.bringing import Added
from studio.pool.pool import Pool
from studio.records import Instance, Origin, SeedTask, Task

few = st.sampled_from(("", "a", "b"))
instances = st.builds(Instance, few, st.sampled_from(("x", "y")), few)
tasks = st.builds(
    SeedTask,
    key=st.just(""),
    name=few,
    instruction=st.sampled_from(("One.", "Two.", " One. ")),
    instances=st.lists(instances, max_size=3).map(tuple),
    is_classification=st.sampled_from((None, True, False)),
)


def brought(given_tasks: list[SeedTask], long: int) -> tuple[list[Added], list[Task]]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bringing, "_LONG", long)
        with Pool.create(Path(folder) / "pool.db", ()) as pool:
            with pool.tasks.importing(Origin.IMPORTED) as adding:
                added = [adding.add(task) for task in given_tasks]
            return added, pool.tasks.many(list(pool.tasks.ids()))


@given(st.lists(tasks, min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_what_waits_is_joined_as_what_is_written(given_tasks: list[SeedTask]) -> None:
    # A task that may have no instance while it waits is written as soon as another of its instruction comes.
    assert brought(given_tasks, 20) == brought(given_tasks, 0)
