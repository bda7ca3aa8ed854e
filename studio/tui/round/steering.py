"""What a person may decide otherwise on the studio screen: each key is one action, recorded beside the rule's verdict and undone by `u`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding
from textual.events import Key

from studio.loop.settings import Method
from studio.records import STAGES, Stage
from studio.tui.base import Store, lay_over
from studio.tui.dialogs.edit import EditDialog
from studio.tui.dialogs.instances import InstancesDialog
from studio.tui.dialogs.parameters import ParametersDialog, TextsDialog, fields_of
from studio.tui.keys import bind, keys_of
from studio.tui.round.decisions import DecisionTable, Row
from studio.tui.round.live import LiveRound
from studio.tui.round.prompt import ContextTasks
from studio.tui.runner import Runner, RunnerState
from studio.tui.steering import SteeredScreen, Steerer, overrule

_WRITTEN = STAGES[STAGES.index(Stage.FILTER) :]
"""The stages to come when a round's completions are there and it is not committed."""


class SteeringScreen(SteeredScreen):
    """The steering half of the studio screen. Between stages only: whether an action applies is told by `steers`."""

    STEERING: ClassVar[list[Binding]] = [
        bind("overrule", "overrule", "Overrule", "Accept what was rejected, or the reverse."),
        bind("edit", "edit", "Edit", "Change the candidate's text; its score follows."),
        bind("draw", "draw", "Draw anew", "Draw other in-context tasks for this prompt."),
        bind("swap", "swap", "Swap", "Put another task in the place of the one under the cursor."),
        bind("rewrite", "regenerate", "Write anew", "Ask the prompts once more, with new seeds.", show=False),
        bind("parameters", "parameters", "Parameters", "Set parameters for this round alone.", show=False),
        bind("brief", "brief", "Brief", "Set brief and system turns for this round alone.", show=False),
        bind("instances", "instances", "Instances", "Edit, drop or add instances of the task.", show=False),
        bind("undo", "undo", "Undo", "Take back the newest of your actions."),
        bind("redo", "redo", "Redo", "Do again what was taken back last.", show=False),
    ]

    """For the end of the screen's own BINDINGS: the footer keeps the order, and playing comes first."""

    runner: Runner
    steerer: Steerer
    live: LiveRound
    method: Method | None
    undo_words: str | None = None
    redo_words: str | None = None

    def steers(self, action: str) -> bool | None:
        row = self._decided_row() if self.decisions_shown else None
        following = self.live.next_stage if self.live.view is not None and self.live.view.next_stage is not None else None
        applies: dict[str, Callable[[], bool]] = {
            "overrule": lambda: row is not None,
            "edit": lambda: row is not None,
            "draw": lambda: following is Stage.INSTRUCTIONS,
            "swap": lambda: following is Stage.INSTRUCTIONS,
            "regenerate": lambda: following in _WRITTEN,
            "parameters": lambda: self.method is not None,
            "brief": lambda: self.method is not None,
            "instances": lambda: row is not None and row.accepted and following not in (Stage.CLASSIFY, Stage.INSTANCES),
            "undo": lambda: self.undo_words is not None,
            "redo": lambda: self.redo_words is not None,
        }
        if action not in applies:
            return None
        return self.runner.state is RunnerState.IDLE and applies[action]()

    @property
    def decisions_shown(self) -> bool:
        """Whether the decision table is on the screen: nothing is decided on a line that is out of sight."""
        return not (self.has_class("-narrow") and self.has_class("-prompt"))

    def action_overrule(self) -> None:
        row = self._decided_row()
        if row is None or row.candidate is None:
            return
        candidate = row.candidate.id
        self._steer(lambda steering: overrule(steering, candidate))

    def action_edit(self) -> None:
        row = self._decided_row()
        if row is None or row.candidate is None or not self.steerer.ready(self):
            return
        candidate = row.candidate.id
        store: Store[str] = self._storing(lambda steering, text: steering.edit_candidate(candidate, text))
        lay_over(self, EditDialog(row.text, candidate, self.steerer, store))

    def action_draw(self) -> None:
        prompt = self.query_one(ContextTasks).ordinal
        self._steer(lambda steering: steering.resample(prompt))

    def action_swap(self) -> None:
        context = self.query_one(ContextTasks)
        prompt, position = context.ordinal, context.cursor
        self._steer(lambda steering: steering.swap(prompt, position))

    def action_regenerate(self) -> None:
        self._steer(lambda steering: steering.regenerate())

    def action_parameters(self) -> None:
        if self.method is not None and self.steerer.ready(self):
            lay_over(self, ParametersDialog(self.method, self.set_for_round()))

    def action_brief(self) -> None:
        if self.method is not None and self.steerer.ready(self):
            lay_over(self, TextsDialog(self.method, fields_of(self.method), "For this round alone", self.set_for_round()))

    def set_for_round(self) -> Store[dict[str, Any]]:
        return self._storing(lambda steering, changes: steering.set_round_parameters(changes))

    def action_instances(self) -> None:
        row = self._decided_row()
        if row is not None and row.candidate is not None and row.candidate.task_id is not None and self.steerer.ready(self):
            lay_over(self, InstancesDialog(row.candidate.task_id, row.text, self.steerer))

    def on_key(self, event: Key) -> None:
        """The footer has no key that decides while a stage is played: say why it does nothing, should one be pressed."""
        if event.key in _STEERED and self.steerer.refusal() is not None:
            event.stop()
            self.steerer.ready(self)

    def steering_commands(self) -> Iterator[SystemCommand]:
        offers = (
            ("overrule", "Candidate: overrule the verdict", "Accept what was rejected, or the reverse", self.action_overrule),
            ("edit", "Candidate: edit the text", "Its score follows as you type", self.action_edit),
            ("instances", "Candidate: instances of the task", "Edit, drop, restore or ask for more", self.action_instances),
            ("draw", "Prompt: draw other in-context tasks", "For the prompt that is shown", self.action_draw),
            ("swap", "Prompt: swap an in-context task", "The one under the cursor", self.action_swap),
            ("parameters", "Round: set parameters", "Temperature, threshold and others, for this round alone", self.action_parameters),
            ("brief", "Round: brief and system turns", "What the model is told besides the tasks, for this round alone", self.action_brief),
            ("regenerate", "Round: write anew", "Ask its prompts once more, with new seeds", self.action_regenerate),
            ("undo", "Round: undo", f"Take back: {self.undo_words}", self.action_undo),
            ("redo", "Round: redo", f"Do again: {self.redo_words}", self.action_redo),
        )
        return self._offered(offers)

    def _decided_row(self) -> Row | None:
        row = self.query_one(DecisionTable).row if self.is_mounted else None
        return row if row is not None and row.candidate is not None else None


_STEERED = frozenset(key for binding in SteeringScreen.STEERING for key in keys_of(binding.key))
