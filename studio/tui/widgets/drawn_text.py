"""A pane that draws the lines of its text itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from textual.content import Content
from textual.reactive import Reactive
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

from studio.tui.widgets.pane import Pane
from studio.tui.widgets.still_view import StillView


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
