"""What is painted piece by piece is the picture that Textual would have painted whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from textual._compositor import Compositor
from textual.geometry import Offset
from textual.strip import Strip

from studio.tui.direct_compositor import DirectCompositor, LinesUpdate
from support.studio_app import SIZES, Driven, HeldEngine, studio


def cells(strip: Strip) -> Strip:
    """What is seen of a line, however it is put together."""
    return Strip([segment for segment in strip if segment.text]).simplify()


class Paper:
    """A terminal's cells, on which the screen's updates are drawn as they come."""

    def __init__(self) -> None:
        self.lines: list[Strip] = []
        self.pieces = self.wholes = 0

    def draw(self, update: LinesUpdate | None) -> None:
        """Draw the pieces where they belong."""
        for (x, y), strip in update.pieces if update is not None and self.lines else ():
            before = self.lines[y]
            width = before.cell_length
            self.lines[y] = Strip.join([before.crop(0, x), strip, before.crop(x + strip.cell_length, width)])
            assert self.lines[y].cell_length == width
            self.pieces += 1

    def stale(self, compositor: Compositor) -> list[str]:
        """The lines that are other than what the screen shows."""
        whole = compositor.render_strips()
        return [drawn.text for drawn, right in zip(self.lines, whole, strict=True) if cells(drawn) != cells(right)]

    async def check(self, driven: Driven) -> None:
        """Wait until nothing is stale: some of it may not have been painted yet."""
        for _ in range(400):
            if not (stale := self.stale(driven.screen._compositor)):
                return
            await driven.pilot.pause(0.01)
        raise AssertionError("\n".join(["this was never painted anew:", *stale]))


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    """What the studio screen paints."""
    paper = Paper()
    partial, full = DirectCompositor.render_partial_update, DirectCompositor.render_full_update

    def draw(self: DirectCompositor) -> LinesUpdate | None:
        update = partial(self)
        paper.draw(update)
        return update

    def whole(self: DirectCompositor, simplify: bool = False) -> Any:
        update = full(self, simplify)
        paper.lines = [Strip.join(line) for line in update.strips]
        paper.wholes += 1
        return update

    monkeypatch.setattr(DirectCompositor, "render_partial_update", draw)
    monkeypatch.setattr(DirectCompositor, "render_full_update", whole)
    return paper


@pytest.mark.parametrize("size", SIZES)
async def test_a_round_is_painted_right(tmp_path: Path, paper: Paper, size: tuple[int, int]) -> None:
    engine = HeldEngine(free_events=300)
    async with studio(tmp_path / "pool.db", lambda _m, _o: engine, size=size) as driven:
        await driven.press("s")
        await driven.pilot.press("tab", "down", "]")
        await paper.check(driven)
        await driven.pilot.press("R")
        await driven.until(engine.reached.is_set)
        driven.app.notify("A toast lies over what is written.", markup=False)
        await driven.pilot.press("tab", "k", "g")
        await paper.check(driven)
        engine.go_on.set()
        await driven.until(lambda: driven.screen.live.number > 2)
        await driven.pilot.press("escape")
        await driven.idle()
        await driven.pilot.press("r")
        await driven.idle()
        for keys in (("tab", "tab"), ("j", "j"), ("G",), ("tab",), ("j", "G"), ("t",), ("u",)):
            await driven.pilot.press(*keys)
            await paper.check(driven)
    assert paper.pieces > 100 and paper.wholes < 5


async def test_a_terminal_gets_each_piece_at_its_place() -> None:
    update = LinesUpdate([(Offset(2, 3), Strip.blank(4)), (Offset(0, 7), Strip.blank(1))])
    assert update.render_segments(Console()) == "\x1b[4;3H    \x1b[8;1H "
