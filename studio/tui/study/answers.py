"""What a rater answers: three questions about a task, a key each; or a grade for each of two answers, side by side or one above the
other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.events import Click
from textual.widgets import Static

from studio.insight.studies.raters import Walk
from studio.pool.evaluations import ComparisonItem, Grade, Grading
from studio.pool.reviews import Rating, ReviewItem
from studio.tui.keys import bind, key_of
from studio.tui.study.screen import LOOKING, STUDY_KEYS, StudyScreen
from studio.tui.widgets.frame import LONG, KeyBar, Pane, TooSmall, clip, cut

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


def question_lines(reviewing: Walk[ReviewItem, Rating], width: int) -> Iterator[Part]:
    """The three questions with the answers, the one that is asked with a mark; below, what else the rater said of the item."""
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

    def compose(self) -> ComposeResult:
        yield Static(id="place", markup=False)
        with Pane(id="item-pane"):
            yield Static(id="item", markup=False)
        yield Static(id="questions", markup=False)
        yield KeyBar(later=LOOKING)
        yield TooSmall()

    def on_mount(self) -> None:
        self.query_one(Pane).focus()
        self.show()

    def draw(self, width: int) -> None:
        self.query_one("#place", Static).update(place_line(self.walk, "Review", width))
        self.query_one("#questions", Static).update(Content.assemble(*question_lines(self.walk, width)))

    def draw_item(self) -> None:
        self.query_one("#item", Static).update(item_text(self.walk.item))
        self.query_one(Pane).scroll_home(animate=False)


MEANING = {Grade.A: "correct, satisfying", Grade.B: "minor faults", Grade.C: "relevant, major faults", Grade.D: "irrelevant, invalid"}
"""The paper's four grades, short enough for one line of a narrow screen."""

_GRADED = "all done: studio compare POOL --report unblinds"


def task_text(item: ComparisonItem) -> Content:
    """Instruction and input; all of it cleaned, none of it markup."""
    parts: list[Part] = [("Instruction\n", "bold $text-primary"), cut(item.instruction, LONG)]
    if item.input:
        parts += [("\nInput\n", "bold $text-primary"), cut(item.input, LONG)]
    return Content.assemble(*parts)


def answer_text(item: ComparisonItem, place: int) -> Content:
    """The answer on a side, 0 being the left."""
    text = item.answers[item.sides[place]]
    return Content.assemble(cut(text, LONG) if text.strip() else ("(empty)", "$text-muted"))


def answer_title(place: int, grade: Grade | None, marked: bool) -> str:
    """What stands above an answer: its number on the screen and its grade; nothing tells whose it is."""
    return f"{'▸ ' if marked else ''}Answer {place + 1}: {grade.value if grade else '–'}"


def grade_lines(walk: Walk[ComparisonItem, Any], width: int) -> Iterator[Part]:
    """The four grades with their meaning, that of the marked answer standing out; below, what else the rater said of the task."""
    given = walk.rating.answers[walk.question]
    used, room = 0, width - 10
    yield (f"▸ Answer {walk.order.index(walk.question) + 1}", "bold $accent")
    for grade, words in MEANING.items():
        here = f"   {grade.value} {words}"
        used += len(here)
        if used > room:
            yield "\n"
            used, room = len(here), width
        yield "   "
        yield (f"{grade.value}", "bold reverse" if grade is given else "bold $accent")
        yield (f" {words}", "bold" if grade is given else "")
    yield "\n"
    yield from said_besides(walk, width, f"  tab marks the other answer, {key_of('next-open')} goes to the next open task", _GRADED)


SIDES = ("left", "right")


class AnswerPane(Pane):
    """One of the two answers. A click marks it."""

    def on_click(self, event: Click) -> None:
        event.stop()
        if isinstance(self.screen, CompareScreen):
            self.screen.mark(SIDES.index(self.id or SIDES[0]))


class CompareScreen(StudyScreen[ComparisonItem, Grading]):
    """Made with a rater's place in a comparison and the desk that stores his grades."""

    HELP = """\
## Compare

Two models answered each task. Which answer is whose is drawn for each task anew and told only when you are done.

Grade both answers, each on its own: **a** correct and satisfying, **b** acceptable, with minor faults, **c** relevant, with major
faults, **d** irrelevant or invalid. A key grades the marked answer (**▸**) and goes on to the other, then to the next task. **tab**, or a
click, marks the other answer, to grade it anew. **-** skips a task that cannot be judged, or no longer; a skipped task counts nowhere.
**N** writes a note. **u** takes back your newest key, whenever it was, **U** does it again. **←** and **→** look at other tasks, **>** goes
to the next that is open. **↑** and **↓** scroll the marked answer, **enter** lets them scroll the task.

Each key is stored at once: stop whenever you like, and go on later where you were. Other raters' grades are not shown.
"""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  (Textual's own type)
    DEFAULT_CSS = """
    CompareScreen { layers: base cover; }
    CompareScreen #place { height: 1; padding: 0 1; background: $surface; dock: top; text-wrap: nowrap; }
    CompareScreen #task-pane { height: auto; max-height: 35%; border-top: none; }
    CompareScreen #task-pane:focus { border-top: none; background: $surface; }
    CompareScreen Static { height: auto; }
    CompareScreen #answers { height: 1fr; layout: vertical; }
    CompareScreen.-wide #answers { layout: horizontal; }
    CompareScreen AnswerPane { height: 1fr; width: 1fr; }
    CompareScreen AnswerPane.-marked { border-top: heavy $accent; border-title-color: $accent; border-title-style: bold; }
    CompareScreen #grades { height: 4; padding: 0 1; border-top: solid $border-blurred; text-wrap: nowrap; }
    CompareScreen.-wide #grades { height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("grade-a", "answer('A')", "A", "Grade the answer A"),
        bind("grade-b", "answer('B')", "B", "Grade the answer B"),
        bind("grade-c", "answer('C')", "C", "Grade the answer C"),
        bind("grade-d", "answer('D')", "D", "Grade the answer D"),
        bind("open", "scroll_task", "Task", "Let the arrows scroll the task", show=False),
        *STUDY_KEYS,
    ]

    def compose(self) -> ComposeResult:
        yield Static(id="place", markup=False)
        with Pane(id="task-pane"):
            yield Static(id="task", markup=False)
        with Container(id="answers"):
            for side in SIDES:
                with AnswerPane(id=side):
                    yield Static(id=f"{side}-text", markup=False)
        yield Static(id="grades", markup=False)
        yield KeyBar(later=LOOKING)
        yield TooSmall()

    def on_mount(self) -> None:
        self.show()

    def draw(self, width: int) -> None:
        walk = self.walk
        self.query_one("#place", Static).update(place_line(walk, "Compare", width))
        self.query_one("#grades", Static).update(Content.assemble(*grade_lines(walk, width)))
        for place, side in enumerate(SIDES):
            pane, answer = self.query_one(f"#{side}", AnswerPane), walk.order[place]
            marked = walk.question == answer
            pane.set_class(marked, "-marked")
            pane.border_title = Content(answer_title(place, walk.rating.answers[answer], marked))
            if marked:
                pane.focus(scroll_visible=False)

    def draw_item(self) -> None:
        item = self.walk.item
        self.query_one("#task", Static).update(task_text(item))
        for place, side in enumerate(SIDES):
            self.query_one(f"#{side}-text", Static).update(answer_text(item, place))
        for pane in self.query(Pane):
            pane.scroll_home(animate=False)

    def action_answer(self, given: str) -> None:
        super().action_answer(Grade(given))

    def action_scroll_task(self) -> None:
        """Let the arrows scroll the task until another key is pressed."""
        self.query_one("#task-pane", Pane).focus()

    def mark(self, place: int) -> None:
        """Mark the answer on a side: 0 is the left."""
        walk = self.walk
        self.action_ask(place - walk.order.index(walk.question))
