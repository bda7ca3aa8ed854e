"""What someone stumbled over who used the studio for the first time, in a window of 80 by 24."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input, Static

from studio.records import Stage
from studio.tui.dialogs.edit import InstanceEditor, InstancesDialog, NoteDialog
from studio.tui.help_log import HelpDialog
from studio.tui.round.live import LiveText
from studio.tui.round.prompt import READING, Shown, Stream
from studio.tui.round.why import Why
from support.screens import Host, seen, until
from support.studio_app import footer_keys, screen_text, studio

SIZE = (80, 24)


class Streaming(Screen[None]):
    """A stream alone."""

    def compose(self) -> ComposeResult:
        yield Stream()


@pytest.mark.parametrize(("after", "first"), [(None, READING), (LiveText(["\n10. Short."], 1), "9.")])
async def test_a_text_begins_at_the_top_after_a_longer_one(after: LiveText | None, first: str) -> None:
    screen = Streaming()
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(screen.query(Stream)))
        stream = screen.query_one(Stream)
        long = LiveText(["\n10. A line."] * 100, 100)
        for _ in range(2):
            stream.show(Shown("1 of 2", "9.", Stage.INSTRUCTIONS), long, 0.0, running=True)
            stream.scroll_end(animate=False)
            await pilot.pause()
        stream.show(Shown("1 of 2", "9.", Stage.INSTRUCTIONS), long, 0.0, running=True)
        await until(pilot, lambda: stream.max_scroll_y > 0 and stream.is_vertical_scroll_end)
        stream.show(Shown("2 of 2", "9.", Stage.INSTRUCTIONS), after, 0.0, running=True)
        await until(pilot, lambda: first in seen(pilot.app).splitlines()[1])
        # It stays there when it is laid out again, while the pane follows its end.
        stream.query_one(Static).refresh(layout=True)
        await pilot.pause()
        assert first in seen(pilot.app).splitlines()[1]


async def test_what_explains_a_candidate_has_the_width_of_its_pane(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=SIZE) as driven:
        # The pane is hidden while the stages before are played.
        await driven.press("r")
        why = driven.screen.query_one(Why)

        def parents() -> list[str]:
            # More of the explanation may come after the first part of it.
            why.scroll_end(animate=False)
            return [line.rstrip() for line in screen_text(driven.app).splitlines() if line.startswith(" #")]

        await driven.until(lambda: any(len(line) > 60 for line in parents()))


async def test_nothing_is_overruled_that_is_out_of_sight(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=SIZE) as driven:
        await driven.press("r")
        assert "Overrule" in footer_keys(driven.app)
        while driven.screen.page != "prompt":
            await driven.pilot.press("shift+tab")
        await driven.until(lambda: "Overrule" not in footer_keys(driven.app))
        assert "Next pane" in footer_keys(driven.app)
        await driven.press("t")
        assert driven.screen.undo_words is None
        await driven.pilot.resize_terminal(120, 40)
        await driven.until(lambda: "Overrule" in footer_keys(driven.app))


async def test_a_remark_is_kept_with_the_key_of_the_footer() -> None:
    kept: list[str] = []

    def store(text: str, stored: Callable[[], None], _: object) -> None:
        kept.append(text)
        stored()

    dialog = NoteDialog("", "Note", store)
    app = Host(Screen())
    async with app.run_test(size=SIZE) as pilot:
        app.push_screen(dialog)
        await until(pilot, lambda: bool(dialog.query(Input)))
        await pilot.press(*"good", "ctrl+s")
        await until(pilot, lambda: kept == ["good"])


async def test_enter_opens_the_instance_under_the_cursor(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=SIZE) as driven:
        await driven.press("r")
        await driven.pilot.press("i")
        await driven.until(lambda: isinstance(driven.app.screen, InstancesDialog) and "valid" in screen_text(driven.app))
        await driven.pilot.press("enter")
        await driven.until(lambda: isinstance(driven.app.screen, InstanceEditor))


async def test_help_begins_with_its_first_line(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=SIZE) as driven:
        await driven.press("r")
        await driven.pilot.press("2", "f1")
        await driven.until(lambda: isinstance(driven.app.screen, HelpDialog) and "Every task" in screen_text(driven.app))
        lines = [line.partition("│")[2].strip() if "│" in line else line for line in screen_text(driven.app).splitlines()]
        top = next(place for place, line in enumerate(lines) if "Help" in line)
        assert lines[top + 1].startswith("Pool")


async def test_one_task_is_one_task(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=SIZE) as driven:
        await driven.press("r")
        await driven.pilot.press("2", "slash", *"wedding")
        await driven.until(lambda: "1 task · with" in screen_text(driven.app))
