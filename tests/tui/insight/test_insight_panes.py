"""The insight screen's panes that compute their own figures: diversity, what raters and judges said, and evaluations."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import TabbedContent

from studio.insight.studies.comparison import WIDTH
from studio.insight.studies.judge import prompt_version
from studio.pool.pool import Pool, Queries
from studio.pool.reviews import QUESTIONS, Opinion, ReviewPlan, digest_of
from studio.records import ModelIdentity
from studio.tui.insight import screen as insight_screen
from studio.tui.insight.screen import FiguresPane, InsightScreen
from support.bulk_pool import bulk_pool
from support.comparisons import compared, grades
from support.generated_pool import build_pool
from support.instruction_trees import TREES
from support.nasty_text import NASTY_TEXTS
from support.pools import make_pool
from support.reviews import reviewed, sheet
from support.screens import Host, assert_harmless, seen, until
from support.spacy_pipelines import KnownTrees, put_spacy

SIZE = (120, 60)


async def turned(pilot: Pilot[object], screen: InsightScreen, page: str) -> FiguresPane:
    """Turn the pages as far as one of them, and wait for its figures."""
    await until(pilot, lambda: screen.is_mounted and bool(screen.query(TabbedContent)))
    while screen.query_one(TabbedContent).active != page:
        await pilot.press("]")
    pane = screen.query_one(f"#{screen.query_one(TabbedContent).active} FiguresPane")
    assert isinstance(pane, FiguresPane)
    await until(pilot, lambda: pane._looked > 0 and not pane.waiting and "computing" not in seen(pilot.app))
    return pane


@asynccontextmanager
async def turned_to(page: str, path: Path, size: tuple[int, int] = SIZE) -> AsyncIterator[tuple[Pilot[object], InsightScreen, FiguresPane]]:
    """The screen of the pool at `path`, turned to one of its pages."""
    screen = screen_of(path)
    async with Host(screen).run_test(size=size) as pilot:
        yield pilot, screen, await turned(pilot, screen, page)


def screen_of(path: Path) -> InsightScreen:
    return InsightScreen(path, follow_s=3600)


async def test_root_verbs_where_there_is_a_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_spacy(monkeypatch, lambda _, **__: KnownTrees())
    path = build_pool(tmp_path / "pool.db", [(tree.text, False, ()) for tree in TREES])
    async with turned_to("diversity", path) as (pilot, screen, pane):
        await until(pilot, lambda: all(part in seen(pilot.app) for part in ("├─ code", "└─ story", "26,559 (50.6%)")))
        assert pane.has_focus
        await pilot.press("[", "[")
        assert screen.query_one(TabbedContent).active == "figures"


async def test_long_lines_are_wrapped_in_a_narrow_window_and_bars_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    compared(path, {"anna": grades("AC AC AC AC AC AC")})
    async with turned_to("evaluation", path, (80, 60)) as (pilot, screen, _):
        assert "A" * WIDTH in seen(pilot.app) and "irrelevant or invalid" in seen(pilot.app)
        await turned(pilot, screen, "opinions")
        assert "what it is worth." in seen(pilot.app)


@pytest.mark.parametrize("size", [SIZE, (80, 24)])
async def test_words_only_and_how_to_get_verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    path = build_pool(tmp_path / "pool.db", [(text, False, ()) for text in NASTY_TEXTS])
    async with turned_to("diversity", path, size) as (pilot, _, _):
        assert "distinct-2" in seen(pilot.app)
        await pilot.press("end")
        await until(pilot, lambda: "self-instruct-studio[diversity]" in seen(pilot.app))
        assert_harmless(pilot.app)


async def test_a_pool_that_takes_long_is_left_to_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insight_screen, "MOST", 5)
    bulk_pool(tmp_path / "pool.db", 60)
    async with turned_to("diversity", tmp_path / "pool.db") as (pilot, _, _):
        assert "studio diversity POOL" in seen(pilot.app)


async def test_keys_work_while_figures_are_computed_and_figures_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, computed = threading.Event(), []

    def slow(_: FiguresPane, pool: Queries) -> str:
        computed.append(pool.version())
        assert let_go.wait(600)
        return "the figures"

    monkeypatch.setattr(insight_screen.DiversityPane, "figures", slow)
    path = make_pool(tmp_path / "pool.db")
    screen = screen_of(path)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await until(pilot, lambda: screen.is_mounted and bool(screen.query(TabbedContent)))
        await pilot.press("]", "]")
        await until(pilot, lambda: bool(computed))
        assert "computing" in seen(pilot.app)
        await pilot.press("[")
        assert screen.query_one(TabbedContent).active == "what-if"
        let_go.set()
        await turned(pilot, screen, "diversity")
        await until(pilot, lambda: "the figures" in seen(pilot.app))
        pane = screen.query_one("#diversity FiguresPane")
        assert isinstance(pane, FiguresPane)
        pane._took_s = 0
        pane.look()
        await until(pilot, lambda: not pane.waiting)
        assert len(computed) == 1


async def test_an_empty_pool_names_the_next_step(tmp_path: Path) -> None:
    async with turned_to("diversity", make_pool(tmp_path / "pool.db")) as (pilot, screen, _):
        assert "No generated task yet" in seen(pilot.app)
        await turned(pilot, screen, "opinions")
        assert "Nobody has rated tasks yet: press v," in seen(pilot.app) and "studio judge POOL" in seen(pilot.app)
        await turned(pilot, screen, "evaluation")
        assert "No model has been evaluated" in seen(pilot.app) and "--hold-out" in seen(pilot.app)


async def test_an_evaluation_is_told_and_its_grades_stay_blind_until_the_raters_are_done(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    sheet_of_anna = grades("AC AC AC AC AC AC")
    comparison = compared(path, {"anna": {place: sheet_of_anna[place] for place in range(5)}})
    async with turned_to("evaluation", path) as (pilot, _, pane):
        shown = seen(pilot.app)
        assert "ROUGE-L (95 % interval)" in shown and "paired, task by task" in shown
        assert "still blind" in shown and "paper: " not in shown
        with Pool.open(path) as pool:
            pool.comparisons.put(comparison.id, "anna", 5, sheet_of_anna[5])
        pane._took_s = 0
        pane.look()
        await until(pilot, lambda: "paper: " in seen(pilot.app))
        assert "still blind" not in seen(pilot.app) and "CCCCCC" in seen(pilot.app)


async def test_a_missing_pool_is_said(tmp_path: Path) -> None:
    async with turned_to("opinions", tmp_path / "none.db") as (pilot, _, _):
        await until(pilot, lambda: seen(pilot.app).count("none.db") > 1)


async def test_judges_stand_beside_raters(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    plan = ReviewPlan(4, "0")
    review = reviewed(path, plan, {"[b]anna": sheet("yyy yyn nnn yyy")})
    with Pool.open(path) as pool:
        items = pool.reviews.items(review.id)
        judge = pool.judges.enter("judge", ModelIdentity("model", "ab" * 32), prompt_version())
        seen_texts = [(item, digest_of(item.instruction, item.input, item.output)) for item in items]
        # Yes to everything: agrees with anna on 3 of 4 instructions, which is what chance gives.
        opinions = [
            Opinion(item.task_id, item.instance_id, question, digest, True, 0.9, "")
            for item, digest in seen_texts
            for question in QUESTIONS
        ]
        pool.judges.add(judge.id, opinions)
    async with turned_to("opinions", path) as (pilot, _, _):
        shown = seen(pilot.app)
        assert "[b]anna: 4 complete" in shown
        rows = [line.split() for line in shown.splitlines() if line.split()[:2] == ["[b]anna", "instruction"]]
        assert rows == [["[b]anna", "instruction", "4", "75%", "0.00", "3", "0", "1", "0"]]
