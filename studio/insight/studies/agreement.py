"""How sure a share is, and how far two raters agree beyond chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

Z_95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Share:
    """`yes` of `count` answers, the share and its 95 % interval (0 to 1), all None without answers."""

    yes: int
    count: int
    share: float | None
    low: float | None
    high: float | None


def share_of(answers: Sequence[bool]) -> Share:
    """Return the share of yes among answers with its Wilson interval."""
    yes, count = sum(answers), len(answers)
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


def cohen(first: Sequence[Hashable], second: Sequence[Hashable]) -> Agreement:
    """Compare two raters' answers to the same items, in the same order (Cohen 1960, Educational and Psychological Measurement 20, p. 37).

    kappa = (p_o - p_e) / (1 - p_e), with p_o the observed share of equal answers and p_e the one expected from each rater's own shares.
    Raises ValueError when they are not of one length.
    """
    pairs = list(zip(first, second, strict=True))
    count = len(pairs)
    if not count:
        return Agreement(0, None, None)
    equal = sum(one == other for one, other in pairs)
    of_first, of_second = Counter(first), Counter(second)
    # In integers, times count squared, so that a chance of exactly 1 is seen as such.
    by_chance = sum(number * of_second[answer] for answer, number in of_first.items())
    whole = count * count
    kappa = None if by_chance == whole else (equal * count - by_chance) / (whole - by_chance)
    return Agreement(count, equal / count, kappa)
