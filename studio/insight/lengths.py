"""What is counted of texts: how long many of them are, in words, and the word that an instruction opens with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile

from studio.loop.tokens import unicode_tokens

_COURTESIES = frozenset({"please", "kindly", "now", "then", "first", "next", "just"})
_REQUESTS = frozenset({"can", "could", "will", "would"})
_LOOKED_AT = 120
"""Characters; what opens an instruction stands at its beginning."""


@dataclass(frozen=True, slots=True)
class Bin:
    """How many texts have from `low` to `high` words, both included."""

    low: int
    high: int
    count: int

    @property
    def label(self) -> str:
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Lengths in words, split at white space; all zeros and no bins when there is no text.

    A quantile is the smallest length that at least that share of the texts do not exceed (q05: five per cent). The bins double in width,
    1, 2 to 3, 4 to 7 and so on, from the shortest text to the longest: lengths spread over several orders of magnitude.
    """

    count: int
    mean: float
    minimum: int
    q05: int
    q25: int
    median: int
    q75: int
    q95: int
    maximum: int
    bins: tuple[Bin, ...]


class Lengths:
    """Takes in texts one after another: exact quantiles, in memory that does not grow with them; a number for each different length."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, text: str) -> None:
        """Take in one more text."""
        self._counts[len(text.split())] += 1

    def result(self) -> Distribution:
        """Return what was taken in."""
        count = self._counts.total()
        if not count:
            return Distribution(0, 0.0, 0, 0, 0, 0, 0, 0, 0, ())
        lengths = sorted(self._counts)
        # Shares in per cent, so that the ranks are whole numbers and exact.
        q05, q25, median, q75, q95 = (self._quantile(lengths, per_cent, count) for per_cent in (5, 25, 50, 75, 95))
        total = sum(length * number for length, number in self._counts.items())
        return Distribution(count, total / count, lengths[0], q05, q25, median, q75, q95, lengths[-1], tuple(self._bins()))

    def _quantile(self, lengths: list[int], per_cent: int, count: int) -> int:
        rank = -(-per_cent * count // 100)
        passed = 0
        for length in lengths:
            passed += self._counts[length]
            if passed >= rank:
                return length
        return lengths[-1]

    def _bins(self) -> Iterator[Bin]:
        # A length of n binary digits lies between 2 ** (n - 1) and 2 ** n - 1.
        digits: Counter[int] = Counter()
        for length, number in self._counts.items():
            digits[length.bit_length()] += number
        for place in range(min(digits), max(digits) + 1):
            yield Bin(1 << place - 1 if place else 0, (1 << place) - 1, digits[place])


def opening_word(instruction: str) -> str:
    """Return the first word, lower-case, after any "please" and "could you"; empty when there is no word at all.

    In most instructions of English it is the verb, found without a parser. It is a stand-in: "what" and "given" are opening words, too, and
    in languages that put the verb last it says little. For verbs and their objects see the diversity figures, which parse.
    """
    tokens = unicode_tokens(instruction[:_LOOKED_AT])
    rest = list(dropwhile(_COURTESIES.__contains__, tokens))
    if len(rest) > 2 and rest[0] in _REQUESTS and rest[1] == "you":
        rest = list(dropwhile(_COURTESIES.__contains__, rest[2:]))
    return (rest or tokens or [""])[0]
