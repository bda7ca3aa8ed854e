"""Showing a text again: what is shown is right, and the screen is laid out again only when it must be."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widgets import Static

from studio.tui.repaint import show_text, show_title
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
