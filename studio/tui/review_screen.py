"""The review screen: a task, three questions, one key each. What a key says is stored before the next one counts for anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import Footer, Static

from studio.errors import StudioError
from studio.insight.reviewing import Change, Reviewing
from studio.pool.queries import Queries
from studio.pool.review_records import Rating, Turn
from studio.pool.reviews import Reviews
from studio.tui.closing import Page
from studio.tui.dialogs import ErrorDialog
from studio.tui.note_dialog import NoteDialog
from studio.tui.review_desk import Desk
from studio.tui.widgets.pane import Pane
from studio.tui.widgets.review_item import item_text, place_line, question_lines
from studio.tui.widgets.too_small import TooSmall


class ReviewScreen(Page[None]):
    """Made with a rater's place in a sample and the desk that stores what he says."""

    HELP = """\
## Review

Three questions about each task of a random sample, as in the paper: does the **instruction** describe a valid task? Is the **input**
appropriate for the instruction? Is the **output** a correct and acceptable response to the instruction and input? An empty input is
appropriate where the instruction needs none.

**y** and **n** answer the marked question and go on to the next, after the third to the next task. **tab** marks another question, to
answer it anew. **s** skips a task that cannot be judged, or no longer; a skipped task counts nowhere. **e** writes a note. **u** takes back
your newest key, whenever it was, **U** does it again. **←** and **→** look at other tasks, **o** goes to the next that is open.

Each key is stored at once: stop whenever you like, and go on later where you were. Other raters' answers are not shown.
"""
    DEFAULT_CSS = """
    ReviewScreen { layers: base cover; }
    ReviewScreen #place { height: 1; padding: 0 1; background: $surface; dock: top; text-wrap: nowrap; }
    ReviewScreen Pane { height: 1fr; border-top: none; }
    ReviewScreen Pane:focus { border-top: none; }
    ReviewScreen #item { height: auto; }
    ReviewScreen #questions { height: 5; padding: 0 1; border-top: solid $border-blurred; text-wrap: nowrap; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="review.yes", tooltip="Answer the marked question with yes"),
        Binding("n", "answer(False)", "No", id="review.no", tooltip="Answer the marked question with no"),
        Binding("s", "skip", "Skip", id="review.skip", tooltip="Skip this task, or no longer"),
        Binding("e", "note", "Note", id="review.note", tooltip="Write down a remark on this task"),
        Binding("u", "undo", "Undo", id="review.undo", tooltip="Take back your newest key"),
        Binding("U,ctrl+y", "redo", "Redo", id="review.redo", tooltip="Do again what was taken back last", show=False),
        # With priority: the pane would scroll sideways.
        Binding("left", "move(-1)", "Back", id="review.back", tooltip="Look at the task before", priority=True),
        Binding("right", "move(1)", "Next", id="review.next", tooltip="Look at the next task", priority=True),
        Binding("tab", "ask(1)", "Which", id="review.which", tooltip="Mark the next question", show=False, priority=True),
        Binding("shift+tab", "ask(-1)", "Which", id="review.which-before", tooltip="Mark the one before", show=False, priority=True),
        Binding("o", "next_open", "Next open", id="review.open", tooltip="Go to the next task that is not rated", show=False),
        Binding("escape", "leave", "Close", id="review.close", key_display="esc", tooltip="Close; everything is stored"),
    ]

    def __init__(self, reviewing: Reviewing, desk: Desk) -> None:
        super().__init__()
        self.reviewing = reviewing
        self._desk = desk
        self._drawn = -1

    def compose(self) -> ComposeResult:
        """Where one is, the task, the questions."""
        yield Static(id="place", markup=False)
        with Pane(id="item-pane"):
            yield Static(id="item", markup=False)
        yield Static(id="questions", markup=False)
        yield Footer(show_command_palette=False)
        yield TooSmall()

    def on_mount(self) -> None:
        """Arrows scroll the task."""
        self.query_one(Pane).focus()
        self.show()

    def on_resize(self, event: Resize) -> None:
        """Lines are cut to the window."""
        if self.is_mounted:
            self.show(event.size.width)

    def show(self, width: int = 0) -> None:
        """Draw the item; from its beginning when it is another one."""
        width = (width or self.app.size.width) - 2
        reviewing = self.reviewing
        self.query_one("#place", Static).update(place_line(reviewing, width))
        self.query_one("#questions", Static).update(question_lines(reviewing, width))
        if self._drawn != reviewing.position:
            self._drawn = reviewing.position
            self.query_one("#item", Static).update(item_text(reviewing.item))
            self.query_one(Pane).scroll_home(animate=False)

    def action_answer(self, yes: bool) -> None:
        """Answer the marked question."""
        self._put(lambda: self.reviewing.answer(yes))

    def action_skip(self) -> None:
        """Skip the task, or no longer."""
        self._put(self.reviewing.skip)

    def action_note(self) -> None:
        """Write a note on the task that is shown now."""
        position = self.reviewing.position

        def done(text: str | None) -> None:
            if text is not None:
                self.reviewing.go(position)
                self._put(lambda: self.reviewing.note(text))

        self.app.push_screen(NoteDialog(self.reviewing.rating.note, f"Note on task {position + 1} of the sample"), done)

    def action_undo(self) -> None:
        """Take back the newest key."""
        review, rater = self.reviewing.review.id, self.reviewing.rater
        self._turn(lambda _, reviews: reviews.undo(review, rater), "There is nothing to take back.")

    def action_redo(self) -> None:
        """Do it again."""
        review, rater = self.reviewing.review.id, self.reviewing.rater
        self._turn(lambda _, reviews: reviews.redo(review, rater), "There is nothing to do again.")

    def action_move(self, by: int) -> None:
        """Look at another task."""
        self.reviewing.go(self.reviewing.position + by)
        self.show()

    def action_ask(self, by: int) -> None:
        """Mark another question."""
        self.reviewing.ask(self.reviewing.question + by)
        self.show()

    def action_next_open(self) -> None:
        """Go to the next task that is not settled."""
        if not self.reviewing.next_open():
            self.notify("Every task of the sample is rated or skipped.", markup=False)
        self.show()

    def action_leave(self) -> None:
        """Go back, or end."""
        self.dismiss()

    def _put(self, change: Callable[[], Change]) -> None:
        """Do what a key says, and store it; where it cannot be stored it has not happened."""
        reviewing, before = self.reviewing, self.reviewing.place
        done = change()
        review, rater = reviewing.review.id, reviewing.rater

        def then(answer: StudioError | None) -> None:
            if answer is not None:
                self._failed(answer)

        if not self._desk(lambda _, reviews: reviews.put(review, rater, done.position, done.rating), then):
            reviewing.restore(before)
            self._busy()
        self.show()

    def _turn(self, act: Callable[[Queries, Reviews], Turn | None], nothing: str) -> None:
        def then(answer: Turn | StudioError | None) -> None:
            if isinstance(answer, StudioError):
                self._failed(answer)
            elif answer is None:
                self.notify(nothing, timeout=3, markup=False)
            else:
                self.reviewing.take(answer)
                self.show()

        if not self._desk(act, then):
            self._busy()

    def _busy(self) -> None:
        self.notify("A stage is being played: stop it first, or wait until it ends.", severity="warning", markup=False)

    def _failed(self, error: StudioError) -> None:
        """Show what is stored, whatever was on the screen, and say what went wrong."""
        review, rater = self.reviewing.review.id, self.reviewing.rater

        def then(answer: dict[int, Rating] | StudioError) -> None:
            if not isinstance(answer, StudioError) and self.is_mounted:
                self.reviewing.renew(answer)
                self.show()

        self._desk(lambda reader, _: reader.ratings(review, rater), then)
        self.app.push_screen(ErrorDialog(error))
