"""A model of the hub, chosen and loaded: its quantisations with what the page says, then a bar that can be stopped and gone on with."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from studio.engine.api import CancelToken
from studio.engine.catalog import count_text, models_folders, size_text
from studio.engine.options import memory_of_machine
from studio.engine.pull.offer import Choice, Offer, read_offer
from studio.engine.pull.pulling import free_bytes, plan, pull
from studio.errors import StudioError, unexpected
from studio.hub import HubName, endpoint
from studio.text import display_line
from studio.tui.base import Dialog
from studio.tui.keys import bind
from studio.tui.widgets.table import Cell, Column, IdTable

_COLUMNS = (
    Column("quantisation", 14),
    Column("size", 9, right=True),
    Column("memory", 9, right=True),
    Column("file", 0),
)
_POLL_S = 0.1
_BAR = 30


class Pulled(NamedTuple):
    """The file, of a split model the first; not `loaded` where it was here already."""

    path: Path
    loaded: bool


class PullDialog(Dialog[Pulled | None]):
    """Closes with what is here now, or with None."""

    HELP = """
    What the repository on the hub has, the smallest first; shards of a split model are one line. The cursor stands on what would be taken
    without a word: `Q4_K_M`, or the nearest to it that the memory holds. *memory* is an estimate for a short context.

    `enter` loads it into the `models` folder of your data folder, and checks the hash that the hub tells. `escape` stops; what came is
    kept, and loading the same again goes on from there. The model is in the list when it is whole.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "load", "Load", "Load this one.", priority=True),
        bind("back", "back", "Stop, back", "Stop loading, what came is kept; else close."),
    ]
    DEFAULT_CSS = """
    PullDialog #about { height: 3; color: $foreground-muted; margin-bottom: 1; }
    PullDialog IdTable { height: 1fr; background: $panel; }
    PullDialog #facts { height: 3; color: $foreground-muted; margin-top: 1; }
    PullDialog #progress { height: 1; color: $primary; }
    """

    def __init__(self, name: HubName) -> None:
        super().__init__()
        self.title = str(name)
        self._hub_name = name
        self._offer: Offer | None = None
        self._default: Choice | None = None
        self._why = ""
        self._work: _Work | None = None
        self._poll: Timer | None = None
        self._free = self._machine = 0

    def body(self) -> ComposeResult:
        yield Static(id="about", markup=False)
        yield IdTable(_COLUMNS, self._rows_of, id="choices")
        yield Static(id="facts", markup=False)
        yield Static(id="progress", markup=False)

    def on_mount(self) -> None:
        table = self.query_one(IdTable)
        table.show_loading(f"asking {display_line(endpoint(), 60)} …")
        table.focus()
        self._start(_Work(lambda _: self._ask()))

    def on_unmount(self) -> None:
        """Whoever leaves, leaves the loading as well."""
        if self._work is not None:
            self._work.cancel.cancel()

    def action_load(self) -> None:
        current = self.query_one(IdTable).current
        if self._offer is None or current is None or self._work is not None:
            return
        offer, choice = self._offer, self._choices[current]

        def load(work: _Work) -> Path:
            planned = plan(offer, choice)
            return planned.elsewhere or pull(planned, work.report, work.cancel)

        self.refuse("")
        self._start(_Work(load, "looking at what is here …"))

    def action_back(self) -> None:
        """Stop what is loaded; else, and when that takes long, close."""
        if self._work is not None and self._offer is not None and not self._work.cancel.cancelled:
            self._work.cancel.cancel()
            self.query_one("#progress", Static).update("stopping …")
        else:
            self.dismiss(None)

    @on(IdTable.Selected)
    def _selected(self, event: IdTable.Selected) -> None:
        event.stop()
        self.action_load()

    @on(IdTable.Moved)
    def _moved(self, event: IdTable.Moved) -> None:
        if self._work is None:
            self.refuse("")
        facts = Content("") if event.row_id is None else self._facts(self._choices[event.row_id])
        self.query_one("#facts", Static).update(facts)

    def _start(self, work: _Work) -> None:
        self._work = work
        work.start()
        self._poll = self._poll or self.set_interval(_POLL_S, self._look)

    def _look(self) -> None:
        """Show how far the work is, and what came of it."""
        work = self._work
        if work is None:
            return
        if work.is_alive():
            self.query_one("#progress", Static).update(_progress(work))
            return
        self._work = None
        self.query_one("#progress", Static).update("")
        if work.fault is not None:
            self.query_one(IdTable).show_loading("")
            self.refuse(work.fault.words())
        elif isinstance(work.result, Path):
            self.dismiss(Pulled(work.result, loaded=work.total > 0))
        else:
            self._show_offer()

    def _ask(self) -> None:
        """In the other thread: ask the hub, and look at the machine."""
        offer = read_offer(self._hub_name)
        self._machine = memory_of_machine()
        self._free = free_bytes(models_folders()[-1].absolute())
        self._default, self._why = offer.pick(self._machine)
        self._offer = offer

    def _show_offer(self) -> None:
        offer = self._offer
        assert offer is not None
        self.query_one("#about", Static).update(_about(offer))
        table = self.query_one(IdTable)
        table.show(array("q", range(len(self._choices))))
        if self._default in self._choices:
            table.cursor = self._choices.index(self._default)

    @property
    def _choices(self) -> list[Choice]:
        """Those of the page, and an adapter that was named by its file."""
        if self._offer is None or self._default is None:
            return []
        choices = list(self._offer.choices)
        return choices if self._default in choices else [self._default, *choices]

    def _facts(self, choice: Choice) -> Content:
        memory = f"memory: about {size_text(choice.memory)} for a short context, {size_text(self._machine)} here"
        disk = f"disk: {size_text(choice.size)}, {size_text(self._free)} free"
        why = f" · {self._why}" if choice == self._default else ""
        room = "$text-error" if choice.size > self._free else ""
        return Content.assemble((f"{display_line(choice.names[0], 100)}{choice.more}", "bold"), f"{why}\n", (disk, room), f"\n{memory}")

    async def _rows_of(self, ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        choices = self._choices
        return {each: self._cells(choices[each]) for each in ids if each < len(choices)}

    def _cells(self, choice: Choice) -> Sequence[Cell]:
        large = "bad" if choice.memory > self._machine else ""
        shards = f"{len(choice.files)} shards: " if len(choice.files) > 1 else ""
        return (
            (choice.quantisation or "?", ""),
            (size_text(choice.size), ""),
            (size_text(choice.memory), large),
            (f"{shards}{choice.names[0]}", "muted"),
        )


class _Work(threading.Thread):
    """Does one thing beside the screen, and says how far it is. Nobody waits for it when the studio ends."""

    def __init__(self, task: Callable[[_Work], object], what: str = "") -> None:
        super().__init__(daemon=True)
        self._task = task
        self.cancel = CancelToken()
        self.result: object = None
        self.fault: StudioError | None = None
        self.what, self.done, self.total = what, 0, 0
        self.began = (0, 0.0)
        """How much was there when this kind of work began, and when that was."""

    def run(self) -> None:
        try:
            self.result = self._task(self)
        except Exception as error:
            self.fault = unexpected(error)

    def report(self, what: str, done: int, total: int) -> None:
        """Take how many bytes of how many are done."""
        if what != self.what:
            self.began = (done, time.monotonic())
        self.what, self.done, self.total = what, done, total


def _progress(work: _Work) -> Content:
    if work.cancel.cancelled:
        return Content("stopping …")
    if not work.total:
        return Content(work.what)
    filled = min(work.done * _BAR // work.total, _BAR)
    words = f"{work.done * 100 // work.total:>3} %  {size_text(work.done)} of {size_text(work.total)}"
    seconds = time.monotonic() - work.began[1]
    came = work.done - work.began[0]
    speed = f"  {size_text(int(came / seconds))}/s" if seconds >= 1 and came else ""
    return Content(f"{work.what.partition(' ')[0]} {'━' * filled}{'─' * (_BAR - filled)} {words}{speed}")


def _about(offer: Offer) -> Content:
    parameters = count_text(offer.parameters) if offer.parameters else ""
    context = f"context {offer.context_length:,}" if offer.context_length else ""
    made = f"made from {', '.join(offer.base_models)}" if offer.base_models else ""
    access = "its owner gives it to accounts that ask" if offer.gated else ""
    others = f"{len(offer.others)} {'file' if len(offer.others) == 1 else 'files'} left out" if offer.others else ""
    lines = (
        f"licence {offer.licence or 'not said: see its page'}",
        " · ".join(filter(None, (parameters, offer.architecture, context))) or "parameters not said",
        " · ".join(filter(None, (made, access, others))),
    )
    return Content("\n".join(display_line(line, 200) for line in lines))
