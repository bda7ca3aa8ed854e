"""Bringing in a file of tasks: into a pool that is open, or as the seeds of one that is to be made."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Checkbox, Label, ProgressBar

from studio.errors import StudioError
from studio.pool.exchange.importing import FileReport, ImportOptions, import_files
from studio.pool.exchange.parts import Thinking
from studio.pool.pool import Pool
from studio.seeds.reading import counted, read_seeds
from studio.text import display_line
from studio.tui.base import leaving, start_latest
from studio.tui.dialogs.task_file import FileChoice, FileDialog
from studio.tui.keys import bind
from studio.tui.steering import Steerer
from studio.tui.widgets.fields import MarkedBox, SafeInput


class _GivenUp(Exception):
    """The user does not want the import any more."""


class SeedsDialog(FileDialog[Sequence[FileChoice] | None]):
    """Closes with the file to take seeds from, with none for those of the studio, and with None where nothing changes."""

    TITLE_WORDS = "Seeds of the new pool"
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

    TITLE_WORDS = "Import tasks"
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

    def options(self) -> ComposeResult:
        """Whether faulty records are left out, and thoughts taken out of answers."""
        yield Label("", markup=False)
        yield MarkedBox(Content("skip faulty records"), id="skip", compact=True)
        yield MarkedBox(Content("thoughts apart"), id="apart", compact=True)

    def on_mount(self) -> None:
        """Show how far it is, while it is."""
        self.set_interval(0.2, self._tell_progress)

    def import_options(self) -> ImportOptions:
        """The same, with whether faulty records are left out, and thoughts taken out of answers."""
        thinking = Thinking.KEEP if self.query_one("#apart", Checkbox).value else Thinking.TEXT
        return ImportOptions(skip_invalid=self.query_one("#skip", Checkbox).value, thinking=thinking)

    @property
    def unsaved(self) -> str:
        """What would be lost if the studio ended now, in words; empty for nothing."""
        return "Tasks are being imported. That is given up; nothing of it is kept." if self._busy else ""

    def take(self, choice: FileChoice) -> None:
        """Bring the file in, beside the screen."""
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
                    raise _GivenUp

            try:
                [report] = import_files(pool.tasks, [choice.path], options, progress=progress, told=lambda _: progress("", 1, 1))
            except _GivenUp:
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
        self.say(display_line(words), "-done")
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
