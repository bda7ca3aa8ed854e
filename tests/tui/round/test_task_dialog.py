"""An in-context task whole, over the line that cuts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.records import Instance, Origin, Task, TaskState
from studio.tui.round.context import ContextTasks, TaskDialog
from support.screens import FORBIDDEN, NASTY_LINES, Host, seen
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
