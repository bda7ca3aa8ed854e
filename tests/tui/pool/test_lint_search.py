"""`lint:CODE` among the words of the pool screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Select, Static

from studio.errors import PoolError, UsageError
from studio.insight.lint import api as lint_api
from studio.pool.browse import Kind, Selection
from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin, SeedTask
from studio.tui.pool.listing import FilterBar, LintSearch, TaskTable, split_words
from studio.tui.pool.screen import PoolScreen
from support.pools import make_pool
from support.screens import Host, until

REFUSAL = SeedTask("", "", "Name a river of joy.", (Instance("", "As an AI, I cannot."),), False)
LETTER = SeedTask("", "", "Name a lake.", (Instance("", "Ask eve@somewhere.org, for as an AI I cannot."),), False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        pool.tasks.add([REFUSAL, LETTER], Origin.IMPORTED)
    return path


def said(screen: PoolScreen) -> str:
    return str(screen.query_one("#said", Static).visual)


def test_words_fall_into_codes_and_words() -> None:
    assert split_words("river lint:email lint:phone  blue") == (["email", "phone"], "river  blue")
    assert split_words(" a  b ") == ([], " a  b ")


def test_codes_narrow_what_the_words_find(path: Path) -> None:
    search = LintSearch()
    with Queries.open(path) as pool:

        def found(text: str) -> list[int]:
            return list(search.browse(pool, Selection(text=text), lambda _done, _steps: True))

        assert found("lint:refusal") == [11, 12]
        assert found("lint:refusal lint:email") == [12]
        assert found("river lint:refusal") == [11]
        assert found("river") == [11]
        assert found("lint:phone") == []
        for text in ("lint:", "lint:refusl", "lint:contamination"):
            with pytest.raises(UsageError):
                found(text)
        with pytest.raises(UsageError):
            search.browse(pool, Selection(Kind.REJECTED, "lint:email"), lambda _done, _steps: True)


def test_the_pool_is_linted_anew_when_it_has_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = LintSearch()
    wanted = Selection(text="lint:refusal")
    with Queries.open(path) as pool:
        assert list(search.browse(pool, wanted, lambda _done, _steps: True)) == [11, 12]
        with Pool.open(path) as writer:
            writer.tasks.add([REFUSAL], Origin.IMPORTED)
        assert list(search.browse(pool, wanted, lambda _done, _steps: True)) == [11, 12, 13]
        monkeypatch.setattr("studio.tui.pool.listing.run_lints", None)
        assert list(search.browse(pool, wanted, lambda _done, _steps: True)) == [11, 12, 13]


def test_it_ends_when_nobody_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint_api, "_STEP", 1)
    with Queries.open(path) as pool, pytest.raises(PoolError, match="given up"):
        LintSearch().browse(pool, Selection(text="lint:refusal"), lambda _done, _steps: False)


async def test_the_screen_shows_what_a_lint_reports(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint_api, "_STEP", 1)
    screen = PoolScreen(path, typing_s=0, follow_s=3600)
    async with Host(screen).run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(screen.query(TaskTable)) and len(screen.query_one(TaskTable).ids) == 12)
        table = screen.query_one(TaskTable)
        await pilot.press("slash", *"lint:refusal")
        await until(pilot, lambda: list(table.ids) == [11, 12])
        screen.query_one("#words", Input).value = "lint:refusl"
        await until(pilot, lambda: "did you mean 'refusal'?" in said(screen))
        screen.query_one("#words", Input).value = "lint:email"
        await until(pilot, lambda: list(table.ids) == [12])
        assert "1 task · with “lint:email”" in said(screen)
        screen.query_one("#kind", Select).value = Kind.REJECTED
        await until(pilot, lambda: "lints look at tasks only" in said(screen))
        screen.query_one("#kind", Select).value = Kind.TASKS
        screen.query_one(FilterBar).reset()
        await until(pilot, lambda: len(table.ids) == 12)
