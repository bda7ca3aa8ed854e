"""What a person changes or remarks: a candidate's text, with its novelty following as one types, a task's instances, tags and note."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from studio.loop.session import Session
from studio.loop.settings import Method
from studio.loop.steering import Steering
from studio.pool.instances import InstanceRecord
from studio.pool.pool import Queries
from studio.pool.tasks import Annotation
from studio.records import Decider, Novelty, Verdict
from studio.text import bar, display_line, spoken
from studio.tui.base import Dialog, Editor, Row, Store, copy_from, lay_over, leaving
from studio.tui.keys import bind, key_of
from studio.tui.runner import Told
from studio.tui.steering import Steerer, told
from studio.tui.widgets.fields import SafeInput, SafeTextArea
from studio.tui.widgets.frame import clip, cut

_PAUSE_S = 0.15
"""How long after a key the score is asked for: a large pool is not searched for every letter."""
_BAR = 24


class EditDialog(Editor[str]):
    """A text area, and under it what the novelty index says of the text. `store` is not called where the text is as it was."""

    HELP = """
    The candidate's text. The bar below is its highest ROUGE-L to anything in the pool, the cross in it the threshold.
    `ctrl+s` keeps the text, `escape` leaves it as it was, `ctrl+e` opens it in `$EDITOR`. What the model wrote stays on record.
    A tab, a mark of direction or another character that would act on the terminal shows as `␉`, `¤` or the like, and stays what it is.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("editor", "editor", "$EDITOR", "Open the text in your editor.", priority=True),
    ]
    DEFAULT_CSS = """
    EditDialog > Vertical { max-width: 100; height: auto; max-height: 90%; }
    EditDialog TextArea { height: 7; }
    EditDialog #score { height: 2; margin-top: 1; }
    """

    def __init__(self, text: str, candidate_id: int, steerer: Steerer, store: Store[str]) -> None:
        super().__init__(store)
        self._text = text
        self._candidate_id = candidate_id
        self._steerer = steerer
        self._asked = 0
        self._timer: Timer | None = None
        self.title = f"Candidate c{candidate_id}"

    def body(self) -> ComposeResult:
        yield SafeTextArea(self._text, id="text")
        yield Static(markup=False, id="score")

    def on_mount(self) -> None:
        area = self.query_one(SafeTextArea)
        area.focus()
        area.move_cursor(area.document.end)
        self._ask()

    def on_text_area_changed(self) -> None:
        """Ask again when the typing pauses."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_PAUSE_S, self._ask)

    def _ask(self) -> None:
        if leaving(self):
            return
        self._asked += 1
        number, text, candidate = self._asked, self.query_one(SafeTextArea).text, self._candidate_id

        def score(session: Session, reader: Queries) -> tuple[int, Novelty, str, Method]:
            novelty = session.steering.score(text, candidate)
            nearest = reader.tasks.get(novelty.nearest).instruction if novelty.nearest is not None else ""
            return number, novelty, nearest, session.steering.method_of(candidate)

        self._steerer.ask(self, score, self._answered)

    def _answered(self, answer: tuple[int, Novelty, str, Method]) -> None:
        number, novelty, nearest, method = answer
        if number != self._asked:
            return
        threshold = method.threshold
        novel = method.is_novel(novelty.score)
        words = (f" new, below {threshold:g}", "$success") if novel else (f" not new, the threshold is {threshold:g}", "$error")
        width = max(self.query_one("#score").content_size.width, 20)
        shown = Content.assemble(
            ("ROUGE-L ", "$foreground-muted"),
            (bar(novelty.score, _BAR, threshold), "$success" if novel else "$error"),
            (f" {novelty.score:.3f}", "bold"),
            words,
            "\n",
            (f"nearest #{novelty.nearest} " if novelty.nearest is not None else "", "$foreground-muted"),
            clip(nearest, width - 16),
        )
        self.query_one("#score", Static).update(shown)

    def changed(self) -> str | None:
        text = self.query_one(SafeTextArea).text
        return None if text == self._text else text

    def action_editor(self) -> None:
        if edit_outside(self, self.query_one(SafeTextArea)):
            self._ask()


def edit_outside(screen: Screen[Any], area: SafeTextArea) -> bool:
    """Hand the text of `area` to the user's editor and take what it leaves; return whether it could be. If not, that is said."""
    try:
        with screen.app.suspend():
            edited = in_editor(area.text)
    except SuspendNotSupported:
        screen.notify("This terminal cannot be handed to an editor.", severity="warning", markup=False)
        return False
    except (OSError, ValueError) as error:
        screen.notify(display_line(f"The editor did not start: {error}", 200), severity="error", markup=False)
        return False
    if edited.count("\ufffd") > area.text.count("\ufffd"):
        screen.notify("What is no UTF-8 text in the file stands as \ufffd here.", severity="warning", markup=False)
    area.text = edited
    return True


def in_editor(text: str) -> str:
    """Return what `$VISUAL` or `$EDITOR` (vi, if neither is set) makes of `text`, without the line end that editors add to the last line.

    What is no UTF-8 in it becomes U+FFFD. Raises OSError when it cannot be run.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="studio-") as folder:
        file = Path(folder) / "instruction.txt"
        # Bytes: reading as text would make other line ends of those that are there.
        file.write_bytes(text.encode("utf-8"))
        subprocess.run([*command, str(file)], check=False)
        edited = file.read_bytes().decode("utf-8", errors="replace")
    if edited.endswith("\n") and not text.endswith("\n"):
        # One that writes lines as DOS does puts its own there.
        edited = edited[:-1] if text.endswith("\r") else edited[:-1].removesuffix("\r")
    return edited


class NoteDialog(Editor[str]):
    """One line of text. `store` is not called where it is as it was."""

    HELP = "A remark on this task. `enter` or `ctrl+s` stores it, an empty one takes it away, `escape` leaves it as it was."
    DEFAULT_CSS = """
    NoteDialog > Vertical { max-width: 90; height: auto; }
    """

    def __init__(self, text: str, title: str, store: Store[str]) -> None:
        super().__init__(store)
        self._text = text
        self.title = title

    def body(self) -> ComposeResult:
        yield SafeInput(self._text, placeholder="a remark", select_on_focus=False)

    def changed(self) -> str | None:
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
    AnnotationDialog > Vertical { max-width: 90; height: auto; }
    AnnotationDialog Row Label { width: 6; }
    """

    def __init__(self, annotation: Annotation, task_id: int, store: Store[Annotation]) -> None:
        super().__init__(store)
        self._annotation = annotation
        self.title = f"Tags and note of task {task_id}"

    def body(self) -> ComposeResult:
        tags = SafeInput(_written(self._annotation.tags), placeholder="good, check the facts", id="tags", select_on_focus=False)
        yield Row("tags", tags)
        yield Row("note", SafeInput(self._annotation.note, placeholder="a remark", id="note", select_on_focus=False))

    def changed(self) -> Annotation | None:
        before, written, note = self._annotation, *(self.query_one(f"#{name}", SafeInput).text for name in ("tags", "note"))
        # What was not touched stays as it is, whatever stands in it.
        tags = before.tags if written == _written(before.tags) else tuple(tag.strip() for tag in written.split(",") if tag.strip())
        now = Annotation(tags, note if note == before.note else note.strip())
        return None if now == before else now


def _written(tags: Sequence[str]) -> str:
    return ", ".join(tags)


_SHOWN = 600


class InstancesDialog(Dialog[None]):
    """A list with the verdict of each instance; every change is one action that can be undone."""

    HELP = """
    All instances of the task, rejected ones too. `e` or `enter` corrects the one under the cursor, `delete` drops it or brings it back,
    `+` lets the model write more. Each is recorded beside what the rule decided; `u` takes it back, `U` does it again.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("edit", "edit", "Edit", "Correct input and output."),
        bind("drop", "turn", "Drop or restore", "Reject the instance, or accept it."),
        bind("more", "more", "More", "Let the model write more of them."),
        bind("undo", "undo", "Undo", "Take back the newest of your actions."),
        bind("redo", "redo", "Redo", "Do again what was taken back last.", show=False),
        bind("copy", "copy", "Copy", "Send the instance to the clipboard.", show=False),
        bind("down", "down", "Down", "The next one.", show=False),
        bind("up", "up", "Up", "The one before.", show=False),
    ]
    DEFAULT_CSS = """
    InstancesDialog #instruction { color: $foreground-muted; height: auto; max-height: 3; margin-bottom: 1; }
    InstancesDialog OptionList, InstancesDialog OptionList:focus { height: 1fr; border: none; background: $panel; padding: 0; }
    """

    def __init__(self, task_id: int, instruction: str, steerer: Steerer) -> None:
        super().__init__()
        self.title = f"Instances of task #{task_id}"
        self._task_id = task_id
        self._instruction = instruction
        self._steerer = steerer
        self._instances: list[InstanceRecord] = []

    def body(self) -> ComposeResult:
        yield Static(Content(cut(self._instruction, _SHOWN)), markup=False, id="instruction")
        yield OptionList(id="list")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self.reload()

    def reload(self) -> None:
        """Read the instances again, now or as soon as the runner is idle."""
        task = self._task_id

        self._steerer.ask(self, lambda _, reader: reader.instances.of_task(task), self._show)

    def _show(self, instances: list[InstanceRecord]) -> None:
        self._instances = instances
        listing = self.query_one(OptionList)
        at = listing.highlighted or 0
        listing.clear_options()
        nothing = Option(Content(f"There are none yet. Press {key_of('more')} for some."), disabled=True)
        listing.add_options([Option(_entry(each)) for each in instances] or [nothing])
        if instances:
            listing.highlighted = min(at, len(instances) - 1)

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    def action_turn(self) -> None:
        """Drop an accepted instance, bring a rejected one back."""
        found = self._chosen()
        if found is None:
            return

        def turn(steering: Steering) -> str:
            # As it is decided by then: the list may not show yet what the key before has done.
            accepted = steering.reader.instances.get(found.id).verdict is Verdict.ACCEPTED
            return steering.drop_instance(found.id) if accepted else steering.restore_instance(found.id)

        self._steerer.act(self, turn, lambda _: self.reload())

    def on_option_list_option_selected(self) -> None:
        """Enter or a click opens it."""
        self.action_edit()

    def action_edit(self) -> None:
        found = self._chosen()
        if found is None or not self._steerer.ready(self):
            return

        def store(texts: tuple[str, str], stored: Callable[[], None], failed: Told) -> None:
            def then(_: str) -> None:
                stored()
                self.reload()

            self._steerer.act(self, lambda steering: steering.edit_instance(found.id, *texts), then, failed)

        lay_over(self, InstanceEditor(found, store))

    def action_more(self) -> None:
        """Let the model write more and close: the studio screen shows how it goes."""
        if self._steerer.more_instances(self, self._task_id):
            self.dismiss()

    def action_undo(self) -> None:
        """Take back the newest action, whatever it was for."""
        self._turn_back(lambda steering: told("took back", steering.undo()))

    def action_redo(self) -> None:
        self._turn_back(lambda steering: told("did again", steering.redo()))

    def _turn_back(self, act: Callable[[Steering], str]) -> None:
        def then(words: str) -> None:
            self.notify(display_line(words, 200), timeout=3, markup=False)
            self.reload()

        self._steerer.act(self, act, then)

    def action_copy(self) -> None:
        found = self._chosen()
        copy_from(self, "\n".join(filter(None, (found.input, found.output))) if found is not None else "")

    def _chosen(self) -> InstanceRecord | None:
        at = self.query_one(OptionList).highlighted
        return self._instances[at] if at is not None and at < len(self._instances) else None


class InstanceEditor(Editor[tuple[str, str]]):
    """Two text areas, for input and output. `store` is not called where both are as they were."""

    HELP = "Input and output of one instance. `ctrl+s` keeps them, `escape` leaves them as they were; `tab` goes to the other field."
    DEFAULT_CSS = """
    InstanceEditor Label { color: $foreground-muted; }
    """

    def __init__(self, instance: InstanceRecord, store: Store[tuple[str, str]]) -> None:
        super().__init__(store)
        self._instance = instance
        self.title = f"Instance {instance.position + 1}"

    def body(self) -> ComposeResult:
        for name, text in (("input", self._instance.input), ("output", self._instance.output)):
            yield Label(name, markup=False)
            yield SafeTextArea(text, tab_behavior="focus", id=name)
        if around := _around(self._instance):
            yield Label(f"{around} stay as they are", markup=False)

    def on_mount(self) -> None:
        """The output is what mostly needs a hand."""
        self.query_one("#output").focus()

    def changed(self) -> tuple[str, str] | None:
        texts = (self.query_one("#input", SafeTextArea).text, self.query_one("#output", SafeTextArea).text)
        return None if texts == (self._instance.input, self._instance.output) else texts


def _entry(instance: InstanceRecord) -> Content:
    accepted = instance.verdict is Verdict.ACCEPTED
    who = "by you" if instance.decided_by is Decider.HUMAN else clip(spoken(instance.reason), 24)
    head = (f"{'✓ accepted' if accepted else '✗ rejected'}  ", "$success" if accepted else "$error")
    return Content.assemble(
        head,
        (f"{who}\n", "$foreground-muted"),
        ("  in  ", "$foreground-muted"),
        clip(instance.input, 400) or "(none)",
        ("\n  out ", "$foreground-muted"),
        clip(instance.output, 400) or "(none)",
        (f"\n  and {around}" if (around := _around(instance)) else "", "$foreground-muted"),
    )


def _around(instance: InstanceRecord) -> str:
    """What stands around the exchange of an instance, in words; empty where nothing does."""
    number = len(instance.turns)
    parts = ("a system turn" if instance.system else "", f"{number:,} further turn{'' if number == 1 else 's'}" if number else "")
    return " and ".join(filter(None, parts))
