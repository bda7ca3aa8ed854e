"""Ratings in the pool: each key press whole or not at all, taken back by the rater who gave it, and what they choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio.errors import PoolError
from studio.insight.studies.review import draw, open_review
from studio.pool.browse import ALL, Keep, Selection
from studio.pool.exchange.export import ExportOptions, export_to_files
from studio.pool.ledger import Note
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import BLANK, Rating, ReviewPlan, Strata
from studio.pool.tasks import Annotation
from support.bulk_pool import bulk_pool
from support.dying import assert_all_or_nothing
from support.pools import ask, assert_sound, contents, walk_round
from support.reviews import rated, sheet

PLAN = ReviewPlan(12, "x")
OTHER = ReviewPlan(5, "other", Strata.CLASS)
FULL = Rating((True, False, True), False, "odd \ud800 one")


@pytest.fixture
def drawn(tmp_path: Path) -> Iterator[Pool]:
    """A pool with review 1 of twelve tasks, which anna has begun."""
    path = bulk_pool(tmp_path / "pool.db", 60)
    with Pool.open(path) as pool:
        open_review(pool, pool.reviews, PLAN)
        pool.reviews.put(1, "anna", 0, rated("y--"))
        pool.reviews.put(1, "anna", 0, rated("yn-"))
        yield pool


def test_what_a_rater_says_stays_and_is_his_alone(drawn: Pool) -> None:
    drawn.reviews.put(1, "anna", 3, FULL)
    drawn.reviews.put(1, "bert", 3, rated("nnn"))
    drawn.close()
    with Queries.open(drawn.path) as reader:
        assert reader.reviews.said(1, "anna") == {0: rated("yn-"), 3: replace(FULL, note="odd \ufffd one")}
        assert reader.reviews.said(1, "bert") == {3: rated("nnn")}
        assert reader.reviews.said(1, "nobody") == {}
        assert list(reader.reviews.sheets(1)) == ["anna", "bert"]
        assert [(each.id, each.plan) for each in reader.reviews.all()] == [(1, PLAN)]
        assert reader.reviews.find(replace(PLAN, seed="y")) is None
    assert_sound(drawn.path)


def test_undo_goes_back_key_by_key_and_only_over_the_raters_own(drawn: Pool) -> None:
    drawn.reviews.put(1, "bert", 5, rated("n--"))
    drawn.reviews.put(1, "anna", 7, Rating(skipped=True))
    seen = []
    while (turn := drawn.reviews.undo(1, "anna")) is not None:
        seen.append((turn.position, turn.rating))
        assert drawn.reviews.said(1, "anna").get(turn.position, BLANK) == turn.rating
    assert seen == [(7, BLANK), (0, rated("y--")), (0, BLANK)]
    assert drawn.reviews.said(1, "bert") == {5: rated("n--")}
    assert list(drawn.reviews.sheets(1)) == ["bert"]
    assert ask(drawn.path, "SELECT name FROM ratings JOIN raters ON raters.id = rater_id") == [("bert",)]
    again = [drawn.reviews.redo(1, "anna") for _ in range(4)]
    assert [turn.rating if turn else None for turn in again] == [rated("y--"), rated("yn-"), Rating(skipped=True), None]
    drawn.reviews.undo(1, "anna")
    drawn.reviews.put(1, "anna", 8, FULL)
    assert drawn.reviews.redo(1, "anna") is None


def test_an_item_that_is_not_there_and_a_sample_drawn_twice_are_refused(drawn: Pool) -> None:
    before = contents(drawn.path)
    with pytest.raises(PoolError, match="no item 12"):
        drawn.reviews.put(1, "carl", 12, FULL)
    with pytest.raises(PoolError, match="drawn already"):
        drawn.reviews.add(PLAN, drawn.reviews.items(1))
    assert contents(drawn.path) == before


def test_a_seed_and_a_name_may_be_any_text(drawn: Pool) -> None:
    plan = ReviewPlan(3, "odd \udcff seed")
    review = open_review(drawn, drawn.reviews, plan)
    assert open_review(drawn, drawn.reviews, plan) == review
    drawn.reviews.put(review.id, "\udcff", 0, FULL)
    assert drawn.reviews.said(review.id, "\udcff")[0].answers == FULL.answers


def test_the_same_plan_is_the_same_sample_whatever_has_become_of_the_pool(drawn: Pool) -> None:
    items = drawn.reviews.items(1)
    walk_round(drawn)
    assert open_review(drawn, drawn.reviews, PLAN).id == 1
    assert drawn.reviews.items(1) == items


CHANGES: dict[str, Callable[[Pool], object]] = {
    "draw": lambda pool: pool.reviews.add(OTHER, draw(pool, OTHER)),
    "put": lambda pool: pool.reviews.put(1, "anna", 1, FULL),
    "put of a new rater": lambda pool: pool.reviews.put(1, "carl", 1, FULL),
    "undo": lambda pool: pool.reviews.undo(1, "anna"),
    "annotate": lambda pool: pool.ledger.annotate(Note("annotate", "annotated"), 11, Annotation(("a", "b"), "see")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_kill_at_any_statement_leaves_the_old_state(drawn: Pool, name: str) -> None:
    drawn.close()
    assert_all_or_nothing(drawn.path, CHANGES[name])


def _rate_all(pool: Pool, words: str) -> list[int]:
    """Let anna rate the sample from its beginning; return the tasks in the sample's order."""
    for position, rating in sheet(words).items():
        pool.reviews.put(1, "anna", position, rating)
    return [item.task_id for item in pool.reviews.items(1)]


def _kept(pool: Pool, keep: Keep) -> list[int]:
    return [task.id for task in pool.stream.export_tasks(False, keep)]


def _quality(pool: Pool) -> dict[int, float]:
    return dict(ask(pool.path, "SELECT task_id, quality FROM quality"))


def test_quality_chooses_what_is_exported(drawn: Pool) -> None:
    tasks = _rate_all(drawn, "yyy yyn ynn nnn skip y-- n--")
    assert _kept(drawn, Keep(min_quality=1)) == sorted([tasks[0], tasks[5]])
    assert _kept(drawn, Keep(min_quality=0.67)) == sorted([tasks[0], tasks[1], tasks[5]])
    assert _kept(drawn, Keep(min_quality=0.34)) == sorted([tasks[0], tasks[1], tasks[5]])
    assert _kept(drawn, Keep(min_quality=0.33)) == sorted([tasks[0], tasks[1], tasks[2], tasks[5]])
    rated_ones = [task for place, task in enumerate(tasks[:7]) if place != 4]
    assert _kept(drawn, Keep(min_quality=0)) == sorted(rated_ones)
    everything = _kept(drawn, ALL)
    unrated = set(everything) - set(rated_ones)
    assert _kept(drawn, Keep(min_quality=1, unrated=True)) == sorted(unrated | {tasks[0], tasks[5]})
    assert _quality(drawn) == {tasks[0]: 1, tasks[1]: 2 / 3, tasks[2]: 1 / 3, tasks[3]: 0, tasks[5]: 1, tasks[6]: 0}
    # Another rater's answers weigh the same.
    drawn.reviews.put(1, "bert", 0, rated("nnn"))
    assert _quality(drawn)[tasks[0]] == 0.5


def test_an_answer_counts_while_the_texts_are_what_was_rated(drawn: Pool) -> None:
    tasks = _rate_all(drawn, "yyy yyy yyy")
    first, second, _ = drawn.reviews.items(1)[:3]
    note = Note("test", "changed")
    drawn.ledger.change_instance(note, first.instance_id, {"output": "Another one."})
    drawn.ledger.change_instance(note, second.instance_id, {"verdict": "rejected"})
    assert _quality(drawn) == {tasks[2]: 1}
    drawn.ledger.undo()
    drawn.ledger.undo()
    assert set(_quality(drawn)) == set(tasks[:3])


def test_tags_and_notes_hang_on_a_task_and_are_taken_back(drawn: Pool) -> None:
    first, second, third = _kept(drawn, ALL)[:3]
    note = Note("annotate", "annotated")
    drawn.ledger.annotate(note, first, Annotation(("good", "check"), "see the date"))
    drawn.ledger.annotate(note, second, Annotation(("good",)))
    drawn.ledger.annotate(note, third, Annotation((), "only a note"))
    assert drawn.tasks.annotation(first) == Annotation(("good", "check"), "see the date")
    assert drawn.tasks.tags() == {"check": 1, "good": 2}
    assert _kept(drawn, Keep(tags=("good",))) == [first, second]
    assert _kept(drawn, Keep(tags=("check", "none"))) == [first]
    assert list(drawn.browse.ids(Selection(keep=Keep(tags=("good",))))) == [first, second]
    drawn.ledger.annotate(note, first, Annotation())
    assert drawn.tasks.annotation(first) == Annotation()
    for _ in range(4):
        assert drawn.ledger.undo() is not None
    assert drawn.tasks.tags() == {}
    assert drawn.ledger.redo() is not None
    assert drawn.tasks.annotation(first) == Annotation(("good", "check"), "see the date")
    assert_sound(drawn.path)


def test_an_export_that_keeps_nothing_says_so(drawn: Pool, tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="no task with instances has these tags"):
        export_to_files(drawn.stream, tmp_path / "data.jsonl", ExportOptions(keep=Keep(tags=("none",))), drawn.path)
    assert not (tmp_path / "data.jsonl").exists()
