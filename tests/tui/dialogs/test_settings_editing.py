"""Parameters are changed on the settings screen: for a new pool before it is made, for a run one round at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select, Static

from studio.config import keys_of
from studio.loop.runs import overridden, typed_value
from studio.loop.settings import PROFILES, Method, profile
from studio.pool.pool import Queries
from studio.tui.app import StudioApp
from studio.tui.dialogs.settings import SettingsScreen, settings_of, typed_text
from studio.tui.widgets.table import IdTable
from support.screens import NASTY_LINES, assert_harmless, seen, until
from support.sessions import configuration, played
from support.studio_app import Driven, screen_text, scripted, studio

STANDARD = profile("studio")


class Host(App[None]):
    """Shows the screen and keeps what it closes with."""

    def __init__(self, changes: Mapping[str, Any] | None = None, fixed: tuple[str, ...] | None = ("profile",)) -> None:
        super().__init__()
        self.settings = SettingsScreen(STANDARD, changes, fixed=fixed, about="for the new pool", store=self.take)
        self.taken: dict[str, Any] | None = None

    def on_mount(self) -> None:
        self.push_screen(self.settings)

    def take(self, changes: dict[str, Any], stored: Callable[[], None], _: object) -> None:
        self.taken = changes
        stored()


async def at(pilot: Pilot[Any], screen: SettingsScreen, key: str) -> IdTable:
    """The cursor stands on a parameter."""
    await until(pilot, lambda: screen.is_mounted and bool(screen.query(IdTable)))
    table = screen.query_one(IdTable)
    await until(pilot, lambda: bool(table.ids))
    table.cursor = [name for name, _ in keys_of(Method)].index(key)
    await until(pilot, lambda: str(screen.query_one("#meaning", Static).visual).startswith(key))
    return table


async def enter(pilot: Pilot[Any], screen: SettingsScreen, key: str, text: str) -> None:
    """Type a value for a parameter."""
    await at(pilot, screen, key)
    await pilot.press("e")
    screen.query_one("#value", Input).value = text
    await pilot.press("enter")


def fault(screen: SettingsScreen) -> str:
    return str(screen.query_one("#said", Static).visual)


@pytest.mark.parametrize("name", list(PROFILES))
def test_what_a_field_is_filled_with_is_read_back(name: str) -> None:
    for each in settings_of(profile(name)):
        if not each.is_prompt:
            read = typed_value(each.key, typed_text(each))
            assert overridden(profile(name), {each.key: read}) == profile(name)


async def test_values_are_changed_and_given_back() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.settings
        await enter(pilot, screen, "threshold", "0.55")
        await enter(pilot, screen, "sampling.instructions.stop", '["\\n\\n", "Task"]')
        await enter(pilot, screen, "capitalize", "true")
        await enter(pilot, screen, "tokenizer", "ascii")
        await until(pilot, lambda: "4 of its values changed *" in seen(app))
        await until(pilot, lambda: "ascii" in seen(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.taken is not None)
    expected = {"threshold": 0.55, "sampling.instructions.stop": ("\n\n", "Task"), "capitalize": True, "tokenizer": "ascii"}
    assert app.taken == expected
    assert overridden(STANDARD, app.taken).threshold == 0.55


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("threshold", "7", "less than or equal to 1"),
        ("threshold", "much", "valid number"),
        ("requests_per_round", "-1", "greater than or equal to 0"),
        ("requests_per_round", "2.5", "valid integer"),
        ("capitalize", "perhaps", "valid boolean"),
        ("tokenizer", "words", "'ascii' or 'unicode'"),
        ("filters", '["lenght"]', "did you mean 'length'"),
        ("blocked_words", "image", "valid tuple"),
        ("prompts.instructions", "no/such/file", "cannot read the prompt"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_at_the_field(key: str, text: str, reason: str) -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.settings
        await enter(pilot, screen, key, text)
        await until(pilot, lambda: reason in fault(screen))
        assert screen.query_one("#value", Input).has_focus
        screen.query_one("#value", Input).value = ""
        await until(pilot, lambda: fault(screen) == "")
        await pilot.press("escape")
        assert screen.query_one(IdTable).has_focus
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not app.settings)
        assert app.taken is None


async def test_a_prompt_is_read_from_its_file(tmp_path: Path) -> None:
    text = STANDARD.prompts.instructions + "\nOne more line.\n"
    (tmp_path / "prompt.txt").write_text(text)
    (tmp_path / "wrong.txt").write_text("No place for the tasks.")
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await enter(pilot, app.settings, "prompts.instructions", str(tmp_path / "wrong.txt"))
        await until(pilot, lambda: "tasks" in fault(app.settings))
        await pilot.press("escape")
        await enter(pilot, app.settings, "prompts.instructions", str(tmp_path / "prompt.txt"))
        await enter(pilot, app.settings, "prompts.classification", "")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.taken == {"prompts.instructions": text})


async def test_a_changed_value_goes_back_to_the_profiles() -> None:
    app = Host({"threshold": 0.5})
    async with app.run_test(size=(80, 24)) as pilot:
        await at(pilot, app.settings, "min_words")
        await pilot.press("delete")
        await at(pilot, app.settings, "threshold")
        await until(pilot, lambda: "As the profile" in seen(app) and "the profile has: 0.7" in seen(app))
        await pilot.press("delete")
        await until(pilot, lambda: "changed" not in seen(app).splitlines()[0])
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.taken == {})


@pytest.mark.parametrize("fixed", [None, ("profile", "threshold")])
async def test_what_is_fixed_cannot_be_changed(fixed: tuple[str, ...] | None) -> None:
    app = Host(fixed=fixed)
    async with app.run_test(size=(80, 24)) as pilot:
        await at(pilot, app.settings, "threshold")
        await until(pilot, lambda: "Change" not in seen(app).splitlines()[-1])
        await pilot.press("e", "delete", "enter")
        assert not app.settings.has_class("-editing")


async def test_with_the_mouse() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = await at(pilot, app.settings, "profile")
        await pilot.click(table, offset=(3, 7), times=2)
        await until(pilot, lambda: app.settings.query_one("#value", Input).has_focus)


async def test_hostile_text_in_the_field() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        for text in NASTY_LINES:
            await enter(pilot, app.settings, "blocked_words", text)
            await pilot.pause()
            assert_harmless(app)
            await pilot.press("ctrl+s")
            if app.taken is not None:
                return


async def test_a_new_pool_is_made_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = StudioApp(None, configuration(requests_per_round=3), scripted)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            driven = Driven(app, pilot)
            await driven.until(lambda: bool(app.screen.query("#settings")))
            start = app.screen
            start.query_one("#profile", Select).value = "paper"
            assert "requests_per_round changed" in str(start.query_one("#settings", Button).label)
            await pilot.click("#settings")
            await driven.until(lambda: isinstance(app.screen, SettingsScreen))
            screen = app.screen
            assert isinstance(screen, SettingsScreen)
            await enter(pilot, screen, "threshold", "0.5")
            await until(pilot, lambda: "profile paper · 2 of its values changed" in seen(app))
            await pilot.press("ctrl+s")
            await driven.until(lambda: app.screen is start)
            assert "threshold" in screen_text(app)
            await pilot.press("ctrl+s")
            await driven.until(lambda: app.runner is not None)
            await driven.idle()
            method = driven.screen.method
            assert method is not None
            assert (method.profile, method.threshold, method.requests_per_round) == ("paper", 0.5, 3)
    finally:
        if app.runner is not None:
            assert app.runner.close(600)


async def test_in_a_run_they_hold_for_one_round_and_are_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    played(path)
    async with studio(path) as driven:
        method = driven.screen.method
        assert method is not None
        await show_settings(driven)
        screen = driven.app.screen
        assert isinstance(screen, SettingsScreen)
        await enter(driven.pilot, screen, "max_instances", "2")
        await at(driven.pilot, screen, "tokenizer")
        assert screen.check_action("edit", ()) is False
        await driven.press("ctrl+s")
        await driven.until(lambda: any("set max_instances for round 2" in each.message for each in driven.app._notifications))
        assert overrides(path) == {"max_instances": 2}
        changed = driven.screen.method
        assert changed is not None and changed.max_instances == 2
        await driven.press("u")
        assert overrides(path) == {}


async def show_settings(driven: Driven) -> None:
    """Open the settings by the palette's command."""
    (command,) = [each for each in driven.app.get_system_commands(driven.app.screen) if each.title == "View: settings"]
    command.callback()
    await driven.until(lambda: isinstance(driven.app.screen, SettingsScreen))


def overrides(path: Path) -> dict[str, Any]:
    with Queries.open(path) as reader:
        current = reader.rounds.unfinished()
        assert current is not None
        return dict(reader.rounds.overrides(current.id))
