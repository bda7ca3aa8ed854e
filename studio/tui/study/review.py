"""The review screen: a task, three questions, one key each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from studio.insight.studies.raters import Walk
from studio.insight.studies.review import Reviewing
from studio.pool.reviews import Rating, ReviewItem, Reviews
from studio.tui.cells import LONG, clip, cut
from studio.tui.keys import bind, key_of
from studio.tui.study.screen import LOOKING, STUDY_KEYS, Desk, StudyScreen
from studio.tui.widgets.header import TooSmall
from studio.tui.widgets.key_bar import KeyBar
from studio.tui.widgets.pane import Pane

ASKED = ("Does the instruction describe a valid task?", "Is the input appropriate for it?", "Is the output correct and acceptable?")
"""The paper's three questions, short enough for a narrow screen."""
_BAR = 16
_DONE = "all done: studio review POOL --report has the figures"

Part = str | tuple[str, str]


def item_text(item: ReviewItem) -> Content:
    """Instruction, input and output; all of it cleaned, none of it markup."""
    parts: list[Part] = []
    for title, text in (("Instruction", item.instruction), ("Input", item.input), ("Output", item.output)):
        parts += ["\n" if parts else "", (f"{title}\n", "bold $text-primary"), cut(text, LONG) if text else ("(none)", "$text-muted"), "\n"]
    return Content.assemble(*parts)


def place_line(walk: Walk[Any, Any], title: str, width: int) -> Content:
    """Who rates what, and how far it is, in one line."""
    complete, skipped = walk.counts
    total = len(walk.items)
    settled = complete + skipped
    words = f"task {walk.position + 1} of {total} · {complete} complete, {skipped} skipped "
    room = width - len(words) - 3
    left = clip(f"{title} {walk.study} · {walk.rater}", max(room, 8))
    # In a narrow window the bar gives way to the name.
    bar = min(_BAR, max(room - cell_len(left), 0))
    filled = settled * bar // total if settled < total else bar
    return Content.assemble((left, "bold"), " · ", words, ("━" * filled, "$success"), ("─" * (bar - filled), "$text-muted"))


def question_lines(reviewing: Reviewing, width: int) -> Content:
    """The three questions with the answers, the one that is asked with a mark; below, what else the rater said of the item."""
    return Content.assemble(*_questions(reviewing, width))


def _questions(reviewing: Reviewing, width: int) -> Iterator[Part]:
    rating = reviewing.rating
    for place, words in enumerate(ASKED):
        here = place == reviewing.question
        yield ("▸ " if here else "  ", "bold $accent")
        given = rating.answers[place]
        shown, style = {None: ("y/n", "$text-muted"), True: ("yes", "bold $success"), False: ("no ", "bold $error")}[given]
        yield (shown, style if not rating.skipped else "$text-muted")
        yield ("  " + words + "\n", "bold" if here else "")
    yield from said_besides(reviewing, width, f"  tab marks another question, {key_of('next-open')} goes to the next open task", _DONE)


def said_besides(walk: Walk[Any, Any], width: int, otherwise: str, done: str) -> Iterator[Part]:
    """What else the rater said of the item, and `done` when he is; `otherwise` where there is nothing."""
    rating = walk.rating
    said = [("skipped", "bold $text-warning")] if rating.skipped else []
    if walk.finished:
        said.append((done, "bold $success"))
    for words, style in said:
        yield (f"  {words} ", style)
    if rating.note:
        used = sum(len(words) + 3 for words, _ in said)
        yield clip(f"  note: {rating.note}", max(width - used, 10))
    elif not said:
        yield (otherwise, "$text-muted")


class ReviewScreen(StudyScreen[ReviewItem, Rating]):
    """Made with a rater's place in a sample and the desk that stores what he says."""

    HELP = """\
## Review

Three questions about each task of a random sample, as in the paper: does the **instruction** describe a valid task? Is the **input**
appropriate for the instruction? Is the **output** a correct and acceptable response to the instruction and input? An empty input is
appropriate where the instruction needs none.

**y** and **n** answer the marked question and go on to the next, after the third to the next task. **tab** marks another question, to
answer it anew. **-** skips a task that cannot be judged, or no longer; a skipped task counts nowhere. **N** writes a note. **u** takes back
your newest key, whenever it was, **U** does it again. **←** and **→** look at other tasks, **>** goes to the next that is open.

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
        bind("yes", "answer(True)", "Yes", "Answer the marked question with yes"),
        bind("no", "answer(False)", "No", "Answer the marked question with no"),
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
