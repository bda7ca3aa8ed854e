"""Which model: those found on this machine with what their files say, or a path or a server's address that is typed."""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Input, Static

from studio.engine.catalog import BUNDLED, DEFAULT_MODEL, CatalogEntry, count_text, find_model, list_models, size_text
from studio.engine.model_file import check_adapter, is_adapter, parted, read_model, with_adapter
from studio.engine.not_gguf import NotLoaded, refuse_downloads
from studio.engine.remote.address import is_address, parse_address
from studio.engine.scripted import SCRIPTED_MODEL
from studio.engine.traits import Traits, shortage
from studio.errors import ModelError, StudioError
from studio.paths import user_path
from studio.text import display, display_line
from studio.tui.base import Dialog, lay_over, start_latest
from studio.tui.dialogs.pull import PullDialog, Pulled
from studio.tui.keys import bind
from studio.tui.widgets.fields import FindLine, SafeInput
from studio.tui.widgets.table import Cell, Column, IdTable

_COLUMNS = (
    Column("model", 0),
    Column("size", 6, right=True),
    Column("quant.", 7),
    Column("context", 8, right=True),
    Column("file", 8, right=True),
    Column("licence", 10),
)
_SUFFIX = ".gguf"


class ModelDialog(Dialog[str | None]):
    """Closes with the model as `--model` takes it, empty for the bundled one, or with None when nothing is chosen."""

    TITLE = "Which model?"
    HELP = """
    The models on this machine: the bundled one, GGUF files below `models`, `$STUDIO_MODELS` and your data folder, and what LM Studio,
    Ollama, the Hugging Face hub, llama.cpp, GPT4All and Jan have downloaded. *size* counts parameters, *context* the tokens it was trained
    for. `enter` takes the one under the cursor; what is said of it below: how it is asked, the memory it takes on a CPU, about, and whether
    it was tried with the studio. Files that are no models that write text stand last, with the reason.

    In the field below, `e`, you can name any GGUF file by its path, or a server: `http://host:port/v1#name`. A server is asked nothing
    before you open the pool. The path of a LoRA adapter goes on top of the model under the cursor. `hf:owner/name` is a model of the
    Hugging Face hub: where it is not here, the hub is asked for it, and you see its quantisations, sizes and licence before you load one.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "choose", "Choose", "Take this model.", priority=True),
        bind("find", "find", "Find", "Find a model by its name", show=False),
        bind("edit", "type", "Path or address", "Type the path of a file, a server's address, or a name of the hub."),
        bind("back", "back", "Leave as it was", "Close without a choice."),
    ]
    DEFAULT_CSS = """
    ModelDialog IdTable { height: 1fr; background: $panel; }
    ModelDialog #facts { height: 4; color: $foreground-muted; margin-top: 1; }
    """

    def __init__(self, chosen: str = "", lister: Callable[[], list[CatalogEntry]] | None = None) -> None:
        super().__init__()
        self._chosen = chosen
        self._lister = lister or list_models
        self._entries: list[CatalogEntry] = []

    def body(self) -> ComposeResult:
        empty = "No model is installed. Press e and name a file, a server, or hf:owner/name."
        yield IdTable(_COLUMNS, self._rows_of, empty=empty, id="models")
        yield Static(id="facts", markup=False)
        yield SafeInput(placeholder="a file's path, http://host:port/v1#name, or hf:owner/name", id="typed")
        yield FindLine("a part of the name; enter goes on to the next")

    def on_mount(self) -> None:
        """Look for models beside the screen: their files are read, which may take a while the first time."""
        table = self.query_one(IdTable)
        table.show_loading("looking for models …")
        table.focus()
        start_latest(self, "models", self._find)

    def action_find(self) -> None:
        self.query_one(FindLine).open()

    @on(FindLine.Wanted)
    def _wanted(self, event: FindLine.Wanted) -> None:
        self.query_one(IdTable).seek(lambda each: event.fits(self._entries[each].name), again=event.again)

    @on(FindLine.Left)
    def _left(self) -> None:
        self.query_one(IdTable).focus()

    def action_type(self) -> None:
        self.query_one(Input).focus()

    def action_choose(self) -> None:
        """Take what the focus is at: the field's text, else the model under the cursor."""
        field, table = self.query_one(SafeInput), self.query_one(IdTable)
        if field.has_focus:
            start_latest(self, "check", self._check, field.text.strip())
        elif table.current is not None:
            self._take(self._entries[table.current])

    def action_back(self) -> None:
        """Close, from the field back to the list first."""
        if self.query_one(Input).has_focus:
            self.query_one(IdTable).focus()
        else:
            self.dismiss(None)

    @on(Input.Submitted)
    @on(IdTable.Selected)
    def _entered(self, event: Input.Submitted | IdTable.Selected) -> None:
        event.stop()
        self.action_choose()

    @on(Input.Changed)
    def _typing(self) -> None:
        self.refuse("")

    @on(IdTable.Moved)
    def _moved(self, event: IdTable.Moved) -> None:
        self.refuse("")
        facts = Content("") if event.row_id is None else _facts(self._entries[event.row_id])
        self.query_one("#facts", Static).update(facts)

    def _take(self, entry: CatalogEntry) -> None:
        if entry.identity is None:
            self.refuse(f"{entry.fault}: {entry.hint}" if entry.hint else entry.fault)
        elif entry.path.suffix.lower() == _SUFFIX:
            self.dismiss("" if entry.source == BUNDLED else str(entry.path))
        else:
            # Ollama's files are called by their hash.
            self.dismiss(entry.name)

    async def _find(self) -> None:
        found = await asyncio.to_thread(self._lister)
        self._entries = sorted(found, key=lambda entry: (entry.identity is None, entry.source != BUNDLED))
        table = self.query_one(IdTable)
        table.show(array("q", range(len(self._entries))))
        place = next((place for place, entry in enumerate(self._entries) if self._is_chosen(entry)), None)
        if place is not None:
            table.cursor = place
        elif self._chosen and not self.query_one(SafeInput).text:
            self.query_one(SafeInput).text = self._chosen
            self.query_one(Input).focus()

    def _is_chosen(self, entry: CatalogEntry) -> bool:
        if not self._chosen:
            return entry.source == BUNDLED
        return self._chosen in (entry.name, str(entry.path)) or os.path.expanduser(self._chosen) == str(entry.path)  # noqa: PTH111  (raises nothing)

    async def _check(self, text: str) -> None:
        if not text:
            self.refuse("Type the path of a file or a server's address, or press Esc and choose one of the list.")
            return
        try:
            text = await asyncio.to_thread(checked_model, text, self._base)
        except NotLoaded as missing:
            lay_over(self, PullDialog(missing.name), self._pulled)
            return
        except StudioError as error:
            self.refuse(error.words())
            return
        self.dismiss(text)

    def _pulled(self, pulled: Pulled | None) -> None:
        """Put the cursor on what was loaded; an adapter comes into the field, to go on top of a model."""
        if pulled is None:
            return
        if not pulled.loaded:
            words = f"{display_line(str(pulled.path), 100)} is the same file: nothing was loaded."
            self.call_after_refresh(self.app.notify, words, markup=False)
        if is_adapter(pulled.path):
            self.query_one(SafeInput).text = str(pulled.path)
            return
        self._chosen, self.query_one(SafeInput).text = str(pulled.path), ""
        self.query_one(IdTable).focus()
        start_latest(self, "models", self._find)

    @property
    def _base(self) -> str:
        """The model under the cursor, for an adapter."""
        current = self.query_one(IdTable).current
        if current is None or self._entries[current].source == BUNDLED:
            return DEFAULT_MODEL
        return str(self._entries[current].path)

    async def _rows_of(self, ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        return {each: _cells(self._entries[each]) for each in ids}


def checked_model(text: str, base: str) -> str:
    """Look whether `text` can name a model: a server's address by its form, a file by its header. Returns it; an adapter comes with `base`.

    Raises ModelError and UsageError, with what to do.
    """
    refuse_downloads(text)
    if is_address(text):
        parse_address(text)
        return text
    if text == SCRIPTED_MODEL:
        return text
    model, adapter = parted(text)
    found = find_model(model)
    if not adapter and is_adapter(found):
        model, adapter = base, str(found)
        found = find_model(base)
    header = read_model(found)
    if adapter:
        check_adapter(user_path(adapter, ModelError), header)
    return with_adapter(model, adapter)


def _cells(entry: CatalogEntry) -> Sequence[Cell]:
    known = entry.identity
    if known is None:
        return (entry.name, "bad"), ("", ""), ("", ""), ("", ""), ("no model", "bad"), ("", "")
    context = f"{known.context_length:,}" if known.context_length else "?"
    return (
        (entry.name, ""),
        (count_text(known.parameters), ""),
        (known.quantisation or "?", ""),
        (context, ""),
        (size_text(known.file_size), ""),
        (known.licence or "not said", "muted"),
    )


def _facts(entry: CatalogEntry) -> Content:
    """The whole name, the family of models, and the file; or why the file cannot be used."""
    if entry.identity is None:
        return Content.assemble((f"{display_line(entry.name, 100)}\n", "bold"), (display(entry.fault), "$text-error"))
    family = display_line(entry.identity.architecture, 40) or "not said"
    licence = display_line(entry.identity.licence, 60) or "the file does not say"
    return Content.assemble(
        (display_line(entry.name, 100), "bold"),
        f" · {'comes with the studio' if entry.source == BUNDLED else display_line(entry.source, 60)}\n",
        f"architecture {family} · licence {licence}\n",
        *((_how_it_runs(entry.traits), "\n") if entry.traits is not None else ()),
        display_line(str(entry.path), 300),
    )


def _how_it_runs(traits: Traits) -> tuple[str, str]:
    """How the model is asked, what it takes and whether it was tried, with its style; or that the machine has too little memory for it."""
    if short := shortage(traits.footprint):
        return short, "$text-warning"
    return f"asked in {traits.asked} · takes about {size_text(traits.footprint.total)} · tried with the studio: {traits.tried.word}", ""
