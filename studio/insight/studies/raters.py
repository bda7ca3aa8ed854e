"""What all studies share: one rater's way through the items, how far raters are, how sure a share is, how far two agree beyond chance.

A way says where the rater is, what a key does, and what is to be stored of it; it knows no screen.
"""

from __future__ import annotations

import getpass
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from rich.table import Table

from studio.errors import UsageError
from studio.insight.tables import plain_table
from studio.pool.reviews import KeyPress, Said
from studio.text import display_line

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

    def answer(self, given: Any) -> KeyPress[R]:
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

    def skip(self) -> KeyPress[R]:
        """Skip the item, or no longer; on to the next that is not settled."""
        changed = self._put(replace(self.rating, skipped=not self.rating.skipped))
        if self.rating.skipped:
            self.next_open()
        return changed

    def note(self, text: str) -> KeyPress[R]:
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

    def take(self, turn: KeyPress[R]) -> None:
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

    def _put(self, rating: R) -> KeyPress[R]:
        self._ratings[self.position] = rating
        return KeyPress(self.position, rating)

    def _unsettled_from(self, start: int) -> int | None:
        order = [*range(start, len(self.items)), *range(start)]
        return next((place for place in order if not self.rating_at(place).settled), None)


Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""
NAME_WIDTH = 20
"""Characters of a rater's name that are shown."""


@dataclass(frozen=True, slots=True)
class RaterProgress:
    """How far a rater is: items with all questions answered, skipped ones, and those begun but neither."""

    rater: str
    complete: int
    skipped: int
    begun: int

    def words(self, items: int) -> str:
        """The same as a line, in a study of that many items."""
        begun = f", {self.begun} begun" if self.begun else ""
        left = items - self.complete - self.skipped
        return f"  {display_line(self.rater, NAME_WIDTH)}: {self.complete} complete, {self.skipped} skipped{begun}, {left} to go"


def progress_of(rater: str, sheet: Mapping[int, Said[Any]]) -> RaterProgress:
    """Return how far a rater is, from what was said of each item by position."""
    complete = sum(rating.complete for rating in sheet.values())
    skipped = sum(rating.skipped for rating in sheet.values())
    begun = sum(not rating.settled and any(each is not None for each in rating.answers) for rating in sheet.values())
    return RaterProgress(rater, complete, skipped, begun)


@dataclass(frozen=True, slots=True)
class Share:
    """`yes` of `count` answers, the share and its 95 % interval (0 to 1), all None without answers."""

    yes: int
    count: int
    share: float | None
    low: float | None
    high: float | None

    @property
    def words(self) -> str:
        """The same as a line shows it: `58% (51-65) of 200`, or a dash without answers."""
        if self.share is None or self.low is None or self.high is None:
            return "-"
        return f"{self.share:.0%} ({100 * self.low:.0f}-{100 * self.high:.0f}) of {self.count}"


def share_of(answers: Iterable[bool | None]) -> Share:
    """Return the share of yes with its Wilson interval; None is no answer, and left out."""
    given = [each for each in answers if each is not None]
    yes, count = sum(given), len(given)
    if not count:
        return Share(0, 0, None, None, None)
    low, high = wilson(yes, count)
    return Share(yes, count, yes / count, low, high)


def wilson(yes: float, count: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share, without continuity correction (Wilson 1927, Journal of the ASA 22, p. 209).

    Unlike the normal interval it stays within 0 and 1 and holds for few answers. Raises ValueError unless 0 <= yes <= count and count > 0.
    """
    if not 0 <= yes <= count or count == 0:
        raise ValueError(f"no share: {yes} of {count}")
    z2 = Z_95 * Z_95
    share = yes / count
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    # At the ends the formula is 0 or 1 exactly; floats miss it by a hair.
    return (0.0 if yes == 0 else max(middle - half, 0.0)), (1.0 if yes == count else min(middle + half, 1.0))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two raters over the `count` items that both answered: the share with equal answers, and Cohen's kappa.

    Kappa is 1 for full agreement and 0 for what chance gives; None where it is undefined, as when both gave one and the same answer to all.
    """

    count: int
    agreement: float | None
    kappa: float | None

    @property
    def words(self) -> tuple[str, str, str]:
        """The same as a line shows it: how many, the share of equal ones, kappa."""
        equal = "" if self.agreement is None else f"{self.agreement:.0%}"
        return f"{self.count:,}", equal, "undefined" if self.kappa is None else f"{self.kappa:.2f}"


def cohen(first: Sequence[Hashable | None], second: Sequence[Hashable | None]) -> Agreement:
    """Compare two raters' answers to the same items, in the same order (Cohen 1960, Educational and Psychological Measurement 20, p. 37).

    kappa = (p_o - p_e) / (1 - p_e), with p_o the observed share of equal answers and p_e the one expected from each rater's own shares.
    None is no answer: what one of them has not answered is left out. Raises ValueError when they are not of one length.
    """
    pairs = [(one, other) for one, other in zip(first, second, strict=True) if one is not None and other is not None]
    count = len(pairs)
    if not count:
        return Agreement(0, None, None)
    equal = sum(one == other for one, other in pairs)
    of_first, of_second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    # In integers, times count squared, so that a chance of exactly 1 is seen as such.
    by_chance = sum(number * of_second[answer] for answer, number in of_first.items())
    whole = count * count
    kappa = None if by_chance == whole else (equal * count - by_chance) / (whole - by_chance)
    return Agreement(count, equal / count, kappa)


def agreement_table(of: str, rows: Iterable[tuple[Sequence[str], str, Agreement]]) -> Table:
    """Return how far pairs of raters agree, for a terminal: given are their names, on what, and the figures; `of` names what is counted."""
    cells = ((" and ".join(display_line(name, NAME_WIDTH) for name in names), what, *found.words) for names, what, found in rows)
    return plain_table("agreement of two raters", "", of, "equal", "Cohen's kappa", rows=cells, left=(0, 1))
