"""The review screen: a task, three questions, one key each."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from studio.insight.reviewing import Reviewing
from studio.pool.studies.reviews import Rating, ReviewItem, Reviews
from studio.tui.study_desk import Desk
from studio.tui.study_screen import LOOKING, STUDY_KEYS, StudyScreen
from studio.tui.widgets.key_bar import KeyBar
from studio.tui.widgets.pane import Pane
from studio.tui.widgets.review_item import item_text, place_line, question_lines
from studio.tui.widgets.too_small import TooSmall


class ReviewScreen(StudyScreen[ReviewItem, Rating]):
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
        *STUDY_KEYS,
    ]

    def __init__(self, reviewing: Reviewing, desk: Desk[Reviews]) -> None:
        super().__init__(reviewing, desk)
        self.reviewing = reviewing

    def compose(self) -> ComposeResult:
        """Where one is, the task, the questions."""
        yield Static(id="place", markup=False)
        with Pane(id="item-pane"):
            yield Static(id="item", markup=False)
        yield Static(id="questions", markup=False)
        yield KeyBar(later=LOOKING)
        yield TooSmall()

    def on_mount(self) -> None:
        """Arrows scroll the task."""
        self.query_one(Pane).focus()
        self.show()

    def draw(self, width: int) -> None:
        """Where one is, and the questions."""
        self.query_one("#place", Static).update(place_line(self.reviewing, "Review", width))
        self.query_one("#questions", Static).update(question_lines(self.reviewing, width))

    def draw_item(self) -> None:
        """The task, from its beginning."""
        self.query_one("#item", Static).update(item_text(self.reviewing.item))
        self.query_one(Pane).scroll_home(animate=False)
