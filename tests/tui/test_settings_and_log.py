"""The settings screen explains every parameter; the log screen shows what happened."""

from __future__ import annotations

from datetime import datetime

import pytest
from textual.screen import Screen
from textual.widgets import Input, Static

from studio.config import keys_of
from studio.engine.scripted import ScriptedEngine
from studio.loop.runs import overridden
from studio.loop.settings import PROFILES, Method, profile
from studio.tui.dialogs.settings import SettingsScreen, settings_of, value_text
from studio.tui.help_log import ActivityLog, LogScreen
from studio.tui.widgets.table import IdTable
from support.screens import NASTY_LINES, Host, assert_harmless, seen, until

SIZE = (80, 24)


def log_of(*texts: str, error: bool = False) -> ActivityLog:
    log = ActivityLog(lambda: datetime(2026, 1, 2, 3, 4, 5))
    for text in texts:
        log.add(text, error=error)
    return log


@pytest.mark.parametrize("name", list(PROFILES))
def test_every_parameter_is_there_with_its_meaning(name: str) -> None:
    found = settings_of(profile(name))
    assert [each.key for each in found] == [key for key, _ in keys_of(Method)]
    assert all(each.key == "profile" or each.description for each in found)
    assert not any(each.changed for each in found)


def test_what_differs_from_the_profile_is_marked() -> None:
    found = {each.key: each for each in settings_of(overridden(profile("studio"), {"threshold": 0.5, "sampling.instructions.top_k": 5}))}
    assert {key for key, each in found.items() if each.changed} == {"threshold", "sampling.instructions.top_k"}
    assert found["threshold"].standard == 0.7
    assert found["threshold"].bounds == "at least 0 · at most 1"
    assert found["sampling.instructions.top_k"].variable == "STUDIO_SAMPLING__INSTRUCTIONS__TOP_K"
    assert settings_of(profile("studio").model_copy(update={"profile": "mine"}))[1].standard is None
    run = profile("studio").resolved(ScriptedEngine(parallel=16).info)
    changed = {each.key for each in settings_of(overridden(run, {"threshold": 0.5}), run) if each.changed}
    assert changed == {"threshold"}
    assert "requests_per_round" in {each.key for each in settings_of(run, profile("studio")) if each.changed}


def test_what_follows_from_a_model_asked_in_chat_is_not_marked() -> None:
    run = profile("studio").resolved(ScriptedEngine(chats=True).info)
    assert "no_request" in run.filters
    assert not any(each.changed for each in settings_of(run, run))
    less = overridden(run, {"filters": [name for name in run.filters if name != "letter"]})
    assert {each.key for each in settings_of(less, run) if each.changed} == {"filters"}


@pytest.mark.parametrize(("value", "text"), [(True, "true"), ((), "(none)"), (("a", "b"), "'a', 'b'"), (0.5, "0.5"), ("", "")])
def test_values_read_as_in_a_settings_file(value: object, text: str) -> None:
    assert value_text(value) == text


async def test_the_screen_explains_the_parameter_under_the_cursor() -> None:
    screen = SettingsScreen(overridden(profile("studio"), {"threshold": 0.5}))
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "in_context_tasks" in seen(pilot.app))
        assert "1 of its values changed" in seen(pilot.app)
        await pilot.press("slash", *"rouge-l from")
        table = screen.query_one(IdTable)
        await until(pilot, lambda: len(table.ids) == 1)
        await until(pilot, lambda: "the profile has: 0.7" in str(screen.query_one("#meaning", Static).visual))
        assert "STUDIO_THRESHOLD" in seen(pilot.app)
        await pilot.press("escape")
        assert table.has_focus
        assert screen.query_one(Input).value == ""
        await until(pilot, lambda: len(table.ids) > 40)


async def test_no_parameter_of_these_words() -> None:
    screen = SettingsScreen(profile("studio"))
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: screen.is_mounted and bool(screen.query(Input)))
        screen.query_one(Input).value = "[/foo] \x1b]52;"
        await until(pilot, lambda: "No parameter has these words." in seen(pilot.app))
        assert_harmless(pilot.app)


async def test_hostile_settings_are_shown_as_marks() -> None:
    screen = SettingsScreen(profile("studio").model_copy(update={"blocked_words": NASTY_LINES}))
    async with Host(screen).run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "blocked_words" in seen(pilot.app))
        table = screen.query_one(IdTable)
        table.cursor = [each.key for each in settings_of(profile("studio"))].index("blocked_words")
        await until(pilot, lambda: "[/foo]" in str(screen.query_one("#meaning", Static).visual))
        assert_harmless(pilot.app)


async def test_the_log_follows_and_is_copied_cleaned() -> None:
    log = log_of("the model is loaded")
    screen = LogScreen(log, follow_s=3600)
    async with (app := Host(screen)).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "03:04:05  the model is loaded" in seen(app))
        log.add("it \x1b[31mdied", error=True)
        screen.follow()
        await until(pilot, lambda: "error  it ␛[31mdied" in seen(app))
        await pilot.press("ctrl+c")
        assert app.copied == "03:04:05 the model is loaded\n03:04:05 it ␛[31mdied"


async def test_hostile_and_empty_logs() -> None:
    screen = LogScreen(log_of(*NASTY_LINES, error=True), follow_s=3600)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "03:04:05" in seen(pilot.app))
        for key in ("home", "pagedown", "end"):
            await pilot.press(key)
            assert_harmless(pilot.app)
    async with Host(LogScreen(log_of(), follow_s=3600)).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "Nothing has happened yet." in seen(pilot.app))


def test_the_log_keeps_the_last_lines() -> None:
    log = log_of(*map(str, range(6_000)))
    assert log.count == 6_000
    assert [log.lines[0].text, log.lines[-1].text] == ["1000", "5999"]


@pytest.mark.parametrize("name", ["settings", "log"])
async def test_escape_goes_back(name: str) -> None:
    host = Host(Screen())
    async with host.run_test(size=SIZE) as pilot:
        shown = SettingsScreen(profile("studio")) if name == "settings" else LogScreen(log_of("x"))
        host.push_screen(shown)
        await until(pilot, lambda: host.screen is shown)
        await until(pilot, lambda: shown.focused is not None)
        await pilot.press("escape")
        await until(pilot, lambda: host.screen is not shown)
