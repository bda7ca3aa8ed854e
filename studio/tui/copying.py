"""Text on its way to the clipboard."""

from __future__ import annotations

from textual.app import App

from studio.text import display


def send_to_clipboard(app: App[object], text: str) -> None:
    """Hand `text` to the terminal, which may or may not take it. Cleaned: what is in a clipboard is pasted into a shell sooner or later."""
    app.copy_to_clipboard(display(text))
    app.notify("Sent to the clipboard.", markup=False)
