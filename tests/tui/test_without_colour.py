"""What colour tells is told by a character or an attribute as well: the line under a cursor, the focus, how bad the news is."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.notifications import SeverityLevel

from studio.tui.round.decisions import DecisionTable
from studio.tui.round.prompt import ContextTasks
from studio.tui.widgets.frame import POINTER
from support.studio_app import Driven, screen_text, studio


def pointed(driven: Driven) -> list[str]:
    """What stands behind a pointer."""
    return [line.split(POINTER)[1].strip() for line in screen_text(driven.app).splitlines() if POINTER in line]


async def test_a_pointer_stands_before_the_task_and_the_candidate_under_the_cursor(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=(120, 40)) as driven:
        await driven.press("r")
        driven.screen.query_one(ContextTasks).cursor = 2
        driven.screen.query_one(DecisionTable).cursor = 1
        await driven.pilot.pause()
        table = driven.screen.query_one(DecisionTable)
        task, candidate = pointed(driven)
        assert task.startswith("3 ") and table.row is not None and table.row.text[:10] in candidate


async def test_a_pointer_stands_in_the_pool_and_before_the_threshold_that_has_the_focus(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=(80, 24)) as driven:
        await driven.press("r")
        await driven.pilot.press("2")
        await driven.until(lambda: [line.split()[0] for line in pointed(driven)] == ["1"])
        await driven.pilot.press("down")
        await driven.until(lambda: [line.split()[0] for line in pointed(driven)] == ["2"])
        await driven.pilot.press("3", "]")
        await driven.until(lambda: any(line.startswith("threshold") for line in pointed(driven)))
        assert driven.app.screen.focused is driven.app.screen.query_one("#threshold")
        await driven.pilot.press("tab")
        await driven.until(lambda: not any(line.startswith("threshold") for line in pointed(driven)))


@pytest.mark.parametrize(("severity", "title", "shown"), [("warning", "", "Careful"), ("error", "", "Failed"), ("error", "Disk", "Disk")])
async def test_a_note_says_in_words_how_bad_it_is(tmp_path: Path, severity: SeverityLevel, title: str, shown: str) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        driven.screen.notify("something", severity=severity, title=title, markup=False)
        await driven.until(lambda: [note.title for note in driven.app._notifications] == [shown])
