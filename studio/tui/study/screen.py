"""What the screens have in common on which a rater goes through a study. What a key says is stored before the next one counts: at once
by the command's own writer, or on the runner's thread, which owns the pool of a session.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from textual.binding import BindingType
from textual.dom import DOMNode
from textual.events import Resize

from studio.errors import StudioError, UsageError
from studio.insight.studies.raters import Walk
from studio.loop.steering import Steering
from studio.pool.pool import Queries
from studio.pool.reviews import KeyPress, Said, Sheets
from studio.tui.base import ErrorDialog, Page, lay_over, leaving
from studio.tui.dialogs.edit import NoteDialog
from studio.tui.keys import bind
from studio.tui.runner import Told
from studio.tui.steering import Steerer, say_error

Desk = Callable[[Callable[[Queries, Any], Any], Callable[[Any], None]], None]
"""Lets something be done with the pool's read side and a study's write side, then tells its value, or the error that kept it from storing.

A UsageError is told at once where the pool is busy with a stage: nothing was done then, and nothing will be.
"""


def desk_of(reader: Queries, writer: Any) -> Desk:
    """A desk that stores before it returns; for whoever holds the writer's lock."""

    def call(act: Callable[[Queries, Any], Any], then: Callable[[Any], None]) -> None:
        try:
            value = act(reader, writer)
        except StudioError as error:
            value = error
        then(value)

    return call


def desk_of_steerer(owner: DOMNode, steerer: Steerer, writer: Callable[[Steering], Any]) -> Desk:
    """A desk that stores between stages, with the write side that `writer` takes of the session; `owner` is there as long as it is used."""
    return lambda act, then: steerer.ask(owner, lambda session, reader: act(reader, writer(session.steering)), then, then)


T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R", bound=Said[Any])

STUDY_KEYS: list[BindingType] = [
    bind("skip", "skip", "Skip", "Skip this task, or no longer"),
    bind("undo", "undo", "Undo", "Take back your newest key"),
    bind("redo", "redo", "Redo", "Do again what was taken back last", show=False),
    # With priority: the pane would scroll sideways.
    bind("left", "move(-1)", "Back", "Look at the task before", show=False, priority=True),
    bind("right", "move(1)", "Look", "Look at the next task", priority=True),
    bind("note", "note", "Note", "Write down a remark on this task"),
    bind("next-part", "ask(1)", "Which", "Mark the next question", show=False, priority=True),
    bind("part-before", "ask(-1)", "Which", "Mark the one before", show=False, priority=True),
    bind("next-open", "next_open", "Next open", "Go to the next task that is not rated", show=False),
    bind("back", "back", "Close", "Close; everything is stored"),
]
"""What every study has; the answers' own keys stand before them in the footer."""
LOOKING = ("right",)
"""Behind the keys that answer, though its priority puts it first."""


class StudyScreen(Page[None], Generic[I, R]):
    """Made with a rater's place in a study and the desk that stores what he says; a subclass draws the item and has the answers' keys."""

    def __init__(self, walk: Walk[I, R], desk: Desk) -> None:
        super().__init__()
        self.walk = walk
        self._desk = desk
        self._drawn = -1
        self._turning = False
        self._waiting: list[Callable[[], object]] = []
        """What keys ask for that were pressed behind an undo or redo: what they mean depends on where that leads."""

    @abstractmethod
    def draw(self, width: int) -> None:
        """Draw where one is and what was answered, in lines of `width` cells."""

    @abstractmethod
    def draw_item(self) -> None:
        """Draw the texts of the item, from their beginning."""

    def on_resize(self, event: Resize) -> None:
        """Lines are cut to the window."""
        if self.is_mounted:
            self.show(event.size.width)

    def show(self, width: int = 0) -> None:
        """Draw the item; from its beginning when it is another one."""
        self.draw((width or self.app.size.width) - 2)
        if self._drawn != self.walk.position:
            self._drawn = self.walk.position
            self.draw_item()

    def action_answer(self, given: Any) -> None:
        self._in_order(lambda: self._put(lambda: self.walk.answer(given)))

    def action_skip(self) -> None:
        self._in_order(lambda: self._put(self.walk.skip))

    def action_note(self) -> None:
        self._in_order(self._open_note)

    def _open_note(self) -> None:
        position = self.walk.position

        def store(text: str, stored: Callable[[], None], failed: Told) -> None:
            self.walk.go(position)
            self._put(lambda: self.walk.note(text), stored, failed)

        lay_over(self, NoteDialog(self.walk.rating.note, f"Note on task {position + 1} of the sample", store))

    def action_undo(self) -> None:
        self._in_order(lambda: self._turn(Sheets.undo, "There is nothing to take back."))

    def action_redo(self) -> None:
        self._in_order(lambda: self._turn(Sheets.redo, "There is nothing to do again."))

    def action_move(self, by: int) -> None:
        self._in_order(lambda: self._look(lambda: self.walk.go(self.walk.position + by)))

    def action_ask(self, by: int) -> None:
        self._in_order(lambda: self._look(lambda: self.walk.ask(by)))

    def action_next_open(self) -> None:
        def go() -> None:
            if not self.walk.next_open():
                self.notify("Every task of the sample is rated or skipped.", markup=False)

        self._in_order(lambda: self._look(go))

    def action_back(self) -> None:
        self._in_order(self.dismiss)

    def _in_order(self, act: Callable[[], object]) -> None:
        """Do what a key asks for now, or when the answer has come that the key before waits for."""
        if self._turning:
            self._waiting.append(act)
        else:
            act()

    def _look(self, move: Callable[[], object]) -> None:
        move()
        self.show()

    def _put(self, change: Callable[[], KeyPress[R]], stored: Callable[[], None] | None = None, failed: Told | None = None) -> None:
        """Do what a key says, and store it; where it cannot be stored it has not happened."""
        walk, before = self.walk, self.walk.place
        done = change()
        study, rater = walk.study, walk.rater

        def then(answer: StudioError | None) -> None:
            if answer is None:
                if stored is not None:
                    stored()
                return
            walk.restore(before)
            if failed is None:
                self._failed(answer)
            else:
                self.show()
                failed(answer)

        self._ask(lambda _, sheets: sheets.put(study, rater, done.position, done.rating), then)
        self.show()

    def _turn(self, turn: Callable[[Sheets[R], int, str], KeyPress[R] | None], nothing: str) -> None:
        study, rater = self.walk.study, self.walk.rater

        def then(answer: KeyPress[R] | StudioError | None) -> None:
            self._turning = False
            if isinstance(answer, StudioError):
                self._failed(answer)
            elif answer is None:
                self.notify(nothing, timeout=3, markup=False)
            else:
                self.walk.take(answer)
                self.show()
            while self._waiting and not self._turning:
                self._waiting.pop(0)()

        self._turning = True
        self._ask(lambda _, sheets: turn(sheets, study, rater), then)

    def _ask(self, act: Callable[[Any, Sheets[R]], T], then: Callable[[T | StudioError], None]) -> None:
        """Let it be done at the desk. An answer that comes when the screen has gone is for nobody, unless something was not stored."""

        def answered(answer: T | StudioError) -> None:
            if not leaving(self):
                then(answer)
            elif isinstance(answer, StudioError):
                say_error(self.app, answer)

        self._desk(act, answered)

    def _failed(self, error: StudioError) -> None:
        """Say what went wrong. Where something may have changed, show what is stored, whatever was on the screen."""
        if isinstance(error, UsageError):
            say_error(self.app, error)
            self.show()
            return
        study, rater = self.walk.study, self.walk.rater

        def then(answer: dict[int, R] | StudioError) -> None:
            if not isinstance(answer, StudioError):
                self.walk.renew(answer)
                self.show()

        self._ask(lambda _, sheets: sheets.said(study, rater), then)
        self.app.push_screen(ErrorDialog(error))
