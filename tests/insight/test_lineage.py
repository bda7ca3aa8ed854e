"""The lineage of a whole pool and of one task, against sets that are followed edge by edge."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

from studio.insight.family import family_of, family_report
from studio.insight.lineage import Lineage, lineage, lineage_report, summed
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin, SeedTask
from support.pools import ask, make_pool, walk_round
from support.sessions import all_seeds, configuration, play
from support.tables import printed


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lineage") / "pool.db"
    play(path, Goal(rounds=8), asked=configuration(threshold=0.5, generated_in_context=4), seeds=all_seeds()[:60])
    return path


@pytest.fixture(scope="module")
def found(played: Path) -> Lineage:
    with Queries.open(played) as reader:
        return lineage(reader)


class Followed:
    """The same, from plain SQL and recursion over sets."""

    def __init__(self, path: Path) -> None:
        sql = "SELECT tasks.id, request_id FROM tasks JOIN candidates ON candidates.id = candidate_id"
        self.request = dict(ask(path, sql))
        self.context: defaultdict[int, list[int]] = defaultdict(list)
        for request, parent in ask(path, "SELECT request_id, task_id FROM request_parents"):
            self.context[request].append(parent)
        self.seeds = [each for (each,) in ask(path, "SELECT id FROM tasks WHERE origin = 'seed'")]
        self.ancestors = cache(self._ancestors)
        self.depth = cache(self._depth)
        self.credit = cache(self._credit)

    def parents(self, task: int) -> list[int]:
        return self.context[self.request[task]] if task in self.request else []

    def _ancestors(self, task: int) -> frozenset[int]:
        return frozenset({task}.union(*map(self.ancestors, self.parents(task))))

    def _depth(self, task: int) -> int:
        return 1 + max(map(self.depth, self.parents(task))) if task in self.request else 0

    def _credit(self, task: int) -> dict[int, Fraction]:
        """How much of a task is each seed's."""
        if task not in self.request:
            return {task: Fraction(1)}
        total: defaultdict[int, Fraction] = defaultdict(Fraction)
        parents = self.parents(task)
        for parent in parents:
            for seed, share in self.credit(parent).items():
                total[seed] += share / len(parents)
        return total


def test_every_seed(played: Path, found: Lineage) -> None:
    followed = Followed(played)
    assert sorted(root.id for root in found.roots) == followed.seeds
    assert found.deepest > 2
    for root in found.roots:
        requests = {request for request, parents in followed.context.items() if root.id in parents}
        assert root.contexts == len(requests)
        assert root.children == sum(request in requests for request in followed.request.values())
        assert root.descendants == sum(root.id in followed.ancestors(task) for task in followed.request)
        assert root.credit == pytest.approx(float(sum(followed.credit(task).get(root.id, 0) for task in followed.request)))
        marks = ",".join("?" * len(requests))
        sql = (
            "SELECT count(*), coalesce(sum(verdict = 'accepted'), 0) FROM candidates JOIN decisions ON candidate_id = candidates.id"
            f" WHERE request_id IN ({marks})"
        )
        assert [(root.candidates, root.accepted)] == ask(played, sql, *requests)
    assert sum(root.credit for root in found.roots) == pytest.approx(found.generated)
    assert list(found.roots) == sorted(found.roots, key=lambda root: (-root.descendants, -root.credit, root.id))


def test_every_generation(played: Path, found: Lineage) -> None:
    followed = Followed(played)
    rows = ask(
        played,
        "SELECT request_id, verdict, score, seed_score, tasks.id FROM candidates JOIN decisions ON decisions.candidate_id = candidates.id"
        " LEFT JOIN tasks ON tasks.candidate_id = candidates.id",
    )
    assert sum(each.candidates for each in found.depths) == len(rows)
    for each in found.depths:
        mine = [row for row in rows if 1 + max(map(followed.depth, followed.context[row[0]])) == each.depth]
        kept = [row for row in mine if row[1] == "accepted"]
        assert (each.candidates, each.accepted, each.tasks) == (len(mine), len(kept), len(kept))
        if kept:
            assert each.mean_score == pytest.approx(sum(row[2] for row in kept) / len(kept))
            assert each.mean_seed_score == pytest.approx(sum(row[3] for row in kept) / len(kept))
    depths = [followed.depth(task) for task in followed.request]
    assert (found.generated, found.deepest) == (len(depths), max(depths))
    assert found.mean_depth == pytest.approx(sum(depths) / len(depths))


def test_few_masks_at_a_time_give_the_same(played: Path, found: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.insight.lineage._WIDEST", 7)
    monkeypatch.setattr("studio.insight.lineage._REQUESTS_AT_A_TIME", 3)
    with Queries.open(played) as reader:
        assert lineage(reader) == found


def test_seeds_without_a_descendant_and_imports(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        pool.tasks.add([SeedTask("", "", "Imported.", (Instance("", "x"),), False)], Origin.IMPORTED)
        walk_round(pool)
    with Queries.open(path) as reader:
        figures = lineage(reader)
    assert [(root.id, root.descendants, root.contexts) for root in figures.roots] == [
        *((each, 2, 2) for each in range(1, 9)),
        (9, 0, 0),
        (10, 0, 0),
    ]
    assert [root.id for root in figures.barren] == [9, 10]
    assert [root.credit for root in figures.roots[:8]] == [0.25] * 8
    assert [(each.depth, each.candidates, each.accepted) for each in figures.depths] == [(1, 3, 2)]
    text = printed(lineage_report(figures))
    assert "2 of 10 seeds and imports have no descendant" in text
    assert "seed 9, never in a prompt" in text


def test_superseded_attempts_do_not_count(played: Path, found: Lineage, tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    with closing(sqlite3.connect(played)) as connection, closing(sqlite3.connect(path)) as copy:
        connection.backup(copy)
        [(last,)] = copy.execute("SELECT max(id) FROM rounds").fetchall()
        copy.execute("UPDATE rounds SET stage = 'superseded' WHERE id = ?", (last,))
        # As where an attempt is set aside: its requests are moved to it, which tells its decisions.
        copy.execute("UPDATE requests SET round_id = round_id WHERE round_id = ?", (last,))
        copy.execute("UPDATE tasks SET state = 'retired' WHERE round_id = ?", (last,))
        copy.commit()
    sql = "SELECT count(*) FROM candidates JOIN requests ON requests.id = request_id WHERE round_id <> ?"
    with Queries.open(path) as reader:
        figures = lineage(reader)
    assert [(sum(each.candidates for each in figures.depths),)] == ask(path, sql, last)
    assert [(figures.generated,)] == ask(path, "SELECT count(*) FROM tasks WHERE origin = 'generated' AND state = 'active'")
    assert figures.generated < found.generated
    assert sum(root.credit for root in figures.roots) == pytest.approx(figures.generated)


def test_an_empty_pool(tmp_path: Path) -> None:
    with Queries.open(make_pool(tmp_path / "pool.db", 2)) as reader:
        figures = lineage(reader)
    assert (figures.generated, figures.deepest, figures.mean_depth, figures.depths) == (0, 0, 0.0, ())
    assert [root.descendants for root in figures.roots] == [0, 0]
    assert "no generated task yet" in printed(lineage_report(figures))


def test_many_generations_are_summed_up(found: Lineage) -> None:
    lines = list(summed(found.depths, 2))
    assert len(lines) == 2
    for part in ("candidates", "accepted", "tasks"):
        assert sum(getattr(each, part) for _, each in lines) == sum(getattr(each, part) for each in found.depths)
    weighted = sum(each.mean_score * each.accepted for each in found.depths)
    assert sum(each.mean_score * each.accepted for _, each in lines) == pytest.approx(weighted)


def newest(path: Path) -> int:
    [(task,)] = ask(path, "SELECT max(id) FROM tasks")
    return int(task)


def test_the_tree_upwards_is_the_whole_lineage_up_to_the_seeds(played: Path) -> None:
    followed = Followed(played)
    task = newest(played)
    with Queries.open(played) as reader:
        family = family_of(reader, str(task), 10_000)
    assert set(family.ancestors) == followed.ancestors(task) - {task}
    assert sorted(family.parents) == sorted(followed.parents(task))
    for each, branch in family.ancestors.items():
        assert sorted(branch.next) == sorted(followed.parents(each))
        assert branch.left_out == 0
    assert family.children == ()
    text = printed(family_report(family))
    for each in family.ancestors:
        assert text.count(f" {each} (seed)") + text.count(f" {each} (generated") == 1
    edges = len(family.parents) + sum(len(branch.next) for branch in family.ancestors.values())
    assert sum("─ " in line for line in text.splitlines()) == edges
    assert "it has no descendant" in text


def test_the_tree_downwards(played: Path) -> None:
    followed = Followed(played)
    first = min(followed.request)
    below = {task for task in followed.request if first in followed.ancestors(task)} - {first}
    assert below
    with Queries.open(played) as reader:
        family = family_of(reader, f"t{first}", 10_000)
        few = family_of(reader, f"t{first}", 3)
    assert set(family.descendants) == below
    assert set(family.children) == {task for task in followed.request if first in followed.parents(task)}
    assert family.children_left_out == 0
    assert len(few.descendants) == 3
    assert few.children_left_out + len(few.children) == len(family.children)
    for each, branch in few.descendants.items():
        assert branch.left_out + len(branch.next) == len(family.descendants[each].next)
    assert f"… {few.children_left_out} more" in printed(family_report(few))


def test_a_bounded_tree_says_what_it_leaves_out(played: Path) -> None:
    with Queries.open(played) as reader:
        family = family_of(reader, str(newest(played)), 10)
    assert len(family.ancestors) == 10
    assert any(branch.left_out for branch in family.ancestors.values())
    assert " more" in printed(family_report(family))
    with Queries.open(played) as reader:
        family = family_of(reader, str(newest(played)), 3)
    assert (len(family.parents), family.parents_left_out) == (3, 5)
    assert "… 5 more" in printed(family_report(family))


def test_a_rejected_candidate_has_parents_and_no_descendants(walked: Path) -> None:
    with Queries.open(walked) as reader:
        family = family_of(reader, "c3")
        seed = family_of(reader, "1")
    assert family.parents == tuple(range(8, 0, -1))
    assert (family.children, family.name) == ((), "candidate c3")
    assert seed.children == (11, 12)
    assert "descends from no other task" in printed(family_report(seed))
