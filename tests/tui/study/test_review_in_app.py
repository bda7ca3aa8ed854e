"""A review inside the studio: through the dialog, on the thread that owns the pool, and never while a stage plays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from studio.engine.options import EngineOptions
from studio.pool.pool import Queries
from studio.pool.reviews import Rating, ReviewPlan, Reviews
from studio.tui.runner import RunnerState
from studio.tui.study.answers import ReviewScreen
from studio.tui.study.entry import ReviewDialog
from support.pools import assert_sound
from support.reviews import rated
from support.screens import fill_disk, seen
from support.sessions import configuration, played
from support.studio_app import Driven, HeldEngine, studio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pool.db"
    played(path, 2)
    return path


@asynccontextmanager
async def rating(path: Path, engine: HeldEngine | None = None, rater: str = "anna") -> AsyncIterator[tuple[Driven, ReviewScreen]]:
    """Open the pool in the studio and go through the dialog to a review of six tasks."""
    held = engine or HeldEngine(free_events=10**9)

    def opener(_model: str, _options: EngineOptions) -> HeldEngine:
        return held

    async with studio(path, opener, configuration()) as driven:
        await driven.press("v")
        await driven.until(lambda: isinstance(driven.app.screen, ReviewDialog))
        driven.app.screen.query_one("#rater", Input).value = rater
        driven.app.screen.query_one("#size", Input).value = "6"
        await driven.press("ctrl+s")
        await driven.until(lambda: isinstance(driven.app.screen, ReviewScreen))
        screen = driven.app.screen
        assert isinstance(screen, ReviewScreen)
        yield driven, screen


def stored(path: Path, rater: str = "anna") -> dict[int, Rating]:
    with Queries.open(path) as reader:
        return reader.reviews.said(1, rater)


async def test_keys_are_stored_by_the_sessions_own_writer(path: Path) -> None:
    async with rating(path) as (driven, screen):
        assert len(screen.walk.items) == 6
        await driven.press(*"yny", "-", "n")
        assert stored(path) == {0: rated("yny"), 1: Rating(skipped=True), 2: rated("n--")}
        await driven.press("u", "u")
        assert 1 not in stored(path)
        assert screen.walk.position == 1
        await driven.press("escape")
        await driven.until(lambda: driven.app.screen is driven.screen)
        await driven.press("v")
        await driven.until(lambda: isinstance(driven.app.screen, ReviewDialog))
        # The newest review is offered, to any rater.
        assert driven.app.screen.query_one("#size", Input).value == "6"
        driven.app.screen.query_one("#rater", Input).value = "bert"
        await driven.press("ctrl+s")
        await driven.until(lambda: isinstance(driven.app.screen, ReviewScreen))
        assert driven.app.screen.walk.counts == (0, 0)  # type: ignore[attr-defined]
    with Queries.open(path) as reader:
        assert [each.plan for each in reader.reviews.all()] == [ReviewPlan(6)]
    assert_sound(path)


async def test_fast_keys_are_all_taken_in_their_order(path: Path) -> None:
    async with rating(path) as (driven, _):
        await driven.pilot.press(*"yynynnyyy")
        await driven.idle()
        assert stored(path) == {0: rated("yyn"), 1: rated("ynn"), 2: rated("yyy")}


async def test_while_a_stage_plays_a_key_is_refused_and_nothing_is_shown_as_stored(path: Path) -> None:
    engine = HeldEngine(free_events=4)
    async with rating(path, engine) as (driven, screen):
        await driven.press("y")
        runner = driven.app.runner
        assert runner is not None
        await driven.press("escape")
        await driven.pilot.press("s")
        await driven.until(lambda: runner.state is RunnerState.IDLE)
        await driven.pilot.press("s")
        await driven.until(engine.reached.is_set)
        assert runner.state is RunnerState.RUNNING
        again = ReviewScreen(screen.walk, screen._desk)
        driven.app.push_screen(again)
        await driven.until(lambda: again.is_current and bool(again.query("#questions")))
        await driven.pilot.press("n", "-", "u")
        await driven.pilot.pause()
        assert screen.walk.rating == rated("y--")
        assert stored(path) == {0: rated("y--")}
        engine.go_on.set()
        await driven.idle()
        await driven.press("n")
        assert stored(path) == {0: rated("yn-")}


async def test_a_key_that_cannot_be_stored_is_taken_back_on_the_screen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rating(path) as (driven, screen):
        await driven.press("y")
        fill_disk(monkeypatch, Reviews)
        await driven.press("n", "n")
        await driven.until(lambda: "the disk is full" in seen(driven.app))
        await driven.until(lambda: screen.walk.rating == rated("y--"))
        assert screen.walk.position == 0
    assert stored(path) == {0: rated("y--")}


@pytest.mark.parametrize(("field", "text"), [("size", "none"), ("size", "0"), ("rater", "  ")])
async def test_the_dialog_says_what_it_cannot_use(path: Path, field: str, text: str) -> None:
    async with studio(path) as driven:
        await driven.press("v")
        await driven.until(lambda: isinstance(driven.app.screen, ReviewDialog))
        dialog = driven.app.screen
        dialog.query_one(f"#{field}", Input).value = text
        await driven.press("ctrl+s")
        assert driven.app.screen is dialog
        assert str(dialog.query_one("#said", Static).visual) != ""
        await driven.press("escape")
        await driven.until(lambda: driven.app.screen is driven.screen)
    with Queries.open(path) as reader:
        assert reader.reviews.all() == []


async def test_the_palette_offers_it_where_there_is_a_pool(path: Path) -> None:
    async with studio(path) as driven:
        titles = [command.title for command in driven.app.get_system_commands(driven.app.screen)]
        assert "Pool: review" in titles
