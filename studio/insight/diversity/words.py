"""How diverse a pool's instructions are in their words, measured without a parser and without embeddings."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
from numpy.typing import NDArray

from studio.loop.novelty import NoveltyIndex
from studio.loop.tokens import TOKENIZERS

WINDOW = 500
"""Words of the moving window; the size Covington and McFall use for a whole text."""
SAMPLE = 1000
"""Instructions compared with each other for the self-ROUGE-L: it grows with the sample, so only equal sizes compare."""
_PAIRS_AT_A_TIME = 1 << 20


@dataclass(frozen=True, slots=True)
class WordDiversity:
    """Figures of the words of some instructions, in the tokens of the `unicode` tokeniser; 0 where there is nothing to measure.

    `distinct_1` and `distinct_2` are distinct words and distinct pairs of neighbouring words, each over their number (Li et al. 2016,
    "A Diversity-Promoting Objective Function for Neural Conversation Models"); `distinct_1` is also the type-token ratio. Both fall as a
    pool grows. `mattr` does not: it is the mean type-token ratio of every window of `WINDOW` words, the instructions read one after
    another in the order of ids (Covington and McFall 2010, "Cutting the Gordian Knot"); of all words at once where there are fewer.
    `self_rouge_l` is the mean, over `sampled` instructions, of the highest ROUGE-L F1 to another of them: 0 is diverse, 1 is copies (the
    idea of self-BLEU, Zhu et al. 2018).
    """

    instructions: int
    words: int
    distinct_words: int
    distinct_1: float
    distinct_2: float
    mattr: float
    self_rouge_l: float
    sampled: int


class WordMeasures:
    """Takes instructions in one by one. Memory: the vocabulary, the sample, and some 30 bytes a distinct pair of words."""

    def __init__(self, *, sample: int = SAMPLE, seed: str = "0", window: int = WINDOW) -> None:
        self._tokenizer = TOKENIZERS["unicode"]
        self._vocabulary: dict[str, int] = {}
        self._pairs = _Pairs()
        self._moving = _MovingRatio(window)
        self._sample = _Sample(sample, Random(f"{seed}/diversity"))
        self.instructions = 0

    def add(self, task_id: int, instruction: str) -> None:
        """Take in one instruction; ids are distinct."""
        ids = [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in self._tokenizer(instruction)]
        self._pairs.add(ids)
        self._moving.add(ids)
        self._sample.add(task_id, instruction)
        self.instructions += 1

    def result(self) -> WordDiversity:
        """The figures of all that was added; the sample is compared here."""
        words, distinct = self._moving.words, len(self._vocabulary)
        pairs, distinct_pairs = self._pairs.totals()
        return WordDiversity(
            instructions=self.instructions,
            words=words,
            distinct_words=distinct,
            distinct_1=distinct / words if words else 0.0,
            distinct_2=distinct_pairs / pairs if pairs else 0.0,
            mattr=self._moving.value(),
            self_rouge_l=self_rouge_l(self._sample.chosen),
            sampled=len(self._sample.chosen),
        )


def self_rouge_l(instructions: list[tuple[int, str]]) -> float:
    """Return the mean of each instruction's highest ROUGE-L F1 to another one; 0 for fewer than two. Given are (id, instruction) pairs."""
    if len(instructions) < 2:
        return 0.0
    index = NoveltyIndex(TOKENIZERS["unicode"])
    index.extend((task_id, text, False) for task_id, text in instructions)
    batch = index.batch([text for _, text in instructions])
    highest = (
        next(each.score for each in batch.novelty(place).neighbours if each.task_id != task_id)
        for place, (task_id, _) in enumerate(instructions)
    )
    return sum(highest) / len(instructions)


class _Pairs:
    """Counts pairs of neighbouring words within an instruction, exactly, as sorted numbers."""

    def __init__(self) -> None:
        self._total = 0
        self._pending = array("Q")
        self._seen: NDArray[np.uint64] = np.empty(0, np.uint64)

    def add(self, ids: list[int]) -> None:
        self._pending.extend(first << 32 | second for first, second in pairwise(ids))
        if len(self._pending) >= _PAIRS_AT_A_TIME:
            self._merge()

    def totals(self) -> tuple[int, int]:
        """Pairs met, and how many of them are distinct."""
        self._merge()
        return self._total, len(self._seen)

    def _merge(self) -> None:
        self._total += len(self._pending)
        self._seen = np.union1d(self._seen, np.array(self._pending, dtype=np.uint64))
        self._pending = array("Q")


class _MovingRatio:
    """The mean type-token ratio of all windows of a stream of words."""

    def __init__(self, window: int) -> None:
        self.words = 0
        self._size = window
        self._window: deque[int] = deque()
        self._counts: Counter[int] = Counter()
        self._types = 0

    def add(self, ids: list[int]) -> None:
        for word in ids:
            self.words += 1
            self._window.append(word)
            self._counts[word] += 1
            if len(self._window) > self._size:
                oldest = self._window.popleft()
                self._counts[oldest] -= 1
                if not self._counts[oldest]:
                    del self._counts[oldest]
            if len(self._window) == self._size:
                self._types += len(self._counts)

    def value(self) -> float:
        windows = self.words - self._size + 1
        if windows > 0:
            return self._types / (windows * self._size)
        return len(self._counts) / self.words if self.words else 0.0


class _Sample:
    """A uniform sample of a stream whose length nobody knows (algorithm R), in the order in which places were taken."""

    def __init__(self, size: int, rng: Random) -> None:
        self.chosen: list[tuple[int, str]] = []
        self._size = size
        self._rng = rng
        self._met = 0

    def add(self, task_id: int, instruction: str) -> None:
        self._met += 1
        if len(self.chosen) < self._size:
            self.chosen.append((task_id, instruction))
        elif (place := self._rng.randrange(self._met)) < self._size:
            self.chosen[place] = (task_id, instruction)
