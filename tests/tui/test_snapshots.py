"""Every screen and dialog as it looks, with a scripted engine and nothing that varies: no clock, no path, no version.

After a change that is meant: `pytest tests/tui/test_snapshots.py --snapshot-update`, and look at what has changed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from studio.errors import ModelError
from studio.launch import RunRequest
from studio.loop.session import Goal
from studio.pool import files as lock
from studio.pool.pool import Pool
from studio.records import Source, Stage
from studio.tui import app as app_module
from studio.tui.app import StudioApp
from studio.tui.base import ErrorDialog
from studio.tui.dialogs.importing import ImportDialog
from studio.tui.insight.what_if import WhatIfPane
from studio.tui.picker import remember
from studio.tui.round.decisions import DecisionTable
from studio.tui.runner import Runner
from studio.tui.widgets.fields import SafeInput, SafeTextArea
from support.evaluations import BASE, TUNED, answered, item
from support.sessions import all_seeds, configuration, play, session_in
from support.steering import play_until
from support.studio_app import Driven, chatting, screen_text, scripted

ASKED = configuration(threshold=0.35)
"""Low enough that the scripted engine's candidates fall on both sides."""
CHAT = configuration(threshold=0.35, best_of=3, likely_share=0.6, min_agreement=0.2)
QUESTIONS = (
    ("Name a river that flows through Hamburg.", ""),
    ("Translate the greeting into French.", "Good morning, dear neighbours."),
    ("Write a haiku about snow.", ""),
)
LONG_ANSWERS = tuple(f"{question} There is much to be said about this, and here is some of it." for question, _ in QUESTIONS)
Act = Callable[[Driven], Awaitable[None]]
ACTS: dict[str, tuple[str, Act]] = {}


def act(pool: str) -> Callable[[Act], Act]:
    """Name the pool that an act begins with: `new`, the stage that comes next in it, or `played`."""

    def note(function: Act) -> Act:
        ACTS[function.__name__] = (pool, function)
        return function

    return note


@act("new")
async def start(driven: Driven) -> None:
    await driven.until(lambda: "Create and open" in screen_text(driven.app))


@act("played")
async def recent(driven: Driven) -> None:
    await driven.until(lambda: "generated tasks" in screen_text(driven.app))


@act("seeds")
async def idle(driven: Driven) -> None:
    await driven.until(lambda: "s Step" in screen_text(driven.app))


@act("instructions")
async def sampled(driven: Driven) -> None:
    await driven.press("down", "down")


@act("filter")
async def pending(driven: Driven) -> None:
    await driven.press("down")


@act("classify")
async def why_accepted(_: Driven) -> None:
    return


@act("classify")
async def why_rejected(driven: Driven) -> None:
    table = driven.screen.query_one(DecisionTable)
    table.focus()
    while table.row is not None and table.row.accepted:
        await driven.press("down")


@act("classify")
async def overruled(driven: Driven) -> None:
    await why_rejected(driven)
    await driven.press("t")


@act("played")
async def done(driven: Driven) -> None:
    await driven.press("down")


@act("classify")
async def edit(driven: Driven) -> None:
    await driven.press("e")
    await driven.until(lambda: "nearest #" in screen_text(driven.app))


@act("played")
async def instances(driven: Driven) -> None:
    table = driven.screen.query_one(DecisionTable)
    table.focus()
    while table.row is None or not table.row.accepted:
        await driven.press("down")
    await driven.settled()
    await driven.press("i")
    await driven.until(lambda: "out true" in screen_text(driven.app))


@act("classify")
async def parameters(driven: Driven) -> None:
    await driven.press("p")
    await driven.until(lambda: "0 is greedy decoding" in screen_text(driven.app))


@act("classify")
async def help_of_the_table(driven: Driven) -> None:
    await driven.press("f1")
    await driven.until(lambda: "The studio" in screen_text(driven.app))


@act("classify")
async def error(driven: Driven) -> None:
    driven.app.push_screen(
        ErrorDialog(ModelError("tiny.gguf is no GGUF file: it begins with 'this'", "name another file, or pull the model again"))
    )
    await driven.until(lambda: "name another file" in screen_text(driven.app))


@act("played")
async def pool(driven: Driven) -> None:
    await driven.press("2")
    await driven.until(lambda: "reading" not in screen_text(driven.app))
    await driven.press("end")
    await driven.until(lambda: "accepted by" in screen_text(driven.app) or driven.app.size.width < 110)


@act("played")
async def lineage(driven: Driven) -> None:
    await pool(driven)
    await driven.press("l")
    await driven.until(lambda: "descendants" in screen_text(driven.app))


@act("played")
async def insight(driven: Driven) -> None:
    await driven.press("3")
    await driven.until(lambda: "with instances" in screen_text(driven.app))


@act("played")
async def what_if(driven: Driven) -> None:
    await insight(driven)
    await driven.press("]")
    pane = driven.app.screen.query_one(WhatIfPane)
    await driven.until(lambda: pane.outcome is not None)
    await driven.press("shift+left")
    await driven.until(lambda: pane.preview is not None and pane.outcome is not None and bool(pane.outcome.flips))


TRIVIA = tuple(
    {"question": f"Who was first on {name}?", "answers": {"text": [f"Somebody on {name}."], "start": [number]}, "by": "me"}
    for number, name in enumerate(("Everest", "the moon", "Mars \x1b[31m", "Eiger"))
)


@act("played")
async def import_mapped(driven: Driven) -> None:
    assert driven.app.runner is not None
    place = driven.app.runner.asked.pool.with_name("trivia.jsonl")
    place.write_text("".join(json.dumps(each) + "\n" for each in TRIVIA), "utf-8")
    await driven.press("2")
    await driven.settled()
    await driven.press("I")
    await driven.until(lambda: isinstance(driven.app.screen, ImportDialog) and driven.app.screen.is_mounted)
    dialog = driven.app.screen
    dialog.query_one("#map", SafeInput).text = "instruction=question,output=answers.text[0]"
    dialog.query_one("#file", SafeInput).text = str(place)
    await driven.until(lambda: "task 1" in screen_text(driven.app))
    with dialog.prevent(Input.Changed):
        dialog.query_one("#file", SafeInput).text = "/data/trivia.jsonl"
    dialog.query_one("#instruction").focus()


@act("played")
async def export(driven: Driven) -> None:
    await driven.press("x")
    await driven.until(lambda: '"instruction"' in screen_text(driven.app))
    driven.app.screen.query_one("#target", Input).value = "/data/pool.alpaca.jsonl"
    driven.app.screen.query_one("#format").focus()
    await driven.until(lambda: "/data/" in screen_text(driven.app))


@act("played")
async def settings(driven: Driven) -> None:
    driven.app.action_settings()
    await driven.until(lambda: "esc Back" in screen_text(driven.app))


@act("compared")
async def compare_dialog(driven: Driven) -> None:
    await driven.press("V")
    await driven.until(lambda: "Begin" in screen_text(driven.app))
    driven.app.screen.query_one("#rater", Input).value = "anna"
    driven.app.screen.query_one("#begin").focus()


@act("compared")
async def compare(driven: Driven) -> None:
    await compare_dialog(driven)
    await driven.press("ctrl+s")
    await driven.until(lambda: "Answer 2" in screen_text(driven.app))
    await driven.press("a", "c", "b")


@act("chat-instructions")
async def chat_prompt(driven: Driven) -> None:
    await driven.press("right_square_bracket", "right_square_bracket")


@act("chat-instructions")
async def chat_turns(driven: Driven) -> None:
    await driven.press("P")
    await driven.until(lambda: "Prompt 1" in screen_text(driven.app))


@act("chat-instructions")
async def chat_texts(driven: Driven) -> None:
    await driven.press("B")
    await driven.until(lambda: "▸ brief" in screen_text(driven.app))
    driven.app.screen.query_one(SafeTextArea).text = "for people who keep owls"


@act("chat-classify")
async def chat_why(driven: Driven) -> None:
    table = driven.screen.query_one(DecisionTable)
    table.focus()
    while table.row is None or table.row.source is not Source.TEMPLATE or table.row.accepted:
        await driven.press("down")


@act("chat-commit")
async def chat_answers(driven: Driven) -> None:
    table = driven.screen.query_one(DecisionTable)
    while table.row is None or not table.row.accepted:
        await driven.press("down")
    await driven.press("right_square_bracket")


@act("chat-commit")
async def chat_detail(driven: Driven) -> None:
    await driven.press("2", "end", "enter")
    await driven.until(lambda: "likelihood ━" in screen_text(driven.app))


SHOTS = [
    *[(name, (80, 24)) for name in ("start", "idle", "sampled", "pending", "why_accepted", "edit", "instances", "parameters")],
    *[(name, (80, 24)) for name in ("help_of_the_table", "error", "pool", "insight", "export", "settings", "compare_dialog", "compare")],
    *[
        (name, (120, 40))
        for name in ("recent", "sampled", "why_rejected", "overruled", "done", "edit", "pool", "lineage", "insight", "compare")
    ],
    *[("what_if", (120, 40)), ("done", (50, 15))],
    *[("import_mapped", (80, 24)), ("import_mapped", (120, 40))],
    *[(name, (80, 24)) for name in ("chat_prompt", "chat_turns", "chat_texts", "chat_why", "chat_answers", "chat_detail")],
    *[(name, (120, 40)) for name in ("chat_why", "chat_answers")],
]


class StandingClock(datetime):
    """The pool's clock: it is always noon."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> StandingClock:
        return cls(2026, 1, 1, 12, tzinfo=tz)


@pytest.fixture(scope="module", autouse=True)
def standing_clock() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "datetime", StandingClock)
        yield


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pool for each state that an act begins with."""
    folder = tmp_path_factory.mktemp("snapshots")
    for stage in (Stage.SAMPLE, Stage.INSTRUCTIONS, Stage.FILTER, Stage.CLASSIFY):
        with Pool.create(folder / ("seeds" if stage is Stage.SAMPLE else stage), all_seeds()) as made:
            if stage is not Stage.SAMPLE:
                play_until(session_in(made, asked=ASKED), stage)
    for stage in (Stage.INSTRUCTIONS, Stage.CLASSIFY, Stage.COMMIT):
        with Pool.create(folder / f"chat-{stage}", all_seeds()) as made:
            play_until(session_in(made, chatting(), CHAT), stage)
    play(folder / "played", Goal(rounds=3), asked=ASKED)
    shutil.copy(folder / "played", folder / "compared")
    with Pool.open(folder / "compared") as pool:
        items = [item(place, instruction=asked, given=given) for place, (asked, given) in enumerate(QUESTIONS)]
        answered(pool, items, {BASE: LONG_ANSWERS, TUNED: ("The Elbe.", "Hello!", "A haiku.")})
    return folder


@pytest.fixture
def studio_app(request: pytest.FixtureRequest, pools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioApp]:
    """The app on a copy of the act's pool, with a clock that stands."""
    monkeypatch.setattr(app_module, "Runner", partial(Runner, clock=lambda: 0.0))
    monkeypatch.chdir(tmp_path)
    wanted, path = ACTS[request.param][0], tmp_path / "pool.db"
    if wanted != "new":
        shutil.copy(pools / wanted, path)
    settings, opener = (CHAT, chatting) if wanted.startswith("chat") else (ASKED, scripted)
    asked = RunRequest(path, settings)
    if request.param in ("start", "recent"):
        asked = None  # type: ignore[assignment]
    if request.param == "recent":
        remember(path)
    app = StudioApp(asked, settings, opener)
    with closing(_Closing(app)):
        yield app


class _Closing:
    def __init__(self, app: StudioApp) -> None:
        self._app = app

    def close(self) -> None:
        if self._app.runner is not None:
            assert self._app.runner.close(600)


@pytest.mark.parametrize(
    ("studio_app", "size"), SHOTS, ids=[f"{name}-{size[0]}x{size[1]}" for name, size in SHOTS], indirect=["studio_app"]
)
def test_it_looks_as_before(
    snap_compare: Callable[..., bool], studio_app: StudioApp, size: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id.rpartition("-")[0]

    async def play_act(pilot: Pilot[None]) -> None:
        driven = Driven(studio_app, pilot)
        if studio_app.runner is not None:
            await driven.idle()
        await driven.settled()
        await ACTS[name][1](driven)
        if studio_app.runner is not None:
            await driven.idle()
        _still(studio_app)
        await driven.settled()

    assert snap_compare(studio_app, terminal_size=size, run_before=play_act)


def _still(app: App[None]) -> None:
    """Take away what comes and goes: messages, and the cursor that blinks."""
    app.clear_notifications()
    for field in app.screen.query(Input):
        field.cursor_blink = False
