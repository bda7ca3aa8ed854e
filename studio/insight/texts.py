"""What is measured of texts: their lengths in words, the words that instructions open with, and how near texts are to others.

The highest ROUGE-L F1 is exact, not estimated: `studio.loop.novelty` compares every pair, and each score is `rouge_score`'s bit for bit.

A long run of tokens that texts share is the usual sign that they come from the same place. Runs are told apart by a 64-bit hash, so memory
is 8 bytes a run. Among a hundred million runs the chance that any two different ones are taken for equal is below one in a thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice

import numpy as np
from numpy.typing import NDArray

from studio.loop.novelty import NoveltyIndex
from studio.loop.tokens import TOKENIZERS, Tokenizer, TokenNumbers, WordTable, joined_tokens, unicode_tokens

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


_TEXTS_AT_A_TIME = 32
"""Texts compared together: the cost of going through the index is shared, and an answer still comes every fraction of a second."""
SIZE = 8
"""Tokens of a run, where nothing else is asked for."""
_TASKS_AT_A_TIME = 1024
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Overlap:
    """The text at `index` of ours, the highest ROUGE-L F1 (0 to 1) to any of theirs, and the place of the first of theirs that has it.

    `nearest` is None when there are none of theirs; where nothing is common it is the first of them, with a score of 0.
    """

    index: int
    score: float
    nearest: int | None


def highest_overlaps(ours: Iterable[str], theirs: Iterable[str], tokenizer: str = "unicode") -> Iterator[Overlap]:
    """Yield for each text of `ours`, in their order, how near it comes to `theirs`.

    `theirs` is read to its end first and takes about 150 bytes a text; `ours` is read as the answers are asked for. A text that is in
    both meets itself. `tokenizer` is a name of `studio.loop.tokens.TOKENIZERS`.
    """
    index = NoveltyIndex(TOKENIZERS[tokenizer])
    index.extend((place, text, False) for place, text in enumerate(theirs))
    remaining = iter(ours)
    first = 0
    while texts := list(islice(remaining, _TEXTS_AT_A_TIME)):
        batch = index.batch(texts)
        for offset in range(len(texts)):
            found = batch.novelty(offset)
            yield Overlap(first + offset, found.score, found.nearest)
        first += len(texts)


@dataclass(frozen=True, slots=True)
class Shared:
    """Of the runs of a task of ours, counted as often as they occur, how many occur in theirs too.

    `first` is the place among the task's runs of the first one that does, None when there is none; of a task of one text it is the place
    of the run's first token.
    """

    shared: int
    runs: int
    first: int | None


class KnownRuns:
    """The runs of some tasks' texts, to be found in others: 8 bytes a run.

    A run never goes from one text into the next. A task without a text of `size` tokens has no runs.
    """

    def __init__(self, tasks: Iterable[Sequence[str]], size: int = SIZE, tokenizer: str = "unicode") -> None:
        self._hasher = _Hasher(TOKENIZERS[tokenizer], size)
        self._known = np.concatenate([np.empty(0, np.uint64), *(hashes for hashes, _ in self._hasher.chunks(tasks))])
        self._known.sort()

    def shared(self, tasks: Iterable[Sequence[str]]) -> Iterator[Shared]:
        """Yield for each task, given as its texts, how many of its runs are known; tasks are read as answers are asked for."""
        for hashes, owners in self._hasher.chunks(tasks):
            count = self._hasher.tasks
            runs = np.bincount(owners, minlength=count)
            places = np.flatnonzero(_among(hashes, self._known))
            hits = np.bincount(owners[places], minlength=count)
            found, of_found = np.unique(owners[places], return_index=True)
            starts = np.cumsum(runs) - runs
            first = dict(zip(found.tolist(), (places[of_found] - starts[found]).tolist(), strict=True))
            for offset in range(count):
                yield Shared(int(hits[offset]), int(runs[offset]), first.get(offset))


def _among(hashes: Hashes, known: Hashes) -> NDArray[np.bool_]:
    if not known.size:
        return np.zeros(hashes.shape, np.bool_)
    places = np.minimum(np.searchsorted(known, hashes), known.size - 1)
    found: NDArray[np.bool_] = known[places] == hashes
    return found


class _Hasher:
    """Hashes of runs, many tasks at a time. `tasks` is how many the chunk given last had."""

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        self._tokenizer = tokenizer
        self._size = size
        self._table = WordTable(TokenNumbers().__getitem__)
        self.tasks = 0

    def chunks(self, tasks: Iterable[Sequence[str]]) -> Iterator[tuple[Hashes, NDArray[np.int64]]]:
        """Yield the hashes of all runs of some tasks, and to which task of the chunk each belongs."""
        remaining = iter(tasks)
        while chunk := list(islice(remaining, _TASKS_AT_A_TIME)):
            self.tasks = len(chunk)
            numbers = self._table.numbers(joined_tokens(self._tokenizer, (text for texts in chunk for text in texts)))
            breaks = numbers == 0
            # The break that ends a text is still the text's.
            text_of = np.cumsum(breaks) - breaks
            task_of = np.repeat(np.arange(len(chunk)), [len(texts) for texts in chunk])
            yield self._runs(_mixed(numbers), breaks, task_of[text_of] if len(task_of) else text_of)

    def _runs(self, codes: Hashes, breaks: NDArray[np.bool_], owners: NDArray[np.int64]) -> tuple[Hashes, NDArray[np.int64]]:
        count = max(len(codes) - self._size + 1, 0)
        hashes = np.zeros(count, dtype=np.uint64)
        broken = np.zeros(count, dtype=np.bool_)
        for step in range(self._size):
            # Unsigned arithmetic of arrays wraps around, which is what a hash wants.
            hashes = hashes * _FACTOR + codes[step : step + count]
            broken |= breaks[step : step + count]
        return hashes[~broken], owners[:count][~broken]


def _mixed(numbers: NDArray[np.uint32]) -> Hashes:
    """Numbers spread over 64 bits, no two alike (the finaliser of splitmix64)."""
    codes = numbers.astype(np.uint64) * _FACTOR
    codes = (codes ^ (codes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    codes = (codes ^ (codes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = codes ^ (codes >> np.uint64(31))
    return mixed
