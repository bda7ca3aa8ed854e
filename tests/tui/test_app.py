"""What is everywhere the same: going from screen to screen, help, the palette, the log, the settings, leaving."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.tui.dialogs.export import ExportDialog
from studio.tui.dialogs.settings import SettingsScreen
from studio.tui.help_log import HelpDialog, LogScreen, log_line
from studio.tui.insight.screen import InsightScreen
from studio.tui.pool.screen import PoolScreen
from studio.tui.round.screen import StudioScreen
from studio.tui.widgets.frame import StudioHeader
from support.studio_app import SIZES, Driven, screen_text, studio


def run_command(driven: Driven, title: str) -> None:
    """Choose a command of the palette."""
    command = next(each for each in driven.app.get_system_commands(driven.app.screen) if each.title == title)
    command.callback()


@pytest.mark.parametrize("size", SIZES)
async def test_the_screens_are_a_key_or_a_click_away(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path / "pool.db", size=size) as driven:
        await driven.press("r")
        await driven.pilot.press("2")
        assert isinstance(driven.app.screen, PoolScreen)
        await driven.pilot.press("3")
        assert isinstance(driven.app.screen, InsightScreen)
        await driven.pilot.click(StudioHeader, offset=(3, 0))
        assert isinstance(driven.app.screen, StudioScreen)
        await driven.pilot.click(StudioHeader, offset=(14, 0))
        assert isinstance(driven.app.screen, PoolScreen)
        await driven.pilot.resize_terminal(50, 15)
        await driven.until(lambda: "The studio needs" in screen_text(driven.app))


async def test_the_palette_has_the_guide(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        run_command(driven, "Guide: servers")
        await driven.until(lambda: "A model on another machine" in screen_text(driven.app))
        await driven.pilot.press("escape")
        await driven.until(lambda: isinstance(driven.app.screen, StudioScreen))


async def test_a_screen_that_was_left_fits_the_window_it_comes_back_to(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=(120, 40)) as driven:
        await driven.pilot.press("2")
        await driven.until(lambda: "175 tasks" in screen_text(driven.app))
        await driven.pilot.press("1")
        await driven.pilot.resize_terminal(80, 24)
        await driven.pilot.press("2")
        await driven.until(lambda: driven.app.screen.has_class("-narrow") and "175 tasks" in screen_text(driven.app))
        assert not driven.app.screen.has_class("-wide")
        assert max(len(line) for line in screen_text(driven.app).splitlines()) <= 80


async def test_a_theme_chosen_on_one_screen_is_that_of_the_others(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.pilot.press("2", "1")
        before = driven.app.screen.styles.background
        await driven.pilot.press("2")
        driven.app.theme = "textual-light"
        await driven.pilot.press("1")
        await driven.until(lambda: driven.app.screen.styles.background != before)
        assert driven.app.screen.query_one(StudioHeader).styles.background.brightness > 0.5


async def test_a_run_goes_on_while_the_pool_is_looked_at(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("s")
        await driven.pilot.press("r", "2")
        await driven.idle()
        await driven.until(lambda: driven.screen.live.generated > 0)
        await driven.pilot.press("1")
        assert "✓ commit" in screen_text(driven.app)


async def test_a_task_is_retired_on_the_pool_screen_and_the_session_knows(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        before = driven.screen.live.generated
        await driven.pilot.press("2")
        await driven.until(lambda: "Compose a six-line poem" in screen_text(driven.app))
        await driven.pilot.press("end")
        await driven.until(lambda: "accepted by" in screen_text(driven.app))
        await driven.pilot.press("delete")
        await driven.until(lambda: driven.screen.live.generated == before - 1)
        await driven.pilot.press("u")
        await driven.until(lambda: driven.screen.live.generated == before)


async def test_before_there_is_a_pool_only_the_studio_can_be_shown(tmp_path: Path) -> None:
    import threading

    from studio.engine.api import Engine
    from studio.engine.options import EngineOptions
    from support.studio_app import scripted

    loaded = threading.Event()

    def slow(model: str, options: EngineOptions) -> Engine:
        assert loaded.wait(600)
        return scripted(model, options)

    async with studio(tmp_path / "pool.db", slow, ready=False) as driven:
        await driven.until(lambda: "loading" in screen_text(driven.app))
        await driven.pilot.press("2", "3", "x")
        assert isinstance(driven.app.screen, StudioScreen)
        loaded.set()
        await driven.idle()


async def test_help_explains_the_focused_part_and_its_keys(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=(120, 60)) as driven:
        await driven.press("r")
        await driven.pilot.press("f1")
        assert isinstance(driven.app.screen, HelpDialog)
        shown = screen_text(driven.app)
        assert "One line a candidate" in shown and "six stages" in shown
        assert "Do the next stage and stop." in driven.app.screen._keys.plain
        await driven.pilot.press("f1")
        assert isinstance(driven.app.screen, StudioScreen)
        await driven.pilot.press("e", "f1")
        assert "What the model wrote stays on record" in screen_text(driven.app)
        await driven.pilot.press("escape", "escape")


async def test_log_settings_and_export_are_in_the_palette(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        for title, kind, words in (
            ("View: log", LogScreen, "round 1 brought"),
            ("View: settings", SettingsScreen, "threshold"),
            ("Pool: export", ExportDialog, "alpaca"),
        ):
            run_command(driven, title)
            await driven.until(lambda kind=kind, words=words: isinstance(driven.app.screen, kind) and words in screen_text(driven.app))  # type: ignore[misc]
            await driven.pilot.press("escape")
            await driven.until(lambda: isinstance(driven.app.screen, StudioScreen))


async def test_themes_change_and_ours_is_the_first(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        assert driven.app.theme == "studio"
        for theme in ("textual-light", "nord", "ansi-dark", "studio"):
            driven.app.theme = theme
            await driven.pilot.pause()
            assert "next: sample" in screen_text(driven.app)


async def test_without_colours_every_state_is_in_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        shown = screen_text(driven.app)
        assert "✓ accepted" in shown and "✗ " in shown and "✓ commit" in shown and "━" in shown


def test_streamed_text_is_not_logged() -> None:
    from studio.loop.events import TextStreamed
    from studio.records import Stage

    assert log_line(TextStreamed(Stage.INSTRUCTIONS, 0, "x")) is None
