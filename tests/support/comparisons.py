"""Pools with a blind comparison of two contestants, and raters who grade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from studio.insight.studies.comparison import open_comparison, paired, plan_for
from studio.pool.evaluations import ComparisonRecord, Grade, Grading
from studio.pool.pool import Pool
from support.pools import make_pool
from support.publications import evaluate

TEXTS = tuple(f"question {number}" for number in range(6))


def compared(
    path: Path, gradings: Mapping[str, Mapping[int, Grading]] | None = None, *, texts: Sequence[str] = TEXTS, seed: str = "x"
) -> ComparisonRecord:
    """Make a pool at `path` whose base and tuned model answered `texts`, draw the comparison, and let raters say what stands there."""
    with Pool.open(make_pool(path)) as pool:
        evaluate(pool, texts)
        comparison = open_comparison(pool, pool.comparisons, plan_for(pool, paired(pool), seed, None))
        for rater, sheet in (gradings or {}).items():
            for position, grading in sheet.items():
                pool.comparisons.put(comparison.id, rater, position, grading)
    return comparison


def graded(letters: str) -> Grading:
    """The grading that two letters stand for, the first contestant's and the second's; `-` is none yet."""
    first, second = (None if letter == "-" else Grade(letter) for letter in letters)
    return Grading((first, second))


def grades(text: str) -> dict[int, Grading]:
    """Gradings from position 0 on, as words of two letters; `skip` skips."""
    return {place: Grading(skipped=True) if word == "skip" else graded(word) for place, word in enumerate(text.split())}
