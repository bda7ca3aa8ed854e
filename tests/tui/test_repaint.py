"""Showing a text again: what is shown is right, and the screen is laid out again only when it must be."""

from __future__ import annotations

import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widgets import Static

from studio.tui.repaint import set_lines, show_text, show_title
from studio.tui.widgets.still_view import StillView
from support.screens import layouts, seen


class OneText(App[None]):
    """A text and a line under it."""

    CSS = "Static { height: auto; width: 10; }"

    def compose(self) -> ComposeResult:
        yield Static(Content("one"), markup=False, id="text")
        yield Static(Content("below"), markup=False)


async def test_only_another_height_lays_the_screen_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with OneText().run_test(size=(40, 10)) as pilot:
        static = pilot.app.query_one("#text", Static)
        await pilot.pause()
        for text, laid_out in (("two", False), ("a text of two lines", True), ("another of 2 lines", False), ("three", True)):
            with layouts(monkeypatch) as counted:
                show_text(static, Content(text))
                await pilot.pause()
            assert bool(counted) is laid_out, text
            height = 2 if " " in text else 1
            assert seen(pilot.app).splitlines()[height].strip() == "below"
            assert text.split()[-1] in seen(pilot.app)


async def test_the_same_text_is_not_drawn_but_other_colours_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async with OneText().run_test(size=(40, 10)) as pilot:
        static = pilot.app.query_one("#text", Static)
        drawn: list[Content] = []
        monkeypatch.setattr(static, "update", lambda text, **_layout: drawn.append(text))
        show_text(static, Content("one"))
        assert drawn == []
        show_text(static, Content.styled("one", "bold"))
        assert len(drawn) == 1


async def test_a_title_may_be_anything() -> None:
    async with OneText().run_test(size=(40, 10)) as pilot:
        static = pilot.app.query_one("#text", Static)
        for title in ("plain", "x [/foo]", "[bold]no[/]", "plain"):
            show_title(static, title)
            show_title(static, title)
            assert static._border_title is not None and static._border_title.plain == title


class Lines(StillView):
    """Forty lines."""

    def on_mount(self) -> None:
        self.virtual_size = Size(5, 40)

    def render_line(self, y: int) -> Strip:
        return Strip([Segment(f"{self.scroll_offset.y + y}")])


class TextUnderLines(App[None]):
    """A text below lines that scroll."""

    CSS = "Lines { height: 5; } Static { height: auto; }"

    def compose(self) -> ComposeResult:
        yield Lines()
        yield Static("one", markup=False)


async def test_a_layout_leaves_the_scrollbar_of_a_still_view_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TextUnderLines().run_test(size=(20, 12)) as pilot:
        lines, static = pilot.app.query_one(Lines), pilot.app.query_one(Static)
        await pilot.pause()
        assert lines.show_vertical_scrollbar
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
        set_lines(lines, 80)
        await pilot.pause()
        assert drawn and lines.max_scroll_y == 75
        set_lines(lines, 3)
        await pilot.pause()
        assert not lines.show_vertical_scrollbar and lines.max_scroll_y == 0
        await pilot.resize_terminal(20, 3)
        await pilot.pause()
        lines.styles.height = 2
        await pilot.pause()
        assert lines.show_vertical_scrollbar and lines.max_scroll_y == 1
