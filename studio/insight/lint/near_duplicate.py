"""Instructions with nearly the same words in whatever order.

ROUGE-L, which the loop decides novelty by, follows the order of words; this measure does not: the Jaccard index of the two sets of words,
|A ∩ B| / |A ∪ B|. The join is exact, by prefix filtering (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007): two sets with
an index of at least t share a word among the first |A| - ⌈t |A|⌉ + 1 of each, when all sets are sorted in one order; with the rarest words
first few others share those.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintOptions, Measured, Part, Tasks
from studio.loop.tokens import unicode_tokens

_ROUNDING = 1e-9
"""0.8 times 5 must be 4, not a little more."""


class _Sets:
    """The word sets of all instructions, one after another in one array: 4 bytes a word, 16 a task."""

    def __init__(self) -> None:
        self.task_ids = array("q")
        self._words = array("I")
        self._starts = array("Q", [0])
        self._numbers: dict[str, int] = {}

    def add(self, task_id: int, instruction: str) -> None:
        numbers = self._numbers
        self._words.extend({numbers.setdefault(word, len(numbers)) for word in unicode_tokens(instruction)})
        self._starts.append(len(self._words))
        self.task_ids.append(task_id)

    def sort_rarest_first(self) -> None:
        """Number the words anew, the rarest lowest, and forget what they were."""
        import numpy as np

        self._numbers.clear()
        words = np.frombuffer(self._words, dtype=np.uint32)
        counts = np.bincount(words)
        ranks = np.empty(len(counts), dtype=np.uint32)
        ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts), dtype=np.uint32)
        self._words = array("I", ranks[words].tobytes())

    def size(self, place: int) -> int:
        return self._starts[place + 1] - self._starts[place]

    def __getitem__(self, place: int) -> Sequence[int]:
        return self._words[self._starts[place] : self._starts[place + 1]]


def _search(tasks: Tasks, options: LintOptions) -> Iterator[Finding]:
    sets = _Sets()
    for task in tasks(with_instances=False):
        sets.add(task.id, task.instruction)
    if not sets.task_ids:
        return
    sets.sort_rarest_first()
    for place, other, index in near_duplicates(sets, len(sets.task_ids), options.near, tasks):
        yield Finding(sets.task_ids[place], None, Part.INSTRUCTION, f"{index:.2f} of the words are shared"[:EXCERPT], sets.task_ids[other])


def near_duplicates(sets: _Sets, count: int, least: float, tasks: Tasks) -> Iterator[tuple[int, int, float]]:
    """Yield (place, earlier place, Jaccard index) of each set that is at least `least` like an earlier one that was not yielded itself.

    So no two of those that are not yielded are near-duplicates. Of several, the most similar is named, the earliest of equal ones.
    """
    kept: dict[int, array[int]] = {}
    for place in range(count):
        tasks.advance()
        words = sorted(sets[place])
        if not words:
            continue
        needed = math.ceil(least * len(words) - _ROUNDING)
        prefix = words[: len(words) - needed + 1]
        best = _nearest(sets, words, {other for word in prefix for other in kept.get(word, ())}, least)
        if best is not None:
            yield place, *best
            continue
        for word in prefix:
            kept.setdefault(word, array("I")).append(place)


def _nearest(sets: _Sets, words: Sequence[int], others: set[int], least: float) -> tuple[int, float] | None:
    mine, size = set(words), len(words)
    best: tuple[float, int] | None = None
    for other in others:
        other_size = sets.size(other)
        if least * max(size, other_size) > min(size, other_size) + _ROUNDING:
            continue
        common = len(mine.intersection(sets[other]))
        index = common / (size + other_size - common)
        if index >= least - _ROUNDING and (best is None or (-index, other) < best):
            best = (-index, other)
    return None if best is None else (best[1], -best[0])


LINT = Lint(
    code="near-duplicate",
    title="the instruction has nearly the words of an earlier one, in whatever order",
    help=(
        "The words of the instruction and of an earlier one (case and punctuation apart, each counted once) have a Jaccard index of at "
        "least 0.8, or what --near says. The earlier one is not reported, so what is left without the findings has no near-duplicates. All "
        "pairs are considered, exactly: a join by the rarest words of each. Instances are not compared."
    ),
    note=(
        "One changed word can turn a task round (“the largest”, “the smallest”): from nine different words on such pairs are reported. The "
        "same task in other words is not found. Of scripts without spaces the characters are compared, and short instructions look alike "
        "too soon."
    ),
    measured=Measured(6, 8, 2, 8),
    faulty=("Name three rivers in Germany and France.   and   In France and Germany, name three rivers.",),
    sound=("Name three rivers.   and   Name three rivers in Europe that reach the sea.",),
    search=_search,
    passes=2,
)
