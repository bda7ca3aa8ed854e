"""Panes that scroll, and panes that draw the lines of their text themselves: a text that grows costs only what is new of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import Reactive
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

from studio.tui.keys import bind
from studio.tui.widgets.table import StillView


class Pane(VerticalScroll):
    """A scrolling pane with a rule and a title on top, and vim's movements beside the arrows."""

    DEFAULT_CSS = """
    Pane {
        border-top: solid $border-blurred;
        border-title-color: $foreground-muted;
        border-title-style: none;
        border-title-align: left;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    Pane:focus, Pane:focus-within {
        border-top: solid $primary;
        border-title-color: $primary;
        border-title-style: bold;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("down", "scroll_down", "Down", "Scroll down a line.", show=False),
        bind("up", "scroll_up", "Up", "Scroll up a line.", show=False),
        bind("first", "scroll_home", "Top", "Scroll to the top.", show=False),
        bind("last", "scroll_end", "Bottom", "Scroll to the bottom.", show=False),
        bind("page-down", "page_down", "Page down", "Scroll down a page.", show=False),
        bind("page-up", "page_up", "Page up", "Scroll up a page.", show=False),
    ]


Wrap = Callable[[str, int], Sequence[Strip]]
"""Returns the lines of a paragraph, which has no newline; the number is its place in the text, counted from 0."""


class GrowingLines:
    """Wraps paragraph by paragraph and keeps their lines, so that a token costs one paragraph, however long the text is."""

    def __init__(self, wrap: Wrap) -> None:
        self.strips: list[Strip] = []
        self._wrap = wrap
        self._paragraphs: list[str] = []
        self._ends: list[int] = []

    def show(self, text: str) -> int:
        """Make `strips` the lines of `text`; return the first one that may be other than before, their number when none is."""
        paragraphs = text.split("\n")
        same = 0
        for old, new in zip(self._paragraphs, paragraphs, strict=False):
            if old != new:
                break
            same += 1
        del self._paragraphs[same:], self._ends[same:]
        first = self._ends[-1] if self._ends else 0
        del self.strips[first:]
        for place, paragraph in enumerate(paragraphs[same:], same):
            self.strips += self._wrap(paragraph, place)
            self._paragraphs.append(paragraph)
            self._ends.append(len(self.strips))
        return first

    def clear(self) -> None:
        """Forget everything: another width or another style needs other lines."""
        self.strips.clear()
        self._paragraphs.clear()
        self._ends.clear()


class DrawnText(Pane, StillView):
    """Knows the lines it shows; a widget that grows to the height of its text has the whole screen laid out again with every other one."""

    DEFAULT_CSS = """
    DrawnText { overflow-y: scroll; }
    """

    # Nothing in these texts is a link; to find that out takes a quarter of the time of a line.
    auto_links = Reactive(False)

    _drawn_for: tuple[int, Style, str] | None = None

    @property
    @abstractmethod
    def strips(self) -> Sequence[Strip]:
        """All its lines, `line_width` cells wide."""

    @abstractmethod
    def make_strips(self) -> None:
        """Make all of `strips` anew; nothing as long as the pane has no width."""

    @abstractmethod
    def paragraphs(self) -> Iterator[Content]:
        """The text as it is shown, parted where its lines end whatever the width."""

    @property
    def line_width(self) -> int:
        """Cells of a line; 0 as long as the pane is hidden."""
        return max(self.scrollable_content_region.width, 0)

    def draw_again(self) -> None:
        """Make all lines anew and paint them."""
        self._drawn_for = self._drawn_on()
        self.make_strips()
        self.refresh()

    def on_resize(self) -> None:
        """Another width has other lines."""
        self._follow_looks()

    def notify_style_update(self) -> None:
        """Lines carry their colours, which another theme changes; the focus changes the frame alone."""
        super().notify_style_update()
        if self.is_mounted:
            self._follow_looks()

    def _follow_looks(self) -> None:
        if self._drawn_on() != self._drawn_for:
            self.draw_again()

    def _drawn_on(self) -> tuple[int, Style, str]:
        """All that the lines of one text depend on."""
        return self.line_width, self.visual_style, self.app.theme

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002  (Textual's own signature)
        """Show what is selected."""
        self.draw_again()

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """What is selected, as it is shown, and what parts it from other panes' texts."""
        return selection.extract("\n".join(paragraph.plain for paragraph in self.paragraphs())), "\n"

    def render_line(self, y: int) -> Strip:
        """A line in sight."""
        line = self.scroll_offset.y + y
        return self.strips[line] if line < len(self.strips) else Strip.blank(self.size.width, self.visual_style.rich_style)

    def wrapped(self, text: Content, place: int, width: int) -> list[Strip]:
        """The lines of some paragraphs of the text, the first of which is its paragraph number `place`, from 0 on.

        They know where in the text they stand: what is copied with the mouse is found by that.
        """
        strips = Visual.to_strips(self, self._selected(text, place), width, None, self.visual_style, apply_selection=False)
        if not place:
            return strips
        offsets = map(_offset, strips)
        return [strip.apply_offsets(character, place + paragraph) for strip, (character, paragraph) in zip(strips, offsets, strict=True)]

    def _selected(self, text: Content, place: int) -> Content:
        """The paragraphs with the selected part marked."""
        selection = self.text_selection
        if selection is None:
            return text
        style = Style.from_styles(self.screen.get_component_styles("screen--selection"))
        marked = []
        for at, paragraph in enumerate(text.split("\n", allow_blank=True), place):
            span = selection.get_span(at)
            marked.append(paragraph if span is None else paragraph.stylize(style, span[0], span[1] if span[1] >= 0 else None))
        return Content("\n").join(marked)


def _offset(strip: Strip) -> tuple[int, int]:
    """At which character of which paragraph a line begins."""
    style = next((segment.style for segment in strip), None)
    character, paragraph = style.meta.get("offset", (0, 0)) if style is not None else (0, 0)
    return character, paragraph


Look = Callable[[str, int], Content]
"""Cleans a paragraph, which is anyone's text, and colours it; the number is its place in the text, from 0 on. Equal ones do the same."""


class GrowingText(DrawnText):
    """A token costs the line that it stands on.

    `follows`: whether the end is kept in sight as it grows.
    """

    def __init__(self, text: str, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.follows = False
        self._text = text
        self._look = look
        self._lines = GrowingLines(lambda paragraph, place: self.wrapped(self._look(paragraph, place), place, self.line_width))

    @property
    def strips(self) -> Sequence[Strip]:
        """Its lines."""
        return self._lines.strips

    def paragraphs(self) -> Iterator[Content]:
        """The text as it looks."""
        return (self._look(paragraph, place) for place, paragraph in enumerate(self._text.split("\n")))

    def draw(self, text: str, look: Look) -> None:
        """Show `text`, painted by `look`; a text that goes on where the one before ended costs only what is new of it."""
        if look != self._look:
            self._lines.clear()
        if self.text_selection is not None and not text.startswith(self._text):
            self.screen.clear_selection()
        self._text, self._look = text, look
        self._fill()

    def make_strips(self) -> None:
        """Wrap everything anew."""
        self._lines.clear()
        self._fill()

    def on_resize(self) -> None:
        """In a lower pane the end is elsewhere."""
        self._fill()

    def _fill(self) -> None:
        """Bring the lines up to date; those that are other than before are painted again, and no more."""
        if not self.line_width:
            return
        before = len(self.strips)
        first = self._lines.show(self._text)
        count = len(self.strips)
        self.set_lines(count)
        if self.follows:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        if first < max(before, count):
            self.refresh_lines(first, max(before, count) - first)
