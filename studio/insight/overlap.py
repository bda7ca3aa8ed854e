"""How near the texts of one list are to those of another: for each of ours the highest ROUGE-L F1 to any of theirs.

Exact, not estimated: `studio.loop.novelty` compares every pair, and each score equals `rouge_score`'s bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from studio.loop.novelty import NoveltyIndex
from studio.loop.tokens import TOKENIZERS

_AT_A_TIME = 32
"""Texts compared together: the cost of going through the index is shared, and an answer still comes every fraction of a second."""


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
    while texts := list(islice(remaining, _AT_A_TIME)):
        batch = index.batch(texts)
        for offset in range(len(texts)):
            found = batch.novelty(offset)
            yield Overlap(first + offset, found.score, found.nearest)
        first += len(texts)
