"""A rater in a process of its own, who may be killed: presses keys on the review screen and tells of each when it is done."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from studio.insight.review_sample import open_review
from studio.pool.review_records import ReviewPlan
from studio.pool.store import Pool
from studio.tui.review_app import ReviewApp
from studio.tui.review_desk import desk_of_pool, resume_reviewing

PLAN = ReviewPlan(12, "x")
RATER = "anna"
KEYS = 60


def keys_of(seed: int) -> list[tuple[str, ...]]:
    """The keys of one session, the same for a seed: mostly answers, each entry one change at most."""
    chance = random.Random(seed)
    kinds: tuple[tuple[str, ...], ...] = (("y",), ("y",), ("y",), ("n",), ("n",), ("s",), ("u",), ("U",), ("left",), ("tab",), ("o",))
    noting: tuple[str, ...] = ("e", *"odd", "enter")
    return [chance.choice((*kinds, noting)) for _ in range(KEYS)]


async def press(path: Path, seed: int) -> None:
    """Press them all, with a line on stdout after each."""
    with Pool.open(path) as pool:
        review = open_review(pool.reader, pool.reviews, PLAN)
        app = ReviewApp(resume_reviewing(pool.reader, review, RATER), desk_of_pool(pool))
        async with app.run_test(size=(80, 24)) as pilot:
            for number, keys in enumerate(keys_of(seed), 1):
                await pilot.press(*keys)
                sys.__stdout__.write(f"{number}\n")  # type: ignore[union-attr]
                sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    asyncio.run(press(Path(sys.argv[1]), int(sys.argv[2])))
