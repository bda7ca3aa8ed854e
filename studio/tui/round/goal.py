"""Where a run ends, and how far it is from there: target and rounds, to be set in a window, and the time that is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.validation import Integer
from textual.widgets import Label, Static

from studio.errors import UsageError
from studio.loop.session import Goal
from studio.text import display_line
from studio.tui.base import Store
from studio.tui.dialogs.forms import Editor
from studio.tui.keys import bind
from studio.tui.widgets.fields import SafeInput
from studio.tui.widgets.key_bar import KeyBar


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

    HELP = """
    How far `R` runs on: until the pool has *target* generated tasks, or for that many *rounds*, whichever comes first. An empty field sets
    no end; a run that brings nothing new any more ends by itself. `enter` or `ctrl+s` sets both, `escape` leaves them as they were.
    """
    BINDINGS: ClassVar[list[BindingType]] = [bind("accept", "accept", "Set", "Let the run end there.", priority=True)]
    DEFAULT_CSS = """
    GoalDialog > Vertical { width: 56; max-width: 95%; height: auto; padding: 1 2; }
    GoalDialog Horizontal { height: 1; }
    GoalDialog Label { width: 9; color: $foreground-muted; }
    GoalDialog Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $surface; }
    GoalDialog Input:focus { background: $background; }
    GoalDialog Input.-invalid { color: $text-error; }
    GoalDialog #said { margin-top: 1; height: auto; color: $foreground-muted; }
    """

    def __init__(self, goal: Goal, generated: int, store: Store[Goal]) -> None:
        super().__init__(store)
        self._goal = goal
        self._generated = generated

    def compose(self) -> ComposeResult:
        """Both fields, and what the pool has."""
        with Vertical() as window:
            window.border_title = Content("Run on until")
            for name, number, words in (
                ("target", self._goal.target, "tasks in the pool"),
                ("rounds", self._goal.rounds, "rounds from now"),
            ):
                with Horizontal():
                    yield Label(name, markup=False)
                    text = "" if number is None else str(number)
                    yield SafeInput(
                        text, placeholder=f"any number of {words}", id=name, compact=True, validators=[Integer(minimum=1)], valid_empty=True
                    )
            yield Static(f"The pool has {self._generated:,} generated tasks.", markup=False, id="said")
        yield KeyBar()

    def changed(self) -> Goal | None:
        """The goal, if it is another one."""
        goal = Goal(self._number("target"), self._number("rounds"))
        return None if goal == self._goal else goal

    def say(self, words: str) -> None:
        """Below the fields."""
        self.query_one("#said", Static).update(Content.styled(display_line(words, 200), "$error"))

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
