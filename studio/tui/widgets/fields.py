"""Fields and lists to choose from.

In a field text of any origin may be typed, pasted or corrected: it holds it as it is, and shows it so that nothing of it acts. What
`display` would replace is drawn as one visible mark a character, so that the cursor goes over it, and it can be deleted, as over any
other. A field's text is what was put in, byte for byte, but for what somebody typed or took away.

Lists take keys from their first moment. Textual's own fail on page keys that come before there are lines.
"""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar, TypeVar
from unicodedata import category

from rich.highlighter import Highlighter
from rich.text import Text
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.events import Key, Paste
from textual.widgets import Checkbox, Input, OptionList, Select, TextArea
from textual.widgets.text_area import Edit, EditResult, Location

from studio.text import display
from studio.tui.keys import bind

_UNPICTURED = "\u00a4"
"""Drawn for an acting character that has no picture of its own."""
_STAND_INS = 0x100000
"""From here on, in the last plane for private use, characters stand for others in a document."""


class SafeInput(Input):
    """One line, line breaks among its marks. `text` is what it holds; its `value` is for Textual, with stand-ins for what acts."""

    def __init__(self, text: str = "", **more: Any) -> None:
        self._stand_ins = StandIns(but="")
        super().__init__(self._stand_ins.put(text), highlighter=_Marks(self), **more)

    @property
    def text(self) -> str:
        """What stands in it, as it is."""
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
        """Take what is typed or pasted."""
        super().replace(self._stand_ins.put(text), start, end)

    def on_key(self, event: Key) -> None:
        """Take what joins or turns other characters; Textual's own takes what can be printed."""
        if _is_format(event):
            event.prevent_default()
            event.stop()
            self.replace(event.character or "", *self.selection)

    def on_paste(self, event: Paste) -> None:
        """Take all that is pasted; Textual's own takes the first line."""
        event.prevent_default()
        event.stop()
        self.replace(_pasted(event.text).strip("\n"), *self.selection)


class _Marks(Highlighter):
    """What an input draws in place of its value."""

    def __init__(self, field: SafeInput) -> None:
        self._field = field

    def __call__(self, _value: str | Text) -> Text:
        return Text(_marked(self._field.text), no_wrap=True, overflow="ignore", end="")

    def highlight(self, text: Text) -> None:
        """Nothing more."""


class SafeTextArea(TextArea):
    """Several lines. In the document each character that acts is stood for by a private one; `text` has it as it is."""

    def __init__(self, text: str = "", **more: Any) -> None:
        self._stand_ins = StandIns()
        super().__init__(self._stand_ins.put(text), **more)
        self.cursor_blink = False

    @property
    def text(self) -> str:
        """What stands in it, as it is."""
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
        """Draw a line, with marks."""
        line = self._stand_ins.take(self.document.get_line(line_index))
        return Text(_marked(line), end="", no_wrap=True)

    def on_key(self, event: Key) -> None:
        """Take what joins or turns other characters; Textual's own takes what can be printed."""
        if _is_format(event):
            event.prevent_default()
            event.stop()
            self._put_in(event.character or "")

    def on_paste(self, event: Paste) -> None:
        """Take what is pasted, with line breaks as a terminal means them."""
        event.prevent_default()
        event.stop()
        self._put_in(_pasted(event.text))

    def _put_in(self, text: str) -> None:
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
        """Return what the stand-ins of `text` stand for."""
        return text.translate(self._for)


def mark_of(character: str) -> str:
    """Return what is drawn for a character: itself, its picture, or a mark; a cell wide where `display` replaces it."""
    if character == "\n":
        return "\u240a"
    shown = display(character)
    return shown if len(shown) == 1 else _UNPICTURED


def _marked(text: str) -> str:
    return text.translate({ord(each): mark_of(each) for each in set(text)})


def _is_format(event: Key) -> bool:
    """Whether a key is one of the characters inside emoji and scripts: joiners and marks of direction."""
    return event.character is not None and category(event.character) == "Cf"


def _pasted(text: str) -> str:
    """Terminals send the line breaks of a paste as carriage returns."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def turn_page(listing: OptionList, pages: int, lines: int = 1) -> None:
    """Move the cursor of a list by pages of options that have so many lines each."""
    if listing.option_count:
        place = (listing.highlighted or 0) + pages * max(listing.size.height // lines, 1)
        listing.highlighted = min(max(place, 0), listing.option_count - 1)


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

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look for nothing that was typed before it closed."""
        if not self.is_active:
            event.prevent_default()

    def action_page(self, pages: int) -> None:
        """Go a page of commands, of two lines each, up or down."""
        turn_page(self.query_one(OptionList), pages, 2)


Value = TypeVar("Value")


class Choice(Select[Value]):
    """A `Select` with our page keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("page-down", "page(1)", "Page down", "A page of choices down", show=False, priority=True),
        bind("page-up", "page(-1)", "Page up", "A page of choices up", show=False, priority=True),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There are no pages while its list is closed."""
        return self.expanded if action == "page" else super().check_action(action, parameters)

    def action_page(self, pages: int) -> None:
        """Go a page of choices up or down."""
        turn_page(self.query_one(OptionList), pages)


class MarkedBox(Checkbox):
    """Its mark is there or not; Textual's own differs by colour alone."""

    BUTTON_INNER = " "

    def watch_value(self) -> None:
        """Draw the other mark, and tell."""
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()
