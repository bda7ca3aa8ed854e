"""What is set for a round or a run, in windows: parameters, the texts that go into prompts, target and rounds with the time left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.validation import Integer
from textual.widgets import Label, Static

from studio.config import keys_of, value_of
from studio.errors import UsageError
from studio.loop.runs import overridden
from studio.loop.session import Goal
from studio.loop.settings import Method
from studio.tui.base import Editor, Row, Store
from studio.tui.dialogs.edit import edit_outside
from studio.tui.keys import bind
from studio.tui.widgets.fields import SafeInput, SafeTextArea

OFFERED = (
    "sampling.instructions.temperature",
    "sampling.instructions.top_p",
    "sampling.instructions.presence_penalty",
    "sampling.instructions.max_tokens",
    "threshold",
    "requests_per_round",
)
"""The parameters that people turn between two rounds; the settings screen and the files have all of them."""


class ParametersDialog(Editor[dict[str, Any]]):
    """A field for each; `store` gets those that were changed, if there are any."""

    TITLE = "For this round alone"
    HELP = """
    These values hold for this round alone, and every other setting stays as it is. `enter` or `ctrl+s` sets them,
    `escape` leaves everything as it was. Setting them can be undone.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "accept", "Set", "Set the values for this round.", priority=True),
    ]
    DEFAULT_CSS = """
    ParametersDialog > Vertical { width: 72; max-width: 96%; height: auto; padding: 1 2; }
    ParametersDialog Row Label { width: 42; }
    ParametersDialog #explained { margin-top: 1; height: 2; color: $foreground-muted; }
    """

    def __init__(self, method: Method, store: Store[dict[str, Any]]) -> None:
        super().__init__(store)
        self._method = method
        self._infos = dict(keys_of(Method))

    def body(self) -> ComposeResult:
        for number, key in enumerate(OFFERED):
            yield Row(key, SafeInput(_typed(value_at(self._method, key)), id=f"field-{number}"))
        yield Static(markup=False, id="explained")

    def on_descendant_focus(self) -> None:
        focused = self.focused
        if focused is not None and focused.id is not None and focused.id.startswith("field-"):
            key = OFFERED[int(focused.id.removeprefix("field-"))]
            self.query_one("#explained", Static).update(Content(self._infos[key].description or key))

    def changed(self) -> dict[str, Any] | None:
        changed = {}
        for number, key in enumerate(OFFERED):
            text = self.query_one(f"#field-{number}", SafeInput).text.strip()
            if text != _typed(value_at(self._method, key)):
                changed[key] = value_of(text, self._infos[key])
        overridden(self._method, changed)
        return changed or None


def value_at(method: Method, key: str) -> Any:
    """Return the value of a parameter by its dotted key."""
    return reduce(getattr, key.split("."), method)


def _typed(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class TextField:
    """A text parameter by its dotted key; `words` say what it is for."""

    key: str
    name: str
    words: str


BRIEF = TextField("brief", "brief", "A domain, audience, language or constraint that all new tasks are to keep to.")
TURNS = (
    TextField("prompts.template_system", "system turn, template", "Before the user's turn that the model writes; the brief follows it."),
    TextField("prompts.answer_system", "system turn, answers", "Before each task that the model answers."),
)
_OPENINGS = TextField("prompts.openings", "openings", "How the user's turn may begin that the model writes, one a line.")
FIELDS = {field.key: field for field in (BRIEF, *TURNS, _OPENINGS)}
"""The texts without a placeholder: any text will do."""


def fields_of(method: Method) -> tuple[TextField, ...]:
    """What of the texts has an effect with `method`."""
    turns = (method.asking != "completion", method.answers_apart)
    return (BRIEF, *(field for field, holds in zip(TURNS, turns, strict=True) if holds))


class TextsDialog(Editor[dict[str, Any]]):
    """An editor for each text of `method`; `store` gets those that were changed, by dotted key, if there are any."""

    HELP = """
    The texts that the model is told besides the tasks. The *brief* goes into the prompts of both sources of new tasks; the system turns
    stand before the request that the model writes itself, and before each task that it answers. An empty text is none.
    `tab` goes to the next text, `ctrl+e` opens it in `$EDITOR`, `ctrl+s` sets all of them, `escape` leaves everything as it was.
    Set for a round, they hold for its stages still to come, and one undo takes them back.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "accept", "Set", "Let the texts hold.", priority=True),
        bind("editor", "editor", "$EDITOR", "Open the text in your editor.", priority=True),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-high")]  # noqa: RUF012  (Textual's own type)
    DEFAULT_CSS = """
    TextsDialog > Vertical { max-width: 100; height: auto; max-height: 95%; }
    TextsDialog Label { color: $foreground-muted; }
    TextsDialog Label.-focused { color: $primary; text-style: bold; }
    TextsDialog TextArea { height: 3; }
    TextsDialog.-high TextArea { height: 6; }
    TextsDialog.-one TextArea { height: 9; }
    TextsDialog.-one Label { display: none; }
    TextsDialog #explained { height: 2; margin-top: 1; color: $foreground-muted; }
    """

    def __init__(self, method: Method, fields: Sequence[TextField], title: str, store: Store[dict[str, Any]]) -> None:
        super().__init__(store)
        self._method = method
        self._fields = fields
        self.title = title
        self.set_class(len(fields) == 1, "-one")

    def body(self) -> ComposeResult:
        for number, field in enumerate(self._fields):
            yield Label(field.name, markup=False, id=f"name-{number}")
            yield SafeTextArea(value_at(self._method, field.key), id=f"text-{number}")
        yield Static(markup=False, id="explained")

    def on_mount(self) -> None:
        self.query_one("#text-0").focus()

    def on_descendant_focus(self) -> None:
        """Say what the text is for; its name is marked."""
        for number, field in enumerate(self._fields):
            here = self.query_one(f"#text-{number}").has_focus
            name = self.query_one(f"#name-{number}", Label)
            name.set_class(here, "-focused")
            name.update(Content(f"▸ {field.name}" if here else field.name))
            if here:
                self.query_one("#explained", Static).update(Content(field.words))

    def changed(self) -> dict[str, Any] | None:
        texts = {field.key: self.query_one(f"#text-{number}", SafeTextArea).text for number, field in enumerate(self._fields)}
        changed = {key: text for key, text in texts.items() if text != value_at(self._method, key)}
        overridden(self._method, changed)
        return changed or None

    def action_editor(self) -> None:
        if isinstance(area := self.focused, SafeTextArea):
            edit_outside(self, area)


@dataclass(slots=True)
class Progress:
    """How far a run is: since `began`, in seconds of the runner's clock, when the pool had `before` generated tasks."""

    goal: Goal
    before: int
    began: float
    rounds: int = 0
    """Rounds finished since."""

    def words(self, generated: int, now: float) -> str:
        """Say it, with the time left as it went so far; empty for a run without an end."""
        parts, lefts = [], []
        if self.goal.rounds is not None:
            parts.append(f"round {min(self.rounds + 1, self.goal.rounds)} of {self.goal.rounds}")
            if self.rounds:
                lefts.append((self.goal.rounds - self.rounds) / self.rounds)
        if self.goal.target is not None:
            parts.append(f"{generated} of {self.goal.target} tasks")
            if generated > self.before:
                lefts.append((self.goal.target - generated) / (generated - self.before))
        if lefts:
            # Whichever comes first ends the run.
            parts.append(f"about {_time(max(min(lefts), 0) * (now - self.began))} left")
        return ", ".join(parts)


class GoalDialog(Editor[Goal]):
    """Two numbers, either of which may be left empty."""

    TITLE = "Run on until"
    HELP = """
    How far `R` runs on: until the pool has *target* generated tasks, or for that many *rounds*, whichever comes first. An empty field sets
    no end; a run that brings nothing new any more ends by itself. `enter` or `ctrl+s` sets both, `escape` leaves them as they were.
    """
    BINDINGS: ClassVar[list[BindingType]] = [bind("accept", "accept", "Set", "Let the run end there.", priority=True)]
    DEFAULT_CSS = """
    GoalDialog > Vertical { width: 56; max-width: 95%; height: auto; padding: 1 2; }
    GoalDialog Input.-invalid { color: $text-error; }
    GoalDialog #generated { margin-top: 1; color: $foreground-muted; }
    """

    def __init__(self, goal: Goal, generated: int, store: Store[Goal]) -> None:
        super().__init__(store)
        self._goal = goal
        self._generated = generated

    def body(self) -> ComposeResult:
        for name, number, words in (("target", self._goal.target, "tasks in the pool"), ("rounds", self._goal.rounds, "rounds from now")):
            text, hint = "" if number is None else str(number), f"any number of {words}"
            yield Row(name, SafeInput(text, placeholder=hint, id=name, validators=[Integer(minimum=1)], valid_empty=True))
        yield Static(f"The pool has {self._generated:,} generated tasks.", markup=False, id="generated")

    def changed(self) -> Goal | None:
        goal = Goal(self._number("target"), self._number("rounds"))
        return None if goal == self._goal else goal

    def _number(self, name: str) -> int | None:
        field = self.query_one(f"#{name}", SafeInput)
        if not field.is_valid:
            raise UsageError(f"{name} is a number from 1, or empty")
        return int(field.text) if field.text.strip() else None


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"
