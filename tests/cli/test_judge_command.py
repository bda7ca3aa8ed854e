"""`studio judge`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.pool.pool import Pool
from studio.pool.reviews import Rating, ReviewPlan
from support.bulk_pool import bulk_pool
from support.command import assert_fails, studio


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return bulk_pool(tmp_path / "pool.db", 120)


def test_a_judge_is_asked_once_and_reported(pool: Path) -> None:
    assert_fails(studio("judge", pool, "--report"), 4, "no model has judged")
    first = studio("judge", pool, "--model", "scripted", "--sample", "5", "--seed", "x", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout) == {"pool": str(pool), "judge": 1, "items": 5, "opinions": 15}
    again = studio("judge", pool, "--model", "scripted", "--sample", "5", "--seed", "x")
    assert "0 new opinions on 5 tasks" in again.stderr
    assert again.stdout == ""
    told = json.loads(studio("judge", pool, "--report", "--json").stdout)
    [judge] = told["judges"]
    assert (judge["judge"]["name"], judge["judge"]["model"]["name"], judge["instances"]) == ("judge", "scripted", 5)
    assert [row["share"]["count"] for row in judge["table"]] == [5, 5, 5, 5]
    said = studio("judge", pool, "--report").stdout
    assert "5 instances judged" in said
    assert "Nobody has rated any of these instances" in said


def test_it_takes_the_sample_of_the_newest_review(pool: Path) -> None:
    from studio.insight.studies.review import open_review

    with Pool.open(pool) as opened:
        review = open_review(opened, opened.reviews, ReviewPlan(4, "mine"))
        opened.reviews.put(review.id, "[b]Ann[/b]\x1b", 0, Rating((True, True, False)))
    done = studio("judge", pool, "--model", "scripted", "--rater-name", "second")
    assert "12 new opinions on 4 tasks" in done.stderr
    said = studio("judge", pool, "--report").stdout
    assert "[b]Ann[/b]␛" in said
    assert "\x1b" not in said
    assert "kappa" in said
    assert said.startswith("second: scripted, prompts ")


def test_what_cannot_be_asked(pool: Path, tmp_path: Path) -> None:
    assert_fails(studio("judge", pool, "--report", "--sample", "3"), 2, "--report tells of all")
    assert_fails(studio("judge", pool, "--rater-name", " "), 2, "--rater-name")
    assert_fails(studio("judge", pool, "--model", "no-such-model"), 3, "no-such-model")
    assert_fails(studio("judge", tmp_path / "none.db"), 4, "there is no pool")
