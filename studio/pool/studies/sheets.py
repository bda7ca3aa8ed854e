"""What raters say of the items of a study, key by key: each method is one transaction, so a kill loses no answer that was taken."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from studio.errors import PoolError
from studio.pool.core.database import Database
from studio.pool.core.files import now
from studio.text import storable

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Said(Generic[A]):
    """What one rater says of one item of a study: answers, None where not yet given.

    A skipped item counts nowhere, whatever was answered before.
    """

    answers: tuple[A | None, ...]
    skipped: bool = False
    note: str = ""

    @property
    def complete(self) -> bool:
        """Whether it counts: every question answered, and not skipped."""
        return not self.skipped and None not in self.answers

    @property
    def settled(self) -> bool:
        """Whether the rater is done with the item."""
        return self.skipped or self.complete


@dataclass(frozen=True, slots=True)
class Turn(Generic[R]):
    """A key press taken back or done again: where, and what holds there now."""

    position: int
    rating: R


class Sheets(ABC, Generic[R]):
    """The write side of one kind of study; a subclass says which tables it has and how its ratings become rows.

    Every method raises PoolError when the pool cannot be written; nothing is stored then.
    """

    study: ClassVar[str]
    """What a study is called: the column that points at one is its name with `_id`."""
    items: ClassVar[str]
    ratings: ClassVar[str]
    steps: ClassVar[str]
    """Tables: a study's items, what raters say of them now, and every key press."""
    columns: ClassVar[tuple[str, ...]]
    """Columns of a rating, in the order of `as_values`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    @abstractmethod
    def as_values(rating: R) -> list[Any]:
        """Return a rating as the values of `columns`."""

    @staticmethod
    @abstractmethod
    def rating_of(values: Sequence[Any] | None) -> R:
        """Return the rating that the values of `columns` stand for; a blank one for None."""

    def put(self, study_id: int, rater: str, position: int, rating: R) -> None:
        """Let `rating` be what `rater` says of an item from now on. Raises PoolError when the study has no such item."""
        database, study = self._database, self.study
        with database.transaction():
            if not database.row(f"SELECT 1 FROM {self.items} WHERE {study}_id = ? AND position = ?", (study_id, position)):
                raise PoolError(f"{study} {study_id} has no item {position}")
            rater_id = self._rater(rater)
            sql = f"SELECT {', '.join(self.columns)} FROM {self.ratings} WHERE {study}_id = ? AND position = ? AND rater_id = ?"
            before = self.rating_of(database.row(sql, (study_id, position, rater_id)))
            rating = self.rating_of(self.as_values(rating))
            database.execute(
                f"UPDATE {self.steps} SET state = 'void' WHERE {study}_id = ? AND rater_id = ? AND state = 'undone'", (study_id, rater_id)
            )
            values = (study_id, position, rater_id, json.dumps(self.as_values(before)), json.dumps(self.as_values(rating)), now())
            columns = f"{study}_id, position, rater_id, before, after, at, state"
            database.execute(f"INSERT INTO {self.steps} ({columns}) VALUES (?, ?, ?, ?, ?, ?, 'done')", values)
            self._set(study_id, position, rater_id, rating)

    def undo(self, study_id: int, rater: str) -> Turn[R] | None:
        """Take back the rater's newest key press in this study, whenever it was; None when there is none."""
        return self._turn(study_id, rater, "done")

    def redo(self, study_id: int, rater: str) -> Turn[R] | None:
        """Do again what the rater took back last; None when there is nothing, or when something else was done since."""
        return self._turn(study_id, rater, "undone")

    def said(self, study_id: int, rater: str) -> dict[int, R]:
        """Return what one rater said, by position; of the others' answers nothing."""
        return said(self._database, type(self), study_id, rater)

    def _turn(self, study_id: int, rater: str, state: str) -> Turn[R] | None:
        database = self._database
        with database.transaction():
            rater_id = self._rater(rater)
            order = "DESC" if state == "done" else "ASC"
            sql = (
                f"SELECT id, position, before, after FROM {self.steps}"
                f" WHERE {self.study}_id = ? AND rater_id = ? AND state = ? ORDER BY id {order} LIMIT 1"
            )
            row = database.row(sql, (study_id, rater_id, state))
            if row is None:
                return None
            step, position, before, after = row
            rating = self.rating_of(json.loads(before if state == "done" else after))
            self._set(study_id, position, rater_id, rating)
            database.execute(f"UPDATE {self.steps} SET state = ? WHERE id = ?", ("undone" if state == "done" else "done", step))
        return Turn(position, rating)

    def _set(self, study_id: int, position: int, rater_id: int, rating: R) -> None:
        # A row with nothing in it would look as if the rater had something to say.
        place = (study_id, position, rater_id)
        self._database.execute(f"DELETE FROM {self.ratings} WHERE {self.study}_id = ? AND position = ? AND rater_id = ?", place)
        if rating != self.rating_of(None):
            columns = (f"{self.study}_id", "position", "rater_id", *self.columns)
            self._database.insert(self.ratings, columns, [(*place, *self.as_values(rating))])

    def _rater(self, name: str) -> int:
        database = self._database
        name = storable(name)
        database.execute("INSERT INTO raters (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        return int(database.execute("SELECT id FROM raters WHERE name = ?", (name,)).fetchone()[0])


def said(database: Database, kind: type[Sheets[R]], study_id: int, rater: str) -> dict[int, R]:
    """Return what one rater said in a study, by position; of the others' answers nothing."""
    sql = (
        f"SELECT position, {', '.join(kind.columns)} FROM {kind.ratings} JOIN raters ON raters.id = rater_id"
        f" WHERE {kind.study}_id = ? AND name = ? ORDER BY position"
    )
    return {position: kind.rating_of(values) for position, *values in database.rows(sql, (study_id, storable(rater)))}


def raters_of(database: Database, kind: type[Sheets[R]], study_id: int) -> list[str]:
    """Return who says anything of a study, in the order they came; not who took everything back."""
    sql = f"SELECT name FROM raters WHERE id IN (SELECT rater_id FROM {kind.ratings} WHERE {kind.study}_id = ?) ORDER BY id"
    return [name for (name,) in database.rows(sql, (study_id,))]
