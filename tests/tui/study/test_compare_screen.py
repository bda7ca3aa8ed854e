"""The comparison screen: one key a grade, stored before the next, and nothing that tells whose answer is whose."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from studio.insight.studies.comparison import resume_grading
from studio.pool.evaluations import UNGRADED, Comparisons, Grading
from studio.pool.pool import Pool, Queries
from studio.tui.study.answers import AnswerPane, CompareScreen
from studio.tui.study.entry import StudyApp
from studio.tui.study.screen import desk_of
from support.comparisons import TEXTS, compared
from support.pools import assert_sound
from support.screens import NASTY_LINES, assert_harmless, press_on_a_full_disk, seen, until
from support.studio_app import SIZES, footer_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    compared(tmp_path / "pool.db")
    return tmp_path / "pool.db"


@asynccontextmanager
async def grading(path: Path, rater: str = "anna", size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[Pilot[None], CompareScreen]]:
    """Run `studio compare` on the pool at `path`."""
    with Pool.open(path) as pool:
        comparison = pool.comparisons.all()[0]
        app = StudyApp(CompareScreen(resume_grading(pool, comparison, rater), desk_of(pool, pool.comparisons)))
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "Instruction" in seen(app))
            screen = app.screen
            assert isinstance(screen, CompareScreen)
            yield pilot, screen


def stored(path: Path, rater: str = "anna") -> dict[int, Grading]:
    """What another reader finds in the pool."""
    with Queries.open(path) as reader:
        return {place: each for place, each in reader.comparisons.said(1, rater).items() if each != UNGRADED}


def sided(screen: CompareScreen, position: int, letters: str) -> tuple[str | None, ...]:
    """The grades by contestant that letters for the left and the right answer stand for; `-` is none yet."""
    by_side = [None if letter == "-" else letter for letter in letters]
    found: list[str | None] = [None, None]
    for place, answer in enumerate(screen.walk.items[position].sides):
        found[answer] = by_side[place]
    return tuple(found)


async def test_a_key_grades_the_marked_answer_and_is_stored_at_once(path: Path) -> None:
    async with grading(path) as (pilot, screen):
        assert {item.swapped for item in screen.walk.items} == {False, True}
        for position in range(len(TEXTS)):
            assert screen.walk.position == position
            await pilot.press("a")
            assert stored(path)[position].answers == sided(screen, position, "A-")
            await pilot.press("d")
            assert stored(path)[position].answers == sided(screen, position, "AD")
        assert "all done: studio compare POOL --report unblinds" in seen(pilot.app)
    assert_sound(path)


@pytest.mark.parametrize("size", [*SIZES, (60, 20)])
async def test_both_answers_and_all_keys_are_on_the_screen_and_no_name_is(path: Path, size: tuple[int, int]) -> None:
    async with grading(path, size=size) as (pilot, screen):
        item = screen.walk.item
        shown = seen(pilot.app)
        for text in (item.instruction, *item.answers, "Answer 1", "Answer 2", "A correct", "B minor", "C relevant", "D irrelevant"):
            assert text in shown
        assert "Compare 1 · anna · task 1 of 6 · 0 complete, 0 skipped" in shown and "tab marks the other answer, > goes to" in shown
        assert "adapter" not in shown and "Tiny" not in shown and "swapped" not in shown
        left, right = (screen.query_one(f"#{side}", AnswerPane).region for side in ("left", "right"))
        assert (left.y == right.y and left.x < right.x) == (size[0] >= 100)
        assert (left.x == right.x and left.y < right.y) == (size[0] < 100)
        assert item.answers[item.sides[0]] in str(screen.query_one("#left-text").render())
        assert {"A", "B", "C", "D", "Skip", "Undo", "Close", "Help"} <= set(footer_keys(pilot.app))  # type: ignore[arg-type]


async def test_tab_and_click_mark_the_other_answer(path: Path) -> None:
    async with grading(path) as (pilot, screen):
        await pilot.press("tab", "b")
        assert stored(path)[0].answers == sided(screen, 0, "-B")
        assert screen.walk.position == 0 and screen.walk.question == screen.walk.order[0]
        await pilot.click("#right")
        await pilot.press("c")
        assert stored(path)[0].answers == sided(screen, 0, "-C")
        await pilot.press("a")
        assert stored(path)[0].answers == sided(screen, 0, "AC") and screen.walk.position == 1


async def test_undo_skip_note_and_going_back(path: Path) -> None:
    async with grading(path) as (pilot, screen):
        await pilot.press(*"ab", "-", "N", *"odd", "enter", *"c")
        assert stored(path) == {
            0: Grading(sided(screen, 0, "AB")),  # type: ignore[arg-type]
            1: Grading(skipped=True),
            2: Grading(sided(screen, 2, "C-"), note="odd"),  # type: ignore[arg-type]
        }
        await pilot.press(*"uuu")
        assert stored(path).keys() == {0} and screen.walk.position == 1
        await pilot.press("U")
        assert stored(path)[1].skipped
        await pilot.press("left", "d")
        assert stored(path)[0].answers == sided(screen, 0, "DB")
        await pilot.press(*"uuuuu")
        assert stored(path) == {}
        await pilot.press("u")
        await until(pilot, lambda: "nothing to take back" in seen(pilot.app))


async def test_raters_go_on_where_they_were_and_see_no_one_elses_grades(path: Path) -> None:
    async with grading(path) as (pilot, _):
        await pilot.press(*"abc", "N", *"secret", "enter")
    async with grading(path, "bert") as (pilot, screen):
        assert (screen.walk.position, screen.walk.counts) == (0, (0, 0))
        for _ in TEXTS:
            assert "secret" not in seen(pilot.app) and "Answer 1: –" in seen(pilot.app)
            await pilot.press("right")
    async with grading(path) as (_, screen):
        assert screen.walk.position == 1 and screen.walk.question == screen.walk.order[1]


async def test_hostile_answers_do_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    compared(path, texts=NASTY_LINES)
    async with grading(path) as (pilot, screen):
        for _ in screen.walk.items:
            await pilot.press("N", "x", "enter", "right")
            assert_harmless(pilot.app)


async def test_what_cannot_be_stored_is_said_and_not_shown(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with grading(path) as (pilot, screen):
        await pilot.press("a")
        await press_on_a_full_disk(pilot, monkeypatch, Comparisons, "b")
        assert screen.walk.position == 0 and screen.walk.rating.answers == sided(screen, 0, "A-")
        await pilot.press("b")
        assert stored(path)[0].answers == sided(screen, 0, "AB")


async def test_long_texts_scroll_from_their_beginning(tmp_path: Path) -> None:
    def long(name: str) -> str:
        return "\n".join(f"{name} line {number}" for number in range(99))

    texts: Sequence[str] = (long("one"), long("two"))
    path = tmp_path / "pool.db"
    compared(path, texts=texts)
    async with grading(path, size=(80, 24)) as (pilot, screen):
        assert "line 98" not in seen(pilot.app)
        await pilot.press("end")
        await until(pilot, lambda: screen.query_one("#left", AnswerPane).scroll_offset.y > 0)
        await until(pilot, lambda: "line 98" in seen(pilot.app))
        await pilot.press("a", "b")
        assert screen.walk.position == 1
        await until(pilot, lambda: screen.query_one("#left", AnswerPane).scroll_offset.y == 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_mashing_keys(path: Path, seed: int) -> None:
    keys = (*"abcdseuUojkt", "left", "right", "tab", "shift+tab", "up", "down", "end", "enter", "f1", "ctrl+y")
    chance = random.Random(seed)
    async with grading(path) as (pilot, screen):
        for count in range(150):
            await pilot.press(chance.choice(keys))
            if count % 30 == 0:
                await pilot.resize_terminal(*chance.choice([(80, 24), (10, 3), (120, 40)]))
        held = {place: screen.walk.rating_at(place) for place in range(len(TEXTS))}
        assert {place: each for place, each in held.items() if each != UNGRADED} == stored(path)
    assert_sound(path)
