"""kill -9 at any key of a review: every answer that was taken is there, and the rater goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from studio.insight.review_sample import open_review
from studio.pool.queries import Queries
from studio.pool.review_records import BLANK, Rating
from studio.pool.store import Pool
from studio.tui.review_app import ReviewApp
from studio.tui.review_desk import desk_of_pool, resume_reviewing
from support.bulk_pool import bulk_pool
from support.pools import assert_sound
from support.review_child import KEYS, PLAN, RATER, keys_of

TESTS = Path(__file__).parents[1]
Ratings = dict[int, Rating]


def stored(path: Path) -> Ratings:
    with Queries.open(path) as reader:
        return {place: rating for place, rating in reader.ratings(1, RATER).items() if rating != BLANK}


async def states(path: Path, seed: int) -> list[Ratings]:
    """What is stored before the first key and after each, in a session that nobody kills."""
    found = []
    with Pool.open(path) as pool:
        review = open_review(pool.reader, pool.reviews, PLAN)
        found.append(stored(path))
        app = ReviewApp(resume_reviewing(pool.reader, review, RATER), desk_of_pool(pool))
        async with app.run_test(size=(80, 24)) as pilot:
            for keys in keys_of(seed):
                await pilot.press(*keys)
                found.append(stored(path))
    return found


def kill_after(path: Path, seed: int, keys: int) -> int:
    """Let a rater press keys in another process, kill it once it has told of so many; return how many it had told of."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]), "TEXTUAL_ANIMATIONS": "none"}
    command = [sys.executable, "-m", "support.review_child", str(path), str(seed)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= keys:
                break
        child.send_signal(signal.SIGKILL)
        told = keys + sum(1 for _ in child.stdout)
    assert child.returncode == -signal.SIGKILL
    return told


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_no_answer_is_lost(tmp_path: Path, seed: int) -> None:
    whole = await states(bulk_pool(tmp_path / "whole.db", 60), seed)
    assert len({str(state) for state in whole}) > KEYS / 4
    path = bulk_pool(tmp_path / "killed.db", 60)
    told = kill_after(path, seed, random.Random(seed).randint(1, KEYS - 10))
    # The key under way may have been stored or not; all it told of are.
    assert stored(path) in whole[told : told + 2]
    assert_sound(path)
    with Pool.open(path) as pool:
        begun = resume_reviewing(pool.reader, open_review(pool.reader, pool.reviews, PLAN), RATER)
        assert begun.items == pool.reader.review_items(1)
        assert {place: begun.rating_at(place) for place in range(12) if begun.rating_at(place) != BLANK} == stored(path)
        begun.go(11)
        change = begun.answer(True)
        pool.reviews.put(1, RATER, change.position, change.rating)
        assert stored(path)[11].answers[0] is True
        while pool.reviews.undo(1, RATER) is not None:
            pass
        assert stored(path) == {}
