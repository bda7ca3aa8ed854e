"""One rater's way through the items of a study: where he is, what a key does, and what is to be stored of it. It knows no screen."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from studio.errors import UsageError
from studio.pool.studies.sheets import Said, Turn

_LONGEST_NAME = 60

I = TypeVar("I")  # noqa: E741
R = TypeVar("R", bound=Said[Any])


def check_rater(name: str | None) -> str:
    """Return the rater's name, the user's own on this machine where none is given. Raises UsageError for one that cannot be used."""
    if name is None:
        try:
            name = getpass.getuser()
        except (OSError, KeyError, ImportError):
            # No user of that number on this machine, as in a container.
            name = "rater"
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST_NAME:
        raise UsageError(f"a rater needs a name of 1 to {_LONGEST_NAME} characters", "such as --rater anna")
    return name


@dataclass(frozen=True, slots=True)
class Place(Generic[R]):
    """Where a rater is, and what he says there: enough to go back when nothing could be stored."""

    position: int
    question: int
    rating: R


class Walk(Generic[I, R]):
    """A rater's way through a study's items. Methods that change an answer return what is to be stored.

    `question` is the place, among the answers of a rating, of the one that is asked for.
    """

    def __init__(self, study: int, rater: str, items: Sequence[I], ratings: Mapping[int, R], blank: R) -> None:
        self.study = study
        self.rater = rater
        self.items = items
        self._ratings = dict(ratings)
        self._blank = blank
        self.position = 0
        self.question = 0
        self.go(self._unsettled_from(0) or 0)

    @property
    def item(self) -> I:
        """The item that is shown."""
        return self.items[self.position]

    @property
    def order(self) -> tuple[int, ...]:
        """The places of this item's answers, in the order in which they are asked for."""
        return tuple(range(len(self._blank.answers)))

    @property
    def rating(self) -> R:
        """What the rater says of it so far."""
        return self.rating_at(self.position)

    @property
    def counts(self) -> tuple[int, int]:
        """How many items are complete, and how many skipped."""
        held = self._ratings.values()
        return sum(each.complete for each in held), sum(each.skipped for each in held)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return sum(self.counts) == len(self.items)

    def rating_at(self, position: int) -> R:
        """What the rater says of another item."""
        return self._ratings.get(position, self._blank)

    def go(self, position: int) -> None:
        """Show another item, at its first open question; beyond the ends of the study nothing happens."""
        if 0 <= position < len(self.items):
            self.position = position
            answers = self.rating.answers
            self.question = next((place for place in self.order if answers[place] is None), self.order[0])

    def ask(self, by: int) -> None:
        """Put another question of this item: that many further on, counted round."""
        order = self.order
        self.question = order[(order.index(self.question) + by) % len(order)]

    def answer(self, given: Any) -> Turn[R]:
        """Answer the question that is asked, and go on: to the next open one, then to the next item that is not settled.

        An answer to a skipped item takes the skip away.
        """
        before, order = self.rating, self.order
        answers = [*before.answers]
        answers[self.question] = given
        changed = self._put(replace(before, answers=tuple(answers), skipped=False))
        here = order.index(self.question)
        if None in answers:
            self.question = next(place for place in (*order[here:], *order[:here]) if answers[place] is None)
        elif before.complete and self.question != order[-1]:
            # Somebody goes through an item again, question by question.
            self.question = order[here + 1]
        else:
            self.next_open()
        return changed

    def skip(self) -> Turn[R]:
        """Skip the item, or no longer; on to the next that is not settled."""
        changed = self._put(replace(self.rating, skipped=not self.rating.skipped))
        if self.rating.skipped:
            self.next_open()
        return changed

    def note(self, text: str) -> Turn[R]:
        """Write down a remark on the item."""
        return self._put(replace(self.rating, note=text.strip()))

    @property
    def place(self) -> Place[R]:
        """Where the rater is now."""
        return Place(self.position, self.question, self.rating)

    def restore(self, place: Place[R]) -> None:
        """Take back what was done since `place`, at that one item."""
        self.position, self.question = place.position, place.question
        self._ratings[place.position] = place.rating

    def renew(self, ratings: Mapping[int, R]) -> None:
        """Begin again from what is stored, at the item that is shown."""
        self._ratings = dict(ratings)
        self.go(self.position)

    def take(self, turn: Turn[R]) -> None:
        """Show an item where something was taken back or done again."""
        self._ratings[turn.position] = turn.rating
        self.go(turn.position)

    def next_open(self) -> bool:
        """Go to the next item that is not settled, from the start again after the last; False when there is none."""
        found = self._unsettled_from(self.position + 1)
        if found is None:
            self.go(self.position)
            return False
        self.go(found)
        return True

    def _put(self, rating: R) -> Turn[R]:
        self._ratings[self.position] = rating
        return Turn(self.position, rating)

    def _unsettled_from(self, start: int) -> int | None:
        order = [*range(start, len(self.items)), *range(start)]
        return next((place for place in order if not self.rating_at(place).settled), None)
