"""Whatever stands in seeds, completions, names and paths: nothing crashes, and the terminal gets visible marks only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from studio.engine.api import Request
from studio.engine.scripted import ScriptedEngine
from studio.pool.pool import Pool
from studio.records import Instance, SeedTask
from studio.tui.app import StudioApp
from studio.tui.round.decisions import DecisionTable
from support.nasty_text import NASTY_TEXTS
from support.sessions import configuration
from support.studio_app import screen_text, studio

MARKUP = (
    "Say [/bold] and [red]this[/red] [@click=app.quit]here[/] [INST] x [/foo]",
    "\x1b]52;c;aGVsbG8=\x07 clipboard \x1b[2J cleared \x9b31m",
    "lone \ud800 surrogate",
    "[/" * 50,
    "wide " + "漢" * 300,
    "long " + "x" * 100_000,
)
TEXTS = (*NASTY_TEXTS, *MARKUP)
ACTING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that act on a terminal, hide text or turn its direction."""


def nasty_seeds() -> list[SeedTask]:
    """Seeds whose every field is nasty."""
    return [SeedTask(f"s{place}", text, text, (Instance(text, text),), place % 2 == 0) for place, text in enumerate(TEXTS)]


def nasty_answer(request: Request) -> str:
    """All nasty texts as a list, or as instances."""
    if request.prefix.rstrip().endswith(("?", "Yes or No")) or request.params.choices:
        return "[/b]\x1b No"
    return "".join(f" {text}\n{10 + place}. Tell me about it {place}, please: " for place, text in enumerate(TEXTS))


def assert_clean(app: StudioApp) -> None:
    """Nothing that acts on a terminal is on the screen."""
    for line in screen_text(app).split("\n"):
        assert not ACTING.search(line), repr(line)


@pytest.mark.parametrize("size", [pytest.param((80, 24), marks=pytest.mark.slow), (120, 40)])
async def test_a_whole_round_of_nasty_text(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "[b]pool[@click=app.quit]\u202e\x1b.db"
    Pool.create(path, nasty_seeds()).close()
    async with studio(path, lambda _m, _o: ScriptedEngine(nasty_answer), size=size, asked=configuration(keep_complete=True)) as driven:
        for _ in range(6):
            await driven.press("s")
            assert_clean(driven.app)
            for _ in range(4):
                await driven.pilot.press("tab")
                assert_clean(driven.app)
        table = driven.screen.query_one(DecisionTable)
        table.focus()
        view = driven.screen.live.view
        assert view is not None and len(view.candidates) > 20
        for _ in range(min(len(view.candidates), 24)):
            await driven.pilot.press("down")
            assert_clean(driven.app)
        for key in ("e", "i", "p", "f1"):
            await driven.pilot.press(key)
            await driven.pilot.pause()
            assert_clean(driven.app)
            await driven.pilot.press("escape")
            await driven.idle()


async def test_typing_and_pasting_hostile_text(tmp_path: Path) -> None:
    from textual.events import Paste

    from studio.tui.widgets.fields import SafeTextArea

    async with studio(tmp_path / "pool.db") as driven:
        await driven.press("r")
        driven.screen.query_one(DecisionTable).focus()
        await driven.pilot.press("e")
        area = driven.app.screen.query_one(SafeTextArea)
        area.post_message(Paste("\x1b]52;c;aGk=\x07 [/b] \u202e x"))
        await driven.until(lambda: "\x1b]52" in area.text)
        assert "␛]52" in screen_text(driven.app)
        assert_clean(driven.app)
        await driven.pilot.press("ctrl+s")
        await driven.idle()
        assert_clean(driven.app)
