"""What must not end the studio or hold up its keys: faults in work beside the screen, very long texts, a pool that is slow to close."""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from pathlib import Path

import pytest
from textual.widgets import Log

from studio.insight.story import Story, story_of
from studio.pool.evaluations import ComparisonItem
from studio.pool.pool import Pool
from studio.pool.reviews import ReviewItem
from studio.records import Instance, SeedTask
from studio.tui.base import start_latest
from studio.tui.help_log import KEPT, ActivityLog, LogScreen
from studio.tui.pool.detail import story_text
from studio.tui.round.decisions import DecisionTable
from studio.tui.steering import PoolAccess
from studio.tui.study.answers import answer_text, item_text, task_text
from studio.tui.terminal import TellingApp
from studio.tui.widgets.frame import LONG, SHOWN, cut
from support.pools import assert_sound
from support.screens import Host, seen, until
from support.sessions import played
from support.studio_app import screen_text, studio
from support.terminal import Terminal

MEGABYTE = "word " * 200_000


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    played(tmp_path / "pool.db")
    return tmp_path / "pool.db"


async def test_a_fault_beside_the_screen_is_told_with_its_place_and_ends_nothing(pool: Path) -> None:
    async def fails() -> None:
        raise ZeroDivisionError("[/b]")

    async with studio(pool) as driven:
        await driven.idle()
        start_latest(driven.app, "test", fails)
        await driven.until(lambda: any("ZeroDivisionError" in note.message for note in driven.app._notifications))
        told = driven.app.activity.lines[-1]
        assert told.error and "ZeroDivisionError: [/b]" in told.text and "base.py" in told.text
        assert driven.app.is_running


async def test_a_question_after_the_end_is_dropped(pool: Path) -> None:
    access = PoolAccess(pool)
    assert await access.ask(lambda reader: reader.figures.generated()) > 0
    access.close()
    access.close()
    with pytest.raises(asyncio.CancelledError):
        await access.ask(lambda reader: reader.figures.generated())


async def test_the_screen_is_drawn_while_the_pool_is_closed(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()
    async with studio(pool) as driven:
        await driven.idle()
        runner = driven.app.runner
        assert runner is not None
        close = runner.close
        monkeypatch.setattr(runner, "close", lambda *patience: free.wait() and close(*patience))
        await driven.pilot.press("q")
        await driven.until(lambda: any("Closing" in note.message for note in driven.app._notifications))
        before = screen_text(driven.app)
        driven.screen.query_one(DecisionTable).focus()
        await driven.pilot.press("down")
        assert screen_text(driven.app) != before and driven.app.is_running
        free.set()
        await driven.until(lambda: not driven.app.is_running)


def test_a_text_that_is_cut_says_how_much_is_left() -> None:
    assert cut("short\x1b") == "short␛"
    assert cut("x" * (SHOWN + 1_000)) == "x" * SHOWN + " … and 1,000 characters more, which `studio show` and the editor have"


def test_a_megabyte_is_not_drawn_to_be_judged() -> None:
    review = item_text(ReviewItem(0, 1, 1, "", MEGABYTE, MEGABYTE, MEGABYTE)).plain
    compared = ComparisonItem(0, 0, MEGABYTE, MEGABYTE, (MEGABYTE, MEGABYTE), False)
    for text, parts in ((review, 3), (task_text(compared).plain, 2), (answer_text(compared, 1).plain, 1)):
        assert text.count(f"{len(MEGABYTE) - LONG:,} characters more") == parts
        assert len(text) < parts * (LONG + 200)


def story(path: Path, *instances: Instance) -> Story:
    with Pool.create(path, [SeedTask("", "", MEGABYTE, instances, None)]) as pool:
        return story_of(pool, "1")


def test_a_megabyte_is_not_drawn_in_a_story(tmp_path: Path) -> None:
    text = story_text(story(tmp_path / "a.db", Instance(MEGABYTE, MEGABYTE))).plain
    assert text.count(f"{len(MEGABYTE) - SHOWN:,} ") == 3
    many = story_text(story(tmp_path / "b.db", *(Instance("", f"{number} {'x' * 1_000}") for number in range(2_000)))).plain
    assert "and more, which `studio show` has" in many
    assert max(len(text), len(many)) < 70_000


async def test_a_log_at_its_limit_keeps_what_is_new() -> None:
    log = ActivityLog(lambda: datetime(2026, 1, 2, 3, 4, 5))
    for number in range(7_000):
        log.add(f"line {number}")
    screen = LogScreen(log, follow_s=3600)
    async with Host(screen).run_test(size=(80, 24)) as pilot:
        lines = screen.query_one(Log)
        await until(pilot, lambda: lines.line_count == KEPT)
        assert lines.lines[-1].endswith("line 6999")
        log.add("another")
        screen.follow()
        await until(pilot, lambda: "another" in seen(pilot.app))
        assert lines.line_count == KEPT


def test_bytes_that_are_no_text_and_ctrl_c_end_nothing_and_sigint_does(tmp_path: Path) -> None:
    with Terminal(tmp_path, []) as terminal:
        terminal.until("^s Create and open")
        terminal.press("\x1b[200~-caf\udce9 au lait\udcff-\x1b[201~")
        terminal.until("nothing of it was taken")
        assert "-caf" not in terminal.text and "lait" not in terminal.text, "not a part of it, and none of it as keys"
        terminal.press("\x1b[200~-café au lait-\x1b[201~")
        terminal.until("-café au lait-")
        terminal.press("tab", "\x03")
        terminal.until("Press ctrl+q")
        terminal.interrupt()
        assert terminal.ended() == 130


def test_without_its_terminal_the_studio_ends(tmp_path: Path) -> None:
    with Terminal(tmp_path, ["run", tmp_path / "pool.db", "--model", "scripted"]) as terminal:
        terminal.until("next: sample")
        assert terminal.vanish() >= 0
    assert_sound(tmp_path / "pool.db")


def test_an_error_of_the_app_itself_ends_with_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Failing(TellingApp):
        def on_mount(self) -> None:
            raise ZeroDivisionError

    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.headless_driver:HeadlessDriver")
    with pytest.raises(SystemExit, match="1"):
        Failing().show()
    assert "ZeroDivisionError" in capsys.readouterr().err
