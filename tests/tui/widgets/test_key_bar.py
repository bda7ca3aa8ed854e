"""The footer: eight keys at most, those that fit, and always help and the way out."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from studio.tui.widgets.frame import MOST, KeyBar, fitting
from support.screens import Host, until
from support.sessions import played
from support.studio_app import footer_keys, screen_text, studio

SMALLEST = (60, 20)
KEYS = st.lists(st.tuples(st.integers(4, 20), st.booleans()), max_size=14)


@given(KEYS, st.integers(0, 200))
def test_the_last_keys_go_first_and_those_to_keep_stay(keys: list[tuple[int, bool]], room: int) -> None:
    widths, always = [width for width, _ in keys], [keep for _, keep in keys]
    kept = fitting(widths, always, room)
    assert kept == sorted(kept) and {place for place, keep in enumerate(always) if keep} <= set(kept)
    optional = [place for place in range(len(keys)) if not always[place]]
    left = [place for place in optional if place in kept]
    assert left == optional[: len(left)]
    assert not left or (len(kept) <= MOST and sum(widths[place] for place in kept) <= room)


def last_line(shown: str) -> str:
    return shown.splitlines()[-1]


@pytest.mark.parametrize("keys", [(), ("2",), ("2", "f", "enter", "down", "enter", "escape"), ("2", "enter"), ("3",), ("3", "w"), ("x",)])
async def test_the_smallest_window_cuts_no_key_off(tmp_path: Path, keys: tuple[str, ...]) -> None:
    async with studio(played(tmp_path / "pool.db"), size=SMALLEST) as driven:
        for key in keys:
            await driven.pilot.press(key)
            await driven.pilot.pause()
        await driven.until(lambda: "F1 Help" in last_line(screen_text(driven.app)))
        shown = footer_keys(driven.app)
        assert 2 <= len(shown) <= MOST
        line = last_line(screen_text(driven.app))
        assert all(words in line for words in shown)


async def test_more_keys_come_with_more_room(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", size=SMALLEST) as driven:
        await driven.press("r")
        before = footer_keys(driven.app)
        await driven.pilot.resize_terminal(120, 40)
        await driven.until(lambda: len(footer_keys(driven.app)) > len(before))
        assert {"Step", "Overrule", "Edit", "Help", "Quit"} <= set(footer_keys(driven.app)) and len(footer_keys(driven.app)) <= MOST
        await driven.pilot.resize_terminal(*SMALLEST)
        await driven.until(lambda: footer_keys(driven.app) == before)


async def test_moving_about_stands_behind_what_can_be_done(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db") as driven:
        await driven.until(lambda: footer_keys(driven.app) == ["Step", "Round", "Run on", "Next pane", "Help", "Quit"])


class Barred(Screen[None]):
    """Two keys, one of which does nothing now."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "go", "Go", tooltip="Go on."),
        Binding("t", "halt", "Halt", tooltip="Come to a halt."),
    ]
    went = 0

    def compose(self) -> ComposeResult:
        yield KeyBar()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's own signature)
        return None if action == "halt" else True

    def action_go(self) -> None:
        self.went += 1

    action_halt = action_go


async def test_the_pointer_reads_and_presses_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Barred()
    rung: list[None] = []
    monkeypatch.setattr(Host, "bell", lambda _: rung.append(None))
    async with Host(screen).run_test(size=(40, 5)) as pilot:
        bar = screen.query_one(KeyBar)
        await until(pilot, lambda: [key.word for key in bar.shown][:2] == ["Go", "Halt"])
        await pilot.hover(KeyBar, offset=(1, 0))
        assert str(bar.tooltip) == "Go on."
        await pilot.hover(KeyBar, offset=(bar.shown[0].width, 0))
        assert str(bar.tooltip) == "Come to a halt."
        await pilot.hover(KeyBar, offset=(39, 0))
        assert bar.tooltip is None
        await pilot.click(KeyBar, offset=(1, 0))
        await until(pilot, lambda: screen.went == 1)
        await pilot.click(KeyBar, offset=(bar.shown[0].width, 0))
        await pilot.pause()
        assert rung and screen.went == 1
