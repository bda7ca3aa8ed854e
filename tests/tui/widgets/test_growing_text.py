"""A text that grows: the same picture as if it had been drawn whole, for the price of its last line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.screen import Screen
from textual.selection import Selection
from textual.strip import Strip
from textual.widgets import Static

from studio.text import display
from studio.tui.widgets.pane import GrowingLines, GrowingText
from support.screens import FORBIDDEN, NASTY_LINES, Host, layouts, seen, until

TEXTS = st.text(alphabet="ab \n", max_size=40)
SIZE = (20, 6)


def wrap(paragraph: str, place: int) -> list[Strip]:
    """Three characters a line, the paragraph's number before each."""
    pieces = [paragraph[at : at + 3] for at in range(0, len(paragraph), 3)] or [""]
    return [Strip([Segment(f"{place}:{piece}")]) for piece in pieces]


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_lines_are_those_of_the_last_text_whatever_stood_there_before(texts: list[str]) -> None:
    lines = GrowingLines(wrap)
    for text in texts:
        before = [strip.text for strip in lines.strips]
        first = lines.show(text)
        now = [strip.text for strip in lines.strips]
        assert now == [strip.text for place, paragraph in enumerate(text.split("\n")) for strip in wrap(paragraph, place)]
        assert now[:first] == before[:first]


def test_only_the_last_paragraph_is_wrapped_again() -> None:
    wrapped: list[str] = []

    def noting(paragraph: str, place: int) -> list[Strip]:
        wrapped.append(paragraph)
        return wrap(paragraph, place)

    lines = GrowingLines(noting)
    lines.show("one\ntwo\nthr")
    wrapped.clear()
    assert lines.show("one\ntwo\nthree\nfour") == 2
    assert wrapped == ["three", "four"]
    lines.clear()
    assert not lines.strips and lines.show("one") == 0


def look(paragraph: str, place: int) -> Content:
    """The first paragraph has a number."""
    return Content.assemble(("1. " if not place else "", "bold"), display(paragraph))


class Growing(Screen[None]):
    """A growing text over a line of its own."""

    CSS = "GrowingText { height: 5; } Static { height: 1; }"

    def __init__(self, pane: GrowingText) -> None:
        super().__init__()
        self._pane = pane

    def compose(self) -> ComposeResult:
        yield self._pane
        yield Static("below", markup=False)


@asynccontextmanager
async def growing(pane: GrowingText | None = None, size: tuple[int, int] = SIZE) -> AsyncIterator[tuple[Pilot[object], GrowingText]]:
    """Show `pane`, or an empty one, in an app of its own."""
    pane = pane or GrowingText("", look)
    async with Host(Growing(pane)).run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot, pane


def lines_of(app: App[object]) -> list[str]:
    """The pane's four lines under its title."""
    return [line[1:].rstrip() for line in seen(app).splitlines()[1:5]]


@pytest.mark.parametrize("follows", [True, False])
async def test_the_end_is_kept_in_sight_when_it_shall_be(follows: bool) -> None:
    async with growing() as (pilot, pane):
        pane.follows = follows
        text = ""
        for number in range(12):
            text += ("\n" if number else "") + f"line {number}"
            pane.draw(text, look)
            await pilot.pause()
        assert lines_of(pilot.app)[-1].startswith("line 11" if follows else "line 3")
        pane.scroll_home(animate=False)
        await pilot.pause()
        assert lines_of(pilot.app)[0].startswith("1. line 0")
        pane.draw("short", look)
        await pilot.pause()
        assert lines_of(pilot.app) == ["1. short", "", "", ""], "nothing of a longer text is left"
        assert pane.max_scroll_y == 0


class Counting(GrowingText):
    """Notes which of its lines it is asked for."""

    drawn: ClassVar[list[int]] = []

    def render_line(self, y: int) -> Strip:
        self.drawn.append(y)
        return super().render_line(y)


async def test_a_token_lays_nothing_out_and_draws_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async with growing(Counting("one\ntwo", look)) as (pilot, pane):
        Counting.drawn.clear()
        with layouts(monkeypatch) as laid_out:
            for text in ("one\ntwo more", "one\ntwo more\nthree", "one\ntwo more\nthree"):
                pane.draw(text, look)
                await pilot.pause()
        assert lines_of(pilot.app)[:3] == ["1. one", "two more", "three"]
        assert Counting.drawn == [1, 2] and not laid_out


async def test_lines_follow_width_and_theme() -> None:
    async with growing() as (pilot, pane):
        pane.draw("a few words that wrap", look)
        await pilot.pause()
        assert lines_of(pilot.app)[:2] == ["1. a few words", "that wrap"]
        before = pane.render_line(0)._segments[-1].style
        await pilot.resize_terminal(40, 6)
        await until(pilot, lambda: lines_of(pilot.app)[0] == "1. a few words that wrap")
        pilot.app.theme = "textual-light"
        await pilot.pause()
        after = pane.render_line(0)._segments[-1].style
        assert before is not None and after is not None and before.color != after.color


async def test_what_is_selected_is_copied_without_the_breaks_of_the_window() -> None:
    async with growing() as (pilot, pane):
        pane.draw("a few words that wrap\nand more", look)
        await pilot.pause()
        # From "words" in the first line to "and" in the third.
        await pilot.mouse_down(GrowingText, offset=(10, 1))
        await pilot.hover(GrowingText, offset=(3, 3))
        await pilot.mouse_up(GrowingText, offset=(3, 3))
        await pilot.pause()
        assert (pane.screen.get_selected_text() or "").startswith("words that wrap\nan")
        pane.draw("another", look)
        await pilot.pause()
        assert pane.screen.get_selected_text() is None, "what was selected is gone"
        pane.screen.selections = {pane: Selection(Offset(0, 0), None)}
        pane.draw("another one", look)
        await pilot.pause()
        assert pane.screen.get_selected_text() == "1. another one"


async def test_hostile_text_comes_as_visible_marks() -> None:
    async with growing(size=(80, 6)) as (pilot, pane):
        for line in NASTY_LINES:
            pane.draw(line, look)
            await pilot.pause()
            assert not set(seen(pilot.app)) & set(FORBIDDEN)
