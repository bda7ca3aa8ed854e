"""The model picker: what the files say, what cannot be read and why, and models that are typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Button, Input, Static

from studio.engine.catalog import DEFAULT_MODEL, CatalogEntry, count_text, identify, size_text
from studio.engine.model_file import parted, read_model
from studio.engine.traits import traits_of
from studio.records import ModelIdentity
from studio.tui.app import StudioApp
from studio.tui.dialogs.models import ModelDialog
from studio.tui.widgets.table import IdTable
from support.engines import bundled_identity
from support.screens import NASTY_LINES, assert_harmless, seen, until
from support.sessions import configuration
from support.studio_app import SIZES, Driven, screen_text, scripted
from support.tiny_models import tiny_adapter, tiny_model

BUNDLED = bundled_identity()
ENTRIES = [
    CatalogEntry("other", Path("/models/other.gguf"), "/models", ModelIdentity("other", "", architecture="qwen", parameters=7_620_000_000)),
    CatalogEntry("broken", Path("/models/broken.gguf"), "/models", fault="/models/broken.gguf: not a GGUF file (it is empty)"),
    CatalogEntry(DEFAULT_MODEL, Path(BUNDLED.path), "bundled", BUNDLED, traits=traits_of(read_model(Path(BUNDLED.path)))),
]
NOTHING = "nothing was chosen yet"


class Host(App[None]):
    """Shows the dialog and keeps what it closes with."""

    def __init__(self, chosen: str = "", entries: list[CatalogEntry] | None = None) -> None:
        super().__init__()
        self.dialog = ModelDialog(chosen, lambda: ENTRIES if entries is None else entries)
        self.taken: str | None = NOTHING

    def on_mount(self) -> None:
        self.push_screen(self.dialog, self.take)

    def take(self, model: str | None) -> None:
        self.taken = model


async def listed(pilot: Pilot[None], app: Host) -> IdTable:
    await until(pilot, lambda: app.dialog.is_mounted and bool(app.dialog.query(IdTable)))
    table = app.dialog.query_one(IdTable)
    await until(pilot, lambda: bool(table.ids))
    return table


def said(app: Host) -> str:
    return str(app.dialog.query_one("#said", Static).visual)


@pytest.mark.parametrize("size", SIZES)
async def test_the_bundled_model_stands_first_with_what_its_file_says(size: tuple[int, int]) -> None:
    app = Host()
    async with app.run_test(size=size) as pilot:
        table = await listed(pilot, app)
        await until(pilot, lambda: BUNDLED.quantisation in seen(app))
        assert table.cursor == 0
        for figure in (
            DEFAULT_MODEL,
            "135M",
            "8,192",
            "apache-2.0",
            f"architecture {BUNDLED.architecture}",
            "comes with the studio",
            "asked in chat",
        ):
            assert figure in seen(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.taken == "")


async def test_one_that_cannot_be_read_says_why_and_is_not_taken() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = await listed(pilot, app)
        await pilot.press("j", "j")
        assert table.cursor == 2
        await until(pilot, lambda: "it is empty" in str(app.dialog.query_one("#facts", Static).visual))
        await pilot.press("enter")
        assert "not a GGUF file" in said(app)
        await pilot.press("k")
        assert said(app) == ""
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.taken == "/models/other.gguf")


async def test_what_is_no_model_stands_last_and_a_file_named_by_its_hash_is_taken_by_its_name() -> None:
    blob = Path("/ollama/blobs/sha256-00")
    ollama = CatalogEntry("llama3.2:3b", blob, "Ollama", ModelIdentity("llama3.2:3b", "", path=str(blob)))
    app = Host(entries=[*ENTRIES, ollama])
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, app)
        await pilot.press("G")
        await until(pilot, lambda: "it is empty" in str(app.dialog.query_one("#facts", Static).visual))
        await pilot.press("k")
        await until(pilot, lambda: "· Ollama" in seen(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.taken == "llama3.2:3b")


async def test_a_row_is_taken_with_the_mouse() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = await listed(pilot, app)
        await pilot.click(table, offset=(3, 2), times=2)
        await until(pilot, lambda: app.taken == "/models/other.gguf")


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1#qwen", "https://host/v1", "scripted"])
async def test_servers_are_typed_and_not_asked(address: str) -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, app)
        await pilot.press("e")
        app.dialog.query_one(Input).value = address
        await pilot.press("enter")
        await until(pilot, lambda: app.taken == address)


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("no/such.gguf", "no such file"),
        ("acme/tiny-GGUF", "studio models pull hf:acme/tiny-GGUF"),
        ("https://hf-mirror.com/acme/tiny", "on a hub"),
        ("Smoll", "unknown model"),
        ("http://me:secret@host/v1", "must not hold a user name"),
        ("/", "a folder, not a model file"),
        ("", "Type the path"),
        ("~nobody-of-this-name/x.gguf", "there is no user"),
        ("x" * 300, "name too long"),
    ],
)
async def test_what_cannot_be_a_model_is_refused_with_the_reason(typed: str, fault: str) -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, app)
        await pilot.press("e")
        app.dialog.query_one(Input).value = typed
        await pilot.press("enter")
        await until(pilot, lambda: fault in said(app))
        assert "secret" not in said(app)
        assert app.taken == NOTHING
        app.dialog.query_one(Input).value = BUNDLED.path
        await until(pilot, lambda: said(app) == "")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.taken == BUNDLED.path)


async def test_an_adapter_goes_on_top_of_the_model_under_the_cursor(tmp_path: Path) -> None:
    model, adapter = tiny_model(tmp_path / "tiny.gguf"), tiny_adapter(tmp_path / "mine.gguf")
    app = Host(entries=[CatalogEntry("tiny", model, "given", identify(model))])
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, app)
        await pilot.press("e")
        app.dialog.query_one(Input).value = str(tiny_adapter(tmp_path / "other.gguf", "gemma3"))
        await pilot.press("enter")
        await until(pilot, lambda: "for the architecture 'gemma3'" in said(app))
        app.dialog.query_one(Input).value = str(adapter)
        await pilot.press("enter")
        await until(pilot, lambda: app.taken == f"{model} + {adapter}")
    assert parted(f"{model} + {adapter}") == (str(model), str(adapter)) and parted("") == ("", "")


async def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_text("no")
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, app)
        await pilot.press("e")
        app.dialog.query_one(Input).value = str(tmp_path / "x.gguf")
        await pilot.press("enter")
        await until(pilot, lambda: "not a GGUF file" in said(app))


@pytest.mark.parametrize(("chosen", "row"), [("", 0), ("other", 1), ("/models/other.gguf", 1), (BUNDLED.path, 0)])
async def test_the_cursor_stands_on_what_is_chosen(chosen: str, row: int) -> None:
    app = Host(chosen)
    async with app.run_test(size=(80, 24)) as pilot:
        table = await listed(pilot, app)
        await until(pilot, lambda: table.cursor == row)
        await pilot.press("escape")
        await until(pilot, lambda: app.taken is None)


async def test_a_server_chosen_before_stands_in_the_field() -> None:
    app = Host("http://127.0.0.1:1/v1")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, app)
        field = app.dialog.query_one(Input)
        await until(pilot, lambda: field.has_focus and field.value == "http://127.0.0.1:1/v1")
        await pilot.press("escape")
        assert app.taken == NOTHING
        await pilot.press("escape")
        await until(pilot, lambda: app.taken is None)


async def test_hostile_names_and_no_model_at_all() -> None:
    named = [ModelIdentity(text, "", licence=text, architecture=text, quantisation=text) for text in NASTY_LINES]
    nasty = [CatalogEntry(each.name, Path("/x"), "/", each) for each in named]
    nasty += [CatalogEntry(text, Path("/x"), "/", fault=text) for text in NASTY_LINES]
    app = Host(entries=nasty)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot, app)
        for _ in nasty:
            await pilot.press("enter", "j")
            assert_harmless(app)
            if app.taken != NOTHING:
                app.dialog = ModelDialog("", lambda: nasty)
                app.push_screen(app.dialog)
                await listed(pilot, app)
                app.taken = NOTHING
    app = Host(entries=[])
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No model is installed." in seen(app))


async def test_the_start_screen_opens_it_and_begins_with_what_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("studio.tui.dialogs.models.list_models", lambda: ENTRIES)
    app = StudioApp(None, configuration(), scripted)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            driven, start = Driven(app, pilot), app.screen_stack[0]
            await driven.until(lambda: bool(app.screen.query("#model")))
            start = app.screen
            await pilot.click("#model")
            await choose(driven, start, "scripted")
            assert "scripted ▼" in screen_text(app)
            await pilot.press("f4")
            await choose(driven, start, "http://127.0.0.1:1/v1#x")
            assert str(start.query_one("#model", Button).label) == "http://127.0.0.1:1/v1#x ▼"
            await pilot.press("ctrl+s")
            await driven.until(lambda: app.runner is not None)
            await driven.idle()
            assert app.runner is not None
            assert app.runner.asked.configuration.options.model == "http://127.0.0.1:1/v1#x"
    finally:
        if app.runner is not None:
            assert app.runner.close(600)


async def choose(driven: Driven, start: Screen[object], model: str) -> None:
    await driven.until(lambda: isinstance(driven.app.screen, ModelDialog) and bool(driven.app.screen.query(Input)))
    driven.app.screen.query_one(Input).value = model
    driven.app.screen.query_one(Input).focus()
    await driven.pilot.press("enter")
    await driven.until(lambda: driven.app.screen is start)


@pytest.mark.parametrize(("number", "text"), [(134_515_008, "135M"), (7_620_000_000, "7.62B"), (1_500, "1.5K"), (0, "0")])
def test_parameters_in_three_digits(number: int, text: str) -> None:
    assert count_text(number) == text


@pytest.mark.parametrize(("size", "text"), [(98_400_000, "98.4 MB"), (4_680_000_000, "4.68 GB")])
def test_sizes_of_files(size: int, text: str) -> None:
    assert size_text(size) == text
