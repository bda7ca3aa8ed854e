"""A model of the hub in the model dialog: what there is, loading it, stopping, and faults."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, Static

from studio.engine.catalog import list_models
from studio.tui.dialogs.models import ModelDialog
from studio.tui.dialogs.pull import PullDialog
from studio.tui.widgets.fields import SafeInput
from studio.tui.widgets.table import IdTable
from support.hub_server import Fault, HubServer, Repo, hub_server
from support.screens import NASTY_LINES, assert_harmless, seen, until
from support.studio_app import SIZES
from support.tiny_models import tiny_adapter, tiny_model

NAME = "hf:acme/Tiny-GGUF"


class Host(App[None]):
    """Shows the model dialog and keeps what it closes with."""

    def __init__(self) -> None:
        super().__init__()
        self.models = ModelDialog("", list_models)
        self.taken: str | None = "nothing yet"

    def on_mount(self) -> None:
        self.push_screen(self.models, self.take)

    def take(self, model: str | None) -> None:
        self.taken = model

    @property
    def dialog(self) -> PullDialog:
        assert isinstance(self.screen, PullDialog)
        return self.screen


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "Tiny-F32.gguf").read_bytes()


@pytest.fixture
def hub(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    files: dict[str, bytes | Path] = {"Tiny-Q4_K_M.gguf": content, "Tiny-Q8_0.gguf": content + bytes(500_000), "mmproj-F16.gguf": b"GGUF"}
    files |= {f"Tiny-F16-0000{number}-of-00002.gguf": bytes(800_000) for number in (1, 2)}
    more = {"gguf": {"total": 1_240_000_000, "architecture": "llama", "context_length": 131_072}}
    for name in ("CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("STUDIO_MODELS", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("studio.engine.pull.download._FIRST_WAIT", 0.0)
    with hub_server(Repo("acme/Tiny-GGUF", files, card={"license": "apache-2.0", "base_model": "acme/Tiny"}, more=more)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def part_of(app: Host, name: str) -> str:
    return str(app.screen.query_one(f"#{name}", Static).visual)


async def asked(pilot: Pilot[None], app: Host, name: str = NAME) -> None:
    """Type a name of the hub into the model dialog."""
    await until(pilot, lambda: app.models.is_mounted and bool(app.models.query(IdTable)) and bool(app.models.query_one(IdTable).ids))
    await pilot.press("e")
    app.models.query_one(Input).value = name
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, PullDialog) and bool(app.screen.query("#said")))


async def offered(pilot: Pilot[None], app: Host, name: str = NAME) -> IdTable:
    await asked(pilot, app, name)
    table = app.dialog.query_one(IdTable)
    await until(pilot, lambda: bool(table.ids) and bool(part_of(app, "facts")))
    return table


@pytest.mark.parametrize("size", SIZES)
async def test_what_there_is_is_shown_and_loaded(hub: HubServer, size: tuple[int, int], content: bytes) -> None:
    app = Host()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.models.is_mounted)
        assert hub.asked == [], "the hub is asked for nothing before it is named"
        table = await offered(pilot, app)
        await until(pilot, lambda: "2 shards: Tiny-F16-00001-of-0" in seen(app))
        for words in ("licence apache-2.0", "1.24B · llama · context 131,072", "made from acme/Tiny · 1 file left out", "usual middle"):
            assert words in seen(app), seen(app)
        assert len(table.ids) == 3 and table.cursor == 0
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.models)
        listed = app.models.query_one(IdTable)
        await until(pilot, lambda: "Tiny-Q4_K_M" in str(app.models.query_one("#facts", Static).visual))
        assert listed.has_focus and "licence apache-2.0" in str(app.models.query_one("#facts", Static).visual)
        await pilot.press("enter")
        await until(pilot, lambda: str(app.taken).endswith("/models/Tiny-Q4_K_M.gguf"))
    assert Path(str(app.taken)).read_bytes() == content


async def test_what_is_here_is_taken_without_the_hub(hub: HubServer) -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await offered(pilot, app)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is app.models)
        before = len(hub.asked)
        await pilot.press("e")
        app.models.query_one(Input).value = f"{NAME}:Q4_K_M"
        await pilot.press("enter")
        await until(pilot, lambda: app.taken == f"{NAME}:Q4_K_M")
        assert len(hub.asked) == before


async def test_what_another_program_has_is_named_and_not_loaded(hub: HubServer, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.gguf").write_bytes(content)
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await offered(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: any("models/mine.gguf is the same file" in note.message for note in app._notifications))
        await until(pilot, lambda: str(app.models.query_one("#facts", Static).visual).startswith("mine"))
        assert hub.sent == 0


async def test_stopped_it_keeps_what_came_and_goes_on(hub: HubServer, tmp_path: Path) -> None:
    hang = threading.Event()
    hub.faults.append(Fault("^/cdn/", break_after=200_000, hang=hang))
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await offered(pilot, app)
        await pilot.press("j", "enter")
        await until(pilot, lambda: "0.2 MB of 0.8 MB" in part_of(app, "progress"))
        await pilot.press("enter", "j", "k")
        await pilot.press("escape")
        assert "stopping" in part_of(app, "progress")
        hang.set()
        await until(pilot, lambda: "are kept" in part_of(app, "said"))
        assert next(tmp_path.rglob("*.part")).stat().st_size >= 200_000 and not list(tmp_path.rglob("Tiny-Q8_0.gguf"))
        hub.sent = 0
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.models)
        assert hub.sent < 700_000 and list((tmp_path / "data").rglob("Tiny-Q8_0.gguf"))
        assert app.taken == "nothing yet"


async def test_left_while_it_loads(hub: HubServer, tmp_path: Path) -> None:
    hang = threading.Event()
    hub.faults.append(Fault("^/cdn/", break_after=100_000, hang=hang))
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await offered(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: "of 0.3 MB" in part_of(app, "progress"))
    hang.set()
    for thread in [each for each in threading.enumerate() if type(each).__name__ == "_Work"]:
        thread.join(20)
    assert not list(tmp_path.rglob("Tiny-Q4_K_M.gguf")) and list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("name", "fault", "words"),
    [
        ("hf:acme/none", None, "the hub has no such model"),
        (f"{NAME}:Q3_K_M", None, "no such quantisation or file"),
        (NAME, Fault("/api/models", status=429, headers={"Retry-After": "70"}), "too many requests"),
        (NAME, Fault("/api/models", status=200, body=b"<html>"), "not a hub's"),
    ],
)
async def test_faults_are_said_and_it_can_be_closed(hub: HubServer, name: str, fault: Fault | None, words: str) -> None:
    hub.faults += [fault] if fault else []
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, app, name)
        await until(pilot, lambda: words in part_of(app, "said"))
        await pilot.press("enter", "escape")
        await until(pilot, lambda: app.screen is app.models)
        assert app.taken == "nothing yet" and app.models.query_one(SafeInput).text == name


async def test_a_wrong_content_is_said(hub: HubServer) -> None:
    hub.faults.append(Fault("^/cdn/", flip=True))
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await offered(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: "its sha256 is another" in part_of(app, "said"))


async def test_an_adapter_that_is_named_comes_into_the_field(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["model", "acme/Tiny-GGUF"].files["my-lora.gguf"] = tiny_adapter(tmp_path / "l.gguf").read_bytes()
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        table = await offered(pilot, app, f"{NAME}:my-lora.gguf")
        assert table.cursor == 0 and len(table.ids) == 4
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.models and app.models.query_one(SafeInput).text.endswith("/my-lora.gguf"))


async def test_hostile_texts_of_a_page(hub: HubServer) -> None:
    repo = hub.repos["model", "acme/Tiny-GGUF"]
    repo.files |= {f"{text[:150]}-Q4_0.gguf": b"GGUF" for text in NASTY_LINES}
    app = Host()
    for text in NASTY_LINES:
        repo.card = {"license": text, "base_model": [text, text]}
        async with Host().run_test(size=(80, 24)) as pilot:
            app = pilot.app  # type: ignore[assignment]
            await offered(pilot, app)
            for _ in repo.files:
                await pilot.press("j")
                assert_harmless(app)


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x40"])
@pytest.mark.parametrize("state", ["offered", "loading"])
def test_it_looks_as_before(
    state: str, size: tuple[int, int], hub: HubServer, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.tui.dialogs.pull.memory_of_machine", lambda: 16 * 10**9)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 50 * 10**9}))
    hang = threading.Event()
    hub.faults.append(Fault("^/cdn/", break_after=200_000, hang=hang))

    async def act(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, Host)
        await offered(pilot, app)
        await until(pilot, lambda: "Tiny-Q8_0.gguf" in seen(app))
        if state == "loading":
            monkeypatch.setattr("studio.tui.dialogs.pull.time", type("Standing", (), {"monotonic": staticmethod(lambda: 0.0)}))
            await pilot.press("enter")
            await until(pilot, lambda: "0.2 MB of 0.3 MB" in part_of(app, "progress"))

    assert snap_compare(Host(), terminal_size=size, run_before=act)
