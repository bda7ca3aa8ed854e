"""The pool's list: what to look for, words with choices and ranges that narrow it further, all of them at work as one types; and the table
of what is found, tasks or rejected candidates. Among the words `lint:CODE` finds what a lint reports.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.message import Message
from textual.widgets import Input, Label, Select

from studio.errors import PoolError, UsageError
from studio.insight.lint.api import Lint, LintOptions
from studio.insight.lint.run import find_lint, run_lints
from studio.loop.filters import INSTRUCTION_REASONS, OTHER_RULES
from studio.pool.browse import BrowseRow, Keep, Kind, Selection, Sort
from studio.pool.pool import Queries
from studio.records import Origin, Source, TaskState
from studio.text import spoken
from studio.tui.keys import bind
from studio.tui.steering import PoolAccess
from studio.tui.widgets.fields import Choice, SafeInput
from studio.tui.widgets.frame import SOURCES
from studio.tui.widgets.table import Cell, Column, IdTable

T = TypeVar("T")

PREFIX = "lint:"


def split_words(text: str) -> tuple[list[str], str]:
    """Return the codes that `text` names, and its other words.

    >>> split_words("river lint:email")
    (['email'], 'river')
    """
    words = text.split(" ")
    codes = [word.removeprefix(PREFIX) for word in words if word.startswith(PREFIX)]
    return codes, " ".join(word for word in words if not word.startswith(PREFIX)) if codes else text


class LintSearch:
    """Looks for faults once for each state of the pool; used by one thread at a time."""

    def __init__(self) -> None:
        self._version = -1
        self._found: dict[str, frozenset[int]] = {}

    def browse(self, pool: Queries, wanted: Selection, tell: Callable[[int, int], bool]) -> array[int]:
        """Return the ids that `wanted` selects; where its text names lints, of those the tasks that all of them report.

        `tell` is told how many steps are done, of how many, and says whether anybody still waits for the answer. Raises UsageError for a
        code that is none, PoolError as reading does and when nobody waits any more.
        """
        codes, words = split_words(wanted.text)
        if not codes:
            return pool.browse.ids(wanted)
        lints = [_usable(code) for code in codes]
        if wanted.kind is not Kind.TASKS:
            raise UsageError("lints look at tasks only", "choose tasks, or leave lint: out")
        version = pool.version()
        if version != self._version:
            self._version, self._found = version, {}

        def progress(_what: str, done: int, steps: int) -> None:
            if not tell(done, steps):
                raise PoolError("given up")

        for lint in lints:
            if lint.code not in self._found:
                [report] = run_lints(pool.stream, [lint], LintOptions(), progress).found
                self._found[lint.code] = frozenset(report.task_ids)
        found = pool.browse.ids(replace(wanted, text=words))
        return array("q", (task_id for task_id in found if all(task_id in self._found[lint.code] for lint in lints)))


def _usable(code: str) -> Lint:
    lint = find_lint(code)
    if lint.needs_file:
        raise UsageError(f"the lint {code} compares the pool with a file", "studio lint POOL --against FILE")
    return lint


ANY = ""
_NUMBER = re.compile(r"[0-9]{0,12}\.?[0-9]{1,12}")
_FAR = 1e15
_ACCEPTING = ("novel", OTHER_RULES)
"""Reasons that no rejected candidate has."""
_CLASS = {"yes": True, "no": False}
_CHOICES: dict[str, tuple[tuple[str, str], ...]] = {
    "kind": (("tasks", Kind.TASKS), ("rejected candidates", Kind.REJECTED)),
    "origin": (("any origin", ANY), *((each.value, each.value) for each in Origin)),
    "class": (("any class", ANY), ("classification", "yes"), ("not classification", "no")),
    "state": (("any state", ANY), *((each.value, each.value) for each in TaskState), ("marked", "marked"), ("with a note", "noted")),
    "reason": (("any reason", ANY), *((spoken(reason), reason) for reason in INSTRUCTION_REASONS if reason not in _ACCEPTING)),
    "sort": (
        *(("by id", Sort.ID), ("by score", Sort.SCORE), ("by length", Sort.LENGTH), ("by text", Sort.TEXT)),
        *(("by nats", Sort.NATS), ("by agreement", Sort.AGREEMENT), ("by answer's nats", Sort.ANSWER_NATS)),
    ),
}


class FilterBar(Vertical):
    """A line for words, and a line of choices that can be folded away."""

    DEFAULT_CSS = """
    FilterBar { height: auto; background: $surface; padding: 0 1; }
    FilterBar Input { border: none; height: 1; padding: 0; background: $surface; }
    FilterBar Input:focus { background: $panel; }
    FilterBar Horizontal { height: 1; }
    FilterBar Label { color: $text-muted; width: auto; margin-right: 1; }
    FilterBar #words { width: 1fr; }
    FilterBar Select { width: 15; height: 1; margin-right: 1; }
    FilterBar #kind { width: 22; }
    FilterBar #class { width: 21; }
    FilterBar #reason { width: 27; }
    FilterBar #sort { width: 20; }
    FilterBar .range { width: 13; background: $panel; margin-right: 2; }
    FilterBar .range.-invalid { color: $text-error; text-style: underline; }
    FilterBar .-off { display: none; }
    FilterBar.-folded .fold { display: none; }
    """

    @dataclass
    class Changed(Message):
        """Something else is looked for. `typed` says that more letters may follow at once."""

        selection: Selection
        typed: bool

    class Left(Message):
        """The words are done with: back to the list."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.selection = Selection()
        self._descending = False

    def compose(self) -> ComposeResult:
        yield Horizontal(Label("find"), SafeInput(placeholder="words of the instruction, or lint:CODE", id="words"))
        of_tasks = (_choice(name, "of-tasks") for name in ("origin", "class", "state"))
        yield Horizontal(_choice("kind"), *of_tasks, _choice("reason", "of-rejected"), classes="fold")
        ranges = (*_field("rounds", "rounds", "any, or 3-7"), *_field("score", "scores", "any, or .5-.7"))
        yield Horizontal(_choice("sort"), *ranges, classes="fold")
        yield Horizontal(*_field("tag", "tag"), *_field("quality from", "quality", "any, or .67"), classes="fold of-tasks")
        scores = (*_field("nats to", "nats"), *_field("answer's", "answer_nats"), *_field("agreement from", "agreement"))
        yield Horizontal(*scores, classes="fold of-tasks")

    def on_mount(self) -> None:
        self._show_choices()

    def focus_words(self) -> None:
        self.query_one("#words", Input).focus()

    def focus_choices(self) -> None:
        """Unfold the choices and go to the first."""
        self.remove_class("-folded")
        self.query_one("#kind", Select).focus()

    def sort_by(self, sort: Sort) -> None:
        """Sort by something else, or the other way round when it is the same."""
        self._descending = not self._descending if sort is self.selection.sort else False
        self.query_one("#sort", Select).value = sort
        self._take(typed=False)

    def reset(self) -> None:
        """Look for everything of this kind again."""
        for field in self.query(Input):
            field.value = ""
        for choice in self.query(Select):
            if choice.id not in ("kind", "sort"):
                choice.value = ANY

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._take(typed=True)

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        self._show_choices()
        self._take(typed=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Left())

    def on_key(self, event: Key) -> None:
        if event.key in ("escape", "down") and isinstance(self.app.focused, Input):
            event.stop()
            self.post_message(self.Left())

    def _show_choices(self) -> None:
        rejected = self._value("kind") == Kind.REJECTED
        self.query(".of-tasks").set_class(rejected, "-off")
        self.query(".of-rejected").set_class(not rejected, "-off")

    def _value(self, name: str) -> Any:
        return self.query_one(f"#{name}", Select).value

    def _take(self, *, typed: bool) -> None:
        rounds, scores = self._parsed("rounds", parse_range), self._parsed("scores", parse_range)
        state, tag = self._value("state"), self.query_one("#tag", SafeInput).text.strip()
        selection = Selection(
            kind=Kind(self._value("kind")),
            text=self.query_one("#words", SafeInput).text,
            origin=Origin(origin) if (origin := self._value("origin")) else None,
            state=TaskState(state) if state in list(TaskState) else None,
            is_classification=_CLASS.get(self._value("class")),
            marked=state == "marked",
            reason=self._value("reason"),
            rounds=None if rounds is None else (int(rounds[0]), int(rounds[1])),
            scores=scores,
            sort=Sort(self._value("sort")),
            descending=self._descending,
            keep=Keep(
                self._number("quality", most=1),
                tags=(tag,) if tag else (),
                noted=state == "noted",
                max_nats=self._number("nats"),
                min_agreement=self._number("agreement", most=1),
                max_answer_nats=self._number("answer_nats"),
            ),
        )
        if selection != self.selection:
            self.selection = selection
            self.post_message(self.Changed(selection, typed=typed))

    def _number(self, name: str, most: float = _FAR) -> float | None:
        return self._parsed(name, lambda text: float(text) if _NUMBER.fullmatch(text) and float(text) <= most else None)

    def _parsed(self, name: str, parse: Callable[[str], T | None]) -> T | None:
        """What `parse` makes of a field; it is marked where that is nothing."""
        field = self.query_one(f"#{name}", SafeInput)
        text = field.text.strip()
        found = parse(text)
        field.set_class(bool(text) and found is None, "-invalid")
        return found


def _choice(name: str, classes: str = "") -> Select[str]:
    return Choice(_CHOICES[name], allow_blank=False, id=name, classes=classes)


def _field(words: str, name: str, placeholder: str = "any") -> tuple[Label, SafeInput]:
    return Label(words, markup=False), SafeInput(placeholder=placeholder, id=name, classes="range")


def parse_range(text: str) -> tuple[float, float] | None:
    """Return the two ends that `3-7`, `3-`, `-7` or `5` name, both included; None for empty or other text. An open end is far away."""
    low, dash, high = (part.strip() for part in text.partition("-"))
    if not (low or high) or not all(_NUMBER.fullmatch(end) for end in (low, high) if end):
        return None
    return float(low or 0), float(high or _FAR) if dash else float(low)


def words_of(selection: Selection) -> Iterator[str]:
    """Yield what a selection asks for, in words, for the line that says what is shown."""
    if selection.text.strip():
        yield f"with “{selection.text.strip()}”"
    tasks = selection.kind is Kind.TASKS
    if tasks:
        if selection.origin is not None:
            yield selection.origin.value
        if selection.is_classification is not None:
            yield "classification" if selection.is_classification else "not classification"
        if selection.state is not None:
            yield selection.state.value
        if selection.marked:
            yield "marked"
        if selection.keep.noted:
            yield "with a note"
        yield from (f"tagged “{tag}”" for tag in selection.keep.tags)
        if selection.keep.min_quality is not None:
            yield f"quality from {selection.keep.min_quality:g}"
        scores = (("nats to", selection.keep.max_nats), ("answer's nats to", selection.keep.max_answer_nats))
        yield from (f"{name} {value:g}" for name, value in (*scores, ("agreement from", selection.keep.min_agreement)) if value is not None)
    elif selection.reason:
        yield spoken(selection.reason)
    for name, ends in (("rounds", selection.rounds), ("score", selection.scores)):
        if ends is not None:
            yield f"{name} {_ends(*ends)}"


def _ends(low: float, high: float) -> str:
    return f"{low:g} and up" if high >= _FAR else f"{low:g}" if low == high else f"{low:g}–{high:g}"


_TASKS = (
    Column("id", 8, right=True, sort=Sort.ID),
    Column("origin", 11),
    Column("class", 5),
    Column("round", 5, right=True),
    Column("score", 5, right=True, sort=Sort.SCORE),
    Column("inst", 4, right=True),
    Column("instruction", 0, sort=Sort.TEXT),
)
_REJECTED = (
    Column("id", 8, right=True, sort=Sort.ID),
    Column("round", 5, right=True),
    Column("score", 5, right=True, sort=Sort.SCORE),
    Column("reason", 22),
    Column("src", 4),
    Column("candidate", 0, sort=Sort.TEXT),
)
_COLUMNS = {Kind.TASKS: _TASKS, Kind.REJECTED: _REJECTED}
_SORTED_BY = {
    Sort.NATS: Column("nats", 5, right=True, sort=Sort.NATS),
    Sort.AGREEMENT: Column("agree", 5, right=True, sort=Sort.AGREEMENT),
    Sort.ANSWER_NATS: Column("a nats", 6, right=True, sort=Sort.ANSWER_NATS),
}
"""Columns that stand there only while the list is sorted by them."""
_NARROW = 100
"""Below this width the columns that filters tell too are left out."""
_LEFT_OUT = ("inst", "class", "round")


class TaskTable(IdTable):
    """Shows either kind; `kind` changes with `show_kind`."""

    # The table's own key, named in the footer: it is the first one that a list asks for.
    BINDINGS: ClassVar[list[BindingType]] = [bind("open", "select", "Read", "Show all about the task under the cursor")]

    def __init__(self, access: PoolAccess, *, id: str | None = None) -> None:
        super().__init__(_TASKS, self._rows_of, id=id)
        self.kind = Kind.TASKS
        self._access = access
        self._narrow = False
        self._sorted_by: Column | None = None

    def show_kind(self, kind: Kind, sort: Sort = Sort.ID) -> None:
        """Show rows of this kind, and what they are sorted by, from now on; their ids are still to come."""
        shown = _SORTED_BY.get(sort)
        if shown is not self._sorted_by:
            self._sorted_by = shown
            self._fit_columns()
        if kind is not self.kind:
            self.kind = kind
            # The same number is another row there: the cursor must not stay with it.
            self.show(array("q"))
            self._fit_columns()

    def on_resize(self) -> None:
        narrow = self.size.width < _NARROW
        if narrow is not self._narrow:
            self._narrow = narrow
            self._fit_columns()

    def _fit_columns(self) -> None:
        *others, text = (each for each in _COLUMNS[self.kind] if not (self._narrow and each.title in _LEFT_OUT))
        self.show_columns((*others, *([self._sorted_by] if self._sorted_by else []), text))

    async def _rows_of(self, ids: Sequence[int]) -> Mapping[int, Sequence[Cell]]:
        kind = self.kind
        rows = await self._access.ask(lambda pool: pool.browse.rows(kind, ids))
        titles = [column.title for column in self.columns]
        return {row.id: [_cell(row, title) for title in titles] for row in rows}


def _cell(row: BrowseRow, title: str) -> Cell:
    match title:
        case "id":
            return str(row.id), "muted"
        case "origin":
            return _origin(row)
        case "class":
            return {None: ("?", "muted"), True: ("yes", ""), False: ("no", "muted")}[row.is_classification]
        case "round":
            return ("" if row.round is None else str(row.round)), "muted"
        case "score":
            return ("" if row.score is None else f"{row.score:.2f}"), ""
        case "nats" | "agree" | "a nats":
            score = {"nats": row.nats, "agree": row.agreement, "a nats": row.answer_nats}[title]
            return ("" if score is None else f"{score:.2f}"), ""
        case "inst":
            return str(row.instances), "" if row.instances else "bad"
        case "src":
            return "" if row.source is None else SOURCES[row.source][1], "muted"
        case "reason":
            return spoken(row.reason), "bad"
        case _:
            return row.text, "muted" if row.state is TaskState.RETIRED else ""


def _origin(row: BrowseRow) -> Cell:
    if row.state is TaskState.RETIRED:
        return "retired", "bad"
    if row.state is TaskState.DRAFT:
        return "draft", "note"
    # Generated ones are those of lists; those whose request the model wrote itself, or for a passage, have their own words.
    origin = str(row.origin) if row.source is None or row.source is Source.IN_CONTEXT else SOURCES[row.source][0]
    return (f"* {origin}" if row.marked else origin), "note" if row.marked else "muted"
