"""Pools with reviews: generated tasks enough to sample from, and raters who answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from studio.insight.studies.review import open_review
from studio.pool.pool import Pool
from studio.pool.reviews import BLANK, Rating, ReviewPlan, ReviewRecord
from support.bulk_pool import bulk_pool

YES, NO, OPEN = True, False, None


def reviewed(path: Path, plan: ReviewPlan, ratings: Mapping[str, Mapping[int, Rating]], candidates: int = 60) -> ReviewRecord:
    """Make a pool at `path`, draw `plan`, and let every rater in `ratings` say what stands there by position."""
    bulk_pool(path, candidates)
    with Pool.open(path) as pool:
        review = open_review(pool, pool.reviews, plan)
        for rater, sheet in ratings.items():
            for position, rating in sheet.items():
                if rating != BLANK:
                    pool.reviews.put(review.id, rater, position, rating)
    return review


def rated(letters: str) -> Rating:
    """The rating that three letters stand for: `y`, `n`, or `-` for an open question."""
    first, second, third = ({"y": YES, "n": NO, "-": OPEN}[letter] for letter in letters)
    return Rating((first, second, third))


def sheet(text: str) -> dict[int, Rating]:
    """Ratings from position 0 on, written as words of three letters; `skip` skips."""
    return {place: Rating(skipped=True) if word == "skip" else rated(word) for place, word in enumerate(text.split())}
