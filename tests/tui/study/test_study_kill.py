"""kill -9 at any key of a review or a comparison, in the program itself: every answer that was shown is there, and the rater goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio.insight.studies.comparison import resume_grading
from studio.insight.studies.review import begin_reviewing
from studio.pool.evaluations import UNGRADED
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import BLANK, ReviewPlan
from studio.tui.study.answers import CompareScreen, ReviewScreen
from studio.tui.study.entry import StudyApp
from studio.tui.study.screen import desk_of
from support.bulk_pool import bulk_pool
from support.comparisons import compared
from support.pools import assert_sound
from support.screens import seen, until
from support.terminal import Terminal

RATER = "anna"
KEYS = 40
NOTE = ("N", *"odd", "enter")
MOVES = (("left",), ("tab",))


@dataclass(frozen=True)
class Study:
    """How a study is begun and read. `answers` are the keys of answers, the more frequent ones more than once."""

    answers: str
    options: tuple[str, ...]
    make: Callable[[Path], object]
    app: Callable[[Pool], StudyApp]
    read: Callable[[Queries], dict[int, Any]]
    blank: object


def review_app(pool: Pool) -> StudyApp:
    return StudyApp(ReviewScreen(begin_reviewing(pool, pool.reviews, ReviewPlan(12, "x"), RATER), desk_of(pool, pool.reviews)))


def compare_app(pool: Pool) -> StudyApp:
    return StudyApp(CompareScreen(resume_grading(pool, pool.comparisons.all()[0], RATER), desk_of(pool, pool.comparisons)))


STUDIES = {
    "review": Study(
        "yyynn",
        ("--sample", "12", "--seed", "x"),
        lambda path: bulk_pool(path, 60),
        review_app,
        lambda reader: reader.reviews.said(1, RATER),
        BLANK,
    ),
    "compare": Study(
        "aabcd",
        (),
        lambda path: compared(path, texts=[f"question {number}" for number in range(20)]),
        compare_app,
        lambda reader: reader.comparisons.said(1, RATER),
        UNGRADED,
    ),
}


def keys_of(study: Study, seed: int) -> list[tuple[str, ...]]:
    """The keys of one session, the same for a seed; undo and redo only where there is something to undo and redo."""
    chance, found, done, undone = random.Random(seed), [], 0, 0
    for _ in range(KEYS):
        changes = [*((key,) for key in study.answers), ("-",), NOTE]
        kinds = [*changes, *MOVES, *([("u",)] * 2 if done else []), *([("U",)] if undone else [])]
        keys: tuple[str, ...] = chance.choice(kinds)
        if keys in changes:
            done, undone = done + 1, 0
        elif keys == ("u",):
            done, undone = done - 1, undone + 1
        elif keys == ("U",):
            done, undone = done + 1, undone - 1
        found.append(keys)
    return found


def stored(study: Study, path: Path) -> dict[int, Any]:
    with Queries.open(path) as reader:
        return {place: said for place, said in study.read(reader).items() if said != study.blank}


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


async def walked(study: Study, path: Path, seed: int) -> list[tuple[dict[int, Any], list[str]]]:
    """What is stored and what is seen before the first key and after each, in a session that nobody kills."""
    study.make(path)
    with Pool.open(path) as pool:
        app = study.app(pool)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "task 1 of" in seen(app))
            found = [(stored(study, path), lines(seen(app)))]
            for keys in keys_of(study, seed):
                await pilot.press(*keys)
                await pilot.pause()
                found.append((stored(study, path), lines(seen(app))))
    return found


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
@pytest.mark.parametrize("name", STUDIES)
async def test_no_answer_is_lost(tmp_path: Path, name: str, seed: int) -> None:
    study, path = STUDIES[name], tmp_path / "killed.db"
    whole, keys = await walked(study, tmp_path / "whole.db", seed), keys_of(study, seed)
    assert len({str(said) for said, _ in whole}) > KEYS / 4
    study.make(path)
    shown = random.Random(seed).randint(1, KEYS - 1)
    with Terminal(tmp_path, [name, path, "--rater", RATER, *study.options]) as terminal:
        for pressed, (_, screen) in zip([(), *keys[:shown]], whole[: shown + 1], strict=True):
            terminal.press(*pressed)
            terminal.until(lambda text, screen=screen: lines(text) == screen)  # type: ignore[misc]
        # The one under way may be stored or not; all that were shown are.
        terminal.press(*keys[shown])
        terminal.kill()
    before = stored(study, path)
    assert before in [said for said, _ in whole[shown : shown + 2]]
    assert_sound(path)
    with Terminal(tmp_path, [name, path, "--rater", RATER, *study.options]) as terminal:
        skipped = sum(said.skipped for said in before.values())
        complete = sum(said.complete for said in before.values())
        terminal.until(f"{complete} complete, {skipped} skipped")
        terminal.press(study.answers[0])
        terminal.until(lambda _: stored(study, path) != before)
        terminal.press("q")
        assert terminal.ended() == 0
    assert_sound(path)
