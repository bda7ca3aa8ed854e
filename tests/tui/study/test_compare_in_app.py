"""A comparison inside the studio: through the dialog, on the thread that owns the pool, blind, and never while a stage plays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, Select, Static

from studio.errors import ModelError
from studio.insight.studies.comparison import open_comparison, paired, plan_for
from studio.pool.evaluations import UNGRADED, Grading
from studio.pool.pool import Pool, Queries
from studio.tui.help_log import HelpDialog
from studio.tui.runner import RunnerState
from studio.tui.study.answers import CompareScreen
from studio.tui.study.entry import CompareDialog
from support.comparisons import TEXTS, graded
from support.evaluations import BASE, TUNED, answered, item
from support.pools import assert_sound
from support.publications import evaluate
from support.screens import seen
from support.sessions import configuration, played
from support.studio_app import SIZES, Driven, HeldEngine, studio


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A pool with a round, in which nothing has been evaluated."""
    path = tmp_path / "pool.db"
    played(path)
    return path


@pytest.fixture
def path(plain: Path) -> Path:
    """The same with an evaluation of a base and a tuned model."""
    with Pool.open(plain) as pool:
        evaluate(pool, TEXTS)
    return plain


async def dialog_of(driven: Driven) -> CompareDialog:
    """Press the key and return the dialog that it opens."""
    await driven.press("V")
    await driven.until(lambda: isinstance(driven.app.screen, CompareDialog))
    dialog = driven.app.screen
    assert isinstance(dialog, CompareDialog)
    return dialog


async def begun(driven: Driven) -> CompareScreen:
    """Begin what the dialog asks for."""
    await driven.press("ctrl+s")
    await driven.until(lambda: isinstance(driven.app.screen, CompareScreen) and "Answer 2" in seen(driven.app))
    screen = driven.app.screen
    assert isinstance(screen, CompareScreen)
    return screen


@asynccontextmanager
async def grading(
    path: Path, engine: HeldEngine | None = None, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[Driven, CompareScreen]]:
    """Open the pool in the studio and go through the dialog to a comparison, as anna."""
    held = engine or HeldEngine(free_events=10**9)
    async with studio(path, lambda _model, _options: held, configuration(), size) as driven:
        (await dialog_of(driven)).query_one("#rater", Input).value = "anna"
        yield driven, await begun(driven)


def said(driven: Driven) -> str:
    """The messages of the app."""
    return "\n".join(each.message for each in driven.app._notifications)


def offered(driven: Driven) -> dict[str, Callable[[], Any]]:
    """The commands of the palette, by title."""
    return {each.title: each.callback for each in driven.app.get_system_commands(driven.app.screen)}


def stored(path: Path, rater: str = "anna") -> dict[int, Grading]:
    with Queries.open(path) as reader:
        return {place: each for place, each in reader.comparisons.said(1, rater).items() if each != UNGRADED}


@pytest.mark.parametrize("size", SIZES)
async def test_keys_are_stored_by_the_sessions_own_writer_and_no_name_is_shown(path: Path, size: tuple[int, int]) -> None:
    async with grading(path, size=size) as (driven, screen):
        assert len(screen.walk.items) == len(TEXTS)
        assert "adapter" not in seen(driven.app) and "Tiny" not in seen(driven.app)
        sides = [item.sides for item in screen.walk.items]
        await driven.press("a", "d", "-")
        assert stored(path) == {0: graded("AD" if sides[0] == (0, 1) else "DA"), 1: Grading(skipped=True)}
        await driven.press("u", "u")
        assert stored(path) == {0: graded("A-" if sides[0] == (0, 1) else "-A")}
        await driven.press("escape")
        await driven.until(lambda: driven.app.screen is driven.screen)
        (await dialog_of(driven)).query_one("#rater", Input).value = "bert"
        screen = await begun(driven)
        assert screen.walk.rater == "bert" and screen.walk.counts == (0, 0) and "Answer 1: –" in seen(driven.app)
        await driven.press("escape")
        (await dialog_of(driven)).query_one("#rater", Input).value = "anna"
        screen = await begun(driven)
        assert screen.walk.position == 0 and screen.walk.question == screen.walk.order[1]
    with Queries.open(path) as reader:
        assert len(reader.comparisons.all()) == 1
    assert_sound(path)


async def test_it_is_the_comparison_that_the_command_opens(path: Path) -> None:
    async with grading(path) as (_, screen):
        study = screen.walk.study
    with Pool.open(path) as pool:
        assert open_comparison(pool, pool.comparisons, plan_for(pool, paired(pool), "0", None)).id == study == 1
        assert len(pool.comparisons.all()) == 1


async def test_the_dialog_offers_the_newest_comparison_and_what_else_can_be_compared(path: Path) -> None:
    with Pool.open(path) as pool:
        plan = plan_for(pool, paired(pool), "mine", 4)
        open_comparison(pool, pool.comparisons, plan)
        evaluate(pool, TEXTS[:3], "[/b] another\x1b file")
    async with studio(path) as driven:
        dialog = await dialog_of(driven)
        fields = {name: dialog.query_one(f"#{name}", Select) for name in ("evaluation", "first", "second")}
        assert (fields["evaluation"].value, fields["first"].value, fields["second"].value) == (1, plan.first, plan.second)
        assert [dialog.text_of(name) for name in ("size", "seed")] == ["4", "mine"]
        assert "Tiny + adapter.gguf [plain]" in seen(driven.app)
        fields["evaluation"].value = 2
        await driven.until(lambda: dialog.text_of("size") == "3")
        assert fields["first"].value not in (plan.first, plan.second)
        assert "[/b] another␛ file, 3 items" in seen(driven.app)
        screen = await begun(driven)
        assert {item.instruction for item in screen.walk.items} == {f"Answer: {text}" for text in TEXTS[:3]}


@pytest.mark.parametrize(("field", "text"), [("size", "none"), ("size", "9" * 5000), ("rater", "  "), ("second", "1")])
async def test_the_dialog_says_what_it_cannot_use(path: Path, field: str, text: str) -> None:
    async with studio(path) as driven:
        dialog = await dialog_of(driven)
        if field == "second":
            dialog.query_one("#second", Select).value = dialog.query_one("#first", Select).value
        else:
            dialog.query_one(f"#{field}", Input).value = text
        await driven.press("ctrl+s")
        assert driven.app.screen is dialog and str(dialog.query_one("#said", Static).visual) != ""
        await driven.press("escape")
        await driven.until(lambda: driven.app.screen is driven.screen)
    with Queries.open(path) as reader:
        assert reader.comparisons.all() == []


async def test_where_nothing_can_be_compared_it_names_the_command_that_helps(plain: Path) -> None:
    with Pool.open(plain) as pool:
        # One of two is not done answering.
        answered(pool, [item(0), item(1)], {BASE: ("Elbe", "Rhine"), TUNED: ("Elbe",)})
    async with studio(plain, size=(80, 24)) as driven:
        await driven.press("V")
        await driven.until(lambda: "Nothing to compare yet" in said(driven))
        assert "studio evaluate pool.db --adapter FILE --against MODEL" in said(driven)
        assert driven.app.screen is driven.screen
        assert "Pool: compare" not in offered(driven) and "Pool: review" in offered(driven)


async def test_the_palette_and_the_help_have_it_where_two_models_have_answered(path: Path) -> None:
    async with studio(path) as driven:
        command = offered(driven)["Pool: compare"]
        await driven.press("f1")
        await driven.until(lambda: isinstance(driven.app.screen, HelpDialog))
        await driven.press("end")
        await driven.until(lambda: "V  Grade two models' answers" in seen(driven.app))
        await driven.press("escape")
        command()
        await driven.until(lambda: isinstance(driven.app.screen, CompareDialog))


async def test_a_stage_that_plays_and_a_study_that_is_open_keep_it_away(path: Path) -> None:
    engine = HeldEngine(free_events=4)
    async with grading(path, engine) as (driven, screen):
        await driven.press("v")
        assert driven.app.screen is screen
        assert not {"Pool: compare", "Pool: review"} & offered(driven).keys()
        await driven.press("escape")
        await driven.until(lambda: driven.app.screen is driven.screen)
        await driven.pilot.press("s")
        await driven.idle()
        await driven.pilot.press("s")
        await driven.until(engine.reached.is_set)
        assert driven.state is RunnerState.RUNNING
        await driven.pilot.press("V")
        await driven.until(lambda: "A stage is being played" in said(driven))
        again = CompareScreen(screen.walk, screen._desk)
        driven.app.push_screen(again)
        await driven.until(lambda: again.is_current and "Answer 2" in seen(driven.app))
        await driven.pilot.press("a", "-", "u")
        assert again.walk.rating == UNGRADED and stored(path) == {}
        engine.go_on.set()
        await driven.idle()
        await driven.press("b")
        assert len(stored(path)) == 1


async def test_without_a_session_it_says_why_not(path: Path) -> None:
    def opener(_model: str, _options: object) -> HeldEngine:
        raise ModelError("the model is broken", "take another")

    async with studio(path, opener, ready=False) as driven:
        await driven.until(lambda: driven.app.runner is not None and driven.state is RunnerState.FAILED)
        await driven.until(lambda: "the model is broken" in seen(driven.app))
        await driven.pilot.press("escape", "V")
        await driven.until(lambda: "could not be opened" in said(driven))
