"""The pane that explains a candidate: two columns where there is room, and what is copied from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.tui.round.decisions import DecisionTable
from studio.tui.round.why import Why
from support.studio_app import Driven, screen_text, studio


def heads(driven: Driven) -> tuple[int, int]:
    """Line and column of the words over the nearest task's text."""
    lines = screen_text(driven.app).splitlines()
    line = next(place for place, text in enumerate(lines) if "nearest #" in text)
    return line, lines[line].index("nearest #")


@pytest.mark.parametrize(("size", "beside"), [((80, 24), True), ((60, 24), True), ((100, 30), False)])
async def test_two_texts_stand_beside_each_other_where_there_is_room(tmp_path: Path, size: tuple[int, int], beside: bool) -> None:
    async with studio(tmp_path / "pool.db", size=size) as driven:
        await driven.press("r")
        await driven.until(lambda: "nearest #" in screen_text(driven.app))
        line, _ = heads(driven)
        text = screen_text(driven.app).splitlines()[line]
        assert ("candidate" in text) is beside


async def test_a_column_is_copied_without_the_other(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=(80, 24)) as driven:
        await driven.press("r")
        await driven.until(lambda: "nearest #" in screen_text(driven.app))
        await driven.settled()
        line, column = heads(driven)
        await driven.pilot.mouse_down(offset=(column, line + 1))
        await driven.pilot.hover(offset=(column + 9, line + 1))
        await driven.pilot.mouse_up(offset=(column + 9, line + 1))
        await driven.pilot.pause()
        row, evidence, _ = driven.screen.query_one(Why)._shown
        assert row is not None and row.candidate is not None and row.candidate.nearest is not None and evidence is not None
        nearest = evidence.near[row.candidate.nearest].instruction
        copied = driven.screen.get_selected_text()
        assert copied and len(copied) >= 9 and nearest.startswith(copied)
        driven.screen.query_one(DecisionTable).cursor += 1
        # Its text is asked for on another thread: what is selected is what is seen, as long as that is the text before.
        await driven.until(lambda: driven.screen.query_one(Why)._shown[0] != row)
        assert driven.screen.get_selected_text() is None, "another candidate has another text"
