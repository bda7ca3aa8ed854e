"""The instances of one task: look at them, drop one, bring one back, correct one, ask for more."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from studio.loop.steering import Steering
from studio.pool.instances import InstanceRecord
from studio.records import Decider, Verdict
from studio.text import display_line, spoken
from studio.tui.base import Dialog, Editor, Store, copy_from, lay_over
from studio.tui.keys import bind, key_of
from studio.tui.runner import Told
from studio.tui.steering import Steerer, told
from studio.tui.widgets.fields import SafeTextArea
from studio.tui.widgets.frame import clip, cut

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
