"""The form for a file of tasks: how it is read is seen, and can be said otherwise, before its tasks come into the pool that is open, or
become the seeds of a new one.
"""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Label, ProgressBar, Select, Static

from studio.errors import StudioError, UsageError
from studio.hub import is_hub_name
from studio.paths import user_path
from studio.pool.exchange.importing import Examined, FileReport, ImportOptions, examine_files, import_files, preview_lines, what_it_is
from studio.pool.exchange.parts import Thinking
from studio.pool.pool import Pool
from studio.seeds.inputs import FaultyFile, is_regular
from studio.seeds.mapping import MAPPED, TARGETS, FieldMap, parse_map, written_key
from studio.seeds.reading import read_seeds
from studio.text import counted, display_line
from studio.tui.base import Dialog, GivenUp, Row, leaving, start_latest
from studio.tui.keys import bind
from studio.tui.steering import Steerer
from studio.tui.widgets.fields import Choice, MarkedBox, SafeInput
from studio.tui.widgets.frame import Pane

CHOSEN = ("instruction", "input", "output", "system")
"""Fields of a task that have a list of paths to choose from; others are written."""
FIRST = 200
"""Records that are read for the preview."""
_TYPING_S = 0.2
_MOST_FAULTS = 5
_WIDTH = 400
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
    FileDialog > Vertical { height: 92%; }
    FileDialog Row .beside { margin-left: 2; width: 9; }
    FileDialog ProgressBar { display: none; height: 1; width: 1fr; }
    FileDialog ProgressBar Bar { width: 1fr; }
    FileDialog.-busy ProgressBar { display: block; }
    FileDialog Pane { height: 1fr; }
    """
    DOES: ClassVar[str]
    """The word on the button."""
    WAY_OUT: ClassVar[str] = "correct the file, or write in map where its fields stand"
    """What can be done about faulty records: the command line's options are none here."""

    def __init__(self, choice: FileChoice | None = None) -> None:
        super().__init__()
        self._first = choice
        self._sources: dict[str, str] = {}
        """Where each field comes from as the file is read now."""

    def body(self) -> ComposeResult:
        choice = self._first
        yield Row("file", SafeInput(str(choice.path) if choice else "", id="file", placeholder="data.jsonl, .csv, .parquet …"))
        for left, right in (CHOSEN[:2], CHOSEN[2:]):
            first, second = (Choice[str]([], prompt="nowhere", id=name) for name in (left, right))
            yield Row(left, first, Label(right, markup=False, classes="beside"), second)
        mapping = str(choice.mapping or "") if choice else ""
        yield Row("map", SafeInput(mapping, id="map", placeholder="by its keys, or messages=data.turns,name=title"))
        yield from self.options()
        yield ProgressBar(id="progress")
        with Pane(id="preview-pane") as pane:
            pane.border_title = Content("How it is read")
            yield Static(id="preview", markup=False)
        with Horizontal(classes="buttons"):
            yield Button(self.DOES, id="take", compact=True, variant="primary", action="screen.take")
            yield Button("Close", id="close", compact=True, action="screen.back")

    def options(self) -> Iterable[Widget]:
        """What else can be chosen."""
        return ()

    def on_mount(self) -> None:
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
        path = "" if event.select.is_blank() else str(event.value)
        name = str(event.select.id)
        if path != self._sources.get(name, ""):
            self._sources = with_field(self._sources, name, path)
            self.query_one("#map", SafeInput).text = ",".join(f"{each}={where}" for each, where in self._sources.items())

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_take()

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
            self.say(error.words())
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
        faulty = isinstance(error, FaultyFile) and error.faults > 0
        self.refuse(f"{error.message}: {self.WAY_OUT}" if faulty else error.words())


def _faults(found: Examined) -> list[str]:
    listed = list(found.error.listed[:_MOST_FAULTS]) if found.error else []
    more = (found.error.faults if found.error else 0) - len(listed)
    return [*listed, f"and {counted(more, 'more fault')}" if more > 0 else ""] if listed else []


class SeedsDialog(FileDialog[Sequence[FileChoice] | None]):
    """Closes with the file to take seeds from, with none for those of the studio, and with None where nothing changes."""

    TITLE = "Seeds of the new pool"
    DOES = "Choose"
    HELP = """\
## Seeds

The tasks that the new pool begins with. Name a file: below the fields stands how its first records are read. Where a field is taken from
the wrong key, choose another, or write where it stands: `messages=data.turns`. An empty *file* means the seeds that come with the studio.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "take", "Choose", "Take the seeds from this file", priority=True),
        bind("back", "back", "Close", "Close, and leave the seeds as they were"),
    ]

    def action_take(self) -> None:
        """Take the file; without one the studio's own seeds."""
        if self.query_one("#file", SafeInput).text.strip():
            super().action_take()
        else:
            self.dismiss([])

    def take(self, choice: FileChoice) -> None:
        """Read the file whole, as the pool will, and close; what is wrong with it can still be said otherwise here."""
        self.say("reading the file …")
        start_latest(self, "take", self._take, choice)

    async def _take(self, choice: FileChoice) -> None:
        try:
            await asyncio.to_thread(read_seeds, choice.path, choice.mapping)
        except StudioError as error:
            self.fail(error)
            return
        self.dismiss([choice])


class ImportDialog(FileDialog[bool]):
    """Brings a file into the pool that is open; closes with whether something was brought."""

    TITLE = "Import tasks"
    DOES = "Import"
    WAY_OUT = "correct the file, write in map where its fields stand, or skip faulty records"
    HELP = """\
## Import

Brings the tasks of a file into the pool: all of them, or nothing where one has a fault. Name a file: below the fields stands how its
first records are read, what of them is left out, and what is wrong. Where a field is taken from the wrong key, choose another, or write
where it stands, as `studio import --map` has it: `messages=data.turns,name=title`.

*skip faulty records* takes the sound ones; the others go to a file beside it, with their faults. *thoughts apart* keeps what stands before
an answer as `<think>…</think>` beside it, and not in it. `escape` gives an import under way up:
nothing of it is kept.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "take", "Import", "Bring in the tasks", priority=True),
        bind("back", "back", "Close", "Close; an import under way is given up, nothing of it is kept"),
    ]

    def __init__(self, steerer: Steerer) -> None:
        super().__init__()
        self._steerer = steerer
        self._busy = False
        self._brought = False
        self._bytes_read, self._bytes_in_all = 0, 0

    def options(self) -> Iterable[Widget]:
        yield Row("", MarkedBox(Content("skip faulty records"), id="skip"), MarkedBox(Content("thoughts apart"), id="apart"))

    def on_mount(self) -> None:
        self.set_interval(0.2, self._tell_progress)

    def import_options(self) -> ImportOptions:
        """The same, with whether faulty records are left out, and thoughts taken out of answers."""
        thinking = Thinking.KEEP if self.query_one("#apart", Checkbox).value else Thinking.TEXT
        return ImportOptions(skip_invalid=self.query_one("#skip", Checkbox).value, thinking=thinking)

    @property
    def unsaved(self) -> str:
        return "Tasks are being imported. That is given up; nothing of it is kept." if self._busy else ""

    def take(self, choice: FileChoice) -> None:
        if self._busy:
            return
        options = replace(self.import_options(), mapping=choice.mapping)
        self._bytes_read = self._bytes_in_all = 0
        self._busy = self._steerer.bring(self, self._bringing(choice, options), self._ended, self._failed)
        self.set_class(self._busy, "-busy")
        if self._busy:
            self.say(f"importing {display_line(choice.path.name, 60)} …; escape gives it up")

    def _bringing(self, choice: FileChoice, options: ImportOptions) -> Callable[[Pool, threading.Event], FileReport | None]:
        def bring(pool: Pool, stop: threading.Event) -> FileReport | None:
            def progress(_what: str, done: int, size: int) -> None:
                self._bytes_read, self._bytes_in_all = done, size
                if stop.is_set():
                    raise GivenUp

            try:
                [report] = import_files(pool.tasks, [choice.path], options, progress=progress, told=lambda _: progress("", 1, 1))
            except GivenUp:
                return None
            return report

        return bring

    def _ended(self, report: FileReport | None) -> None:
        self._over()
        if report is None:
            self.say("given up: nothing was imported")
            return
        self._brought = True
        joined = f", {counted(report.joined, 'instance')} joined to tasks of the same instruction" if report.joined else ""
        rejected = f"; {report.tally.faulty:,} faulty: {report.rejected}" if report.rejected else ""
        words = f"{counted(report.imported, 'task')} imported{joined}, {report.duplicates:,} skipped as duplicates{rejected}"
        self.say(words, "-done")
        self.app.notify(f"imported {counted(report.imported, 'task')}", markup=False)

    def _failed(self, error: StudioError) -> None:
        self._over()
        self.fail(error)

    def _over(self) -> None:
        self._busy = False
        self.remove_class("-busy")

    def _tell_progress(self) -> None:
        if self._busy and not leaving(self):
            self.query_one(ProgressBar).update(total=self._bytes_in_all or None, progress=self._bytes_read)

    def action_back(self) -> None:
        """Give up an import under way; close where there is none."""
        if self._busy:
            self._steerer.stop_bringing()
        else:
            self.dismiss(self._brought)
