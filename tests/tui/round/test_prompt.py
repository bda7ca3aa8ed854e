"""The page of the prompt: an in-context task whole, over the line that cuts it; and the completion as it streams, every character of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen

from studio.engine.api import Completion, FinishReason
from studio.records import Instance, Origin, Stage, Task, TaskState
from studio.tui.round.live import LiveText
from studio.tui.round.prompt import SHOWN, ContextTasks, Shown, Stream, TaskDialog, coloured
from studio.tui.widgets.frame import MUTED
from support.screens import FORBIDDEN, NASTY_LINES, Host, seen, until
from support.studio_app import SIZES, Driven, footer_keys, screen_text, studio


def shown(driven: Driven) -> str:
    """The window's text, its lines joined."""
    return " ".join(line.strip(" │") for line in screen_text(driven.app).splitlines())


@pytest.mark.parametrize("size", SIZES)
async def test_enter_and_a_double_click_show_all_of_the_task_under_the_cursor(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path / "pool.db", size=size) as driven:
        context = driven.screen.query_one(ContextTasks)
        context.focus()
        await driven.pilot.press("enter")
        assert driven.app.screen is driven.screen, "there is no task yet"
        await driven.press("s")
        await driven.until(lambda: "Whole task" in footer_keys(driven.app))
        await driven.pilot.press("down", "down", "enter")
        view = driven.screen.live.view
        assert view is not None
        task = view.prompts[0].parents[2]
        assert isinstance(driven.app.screen, TaskDialog)
        await driven.until(lambda: f"Task #{task.id} · {task.origin}" in shown(driven))
        assert task.instruction.split()[-1] in shown(driven) and task.instances[0].output.split()[0] in shown(driven)
        await driven.pilot.press("escape")
        assert driven.app.screen is driven.screen
        await driven.pilot.click(ContextTasks, offset=(10, 1), times=2)
        await driven.until(lambda: isinstance(driven.app.screen, TaskDialog))
        assert f"Task #{view.prompts[0].parents[0].id} " in shown(driven)


@pytest.mark.parametrize("text", NASTY_LINES)
async def test_hostile_text_is_shown_and_copied_cleaned(text: str) -> None:
    task = Task(1, Origin.GENERATED, TaskState.ACTIVE, text, text, None, (Instance(text, text), Instance("", text)))
    async with (app := Host(TaskDialog(task))).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "nobody has said" in seen(app) or len(text) > 1_000
        await pilot.press("ctrl+c")
        assert not (set(seen(app)) | set(app.copied)) & set(FORBIDDEN)


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
