"""The import dialog over the pool screen, and that of the seeds over the picker: what is seen, changed, stored and given up."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Checkbox, Select, Static

from studio.pool.exchange.importing import import_files
from studio.pool.pool import Pool, Queries
from studio.records import Instance, Origin
from studio.tui.app import StudioApp
from studio.tui.dialogs import importing
from studio.tui.dialogs.importing import FileDialog, ImportDialog, SeedsDialog
from studio.tui.picker import StartScreen
from studio.tui.runner import RunnerState
from studio.tui.widgets.fields import SafeInput
from support.screens import NASTY_LINES, assert_harmless, seen
from support.sessions import configuration
from support.studio_app import SIZES, Driven, scripted, studio

TRIVIA = [{"q": f"Where is mountain {number}?", "a": {"text": [f"In range {number}."]}, "topic": "peaks"} for number in range(5)]
MAP = "instruction=q,output=a.text[0]"


def written(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def imported(pool: Path) -> list[str]:
    with Queries.open(pool) as reader:
        return [task.instruction for task in reader.tasks.many(list(reader.tasks.ids(origin=Origin.IMPORTED)))]


def said(dialog: FileDialog[Any]) -> str:
    return str(dialog.query_one("#said", Static).visual)


def preview(dialog: FileDialog[Any]) -> str:
    return str(dialog.query_one("#preview", Static).visual)


async def opened(driven: Driven, file: Path, mapping: str = "") -> ImportDialog:
    await driven.press("2", "I")
    await driven.until(lambda: isinstance(driven.app.screen, ImportDialog) and driven.app.screen.is_mounted)
    dialog = driven.app.screen
    assert isinstance(dialog, ImportDialog)
    dialog.query_one("#file", SafeInput).text = str(file)
    dialog.query_one("#map", SafeInput).text = mapping
    return dialog


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_is_seen_and_brought_in(tmp_path: Path, size: tuple[int, int]) -> None:
    file = written(tmp_path / "mine.jsonl", TRIVIA)
    async with studio(tmp_path / "pool.db", size=size) as driven:
        dialog = await opened(driven, file, MAP)
        await driven.until(lambda: "task 3" in preview(dialog))
        assert "json, mapped: 5 tasks with 5 instances of 5 records" in seen(driven.app)
        assert "not taken: topic (5 records)" in preview(dialog) and "Where is mountain 2?" in preview(dialog)
        assert dialog.query_one("#output", Select).value == "a.text[0]"
        await driven.press("ctrl+s")
        await driven.until(lambda: "5 tasks imported" in said(dialog))
        assert imported(tmp_path / "pool.db") == [record["q"] for record in TRIVIA]
        await driven.press("ctrl+s")
        await driven.until(lambda: "5 skipped as duplicates" in said(dialog))
        await driven.press("escape")
        await driven.until(lambda: "180 tasks" in seen(driven.app))
        # The session knows what has come: the novelty index and the round go on.
        await driven.press("1", "r")
        assert driven.state is RunnerState.IDLE


async def test_a_guess_is_changed_by_the_lists(tmp_path: Path) -> None:
    records = [{"prompt": "One?", "answer": "1", "context": "not this", "better": "One it is."}]
    async with studio(tmp_path / "pool.db") as driven:
        dialog = await opened(driven, written(tmp_path / "mine.jsonl", records))
        await driven.until(lambda: dialog.query_one("#output", Select).value == "answer")
        assert dialog.query_one("#input", Select).value == "context"
        dialog.query_one("#output", Select).value = "better"
        await driven.until(lambda: "One it is." in preview(dialog))
        dialog.query_one("#input", Select).clear()
        await driven.until(lambda: "not taken: answer (1 record), context (1 record)" in preview(dialog))
        assert dialog.query_one("#map", SafeInput).text == "instruction=prompt,output=better"
        await driven.press("ctrl+s")
        await driven.until(lambda: "1 task imported" in said(dialog))


async def test_faults_are_told_and_left_out_when_asked(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.jsonl", [*TRIVIA, {"q": "", "a": {"text": ["x"]}}, {"q": "y"}])
    async with studio(tmp_path / "pool.db") as driven:
        dialog = await opened(driven, file, MAP)
        await driven.until(lambda: "2 of 7 records with a fault" in said(dialog))
        assert "skip faulty records" in said(dialog) and "--" not in said(dialog), "there is no command line here"
        assert f"{file.name}:6: q: empty" in preview(dialog).replace("\n", "")
        await driven.press("ctrl+s")
        await driven.idle()
        assert "2 of 7 records with a fault" in said(dialog) and imported(tmp_path / "pool.db") == []
        dialog.query_one("#skip", Checkbox).value = True
        await driven.until(lambda: said(dialog) == "")
        await driven.press("ctrl+s")
        await driven.until(lambda: "5 tasks imported" in said(dialog))
        assert len((tmp_path / "mine.jsonl.rejected.jsonl").read_text().splitlines()) == 2


async def test_an_import_is_given_up_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "mine.jsonl", [{"q": f"Task number {number}?", "a": {"text": ["x"]}} for number in range(1200)])
    reached, go_on = threading.Event(), threading.Event()

    def held(pool: Any, paths: Any, options: Any, told: Any, progress: Any) -> Any:
        def slow(what: str, done: int, size: int) -> None:
            reached.set()
            go_on.wait(20)
            progress(what, done, size)

        return import_files(pool, paths, options, told, slow)

    monkeypatch.setattr(importing, "import_files", held)
    async with studio(tmp_path / "pool.db") as driven:
        dialog = await opened(driven, file, MAP)
        await driven.until(lambda: "task 3" in preview(dialog))
        await driven.pilot.press("ctrl+s")
        await driven.until(reached.is_set)
        assert dialog.unsaved and driven.state is RunnerState.RUNNING
        assert dialog.has_class("-busy")
        await driven.pilot.press("escape")
        go_on.set()
        await driven.until(lambda: "given up: nothing was imported" in said(dialog))
        await driven.idle()
        assert not dialog.unsaved and imported(tmp_path / "pool.db") == []
        await driven.press("escape", "1", "s")
    with Pool.open(tmp_path / "pool.db") as pool:
        assert list(pool.tasks.ids(origin=Origin.IMPORTED)) == []


@pytest.mark.parametrize(
    ("file", "mapping", "words"),
    [
        ("", "", "no file is named yet"),
        ("none.jsonl", "", "no such file"),
        (".", "", "no plain file"),
        ("hf:acme/tasks", "", "by the commands alone"),
        ("mine.jsonl", "instruction", "no TARGET=PATH"),
        ("mine.jsonl", "instruction=question", "no record has question; there are q"),
        ("mine.jsonl", "", "with a fault"),
    ],
)
async def test_what_cannot_be_read_is_said(tmp_path: Path, file: str, mapping: str, words: str) -> None:
    written(tmp_path / "mine.jsonl", TRIVIA)
    async with studio(tmp_path / "pool.db") as driven:
        dialog = await opened(driven, tmp_path / file, mapping)
        if not file or file.startswith("hf:"):
            dialog.query_one("#file", SafeInput).text = file
        await driven.until(lambda: words in said(dialog))
        await driven.press("ctrl+s")
        await driven.idle()
        assert words in said(dialog) and imported(tmp_path / "pool.db") == []


async def test_what_a_file_holds_is_harmless(tmp_path: Path) -> None:
    records = [{line[:40] or "e": line, "instruction": line or "x", "output": line} for line in NASTY_LINES]
    async with studio(tmp_path / "pool.db") as driven:
        dialog = await opened(driven, written(tmp_path / "mine.jsonl", records))
        await driven.until(lambda: "task 3" in preview(dialog))
        assert_harmless(driven.app)
        dialog.query_one("#output").focus()
        await driven.pilot.press("enter")
        assert_harmless(driven.app)


async def test_a_new_pool_begins_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path / "mine.jsonl", [{"q": f"Task number {number}?", "a": {"text": [f"It is {number}."]}} for number in range(20)])
    app = StudioApp(None, configuration(), scripted)
    async with app.run_test(size=(80, 24)) as pilot:
        driven = Driven(app, pilot)
        await driven.until(lambda: isinstance(driven.app.screen, StartScreen) and driven.app.screen.is_mounted)
        driven.app.screen.query_one("#seeds").focus()
        await driven.pilot.press("enter")
        await driven.until(lambda: isinstance(driven.app.screen, SeedsDialog) and driven.app.screen.is_mounted)
        dialog = driven.app.screen
        assert isinstance(dialog, SeedsDialog)
        dialog.query_one("#file", SafeInput).text = str(file)
        dialog.query_one("#map", SafeInput).text = MAP
        await driven.until(lambda: "task 3" in preview(dialog))
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: isinstance(driven.app.screen, StartScreen))
        assert "mine.jsonl" in seen(driven.app)
        driven.app.screen.query_one("#file", SafeInput).text = "pool.db"
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: app.runner is not None and driven.state is RunnerState.IDLE)
        assert app.runner is not None and app.runner.close(20)
    with Queries.open(tmp_path / "pool.db") as reader:
        assert len(reader.tasks.ids(origin=Origin.SEED)) == 20
        assert [each.mapping for each in reader.imports.all()] == [MAP]


async def test_thoughts_are_kept_apart_when_asked(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.jsonl", [{"instruction": "Add.", "output": "<think>Two.</think>It is 2."}])
    async with studio(tmp_path / "pool.db") as driven:
        dialog = await opened(driven, file)
        await driven.until(lambda: "outputs that begin with thoughts" in " ".join(preview(dialog).split()))
        dialog.query_one("#apart", Checkbox).value = True
        await driven.until(lambda: "thoughts taken apart from the outputs: 1 instance" in " ".join(preview(dialog).split()))
        await driven.press("ctrl+s")
        await driven.until(lambda: "1 task imported" in said(dialog))
    with Queries.open(tmp_path / "pool.db") as reader:
        [task] = reader.tasks.many(list(reader.tasks.ids(origin=Origin.IMPORTED)))
    assert task.instances == (Instance("", "It is 2.", "Two."),)
