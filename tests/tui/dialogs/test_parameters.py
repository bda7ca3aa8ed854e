"""Brief and system turns are read and edited: for one round, as one action that undo takes back, and for a new pool."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from studio.pool.pool import Queries
from studio.tui.app import StudioApp
from studio.tui.dialogs.parameters import TextsDialog
from studio.tui.dialogs.settings import SettingsScreen
from studio.tui.picker import StartScreen
from studio.tui.widgets.fields import SafeInput, SafeTextArea
from studio.tui.widgets.table import IdTable
from support.pools import ask
from support.screens import assert_harmless, until
from support.sessions import configuration
from support.studio_app import SIZES, Driven, chatting, screen_text, studio

NASTY = "[/red] \x1b]52;c;aGFjaw==\x07 {tasks} \u202e"


STANDING = (
    "SELECT prompt || coalesce(chat, '') FROM request_prompts JOIN requests ON requests.id = request_id"
    " WHERE requests.stage = 'instructions' AND round_id IN (SELECT id FROM standing_rounds) ORDER BY requests.ordinal"
)
"""The prompts of instructions that hold, with what stands around them."""


def area(driven: Driven, number: int) -> SafeTextArea:
    assert isinstance(driven.app.screen, TextsDialog)
    return driven.app.screen.query_one(f"#text-{number}", SafeTextArea)


@pytest.mark.parametrize("size", SIZES)
async def test_brief_and_system_turns_hold_for_the_round(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "pool.db"
    async with studio(path, chatting, configuration(), size) as driven:
        await driven.press("s", "B")
        assert all(name in screen_text(driven.app) for name in ("▸ brief", "system turn, template", "system turn, answers"))
        assert "Answer in" in area(driven, 2).text, "the text that holds is read here"
        await driven.press(*"owls", "tab")
        assert "▸ system turn, template" in screen_text(driven.app)
        area(driven, 1).text = f"You ask.\n{NASTY}"
        area(driven, 2).text = "Be brief."
        await driven.pilot.pause()
        assert_harmless(driven.app)
        await driven.press("ctrl+s")
        assert driven.app.screen is driven.screen
        assert all("owls" in prompt for (prompt,) in ask(path, STANDING)), "prompts that were not sent are made anew"
        with Queries.open(path) as reader:
            view = driven.screen.live.view
            assert view is not None
            assert reader.rounds.overrides(view.id) == {
                "brief": "owls",
                "prompts.template_system": f"You ask.\n{NASTY}",
                "prompts.answer_system": "Be brief.",
            }
        await driven.press("r")
        turns = ask(path, "SELECT DISTINCT json_extract(chat, '$.system') FROM request_prompts WHERE stage = 'answer'")
        assert turns == [("Be brief.",)]


async def test_one_undo_takes_all_texts_back(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    async with studio(path, chatting, configuration()) as driven:
        await driven.press("s")
        before = ask(path, STANDING)
        await driven.press("B", *"owls")
        area(driven, 2).text = "Be brief."
        await driven.press("ctrl+s")
        assert driven.screen.undo_words is not None and "set brief, prompts.answer_system" in driven.screen.undo_words
        await driven.press("u")
        view = driven.screen.live.view
        assert view is not None and not view.overrides
        assert before and ask(path, STANDING) == before


async def test_leaving_changes_nothing_and_warns_before_quitting(tmp_path: Path) -> None:
    async with studio(tmp_path / "pool.db", chatting, configuration()) as driven:
        await driven.press("B", "x")
        assert isinstance(driven.app.screen, TextsDialog) and driven.app.screen.unsaved
        await driven.press("escape")
        assert driven.screen.undo_words is None and driven.screen.live.view is None


async def test_a_raw_run_has_a_brief_alone(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    async with studio(path) as driven:
        await driven.press("s", "B")
        assert "system turn" not in screen_text(driven.app)
        await driven.press(*"owls", "ctrl+s")
        assert all("owls" in prompt for (prompt,) in ask(path, STANDING))


async def test_the_picker_asks_for_a_brief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = StudioApp(None, configuration(min_words=3), chatting)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, StartScreen))
        field = app.screen.query_one("#brief", SafeInput)
        field.text = NASTY
        await pilot.press("f2")
        assert isinstance(app.screen, SettingsScreen)
        table = app.screen.query_one(IdTable)
        await until(pilot, lambda: bool(table.ids))
        app.screen.query_one("#find", Input).value = "brief domain"
        await until(pilot, lambda: len(table.ids) == 1)
        table.focus()
        await pilot.press("e")
        assert isinstance(app.screen, TextsDialog)
        assert app.screen.query_one(SafeTextArea).text == NASTY
        app.screen.query_one(SafeTextArea).text = "for\nowls"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, StartScreen))
        assert field.text == "for\nowls"
        assert_harmless(app)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.runner is not None and app.studio is not None and app.studio.method is not None)
        assert app.studio is not None and app.studio.method is not None
        assert (app.studio.method.brief, app.studio.method.min_words) == ("for\nowls", 3)
        assert app.runner is not None and app.runner.close()
