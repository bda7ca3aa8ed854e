"""Blind comparisons: drawn once, the same from the same seed, and counted by contestant and not by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from studio.errors import PoolError, UsageError
from studio.insight import paper
from studio.insight.studies.comparison import (
    WIDTH,
    GradingWalk,
    draw,
    grading_lines,
    grading_report,
    open_comparison,
    paired,
    plan_for,
    stacked_bar,
)
from studio.insight.studies.raters import cohen
from studio.pool.evaluations import GRADES, UNGRADED, Grade
from studio.pool.pool import Pool, Queries
from support.comparisons import TEXTS, compared, graded, grades
from support.pools import make_pool
from support.publications import evaluate


def test_equal_seeds_give_equal_sides_and_other_seeds_others(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(40)]
    compared(tmp_path / "pool.db", texts=texts)
    with Queries.open(tmp_path / "pool.db") as reader:
        pair = paired(reader)
        items = draw(reader, plan_for(reader, pair, "x", None))
        assert items == reader.comparisons.items(1) == draw(reader, plan_for(reader, pair, "x", None))
        assert sorted(each.item for each in items) == list(range(40))
        assert [each.item for each in items] != list(range(40))
        assert 8 < sum(each.swapped for each in items) < 32
        other = draw(reader, plan_for(reader, pair, "y", None))
        assert {each.item: each.swapped for each in other} != {each.item: each.swapped for each in items}
        fewer = draw(reader, plan_for(reader, pair, "x", 10))
        sides = {each.item: each.swapped for each in items}
        assert len(fewer) == 10 and all(sides[each.item] == each.swapped for each in fewer)
        assert all(each.answers == (f"base says text {each.item}", f"tuned says text {each.item}") for each in items)


def test_the_two_are_base_and_tuned_or_those_that_were_named(tmp_path: Path) -> None:
    with Pool.open(make_pool(tmp_path / "pool.db")) as pool:
        with pytest.raises(PoolError, match="nothing has been evaluated"):
            paired(pool)
        evaluate(pool, TEXTS)
        base, tuned = paired(pool)
        assert (base.contestant.adapter, tuned.contestant.adapter) == ("", "adapter.gguf")
        assert paired(pool, 1, (2, 1)) == (tuned, base)
        for wrong in ((1, 1), (1, 3), (0, 1)):
            with pytest.raises(UsageError, match="no two contestants"):
                paired(pool, None, wrong)
        with pytest.raises(PoolError, match="no evaluation 7"):
            paired(pool, 7)


def test_a_comparison_is_opened_again_and_not_drawn_twice(tmp_path: Path) -> None:
    comparison = compared(tmp_path / "pool.db")
    with Pool.open(tmp_path / "pool.db") as pool:
        assert open_comparison(pool, pool.comparisons, comparison.plan) == comparison
        with pytest.raises(PoolError, match="drawn already"):
            pool.comparisons.add(comparison.plan, [])


def test_the_left_answer_is_graded_first_whosever_it_is(tmp_path: Path) -> None:
    comparison = compared(tmp_path / "pool.db")
    with Queries.open(tmp_path / "pool.db") as reader:
        walk = GradingWalk(comparison.id, "anna", reader.comparisons.items(1), {}, UNGRADED)
    assert {item.swapped for item in walk.items} == {False, True}
    for item in walk.items:
        assert walk.item == item and walk.question == item.sides[0]
        walk.answer(Grade.A)
        assert walk.item == item and walk.question == item.sides[1]
        done = walk.answer(Grade.D)
        assert done.rating.answers[item.sides[0]] is Grade.A and done.rating.answers[item.sides[1]] is Grade.D
    assert walk.finished


def test_figures_are_of_contestants_and_of_complete_items(tmp_path: Path) -> None:
    sheets = {"anna": grades("AB DA CC BB skip skip"), "bert": grades("AB DB CD BB AA AD")}
    comparison = compared(tmp_path / "pool.db", sheets)
    with Queries.open(tmp_path / "pool.db") as reader:
        report = grading_report(reader, comparison)
    assert not report.blind
    first, second = report.contestants
    assert first.raters[0].counts == (1, 1, 1, 1) and second.raters[0].counts == (1, 2, 1, 0)
    assert first.counts == (4, 2, 2, 2) and second.counts == (2, 5, 1, 2)
    assert (first.raters[0].acceptable.yes, second.raters[0].acceptable.yes) == (2, 3)
    anna, bert = report.preferences
    assert (anna.first, anna.equal, anna.second) == (1, 2, 1)
    assert (bert.first, bert.equal, bert.second) == (3, 2, 1)
    (pair,) = report.agreement
    both = ("ABDACCBB", "ABDBCDBB")
    assert pair.grades.count == 8
    assert pair.grades.kappa == pytest.approx(cohen_kappa_score([*both[0]], [*both[1]]))


def test_nothing_is_told_of_a_contestant_while_a_rater_is_not_done(tmp_path: Path) -> None:
    sheets = {"anna": grades("AB DA CC BB AA AA"), "bert": {0: graded("AB"), 1: graded("D-")}}
    comparison = compared(tmp_path / "pool.db", sheets)
    with Queries.open(tmp_path / "pool.db") as reader:
        report = grading_report(reader, comparison)
        assert report.blind and report.contestants == () and report.preferences == ()
        assert [(each.complete, each.begun) for each in report.progress] == [(6, 0), (1, 1)]
        told = grading_report(reader, comparison, unblind=True)
        assert not told.blind and [each.counts for each in told.contestants] == [(4, 1, 1, 1), (3, 3, 1, 0)]
        lines = list(grading_lines(reader, comparison))
    assert len(lines) == 8
    for line in lines:
        sides = {each["side"]: each for each in line["answers"]}
        assert sides.keys() == {"left", "right"}
        assert all(each["answer"].startswith("tuned" if "adapter" in each["contestant"] else "base") for each in line["answers"])


def test_the_papers_grades_add_up() -> None:
    assert all(sum(counts) == paper.GRADED_TASKS for counts in paper.GRADES.values())


@given(st.lists(st.integers(0, 400), min_size=4, max_size=4))
def test_a_stacked_bar_is_of_full_width_and_near_the_shares(counts: list[int]) -> None:
    drawn = stacked_bar(counts).plain
    if not any(counts):
        assert drawn == ""
        return
    assert len(drawn) == WIDTH and drawn == "".join(sorted(drawn))
    for grade, count in zip(GRADES, counts, strict=True):
        assert abs(drawn.count(grade) - count / sum(counts) * WIDTH) <= 1
        assert count or grade not in drawn


@given(st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from("ABCD")), min_size=1, max_size=40))
def test_kappa_of_four_grades_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    found = cohen(first, second)
    if found.kappa is None:
        assert len({*first, *second}) == 1
    else:
        assert found.kappa == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
