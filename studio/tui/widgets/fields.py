"""Fields, lists to choose from, and tracks on which a limit is moved.

In a field text of any origin may be typed, pasted or corrected: it holds it as it is, and shows it so that nothing of it acts. What
`display` would replace is drawn as one visible mark a character, so that the cursor goes over it, and it can be deleted, as over any
other. A field's text is what was put in, byte for byte, but for what somebody typed or took away.

Lists take keys from their first moment. Textual's own fail on page keys that come before there are lines.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, TypeVar
from unicodedata import category

from rich.highlighter import Highlighter
from rich.text import Text
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.content import Content
from textual.events import Click, Key, Paste
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Checkbox, Input, OptionList, Select, TextArea
from textual.widgets.text_area import Edit, EditResult, Location

from studio.text import display
from studio.tui.keys import bind
from studio.tui.widgets.frame import POINTER

_UNPICTURED = "\u00a4"
"""Drawn for an acting character that has no picture of its own."""
_STAND_INS = 0x100000
"""From here on, in the last plane for private use, characters stand for others in a document."""


class _Typed:
    """Takes what Textual's fields do not: what joins or turns other characters, which they hold for no text, and all lines of a paste."""

    def on_key(self, event: Key) -> None:
        if event.character is not None and category(event.character) == "Cf":
            event.prevent_default()
            event.stop()
            self.put_in(event.character)

    def on_paste(self, event: Paste) -> None:
        """Terminals send line breaks as carriage returns."""
        event.prevent_default()
        event.stop()
        self.put_in(event.text.replace("\r\n", "\n").replace("\r", "\n"))

    @abstractmethod
    def put_in(self, text: str) -> None:
        """Put `text` in the place of what is selected."""


class SafeInput(_Typed, Input):
    """One line, line breaks among its marks. `text` is what it holds; its `value` is for Textual, with stand-ins for what acts."""

    DEFAULT_CSS = """
    SafeInput { width: 1fr; }
    """

    def __init__(self, text: str = "", **more: Any) -> None:
        self._stand_ins = StandIns(but="")
        super().__init__(self._stand_ins.put(text), highlighter=_Marks(self), compact=True, **more)

    @property
    def text(self) -> str:
        return self._stand_ins.take(self.value)

    @text.setter
    def text(self, text: str) -> None:
        self.value = self._stand_ins.put(text)

    @property
    def selected_text(self) -> str:
        """What is copied and cut, as it is."""
        return self._stand_ins.take(super().selected_text)

    def validate_value(self, value: str) -> str:
        """Let nothing in that acts; what stands for something goes on to do so."""
        return self._stand_ins.put(value, again=True)

    def replace(self, text: str, start: int, end: int) -> None:
        super().replace(self._stand_ins.put(text), start, end)

    def put_in(self, text: str) -> None:
        self.replace(text.strip("\n"), *self.selection)


class _Marks(Highlighter):
    """What an input draws in place of its value."""

    def __init__(self, field: SafeInput) -> None:
        self._field = field

    def __call__(self, _value: str | Text) -> Text:
        return Text(_marked(self._field.text), no_wrap=True, overflow="ignore", end="")

    def highlight(self, text: Text) -> None:
        """Nothing more."""


class SafeTextArea(_Typed, TextArea):
    """Several lines. In the document each character that acts is stood for by a private one; `text` has it as it is."""

    def __init__(self, text: str = "", **more: Any) -> None:
        self._stand_ins = StandIns()
        super().__init__(self._stand_ins.put(text), soft_wrap=True, show_line_numbers=False, compact=True, **more)
        self.cursor_blink = False

    @property
    def text(self) -> str:
        return self._stand_ins.take(self.document.text)

    @text.setter
    def text(self, value: str) -> None:
        self.load_text(value)

    def load_text(self, text: str) -> None:
        """Show `text` in place of what is shown."""
        super().load_text(self._stand_ins.put(text))

    def get_text_range(self, start: Location, end: Location) -> str:
        """Return a part of the text, as it is: what is copied."""
        return self._stand_ins.take(super().get_text_range(start, end))

    def edit(self, edit: Edit) -> EditResult:
        """Take an edit, and return what it replaced as it was: what is cut."""
        edit.text = self._stand_ins.put(edit.text)
        done = super().edit(edit)
        return EditResult(done.end_location, self._stand_ins.take(done.replaced_text))

    def get_line(self, line_index: int) -> Text:
        line = self._stand_ins.take(self.document.get_line(line_index))
        return Text(_marked(line), end="", no_wrap=True)

    def put_in(self, text: str) -> None:
        if not self.read_only:
            self.move_cursor(self.replace(text, *self.selection, maintain_selection_offset=False).end_location)


class StandIns:
    """Private characters for those that act on a terminal or break lines, one for each that has occurred; `take` undoes `put`.

    Textual measures, wraps and splits what it is given: with the characters themselves it would lose its place, and some of them.
    """

    def __init__(self, but: str = "\n") -> None:
        """`but`: characters that stay what they are."""
        self._but = but
        self._of: dict[int, str] = {}
        self._for: dict[int, str] = {}
        self._next = count(_STAND_INS)

    def put(self, text: str, *, again: bool = False) -> str:
        """Return `text` with stand-ins, as long as it is. What could be taken for one gets one, too, unless it has them `again`."""
        there = {ord(each) for each in text}
        kept = there & self._for.keys() if again else set()
        for code in there - kept - self._of.keys():
            character = chr(code)
            if character not in self._but and (code >= _STAND_INS or character == "\n" or display(character) != character):
                stand_in = next(self._next)
                self._of[code], self._for[stand_in] = chr(stand_in), character
        return text.translate({code: self._of[code] for code in there & self._of.keys() - kept})

    def take(self, text: str) -> str:
        return text.translate(self._for)


def mark_of(character: str) -> str:
    """Return what is drawn for a character: itself, its picture, or a mark; a cell wide where `display` replaces it."""
    if character == "\n":
        return "\u240a"
    shown = display(character)
    return shown if len(shown) == 1 else _UNPICTURED


def _marked(text: str) -> str:
    return text.translate({ord(each): mark_of(each) for each in set(text)})


def turn_page(listing: OptionList, pages: int, lines: int = 1) -> None:
    """Move the cursor of a list by pages of options that have so many lines each."""
    if listing.option_count:
        place = (listing.highlighted or 0) + pages * max(listing.size.height // lines, 1)
        listing.highlighted = min(max(place, 0), listing.option_count - 1)


_LONGEST_SOUGHT = 1_000


class Palette(CommandPalette):
    """The commands. Textual's own fails on page keys, too, on words that are still looked for as it closes, and on closing twice."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("page-down", "page(1)", "Page down", "A page of commands down", show=False),
        bind("page-up", "page(-1)", "Page up", "A page of commands up", show=False),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The page keys are this one's."""
        return not (action == "command_list" and str(*parameters).startswith("page")) and super().check_action(action, parameters)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close, unless it has closed already; look for nothing more."""
        self.workers.cancel_node(self)
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def on_mount(self) -> None:
        """Nobody looks for so much, and in a long line with tabs Textual's own field takes seconds for each key."""
        self.query_one(Input).max_length = _LONGEST_SOUGHT

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look for nothing that was typed before it closed."""
        if not self.is_active:
            event.prevent_default()

    def action_page(self, pages: int) -> None:
        """Go a page of commands, of two lines each, up or down."""
        turn_page(self.query_one(OptionList), pages, 2)


Value = TypeVar("Value")


class Choice(Select[Value]):
    """A compact `Select` with our page keys."""

    DEFAULT_CSS = """
    Choice { width: 1fr; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("page-down", "page(1)", "Page down", "A page of choices down", show=False, priority=True),
        bind("page-up", "page(-1)", "Page up", "A page of choices up", show=False, priority=True),
    ]

    def __init__(self, options: Iterable[tuple[Content | str, Value]], **more: Any) -> None:
        super().__init__(options, compact=True, **more)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There are no pages while its list is closed."""
        return self.expanded if action == "page" else super().check_action(action, parameters)

    def action_page(self, pages: int) -> None:
        turn_page(self.query_one(OptionList), pages)


class MarkedBox(Checkbox):
    """Its mark is there or not; Textual's own differs by colour alone."""

    DEFAULT_CSS = """
    MarkedBox { background: transparent; width: auto; & > .toggle--button { background: $surface; } }
    """
    BUTTON_INNER = " "

    def __init__(self, label: Content, **more: Any) -> None:
        super().__init__(label, compact=True, **more)

    def watch_value(self) -> None:
        """Draw the other mark, and tell."""
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()


class FindLine(SafeInput):
    """Out of sight until it is opened; its screen looks, and takes the focus back when it is left."""

    DEFAULT_CSS = """
    FindLine, FindLine:focus { dock: bottom; margin-bottom: 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [bind("back", "leave", "Done", "Back to what was found.")]

    class Wanted(Message):
        """Other words are looked for, or the same `again`, one place further on."""

        def __init__(self, words: str, *, again: bool) -> None:
            super().__init__()
            self.words = words.lower().split()
            self.again = again

        def fits(self, text: str) -> bool:
            """Whether a text has all the words, in any case."""
            return all(word in text.lower() for word in self.words)

    class Left(Message):
        """The words are done with."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, id="find-line")
        self.display = False

    def open(self) -> None:
        self.display = True
        # At once: `focus()` waits for a turn of its own, and letters that come by then would be keys.
        self.screen.set_focus(self)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Wanted(self.text, again=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Wanted(self.text, again=True))

    def action_leave(self) -> None:
        self.display = False
        self.post_message(self.Left())


class LimitBar(Widget, can_focus=True):
    """A track from 0 to `top`; `own` is where the run has the limit, or the newest of its rounds: there the bar changes nothing."""

    DEFAULT_CSS = """
    LimitBar { height: 1; padding: 0 1 0 0; }
    LimitBar:focus { background: $block-cursor-background; color: $block-cursor-foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left", "move(-0.01)", "-0.01", "A little lower", show=False),
        bind("right", "move(0.01)", "Move", "A little higher"),
        bind("far-left", "move(-0.05)", "-0.05", "Lower by 0.05", show=False),
        bind("far-right", "move(0.05)", "+0.05", "Higher by 0.05", show=False),
        bind("drop", "reset", "Run's own", "Back to where the run has it"),
    ]
    value: reactive[float] = reactive(0.0)
    own: reactive[float] = reactive(0.0)
    top: reactive[float] = reactive(1.0)

    def __init__(self, title: str, owner: str = "the run's", at: float = 0.0, *, id: str, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self._title = title
        self._owner = owner
        self.set_reactive(LimitBar.value, at)
        self.set_reactive(LimitBar.own, at)

    @dataclass
    class Changed(Message):
        """The limit was moved."""

        value: float

    @property
    def changed(self) -> float | None:
        """Where the limit is; None where the run has it."""
        return None if self.value == round(self.own, 2) else self.value

    def validate_value(self, value: float) -> float:
        return round(min(max(value, 0.0), self.top), 2)

    def watch_value(self, before: float, after: float) -> None:
        if before != after:
            self.post_message(self.Changed(after))

    def action_move(self, by: float) -> None:
        self.value += by

    def action_reset(self) -> None:
        self.value = self.own

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and 0 <= (at := offset.x - self._left) < self._track:
            self.value = at / max(self._track - 1, 1) * self.top

    @property
    def _left(self) -> int:
        return len(f" {self._title}  0.70  ")

    @property
    def _right(self) -> str:
        return f"  {self._owner} {self.own:.2f}"

    @property
    def _track(self) -> int:
        return max(self.content_size.width - self._left - len(self._right) - 1, 10)

    def render(self) -> Content:
        track, top = self._track, self.top or 1.0
        value = self.own if self.changed is None else self.value
        at, own = (round(min(where / top, 1.0) * (track - 1)) for where in (value, self.own))
        cells = ["━" if place < at else "─" for place in range(track)]
        cells[own] = "┼"
        cells[at] = "●"
        return Content.assemble(
            POINTER if self.has_focus else " ",
            (f"{self._title}  ", "$text-muted"),
            (f"{self.value:.2f}  ", "bold"),
            "".join(cells),
            (self._right, "$text-muted"),
        )
