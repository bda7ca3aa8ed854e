"""Small windows in which a person writes a remark: on a task of a review, or tags and a note on a task of the pool."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Label

from studio.pool.tasks import Annotation
from studio.tui.base import Store
from studio.tui.dialogs.forms import Editor
from studio.tui.widgets.fields import SafeInput
from studio.tui.widgets.key_bar import KeyBar


class NoteDialog(Editor[str]):
    """One line of text. `store` is not called where it is as it was."""

    HELP = "A remark on this task. `enter` or `ctrl+s` stores it, an empty one takes it away, `escape` leaves it as it was."
    DEFAULT_CSS = """
    NoteDialog > Vertical { width: 90%; max-width: 90; height: auto; }
    NoteDialog Input { border: none; height: 1; padding: 0; background: $surface; }
    """

    def __init__(self, text: str, title: str, store: Store[str]) -> None:
        super().__init__(store)
        self._text = text
        self._title = title

    def compose(self) -> ComposeResult:
        """The line, and the keys."""
        with Vertical() as window:
            window.border_title = Content(self._title)
            yield SafeInput(self._text, placeholder="a remark", compact=True, select_on_focus=False)
        yield KeyBar()

    def changed(self) -> str | None:
        """The remark, if it is another one."""
        text = self.query_one(SafeInput).text
        return None if text == self._text else text.strip()


class AnnotationDialog(Editor[Annotation]):
    """Tags, with commas between them, and a note. `store` is not called where both are as they were."""

    HELP = """\
## Tags and note

What you want to remember of this task. Tags are words of your own with commas between them; the filters of the pool screen and
`studio export --tag` choose by them. `enter` or `ctrl+s` stores both, `escape` leaves them as they were.
"""
    DEFAULT_CSS = """
    AnnotationDialog > Vertical { width: 90%; max-width: 90; height: auto; }
    AnnotationDialog Horizontal { height: 1; }
    AnnotationDialog Label { width: 6; color: $text-muted; }
    AnnotationDialog Input { width: 1fr; border: none; height: 1; padding: 0; background: $surface; }
    AnnotationDialog Input:focus { background: $background; }
    """

    def __init__(self, annotation: Annotation, task_id: int, store: Store[Annotation]) -> None:
        super().__init__(store)
        self._annotation = annotation
        self._task_id = task_id

    def compose(self) -> ComposeResult:
        """Two lines, and the keys."""
        with Vertical() as window:
            window.border_title = Content(f"Tags and note of task {self._task_id}")
            with Horizontal():
                yield Label("tags")
                yield SafeInput(
                    _written(self._annotation.tags), placeholder="good, check the facts", id="tags", compact=True, select_on_focus=False
                )
            with Horizontal():
                yield Label("note")
                yield SafeInput(self._annotation.note, placeholder="a remark", id="note", compact=True, select_on_focus=False)
        yield KeyBar()

    def changed(self) -> Annotation | None:
        """Both, if one of them is another."""
        before, written, note = self._annotation, *(self.query_one(f"#{name}", SafeInput).text for name in ("tags", "note"))
        # What was not touched stays as it is, whatever stands in it.
        tags = before.tags if written == _written(before.tags) else tuple(tag.strip() for tag in written.split(",") if tag.strip())
        now = Annotation(tags, note if note == before.note else note.strip())
        return None if now == before else now


def _written(tags: Sequence[str]) -> str:
    return ", ".join(tags)
