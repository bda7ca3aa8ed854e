"""What raters say of the items of a study, key by key: each key press is one action of that rater, and can be undone by him alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from studio.errors import PoolError
from studio.pool.actions.changes import ListChange
from studio.pool.actions.ledger import Note, acting, turn
from studio.pool.core.database import Entity
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
    """Where a key press, done, taken back or done again, changes something, and what holds there from then on."""

    position: int
    rating: R


class Sheets(Entity, ABC, Generic[R]):
    """One kind of study; a subclass says which tables it has and how its ratings become rows.

    Every method that writes raises PoolError when the pool cannot be written; nothing is stored then.
    """

    study: ClassVar[str]
    """What a study is called: the column that points at one is its name with `_id`."""
    item_table: ClassVar[str]
    rating_table: ClassVar[str]
    """A study's items, and what raters say of them now."""
    columns: ClassVar[tuple[str, ...]]
    """Columns of a rating, in the order of `as_values`."""

    @staticmethod
    @abstractmethod
    def as_values(rating: R) -> list[Any]:
        """Return a rating as the values of `columns`."""

    @staticmethod
    @abstractmethod
    def rating_of(values: Sequence[Any] | None) -> R:
        """Return the rating that the values of `columns` stand for; a blank one for None."""

    def said(self, study_id: int, rater: str) -> dict[int, R]:
        """Return what one rater said, by position; of the others' answers nothing."""
        sql = (
            f"SELECT position, {', '.join(self.columns)} FROM {self.rating_table} JOIN raters ON raters.id = rater_id"
            f" WHERE {self.study}_id = ? AND name = ? ORDER BY position"
        )
        return {position: self.rating_of(values) for position, *values in self._database.rows(sql, (study_id, storable(rater)))}

    def raters(self, study_id: int) -> list[str]:
        """Return who says anything of a study, in the order they came; not who took everything back."""
        sql = f"SELECT name FROM raters WHERE id IN (SELECT rater_id FROM {self.rating_table} WHERE {self.study}_id = ?) ORDER BY id"
        return [name for (name,) in self._database.rows(sql, (study_id,))]

    def put(self, study_id: int, rater: str, position: int, rating: R) -> None:
        """Let `rating` be what `rater` says of an item from now on. Raises PoolError when the study has no such item."""
        database, words = self._database, f"{self.study} {study_id}, item {position}"
        with acting(database, Note(self.rating_table, words), self._scope(study_id, rater)) as journal:
            if not database.row(f"SELECT 1 FROM {self.item_table} WHERE {self.study}_id = ? AND position = ?", (study_id, position)):
                raise PoolError(f"{self.study} {study_id} has no item {position}")
            values = self.as_values(rating)
            # A row with nothing in it would look as if the rater had something to say.
            entries = [] if self.rating_of(values) == self.rating_of(None) else [values]
            journal.list(self.rating_table, [study_id, position, database.lookup("raters", {"name": storable(rater)})], entries)

    def undo(self, study_id: int, rater: str) -> Turn[R] | None:
        """Take back the rater's newest key press in this study, whenever it was; None when there is none."""
        return self._turn(study_id, rater, forward=False)

    def redo(self, study_id: int, rater: str) -> Turn[R] | None:
        """Do again what the rater took back last; None when there is nothing, or when something else was done since."""
        return self._turn(study_id, rater, forward=True)

    def _turn(self, study_id: int, rater: str, *, forward: bool) -> Turn[R] | None:
        turned = turn(self._database, self._scope(study_id, rater), forward=forward)
        if turned is None:
            return None
        [change] = turned.changes
        assert isinstance(change, ListChange)
        entries = change.after if forward else change.before
        return Turn(change.owner[1], self.rating_of(entries[0] if entries else None))

    def _scope(self, study_id: int, rater: str) -> str:
        return f"{self.study}/{study_id}/{storable(rater)}"
