"""The picker: a first run explains itself, pools opened before are offered, and what cannot be opened is said."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from textual.widgets import OptionList, Select

from studio.pool.pool import Queries
from studio.tui.app import StudioApp
from studio.tui.base import ErrorDialog
from studio.tui.picker import EXPLAINED, REFUSED, parse_hold_out, recent_pools, remember, state_file
from studio.tui.widgets.fields import SafeInput
from support.pools import ask, make_pool
from support.sessions import configuration
from support.studio_app import SIZES, Driven, footer_keys, screen_text, scripted


@asynccontextmanager
async def picker(size: tuple[int, int] = (80, 24)) -> AsyncIterator[Driven]:
    """The studio without a pool named."""
    app = StudioApp(None, configuration(), scripted)
    try:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            yield Driven(app, pilot)
    finally:
        if app.runner is not None:
            assert app.runner.close(600)


@pytest.mark.parametrize("size", SIZES)
async def test_a_first_run_says_in_four_lines_what_will_happen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.chdir(tmp_path)
    async with picker(size) as driven:
        shown = screen_text(driven.app)
        assert "shown eight tasks" in shown and "overrule it" in shown
        assert "SmolLM2-135M-Instruct (bundled)" in shown and "studio: what we would use ourselves" in shown
        await driven.pilot.press("enter")
        await driven.until(lambda: driven.app.runner is not None)
        await driven.idle()
        assert "next: sample" in screen_text(driven.app)
    assert ask(tmp_path / "pool.db", "SELECT count(*) FROM tasks") == [(175,)]
    assert recent_pools() == [tmp_path / "pool.db"]


async def test_model_and_profile_are_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with picker() as driven:
        driven.app.screen.query_one("#profile", Select).value = "paper"
        driven.app.screen.query_one("#file", SafeInput).value = "mine.db"
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: driven.app.runner is not None)
        await driven.idle()
        assert driven.screen.method is not None and driven.screen.method.profile == "paper"
    assert (tmp_path / "mine.db").exists()


async def test_recent_pools_are_offered_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("old.db", "new.db"):
        remember(make_pool(tmp_path / name))
    async with picker() as driven:
        shown = screen_text(driven.app)
        assert "Go on with a pool" in shown and shown.index("new.db") < shown.index("old.db")
        await driven.until(lambda: "0 generated tasks" in screen_text(driven.app))
        assert driven.app.screen.query_one("#file", SafeInput).value == "pool.db"
        assert isinstance(driven.app.screen.focused, OptionList)
        assert footer_keys(driven.app)[0] == "Open"
        await driven.pilot.press("down", "enter")
        await driven.until(lambda: driven.app.runner is not None)
        await driven.idle()
        assert "old.db" in screen_text(driven.app)


async def test_a_pool_of_an_earlier_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    remember(make_pool(tmp_path / "old.db"))
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("PRAGMA user_version = 8")
    async with picker() as driven:
        await driven.until(lambda: "cannot be read" in screen_text(driven.app))
        await driven.pilot.press("enter")
        await driven.until(lambda: "release;" in screen_text(driven.app))


async def test_what_opens_a_dialog_stands_where_the_fields_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with picker() as driven:
        lines = screen_text(driven.app).splitlines()
        starts = [
            next(line for line in lines if words in line).index(words) for words in ("pool.db", "SmolLM2", "studio: what", "as the profile")
        ]
        assert len(set(starts)) == 1
        assert footer_keys(driven.app)[-2:] == ["Quit", "Help"]


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with picker() as driven:
        driven.app.screen.query_one("#file", SafeInput).value = "no[/b]/where/pool.db"
        await driven.pilot.press("enter")
        assert isinstance(driven.app.screen, ErrorDialog)
        assert "no[/b]/where" in screen_text(driven.app)
        await driven.pilot.press("escape")
        assert driven.app.runner is None


async def test_what_can_be_no_pool_is_said_and_can_be_corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("no pool\n" * 99)
    Path("dangling").symlink_to("nowhere")
    expected = {
        "~nobody-of-this-name/x.db": "there is no user",
        "x" * 300: "name too long",
        "notes.txt/x.db": "not a directory",
        "notes.txt": "is no SQLite database",
        "dangling": "a link to nowhere",
        ".": "a folder",
    }
    async with picker() as driven:
        for name, told in expected.items():
            driven.app.screen.query_one("#file", SafeInput).value = name
            await driven.pilot.press("enter")
            assert isinstance(driven.app.screen, ErrorDialog), name
            assert told in " ".join(screen_text(driven.app).replace("│", "").split()), name
            await driven.pilot.press("escape")
        assert driven.app.runner is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "notes.txt"]


def test_the_list_of_recent_pools_is_small_and_survives_nonsense(tmp_path: Path) -> None:
    assert recent_pools() == []
    pools = [make_pool(tmp_path / f"{number}.db", 1) for number in range(15)]
    for pool in pools:
        remember(pool)
    remember(pools[3])
    assert recent_pools()[:2] == [pools[3], pools[14]]
    assert len(recent_pools()) == 12
    pools[3].unlink()
    assert pools[3] not in recent_pools()
    for nonsense in ("", "{", "[1, 2]", '{"a": 1}', json.dumps(["\ud800"])):
        state_file().write_text(nonsense)
        assert recent_pools() == []
    remember(pools[0])
    assert recent_pools() == [pools[0]]


async def test_seeds_are_held_out_of_a_new_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with picker() as driven:
        assert EXPLAINED in screen_text(driven.app)
        driven.app.screen.query_one("#hold-out", SafeInput).value = "0.2"
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: driven.app.runner is not None)
        await driven.idle()
    with Queries.open(tmp_path / "pool.db") as reader:
        held = reader.evaluations.hold_out()
    assert held is not None and held.asked == "0.2" and held.held > 20


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "nan", "inf"])
async def test_what_is_no_number_of_seeds_is_refused_in_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    async with picker((60, 20)) as driven:
        field = driven.app.screen.query_one("#hold-out", SafeInput)
        field.value = text
        await driven.pilot.press("ctrl+s")
        assert driven.app.runner is None and driven.app.screen.focused is field
        await driven.until(lambda: REFUSED in screen_text(driven.app))
        field.value = ""
        await driven.pilot.pause()
        assert REFUSED not in screen_text(driven.app)


async def test_too_many_seeds_to_hold_out_can_be_corrected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with picker() as driven:
        driven.app.screen.query_one("#hold-out", SafeInput).value = "175"
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: isinstance(driven.app.screen, ErrorDialog) and "hold out fewer" in screen_text(driven.app))
        await driven.pilot.press("escape")
        assert driven.app.runner is None and not (tmp_path / "pool.db").exists()


async def test_a_pool_that_is_there_has_settled_what_it_holds_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_pool(tmp_path / "mine.db")
    async with picker() as driven:
        driven.app.screen.query_one("#file", SafeInput).value = "mine.db"
        driven.app.screen.query_one("#hold-out", SafeInput).value = "5"
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: isinstance(driven.app.screen, ErrorDialog) and "was made without" in screen_text(driven.app))
        await driven.pilot.press("escape")
        driven.app.screen.query_one("#hold-out", SafeInput).value = ""
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: driven.app.runner is not None)
        await driven.idle()


@pytest.mark.parametrize(("text", "asked"), [("", 0), ("none", 0), (" 12 ", 12), ("0.25", 0.25), ("1", 1), ("0", 0), ("1e400", None)])
def test_a_hold_out_is_read(text: str, asked: float | None) -> None:
    assert parse_hold_out(text) == asked


async def test_documents_are_what_a_new_pool_is_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.md").write_text("A sentence of a text that is long enough to be a passage of its own. " * 8)
    async with picker() as driven:
        field = driven.app.screen.query_one("#documents", SafeInput)
        field.value = "nowhere.md"
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: isinstance(driven.app.screen, ErrorDialog) and "is not there" in screen_text(driven.app))
        await driven.pilot.press("escape")
        assert driven.app.runner is None and not (tmp_path / "pool.db").exists()
        field.value = "texts"
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: driven.app.runner is not None)
        await driven.idle()
        await driven.pilot.press("s")
        await driven.until(lambda: "Passage" in screen_text(driven.app))
        assert "texts/a.md, characters 0 to" in screen_text(driven.app)
        assert "requests that passages answer" in screen_text(driven.app)
    with Queries.open(tmp_path / "pool.db") as reader:
        assert [each.document.name for each in reader.documents.all()] == ["texts/a.md"]
