"""What a blind comparison is made of: which two contestants, the items, and the grades that one rater gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from studio.pool.review_records import Said


class Grade(StrEnum):
    """The four grades of Wang et al. 2022, section 4.4, best first."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


GRADES: tuple[Grade, ...] = tuple(Grade)


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """Which comparison: equal plans are one. `first` and `second` are ids of contestants of one evaluation."""

    first: int
    second: int
    seed: str
    size: int


@dataclass(frozen=True, slots=True)
class ComparisonRecord:
    """A comparison; `created_at` is an ISO 8601 time in UTC."""

    id: int
    plan: ComparisonPlan
    created_at: str


@dataclass(frozen=True, slots=True)
class ComparisonItem:
    """An item of an evaluation with both answers, as they were when it was drawn. `item` is its position in the evaluation.

    `swapped`: the second contestant's answer stands on the left.
    """

    position: int
    item: int
    instruction: str
    input: str
    answers: tuple[str, str]
    swapped: bool

    @property
    def sides(self) -> tuple[int, int]:
        """Whose answers stand on the left and on the right: 0 is the first contestant, 1 the second."""
        return (1, 0) if self.swapped else (0, 1)


@dataclass(frozen=True, slots=True)
class Grading(Said[Grade]):
    """What one rater says of one item. `answers` are the grades of the first and the second contestant, whatever their sides."""

    answers: tuple[Grade | None, Grade | None] = (None, None)


UNGRADED = Grading()
