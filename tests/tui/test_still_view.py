"""Lines that come and go under a scrollbar: it tells of them, and the screen stays as it is laid out."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widgets import Static

from studio.tui.widgets.still_view import StillView
from support.screens import layouts, seen


class Lines(StillView):
    """Forty lines."""

    def on_mount(self) -> None:
        self.set_lines(40)

    def render_line(self, y: int) -> Strip:
        return Strip([Segment(f"{self.scroll_offset.y + y}")])


class TextUnderLines(App[None]):
    """A text below lines that scroll."""

    CSS = "Lines { height: 5; } Static { height: auto; }"

    def compose(self) -> ComposeResult:
        yield Lines()
        yield Static("one", markup=False)


async def test_lines_come_and_go_without_a_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TextUnderLines().run_test(size=(20, 12)) as pilot:
        lines = pilot.app.query_one(Lines)
        bar = lines.vertical_scrollbar
        await pilot.pause()
        with layouts(monkeypatch) as counted:
            for count, most, thumb in ((80, 75, True), (3, 0, False), (5, 0, False), (6, 1, True)):
                lines.set_lines(count)
                await pilot.pause()
                assert lines.max_scroll_y == most
                acts = [segment.style.meta for line in bar.render_lines(bar.size.region) for segment in line if segment.style]
                assert ({"@mouse.down": "grab"} in acts) is thumb, f"with {count} lines"
        assert not counted


async def test_nobody_is_left_below_the_last_line() -> None:
    async with TextUnderLines().run_test(size=(20, 12)) as pilot:
        lines = pilot.app.query_one(Lines)
        await pilot.pause()
        lines.scroll_end(animate=False)
        await pilot.pause()
        assert seen(pilot.app).startswith("35")
        lines.set_lines(10)
        await pilot.pause()
        assert seen(pilot.app).startswith("5 ")


async def test_a_layout_leaves_the_scrollbar_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TextUnderLines().run_test(size=(20, 12)) as pilot:
        lines, static = pilot.app.query_one(Lines), pilot.app.query_one(Static)
        await pilot.pause()
        drawn: list[None] = []
        render = ScrollBar.render

        def count(self: ScrollBar) -> object:
            drawn.append(None)
            return render(self)

        monkeypatch.setattr(ScrollBar, "render", count)
        with layouts(monkeypatch) as counted:
            static.update("one\ntwo")
            await pilot.pause()
        assert counted and not drawn
        lines.set_lines(3)
        lines.styles.height = 2
        await pilot.pause()
        assert drawn and lines.max_scroll_y == 1
