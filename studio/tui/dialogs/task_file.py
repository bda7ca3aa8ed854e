"""The form for a file of tasks: how it is read is seen, and can be said otherwise, before anything is done with it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Checkbox, Input, Label, ProgressBar, Select, Static

from studio.errors import StudioError, UsageError
from studio.hub import is_hub_name
from studio.paths import user_path
from studio.pool.exchange.importing import Examined, FileReport, ImportOptions, examine_files
from studio.pool.exchange.preview import preview_lines, what_it_is
from studio.seeds.inputs import FaultyFile, is_regular
from studio.seeds.mapping import MAPPED, TARGETS, FieldMap, parse_map, written_key
from studio.seeds.reading import counted
from studio.text import display_line
from studio.tui.base import Dialog, start_latest
from studio.tui.widgets.fields import Choice, SafeInput
from studio.tui.widgets.key_bar import KeyBar
from studio.tui.widgets.pane import Pane

CHOSEN = ("instruction", "input", "output", "system")
"""Fields of a task that have a list of paths to choose from; others are written."""
FIRST = 200
"""Records that are read for the preview."""
_TYPING_S = 0.2
_MOST_FAULTS = 5
_WIDTH = 400
_LONGEST = 600
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class FileChoice:
    """A file, and where the fields of a task stand in it; None where its keys say so."""

    path: Path
    mapping: FieldMap | None = None


def read_choice(file: str, mapping: str) -> FileChoice:
    """Return what the fields of the form say. Raises UsageError for what means nothing."""
    if not file.strip():
        raise UsageError("no file is named yet", "write its path")
    path = user_path(file.strip(), UsageError)
    try:
        regular = is_regular(path)
    except UsageError as error:
        if not is_hub_name(file.strip()):
            raise
        raise UsageError("files of the hub are loaded by the commands alone", f"studio import POOL {file.strip()}") from error
    if not regular:
        raise UsageError(f"{path} is no plain file", "a pipe or a device is read by `studio import`")
    return FileChoice(path, parse_map([mapping] if mapping.strip() else []))


def guessed(report: FileReport) -> dict[str, str]:
    """Return the path of each field that a mapping could name, as the records of a file were read."""
    sources: dict[str, str] = {}
    for name, key in report.tally.roles:
        target = "id" if name == "key" else name
        if target in TARGETS and target not in sources:
            sources[target] = key if report.format == MAPPED else written_key(key)
    return sources


def with_field(sources: dict[str, str], name: str, path: str) -> dict[str, str]:
    """Return `sources` with `name` from `path`, or from nowhere where that is empty; a conversation gives way to a field of its own."""
    others = {each: where for each, where in sources.items() if each != name and not (each == "messages" and name in CHOSEN[:3])}
    wanted = others | {name: path} if path else others
    return {each: wanted[each] for each in TARGETS if each in wanted}


class FileDialog(Dialog[Result]):
    """The form: a file, where its fields stand, and how its first records would be taken."""

    DEFAULT_CSS = """
    FileDialog > Vertical { width: 94%; max-width: 112; height: 94%; }
    FileDialog .row { height: 1; }
    FileDialog .row Label { width: 12; color: $text-muted; }
    FileDialog .row .beside { margin-left: 2; width: 9; }
    FileDialog .row Input { width: 1fr; border: none; height: 1; padding: 0; background: $surface; }
    FileDialog .row Input:focus { background: $background; }
    FileDialog Select { width: 1fr; height: 1; }
    FileDialog Checkbox { border: none; padding: 0; background: transparent; width: auto; }
    FileDialog Checkbox > .toggle--button { background: $surface; }
    FileDialog #said { height: auto; min-height: 1; max-height: 4; }
    FileDialog #said.-error { color: $text-error; }
    FileDialog #said.-done { color: $text-success; }
    FileDialog ProgressBar { display: none; height: 1; width: 1fr; }
    FileDialog ProgressBar Bar { width: 1fr; }
    FileDialog.-busy ProgressBar { display: block; }
    FileDialog Pane { height: 1fr; }
    FileDialog #buttons { height: 1; }
    FileDialog Button { margin-right: 2; }
    """
    TITLE_WORDS: ClassVar[str]
    DOES: ClassVar[str]
    """The word on the button."""
    WAY_OUT: ClassVar[str] = "correct the file, or write in map where its fields stand"
    """What can be done about faulty records: the command line's options are none here."""

    def __init__(self, choice: FileChoice | None = None) -> None:
        super().__init__()
        self._first = choice
        self._sources: dict[str, str] = {}
        """Where each field comes from as the file is read now."""

    def compose(self) -> ComposeResult:
        """The fields, the preview, the keys."""
        choice = self._first
        with Vertical() as window:
            window.border_title = Content(self.TITLE_WORDS)
            with Horizontal(classes="row"):
                yield Label("file", markup=False)
                yield SafeInput(str(choice.path) if choice else "", id="file", placeholder="data.jsonl, .csv, .parquet …", compact=True)
            for pair in (CHOSEN[:2], CHOSEN[2:]):
                with Horizontal(classes="row"):
                    for place, name in enumerate(pair):
                        yield Label(name, markup=False, classes="beside" if place else "")
                        yield Choice[str]([], prompt="nowhere", id=name, compact=True)
            with Horizontal(classes="row"):
                yield Label("map", markup=False)
                mapping = str(choice.mapping or "") if choice else ""
                yield SafeInput(mapping, id="map", placeholder="by its keys, or messages=data.turns,name=title", compact=True)
            with Horizontal(classes="row"):
                yield from self.options()
            yield Static(id="said", markup=False)
            yield ProgressBar(id="progress")
            with Pane(id="preview-pane") as pane:
                pane.border_title = Content("How it is read")
                yield Static(id="preview", markup=False)
            with Horizontal(id="buttons"):
                yield Button(self.DOES, id="take", compact=True, variant="primary")
                yield Button("Close", id="close", compact=True)
        yield KeyBar()

    def options(self) -> ComposeResult:
        """What else can be chosen."""
        yield Static(markup=False)

    def on_mount(self) -> None:
        """Begin with the file."""
        self.query_one("#file").focus()
        self._look()

    def import_options(self) -> ImportOptions:
        """How the file is read, beside its mapping."""
        return ImportOptions()

    @abstractmethod
    def take(self, choice: FileChoice) -> None:
        """Do what the dialog is for."""

    @on(Input.Changed)
    @on(Checkbox.Changed)
    def _field_changed(self) -> None:
        self._look()

    @on(Select.Changed)
    def _path_chosen(self, event: Select.Changed) -> None:
        """Write into the mapping what was chosen."""
        path = "" if event.select.is_blank() else str(event.value)
        name = str(event.select.id)
        if path != self._sources.get(name, ""):
            self._sources = with_field(self._sources, name, path)
            self.query_one("#map", SafeInput).text = ",".join(f"{each}={where}" for each, where in self._sources.items())

    @on(Input.Submitted)
    @on(Button.Pressed, "#take")
    def _asked(self) -> None:
        self.action_take()

    @on(Button.Pressed, "#close")
    def _asked_to_close(self) -> None:
        self.action_back()

    def action_take(self) -> None:
        """Take the file as it is read now, unless the form says nothing that can be."""
        try:
            choice = self._read()
        except StudioError as error:
            self.fail(error)
            return
        self.take(choice)

    def _read(self) -> FileChoice:
        return read_choice(*(self.query_one(f"#{name}", SafeInput).text for name in ("file", "map")))

    def _look(self) -> None:
        try:
            choice = self._read()
        except StudioError as error:
            self._show("")
            self.say(_words(error))
            return
        start_latest(self, "look", self._look_at, choice, replace(self.import_options(), mapping=choice.mapping))

    async def _look_at(self, choice: FileChoice, options: ImportOptions) -> None:
        await asyncio.sleep(_TYPING_S)
        try:
            found = await asyncio.to_thread(lambda: examine_files([choice.path], options, most=FIRST))
        except StudioError as error:
            self._show("")
            self.fail(error)
            return
        [report] = found.reports
        self._sources = {name: str(source.text) for name, source in choice.mapping.sources.items()} if choice.mapping else guessed(report)
        self._offer(report)
        whole = report.tally.records < FIRST
        self.query_one("#preview-pane").border_title = Content("How it is read" if whole else f"How the first {FIRST} records are read")
        self._show("\n".join((what_it_is(report), *_faults(found), *preview_lines(report, _WIDTH, CHOSEN))))
        if found.error is None:
            self.say("")
        else:
            self.fail(found.error)

    def _offer(self, report: FileReport) -> None:
        """Let the lists have the paths of the file, and show what is chosen."""
        paths = list(dict.fromkeys((*report.paths, *self._sources.values())))
        for name in CHOSEN:
            chosen = self.query_one(f"#{name}", Select)
            with chosen.prevent(Select.Changed):
                chosen.set_options([(Content(display_line(path, 80)), path) for path in paths])
                if (path := self._sources.get(name)) is not None:
                    chosen.value = path

    def _show(self, text: str) -> None:
        self.query_one("#preview", Static).update(Content(text))

    def fail(self, error: StudioError) -> None:
        """Say what is wrong."""
        faulty = isinstance(error, FaultyFile) and error.faults > 0
        self.say(display_line(f"{error.message}: {self.WAY_OUT}", _LONGEST) if faulty else _words(error), "-error")

    def say(self, text: str, kind: str = "") -> None:
        """Say something between the fields and the preview."""
        said = self.query_one("#said", Static)
        for each in ("-error", "-done"):
            said.set_class(each == kind, each)
        said.update(Content(text))


def _words(error: StudioError) -> str:
    return display_line(f"{error.message}: {error.hint}" if error.hint else error.message, _LONGEST)


def _faults(found: Examined) -> list[str]:
    listed = list(found.error.listed[:_MOST_FAULTS]) if found.error else []
    more = (found.error.faults if found.error else 0) - len(listed)
    return [*listed, f"and {counted(more, 'more fault')}" if more > 0 else ""] if listed else []
