"""The completion as it streams: read at its end while it grows, from its beginning when it is complete, every character of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen

from studio.engine.api import Completion, FinishReason
from studio.records import Stage
from studio.tui.round.live import LiveText
from studio.tui.round.stream import SHOWN, Shown, Stream, coloured
from studio.tui.widgets.pane import MUTED
from support.screens import FORBIDDEN, NASTY_LINES, Host, seen, until

SIZE = (30, 6)


class Streaming(Screen[None]):
    """A stream alone, its title and five lines."""

    def compose(self) -> ComposeResult:
        yield Stream()


@asynccontextmanager
async def streaming(size: tuple[int, int] = SIZE) -> AsyncIterator[tuple[Pilot[object], Stream]]:
    """Show an empty stream in an app of its own."""
    screen = Streaming()
    async with Host(screen).run_test(size=size) as pilot:
        await until(pilot, lambda: bool(screen.query(Stream)))
        yield pilot, screen.query_one(Stream)


def lines_of(app: App[object]) -> list[str]:
    """The lines under the title."""
    return [line[1:].rstrip() for line in seen(app).splitlines()[1:]]


def show(stream: Stream, text: str, place: str = "1 of 2", *, done: bool = False) -> None:
    """Show a completion of instructions, growing or complete."""
    live = LiveText([text], 1, Completion(text, FinishReason.STOP, 1, 1) if done else None)
    stream.show(Shown(place, beginnings=Stage.INSTRUCTIONS), live, 0.0, running=not done)


async def test_what_grows_is_read_at_its_end_until_somebody_scrolls_up() -> None:
    async with streaming() as (pilot, stream):
        text = "line 0"
        for number in range(1, 12):
            text += f"\nline {number}"
            show(stream, text)
            await pilot.pause()
        await until(pilot, lambda: lines_of(pilot.app)[-1] == "line 11")
        stream.focus()
        await pilot.press("g")
        show(stream, f"{text}\nline 12")
        await until(pilot, lambda: lines_of(pilot.app)[0] == "line 0")
        await pilot.press("G")
        show(stream, f"{text}\nline 12\nline 13")
        await until(pilot, lambda: lines_of(pilot.app)[-1] == "line 13")


async def test_what_is_complete_is_read_from_its_beginning() -> None:
    async with streaming() as (pilot, stream):
        show(stream, "\n".join(f"line {number}" for number in range(12)), done=True)
        await until(pilot, lambda: lines_of(pilot.app)[0] == "line 0")
        show(stream, "short", "2 of 2", done=True)
        await until(pilot, lambda: lines_of(pilot.app) == ["short", "", "", "", ""])
        assert stream.max_scroll_y == 0


async def test_what_was_selected_of_another_text_is_selected_no_more() -> None:
    async with streaming() as (pilot, stream):
        show(stream, "a few words that are wrapped by the window", done=True)
        await until(pilot, lambda: lines_of(pilot.app)[0].startswith("a few"))
        await pilot.mouse_down(Stream, offset=(7, 1))
        await pilot.hover(Stream, offset=(3, 2))
        await pilot.mouse_up(Stream, offset=(3, 2))
        await until(pilot, lambda: (stream.screen.get_selected_text() or "") == "words that are wra")
        show(stream, "another", "2 of 2", done=True)
        assert stream.screen.get_selected_text() is None


def test_what_begins_an_item_or_a_field_is_coloured() -> None:
    def marked(stage: Stage | None, text: str, before: str = "") -> list[str]:
        found = coloured(Shown("", before, stage), text)
        assert found.plain == before + text
        return [found.plain[span.start : span.end] for span in found.spans if span.style == "$accent bold"]

    assert marked(Stage.INSTRUCTIONS, " One.\n10. Two.\nin 3. no\n11 . Three", "9.") == ["10. ", "11 . "]
    assert marked(Stage.INSTRUCTIONS, "1. it begins with what the prompt ended with") == []
    assert marked(None, " I do it?\n10. Two.", "How can") == marked(Stage.ANSWER, "Example 1\nInput: a") == []
    assert marked(Stage.INSTANCES, "Example 1\nInput: a\nOutput : b\nthe Input: c") == ["Example 1", "Input:", "Output :"]


async def test_of_a_long_text_the_end_is_drawn() -> None:
    async with streaming() as (pilot, stream):
        show(stream, "a" * 3 + "b" * SHOWN)
        await until(pilot, lambda: set("".join(lines_of(pilot.app))) == {"b"})
        stream.scroll_home(animate=False)
        await pilot.pause()
        assert "a" not in seen(pilot.app).split("\n", 1)[1]


async def test_hostile_text_comes_as_visible_marks() -> None:
    async with streaming((80, 6)) as (pilot, stream):
        for number, line in enumerate(NASTY_LINES):
            show(stream, line, str(number))
            await pilot.pause()
            assert not set(seen(pilot.app)) & set(FORBIDDEN)


def test_thoughts_are_dimmed() -> None:
    text = "<think>\n10. Input: no\n</think>\nExample 1\nInput: yes"
    for start in (0, 12):
        found = coloured(Shown("", beginnings=Stage.INSTANCES), text, start)
        assert found.plain == text[start:]
        spans = {found.plain[span.start : span.end]: span.style for span in found.spans}
        assert spans == {text[start : text.index("\nExample")]: MUTED, "Example 1": "$accent bold", "Input:": "$accent bold"}
