"""Showing a text again without laying the whole screen out again, which costs many times as much as drawing it."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static


def show_text(static: Static, text: Content) -> None:
    """Show `text`; nothing happens when it is shown already, and only another height makes the screen lay out its parts."""
    before = static.content
    if isinstance(before, Content) and before.is_same(text):
        return
    size = static.content_size
    settled = size.width > 0 and size.height == text.get_height(static.styles.get_rules(), size.width)
    static.update(text, layout=not settled)


def show_title(widget: Widget, title: str) -> None:
    """Set the title in the widget's border, which may be foreign text; it is drawn only when it is another one."""
    if widget.border_title != Content(title).markup:
        widget.border_title = Content(title)
