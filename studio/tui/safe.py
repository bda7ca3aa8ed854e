"""Fields in which text of any origin may be typed, pasted or corrected without reaching the terminal as it is."""

from __future__ import annotations

from textual.widgets import Input, TextArea
from textual.widgets.text_area import Edit, EditResult

from studio.text import display


class SafeInput(Input):
    """An input that shows control and invisible characters as visible ones, pasted ones too: what is seen is what it holds."""

    def validate_value(self, value: str) -> str:
        """Clean whatever comes in."""
        return display(value.replace("\n", " "))


class SafeTextArea(TextArea):
    """A text area that shows control and invisible characters as visible ones: what is seen is what it holds."""

    def load_text(self, text: str) -> None:
        """Take `text`, cleaned."""
        super().load_text(display(text))

    def edit(self, edit: Edit) -> EditResult:
        """Take an edit, a pasted one for example, cleaned."""
        edit.text = display(edit.text.replace("\r\n", "\n").replace("\t", "    "))
        return super().edit(edit)
