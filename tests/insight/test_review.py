"""Samples and their figures, each counted by hand on a small pool."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from studio.errors import PoolError
from studio.insight.studies.raters import wilson
from studio.insight.studies.review import ALL_FIELDS, ROWS, depths, draw, positions_of, rating_lines, review_report
from studio.loop.session import Goal
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import BLANK, Rating, ReviewPlan, Strata
from studio.records import TaskState, Verdict
from studio.seeds.reading import allocate
from support.bulk_pool import bulk_pool
from support.pools import make_pool
from support.reviews import reviewed, sheet
from support.sessions import configuration, play

ANNA = sheet("yyy yyn yny nnn skip yyy y--")
BERT = sheet("yyy ynn yny nyn yyy skip")


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return bulk_pool(tmp_path / "pool.db", 200)


def test_a_sample_is_drawn_from_its_seed_alone(pool: Path, tmp_path: Path) -> None:
    again = bulk_pool(tmp_path / "again.db", 200)
    with Queries.open(pool) as one, Queries.open(again) as other:
        plan = ReviewPlan(30, "x")
        items = draw(one, plan)
        assert items == draw(other, plan)
        assert [item.position for item in items] == list(range(30))
        assert len({item.task_id for item in items}) == 30
        different = draw(one, ReviewPlan(30, "y"))
        assert [item.task_id for item in different] != [item.task_id for item in items]
        for item in items:
            task = one.tasks.get(item.task_id)
            assert (task.origin, task.state) == ("generated", TaskState.ACTIVE)
            chosen = next(each for each in one.instances.of_task(item.task_id) if each.id == item.instance_id)
            assert (chosen.verdict, chosen.input, chosen.output) == (Verdict.ACCEPTED, item.input, item.output)
            assert item.instruction == task.instruction


def test_every_task_is_as_likely_as_any_other(pool: Path) -> None:
    with Queries.open(pool) as reader:
        frame = reader.tasks.ids(with_instances=True)
        times = Counter(item.task_id for seed in range(150) for item in draw(reader, ReviewPlan(20, str(seed))))
    generated = [task for task in frame if task > 10]
    assert set(times) == set(generated)
    mean = 150 * 20 / len(generated)
    # A count of about 20 strays by about 4; five times that would be no chance.
    assert all(abs(times[task] - mean) < 5 * mean**0.5 for task in generated)


def test_one_instance_of_several_is_drawn_for_the_task_alone(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    play(path, Goal(rounds=6), asked=configuration())
    with Queries.open(path) as reader:
        several = {task for task in reader.tasks.ids(with_instances=True) if len(reader.tasks.get(task).instances) > 1}
        whole = {item.task_id: item.instance_id for item in draw(reader, ReviewPlan(10_000, "s"))}
        part = {item.task_id: item.instance_id for item in draw(reader, ReviewPlan(5, "s"))}
        assert part.items() <= whole.items()
        drawn = {(item.task_id, item.instance_id) for seed in range(30) for item in draw(reader, ReviewPlan(10_000, str(seed)))}
        assert several & set(whole)
        for task in several & set(whole):
            assert {instance for each, instance in drawn if each == task} == {
                each.id for each in reader.instances.of_task(task) if each.verdict is Verdict.ACCEPTED
            }


@pytest.mark.parametrize("strata", [Strata.CLASS, Strata.ROUND, Strata.DEPTH])
def test_strata_get_their_share(pool: Path, strata: Strata) -> None:
    with Queries.open(pool) as reader:
        whole = draw(reader, ReviewPlan(10_000, "x", strata))
        sizes = Counter(item.stratum for item in whole)
        sample = Counter(item.stratum for item in draw(reader, ReviewPlan(40, "x", strata)))
    assert sum(sample.values()) == 40
    for name, size in sizes.items():
        assert abs(sample[name] - 40 * size / len(whole)) < 1
    assert {Strata.CLASS: 2, Strata.ROUND: 4, Strata.DEPTH: 1}[strata] <= len(sizes) <= 6


def test_shares_of_strata_by_hand() -> None:
    assert allocate({"a": 70, "b": 20, "c": 10}, 10) == {"a": 7, "b": 2, "c": 1}
    # 10 * 5 / 12 = 4.17, 10 * 4 / 12 = 3.33, 10 * 3 / 12 = 2.5: the last unit goes to c.
    assert allocate({"a": 5, "b": 4, "c": 3}, 10) == {"a": 4, "b": 3, "c": 3}
    assert allocate({"a": 1, "b": 1}, 1) == {"a": 1, "b": 0}
    assert allocate({"a": 3, "b": 1}, 9) == {"a": 3, "b": 1}
    for seed in range(200):
        chance = random.Random(seed)
        sizes = {str(place): chance.randint(1, 50) for place in range(chance.randint(1, 9))}
        total = chance.randint(1, sum(sizes.values()))
        shares = allocate(sizes, total)
        assert sum(shares.values()) == total
        assert all(0 <= shares[name] <= size for name, size in sizes.items())


def test_depths_are_counted_by_walking_up(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    play(path, Goal(rounds=8), asked=configuration())
    with Queries.open(path) as reader:

        def depth(task: int) -> int:
            parents = reader.lineage.parents(task)
            return 1 + max(map(depth, parents)) if parents else 0

        found = depths(reader)
        assert max(found.values()) > 2
        for task in reader.tasks.ids():
            assert found.get(task, 0) == depth(task)


def test_a_pool_without_generated_tasks_has_nothing_to_review(tmp_path: Path) -> None:
    with Pool.open(make_pool(tmp_path / "pool.db")) as pool, pytest.raises(PoolError, match="nothing to review"):
        draw(pool, ReviewPlan())


def test_the_table_is_what_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    review = reviewed(path, ReviewPlan(8, "x", Strata.CLASS), {"anna": ANNA, "bert": BERT})
    with Queries.open(path) as reader:
        report = review_report(reader, review)
        items = reader.reviews.items(review.id)
    assert report.items == 8
    assert [(each.rater, each.complete, each.skipped, each.begun) for each in report.progress] == [("anna", 5, 1, 1), ("bert", 5, 1, 0)]
    counted = {row.row: [(row.raters[name].yes, row.raters[name].count) for name in ("anna", "bert")] for row in report.table}
    assert counted == {
        "instruction_valid": [(5, 6), (4, 5)],
        "input_appropriate": [(3, 5), (3, 5)],
        "output_acceptable": [(3, 5), (3, 5)],
        ALL_FIELDS: [(2, 5), (2, 5)],
    }
    assert [row.paper for row in report.table] == [0.92, 0.79, 0.58, 0.54]
    share = report.table[0].raters["anna"]
    assert share.share == 5 / 6
    assert (share.low, share.high) == wilson(5, 6)
    # Both rated items 0 to 3. Instruction: yyyn by both. Input: yynn and ynny. Output: ynyn by both. All: ynnn by both.
    agreed = {pair.row: (pair.raters, pair.figures.count, pair.figures.agreement, pair.figures.kappa) for pair in report.agreement}
    both = ("anna", "bert")
    assert agreed == {
        "instruction_valid": (both, 4, 1.0, 1.0),
        "input_appropriate": (both, 4, 0.5, 0.0),
        "output_acceptable": (both, 4, 1.0, 1.0),
        ALL_FIELDS: (both, 4, 1.0, 1.0),
    }
    strata = positions_of(items)
    assert {row.stratum: row.items for row in report.strata} == {name: len(places) for name, places in strata.items()}
    for row in report.strata:
        whole = [ANNA[place].answers == (True, True, True) for place in strata[row.stratum] if ANNA.get(place, BLANK).complete]
        assert (row.raters["anna"].yes, row.raters["anna"].count) == (sum(whole), len(whole))
    json.dumps(asdict(report))


def test_three_raters_are_compared_in_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    review = reviewed(path, ReviewPlan(8), {"anna": ANNA, "bert": BERT, "carl": sheet("nnn nnn nnn nnn")})
    with Queries.open(path) as reader:
        report = review_report(reader, review)
    pairs = [pair.raters for pair in report.agreement if pair.row == ALL_FIELDS]
    assert pairs == [("anna", "bert"), ("anna", "carl"), ("bert", "carl")]
    assert len(report.agreement) == 3 * len(ROWS)
    assert report.strata == ()


def test_every_rating_is_a_line_with_what_was_rated(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    noted = {**ANNA, 7: Rating(note="unsure")}
    review = reviewed(path, ReviewPlan(8, "x"), {"anna": noted, "bert": BERT})
    with Queries.open(path) as reader:
        lines = list(rating_lines(reader, review))
        items = reader.reviews.items(review.id)
    assert [(line["rater"], line["position"]) for line in lines] == [("anna", place) for place in range(8)] + [
        ("bert", place) for place in range(6)
    ]
    assert [line[ALL_FIELDS] for line in lines[:8]] == [True, False, False, False, None, True, None, None]
    assert [line["skipped"] for line in lines[:8]] == [False] * 4 + [True] + [False] * 3
    assert lines[7]["note"] == "unsure"
    assert lines[1]["output_acceptable"] is False
    for line in lines:
        item = items[line["position"]]
        assert (line["task"], line["instance"], line["instruction"], line["input"], line["output"]) == (
            item.task_id,
            item.instance_id,
            item.instruction,
            item.input,
            item.output,
        )
