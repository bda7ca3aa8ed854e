"""Lists and lineages: what they select, in which order, and what their rows say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.errors import PoolError
from studio.pool.browse import TEXT, BrowseRow, Kind, Selection, Sort
from studio.pool.pool import Pool, Queries
from studio.records import Origin, TaskState, Verdict
from support.bulk_pool import bulk_pool
from support.nasty_text import NASTY_TEXTS
from support.sessions import all_seeds, mixed_session, pool_of


@pytest.fixture
def reader(tmp_path: Path) -> Queries:
    return Queries.open(bulk_pool(tmp_path / "pool.db", 120))


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (Selection(), 102),
        (Selection(text="pilot"), 30),
        (Selection(text="to a pil"), 30),
        (Selection(text='"( pilot*'), 30),
        (Selection(origin=Origin.SEED), 10),
        (Selection(origin=Origin.IMPORTED), 0),
        (Selection(state=TaskState.RETIRED), 0),
        (Selection(is_classification=False), 102 - 21),
        (Selection(marked=True), 0),
        (Selection(rounds=(101, 101)), 8),
        (Selection(rounds=(101, 111), is_classification=True), 3),
        (Selection(scores=(0.5, 0.51)), 2),
        (Selection(kind=Kind.REJECTED), 31),
        (Selection(kind=Kind.REJECTED, reason="too_short"), 15),
        (Selection(kind=Kind.REJECTED, text="pilot", reason="not_novel"), 5),
        (Selection(kind=Kind.REJECTED, rounds=(101, 101)), 2),
        (Selection(kind=Kind.REJECTED, scores=(0.0, 0.1)), 5),
    ],
)
def test_selections(reader: Queries, wanted: Selection, number: int) -> None:
    ids = reader.browse.ids(wanted)
    assert len(ids) == number
    assert len(set(ids)) == number
    assert [row.id for row in reader.browse.rows(wanted.kind, ids)] == list(ids)
    assert list(reader.browse.ids(wanted, 3)) == list(ids[:3])


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("sort", [Sort.ID, Sort.SCORE, Sort.LENGTH, Sort.TEXT])
def test_orders(reader: Queries, kind: Kind, sort: Sort) -> None:
    ups = reader.browse.ids(Selection(kind=kind, sort=sort))
    downs = reader.browse.ids(Selection(kind=kind, sort=sort, descending=True))
    assert sorted(ups) == sorted(downs)
    rows = [row for row in reader.browse.rows(kind, ups) if sort is not Sort.SCORE or row.score is not None]
    keys: dict[Sort, Callable[[BrowseRow], Any]] = {
        Sort.ID: lambda row: row.id,
        Sort.SCORE: lambda row: row.score,
        Sort.LENGTH: lambda row: len(row.text),
        Sort.TEXT: lambda row: row.text.lower(),
    }
    values = [keys[sort](row) for row in rows]
    assert values == sorted(values)
    backwards = [row for row in reader.browse.rows(kind, downs) if sort is not Sort.SCORE or row.score is not None]
    assert [keys[sort](row) for row in backwards] == values[::-1]


def test_rows_say_what_a_list_needs(reader: Queries) -> None:
    seed, task = reader.browse.rows(Kind.TASKS, [1, 101])
    assert (seed.origin, seed.round, seed.score, seed.reason, seed.instances) == (Origin.SEED, None, None, "", 1)
    assert (task.origin, task.round, task.score, task.reason, task.state) == (Origin.GENERATED, 101, 0.01, "novel", TaskState.ACTIVE)
    (candidate,) = reader.browse.rows(Kind.REJECTED, [104, 10**9])
    assert (candidate.state, candidate.reason, candidate.score, candidate.instances) == (None, "not_novel", 0.04, 0)


def test_any_text_may_be_looked_for(reader: Queries) -> None:
    for text in NASTY_TEXTS:
        for kind in Kind:
            assert len(reader.browse.ids(Selection(kind=kind, text=text))) == 0


def test_human_decisions_count(tmp_path: Path) -> None:
    with mixed_session(tmp_path / "pool.db") as session:
        pool, steering = pool_of(session), session.steering
        before = list(pool.browse.ids(Selection(kind=Kind.REJECTED)))
        steering.override(before[0], Verdict.ACCEPTED)
        task = pool.browse.ids(Selection(origin=Origin.GENERATED))[0]
        steering.mark(task, True)
        assert list(pool.browse.ids(Selection(kind=Kind.REJECTED))) == before[1:]
        assert list(pool.browse.ids(Selection(marked=True))) == [task]
        assert pool.browse.rows(Kind.TASKS, [task])[0].marked
        steering.retire(task)
        assert list(pool.browse.ids(Selection(state=TaskState.RETIRED))) == [task]


def test_nothing_of_a_text_hides_behind_a_nul(tmp_path: Path) -> None:
    long = "a\x00b" * TEXT
    with Pool.open(bulk_pool(tmp_path / "pool.db", 10)) as pool:
        pool.tasks.add([replace(all_seeds()[0], instruction=text) for text in (long, "c" * 2 * TEXT)], Origin.IMPORTED)
        added = pool.browse.ids(Selection(origin=Origin.IMPORTED))
        assert [row.text for row in pool.browse.rows(Kind.TASKS, added)] == [long, "c" * TEXT]
        assert [each.text for each in pool.lineage.relatives(added)] == [long, "c" * TEXT]


def test_lineage(reader: Queries) -> None:
    assert reader.lineage.parents(1) == []
    assert reader.lineage.parents(11) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert reader.lineage.parents(102) == [1]
    children = reader.lineage.children(1, 1000)
    assert set(children) >= {11, 12, 101, 102, 103, 105}
    assert reader.lineage.children(1, 3) == children[:3]
    one, task = reader.lineage.relatives([1, 102])
    assert (one.parents, one.children) == (0, len(children))
    assert (task.parents, task.children, task.round) == (1, 0, 101)
    assert reader.lineage.relatives([10**9]) == []


def test_the_version_changes_when_another_writes(tmp_path: Path) -> None:
    path = bulk_pool(tmp_path / "pool.db", 10)
    with Queries.open(path) as reader:
        before = reader.version()
        assert reader.version() == before
        with Pool.open(path) as pool:
            pool.tasks.add(all_seeds()[:1], Origin.IMPORTED)
        assert reader.version() != before


def test_what_was_interrupted_leaves_the_connection_usable(reader: Queries) -> None:
    decisions = reader.candidates.rule_decisions()
    next(decisions)
    reader.interrupt()
    decisions.close()
    assert len(reader.browse.ids(Selection())) == 102


def test_a_closed_pool_is_a_pool_error(reader: Queries) -> None:
    reader.close()
    with pytest.raises(PoolError):
        reader.browse.ids(Selection())
