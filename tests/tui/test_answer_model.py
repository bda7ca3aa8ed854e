"""The terminal studio with a model that writes and another that answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Button, Input

from studio.engine.api import Engine
from studio.engine.options import EngineOptions
from studio.loop.runs import Models
from studio.tui.app import StudioApp
from studio.tui.base import Confirm
from studio.tui.dialogs.models import ModelDialog
from support.engines import Named
from support.pools import ask, assert_sound
from support.screens import until
from support.sessions import configuration
from support.studio_app import screen_text, studio

WRITER, TUTOR = "writer", "tutor"
OPTIONS = configuration().options.model_copy(update={"model": WRITER, "models": Models(answer=TUTOR)})
ASKED = replace(configuration(), options=OPTIONS)


def opener(model: str, _options: EngineOptions) -> Engine:
    return Named(model, base=model != TUTOR)


async def test_both_are_named_and_another_writer_keeps_the_answers(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    async with studio(path, opener, ASKED) as driven:
        assert "answers by tutor" in screen_text(driven.app)
        await driven.press("r")
        assert ask(path, "SELECT count(*) > 3 FROM requests WHERE stage = 'answer'") == [(1,)]
        await driven.pilot.press("f4")
        await driven.until(lambda: isinstance(driven.app.screen, ModelDialog) and bool(driven.app.screen.query(Input)))
        driven.app.screen.query_one(Input).value = "scripted"
        driven.app.screen.query_one(Input).focus()
        await driven.pilot.press("enter")
        await driven.until(lambda: isinstance(driven.app.screen, Confirm))
        await driven.pilot.press("y")
        await driven.until(lambda: driven.app.runner is not None and driven.app.screen is driven.app.studio)
        await driven.idle()
        await driven.press("r")
        assert "scripted" in screen_text(driven.app) and "answers by tutor" in screen_text(driven.app)
    models = "SELECT run_id, name FROM run_models JOIN models ON models.id = model_id ORDER BY run_id"
    assert ask(path, models) == [(1, TUTOR), (2, TUTOR)]
    assert_sound(path)


async def test_the_start_screen_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = StudioApp(None, ASKED, opener)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: bool(app.screen.query("#model")))
        assert str(app.screen.query_one("#model", Button).label) == "writer, answers by tutor ▼"
