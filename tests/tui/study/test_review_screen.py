"""The review screen: one key an answer, stored before the next, and every way back."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from studio.insight.studies.review import open_review, resume_reviewing
from studio.pool.ledger import Note
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import BLANK, Rating, ReviewPlan, Reviews
from studio.tui.study.answers import ReviewScreen
from studio.tui.study.entry import StudyApp
from studio.tui.study.screen import desk_of
from support.bulk_pool import bulk_pool
from support.pools import assert_sound
from support.reviews import rated
from support.screens import NASTY_LINES, assert_harmless, press_on_a_full_disk, seen, until
from support.studio_app import SIZES, footer_keys

PLAN = ReviewPlan(4, "x")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return bulk_pool(tmp_path / "pool.db", 30)


@asynccontextmanager
async def reviewing(path: Path, rater: str = "anna", size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[Pilot[None], ReviewScreen]]:
    """Run `studio review` on the pool at `path`."""
    with Pool.open(path) as pool:
        review = open_review(pool, pool.reviews, PLAN)
        app = StudyApp(ReviewScreen(resume_reviewing(pool, review, rater), desk_of(pool, pool.reviews)))
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: isinstance(app.screen, ReviewScreen) and "Instruction" in seen(app))
            screen = app.screen
            assert isinstance(screen, ReviewScreen)
            yield pilot, screen


def stored(path: Path, rater: str = "anna") -> dict[int, Rating]:
    """What another reader finds in the pool."""
    with Queries.open(path) as reader:
        return {place: rating for place, rating in reader.reviews.said(1, rater).items() if rating != BLANK}


async def test_three_keys_rate_a_task_and_each_is_stored_at_once(path: Path) -> None:
    async with reviewing(path) as (pilot, screen):
        assert stored(path) == {} and "> goes to the next open task" in seen(pilot.app)
        for keys, letters in (("y", "y--"), ("n", "yn-"), ("y", "yny")):
            assert screen.walk.position == 0
            await pilot.press(keys)
            assert stored(path) == {0: rated(letters)}
        assert (screen.walk.position, screen.walk.question) == (1, 0)
        assert "task 2 of 4 · 1 complete, 0 skipped" in seen(pilot.app)
        await pilot.press(*"yyyyyy")
        assert "task 4 of 4 · 3 complete" in seen(pilot.app)
        await pilot.press(*"nnn")
        assert "all done" in seen(pilot.app)
        assert stored(path)[3] == rated("nnn")
    assert_sound(path)


async def test_the_task_is_shown_with_its_one_instance_and_the_answers_as_words(path: Path) -> None:
    async with reviewing(path) as (pilot, screen):
        item = screen.walk.item
        shown = seen(pilot.app)
        assert item.instruction in shown
        assert item.output in shown
        assert "(none)" in shown
        await pilot.press("y", "n")
        lines = [line.split()[0:2] for line in seen(pilot.app).splitlines() if "Is the" in line or "Does the" in line]
        assert lines == [["yes", "Does"], ["no", "Is"], ["▸", "y/n"]]


async def test_undo_goes_back_to_the_task_it_was_and_redo_comes_again(path: Path) -> None:
    async with reviewing(path) as (pilot, screen):
        await pilot.press(*"yyn", "-", *"nn")
        assert stored(path) == {0: rated("yyn"), 1: Rating(skipped=True), 2: rated("nn-")}
        await pilot.press("u", "u")
        assert stored(path) == {0: rated("yyn"), 1: Rating(skipped=True)}
        assert screen.walk.position == 2
        await pilot.press("u", "u")
        assert (screen.walk.position, screen.walk.question) == (0, 2)
        assert stored(path) == {0: rated("yy-")}
        await pilot.press("U", "ctrl+y")
        assert stored(path) == {0: rated("yyn"), 1: Rating(skipped=True)}
        await pilot.press(*"uuuu")
        assert stored(path) == {}
        await pilot.press("u")
        await until(pilot, lambda: "nothing to take back" in seen(pilot.app))


async def test_a_note_is_written_changed_and_left_alone(path: Path) -> None:
    async with reviewing(path) as (pilot, _):
        await pilot.press("y", "N", *"odd", "enter")
        assert stored(path) == {0: Rating((True, None, None), note="odd")}
        assert "note: odd" in seen(pilot.app)
        await pilot.press("N", *" y", "escape")
        assert stored(path)[0].note == "odd"
        await pilot.press("N", *"ly", "enter")
        assert stored(path)[0].note == "oddly"
        await pilot.press("u")
        assert stored(path)[0].note == "odd"


async def test_one_goes_back_and_answers_anew(path: Path) -> None:
    async with reviewing(path) as (pilot, screen):
        await pilot.press(*"yyy", "left", "left", "tab", "tab", "n")
        assert stored(path) == {0: rated("yyn")}
        assert screen.walk.position == 1
        await pilot.press("left", "n", "n")
        assert screen.walk.position == 0
        assert stored(path) == {0: rated("nnn")}
        await pilot.press("shift+tab", "y", "y")
        assert stored(path) == {0: rated("nyy")}
        assert screen.walk.position == 1
        await pilot.press("right", "right", "right", ">")
        assert screen.walk.position == 1


async def test_a_skip_is_taken_away_by_itself_and_by_an_answer(path: Path) -> None:
    async with reviewing(path) as (pilot, screen):
        await pilot.press("-", "left", "-")
        assert stored(path) == {}
        assert screen.walk.position == 0
        await pilot.press("-", "left", "y")
        assert stored(path) == {0: rated("y--")}


async def test_a_rater_goes_on_where_he_was_and_sees_no_one_elses_answers(path: Path) -> None:
    async with reviewing(path) as (pilot, _):
        await pilot.press(*"yyy", "-", "n", "N", *"secret", "enter")
    async with reviewing(path, "bert") as (pilot, screen):
        assert (screen.walk.position, screen.walk.counts) == (0, (0, 0))
        for _ in range(4):
            shown = seen(pilot.app)
            assert not any(word in shown for word in ("yes ", "no  ", "secret", "skipped\n"))
            await pilot.press("right")
        await pilot.press("left", "left", "left", "n")
    async with reviewing(path) as (_, screen):
        assert (screen.walk.position, screen.walk.question) == (2, 1)
        assert screen.walk.counts == (1, 1)
    assert stored(path, "bert") == {0: rated("n--")}


@pytest.mark.parametrize("size", [*SIZES, (60, 20)])
async def test_everything_one_needs_is_on_the_screen(path: Path, size: tuple[int, int]) -> None:
    async with reviewing(path, size=size) as (pilot, screen):
        wanted = {"Yes", "No", "Skip", "Undo", "Close", "Help"} | ({"Note", "Look"} if size[0] >= 80 else set())
        assert wanted <= set(footer_keys(pilot.app))  # type: ignore[arg-type]
        last = seen(pilot.app).splitlines()[-1]
        assert last.rstrip().endswith("Help") or size[0] < 80
        for words in ("Does the instruction describe a valid task?", "Is the input appropriate", "Is the output correct and acceptable?"):
            assert words in seen(pilot.app)
        await pilot.press("f1")
        await until(pilot, lambda: pilot.app.screen is not screen)
        await until(pilot, lambda: "valid task" in seen(pilot.app))


async def test_a_long_task_scrolls_and_begins_at_its_beginning(tmp_path: Path) -> None:
    path = bulk_pool(tmp_path / "pool.db", 30)
    with Pool.open(path) as pool:
        for task in pool.tasks.ids(with_instances=True):
            for instance in pool.instances.of_task(task):
                if instance.verdict == "accepted":
                    pool.ledger.change_instance(Note("t", "t"), instance.id, {"output": "\n".join(f"line {n}" for n in range(99))})
    async with reviewing(path) as (pilot, _):
        assert "line 98" not in seen(pilot.app)
        await pilot.press("end")
        await until(pilot, lambda: "line 98" in seen(pilot.app))
        await pilot.press(*"yyy")
        await until(pilot, lambda: "line 0" in seen(pilot.app) and "line 98" not in seen(pilot.app))


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_text_and_names_reach_no_terminal(path: Path, size: tuple[int, int]) -> None:
    with Pool.open(path) as pool:
        texts = iter(NASTY_LINES * 20)
        for task in pool.tasks.ids(with_instances=True):
            for instance in pool.instances.of_task(task):
                if instance.verdict == "accepted":
                    text = next(texts)
                    pool.ledger.change_instance(Note("t", "t"), instance.id, {"input": text, "output": text})
    async with reviewing(path, "[/b]\x1b]52;c;x\x07\u202e", size) as (pilot, screen):
        for _ in screen.walk.items:
            assert_harmless(pilot.app)
            await pilot.press("N", "x", "enter", "right")
            assert_harmless(pilot.app)


async def test_what_cannot_be_stored_is_said_and_not_shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with reviewing(path) as (pilot, screen):
        await pilot.press("y")
        await press_on_a_full_disk(pilot, monkeypatch, Reviews, "n")
        assert screen.walk.rating == rated("y--")
        assert screen.walk.question == 1
        await pilot.press("n")
        assert stored(path) == {0: rated("yn-")}


async def test_leaving_ends_the_command(path: Path) -> None:
    async with reviewing(path) as (pilot, _):
        await pilot.press("y", "escape")
        await until(pilot, lambda: not pilot.app.is_running or pilot.app._exit)
    assert stored(path) == {0: rated("y--")}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_mashing_keys(path: Path, seed: int) -> None:
    keys = (*"ynseuUojk", "left", "right", "tab", "shift+tab", "up", "down", "end", "enter", "f1", "ctrl+y")
    chance = random.Random(seed)
    async with reviewing(path) as (pilot, screen):
        for count in range(150):
            await pilot.press(chance.choice(keys))
            if count % 30 == 0:
                await pilot.resize_terminal(*chance.choice([(80, 24), (10, 3), (120, 40)]))
        held = {place: screen.walk.rating_at(place) for place in range(4)}
        assert {place: rating for place, rating in held.items() if rating != BLANK} == stored(path)
    assert_sound(path)
