"""What the reports of all studies share: how far raters are, how sure a share is, how far two of them agree beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from studio.insight.tables import plain_table
from studio.pool.studies.sheets import Said
from studio.text import display_line

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
