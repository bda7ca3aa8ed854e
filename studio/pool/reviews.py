"""What raters say, written key by key: every method is one transaction, so a kill at any moment loses no answer that was taken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from studio.errors import PoolError
from studio.pool.database import Database
from studio.pool.lock import now
from studio.pool.review_records import BLANK, QUESTIONS, Rating, ReviewItem, ReviewPlan, Turn
from studio.text import storable

COLUMNS = (*(question.value for question in QUESTIONS), "skipped", "note")
"""Columns of a rating, in the order of `as_values`."""
_RATING = f"SELECT {', '.join(COLUMNS)} FROM ratings WHERE review_id = ? AND position = ? AND rater_id = ?"


class Reviews:
    """The write side of the reviews of one pool. Every method raises PoolError when the pool cannot be written; nothing is stored then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, plan: ReviewPlan, items: Sequence[ReviewItem]) -> int:
        """Store a sample and return the review's id. Raises PoolError when the pool has this review already."""
        database = self._database
        with database.transaction():
            sql = "INSERT INTO reviews (seed, size, strata, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"
            row = database.execute(sql, (storable(plan.seed), plan.size, plan.strata.value, now())).fetchone()
            if row is None:
                raise PoolError("this sample has been drawn already", "go on with it, or choose another seed")
            columns = ("review_id", "position", "task_id", "instance_id", "stratum", "instruction", "input", "output")
            database.insert("review_items", columns, ((row[0], *_item_values(item)) for item in items))
        return int(row[0])

    def put(self, review_id: int, rater: str, position: int, rating: Rating) -> None:
        """Let `rating` be what `rater` says of an item from now on. Raises PoolError when the review has no such item."""
        database = self._database
        with database.transaction():
            if not database.row("SELECT 1 FROM review_items WHERE review_id = ? AND position = ?", (review_id, position)):
                raise PoolError(f"review {review_id} has no item {position}")
            rater_id = self._rater(rater)
            before = rating_of(database.row(_RATING, (review_id, position, rater_id)))
            rating = rating_of(as_values(rating))
            database.execute(
                "UPDATE rating_steps SET state = 'void' WHERE review_id = ? AND rater_id = ? AND state = 'undone'", (review_id, rater_id)
            )
            values = (review_id, position, rater_id, json.dumps(as_values(before)), json.dumps(as_values(rating)), now())
            sql = "INSERT INTO rating_steps (review_id, position, rater_id, before, after, at, state) VALUES (?, ?, ?, ?, ?, ?, 'done')"
            database.execute(sql, values)
            self._set(review_id, position, rater_id, rating)

    def undo(self, review_id: int, rater: str) -> Turn | None:
        """Take back the rater's newest key press in this review, whenever it was; None when there is none."""
        return self._turn(review_id, rater, "done")

    def redo(self, review_id: int, rater: str) -> Turn | None:
        """Do again what the rater took back last; None when there is nothing, or when something else was done since."""
        return self._turn(review_id, rater, "undone")

    def _turn(self, review_id: int, rater: str, state: str) -> Turn | None:
        database = self._database
        with database.transaction():
            rater_id = self._rater(rater)
            order = "DESC" if state == "done" else "ASC"
            sql = (
                "SELECT id, position, before, after FROM rating_steps"
                f" WHERE review_id = ? AND rater_id = ? AND state = ? ORDER BY id {order} LIMIT 1"
            )
            row = database.row(sql, (review_id, rater_id, state))
            if row is None:
                return None
            step, position, before, after = row
            rating = rating_of(json.loads(before if state == "done" else after))
            self._set(review_id, position, rater_id, rating)
            database.execute("UPDATE rating_steps SET state = ? WHERE id = ?", ("undone" if state == "done" else "done", step))
        return Turn(position, rating)

    def _set(self, review_id: int, position: int, rater_id: int, rating: Rating) -> None:
        columns = ("review_id", "position", "rater_id", *COLUMNS)
        sql = f"INSERT OR REPLACE INTO ratings ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        self._database.execute(sql, (review_id, position, rater_id, *as_values(rating)))

    def _rater(self, name: str) -> int:
        database = self._database
        name = storable(name)
        database.execute("INSERT INTO raters (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        return int(database.execute("SELECT id FROM raters WHERE name = ?", (name,)).fetchone()[0])


def as_values(rating: Rating) -> list[Any]:
    """Return a rating as the values of `COLUMNS`."""
    answers = [None if answer is None else int(answer) for answer in rating.answers]
    return [*answers, int(rating.skipped), storable(rating.note)]


def rating_of(values: Sequence[Any] | None) -> Rating:
    """Return the rating that the values of `COLUMNS` stand for; a blank one for None."""
    if values is None:
        return BLANK
    *answers, skipped, note = values
    first, second, third = (None if answer is None else bool(answer) for answer in answers)
    return Rating((first, second, third), bool(skipped), note)


def _item_values(item: ReviewItem) -> tuple[Any, ...]:
    texts = (storable(item.instruction), storable(item.input), storable(item.output))
    return (item.position, item.task_id, item.instance_id, item.stratum, *texts)
