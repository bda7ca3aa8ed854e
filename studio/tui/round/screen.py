"""The main screen: a round walks through its stages, and every decision explains itself. Here are its keys, and what a person may decide
otherwise by them: each is one action, recorded beside the rule's verdict and undone by `u`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.widget import Widget

from studio.loop.session import Goal
from studio.pool.candidates import JudgedCandidate
from studio.records import STAGES, Stage, Verdict
from studio.tui.base import Store, copy_from, lay_over
from studio.tui.dialogs.edit import EditDialog, InstancesDialog
from studio.tui.dialogs.parameters import GoalDialog, ParametersDialog, Progress, TextsDialog, fields_of
from studio.tui.keys import VERBS, bind, keys_of
from studio.tui.round.decisions import DecisionTable
from studio.tui.round.drawing import PANES, DrawingScreen
from studio.tui.round.prompt import ContextTasks, Stream
from studio.tui.round.rail import Rail, StatusLine
from studio.tui.round.why import Why
from studio.tui.runner import RunnerState, Work
from studio.tui.steering import overrule
from studio.tui.terminal import TellingApp
from studio.tui.widgets.fields import FindLine
from studio.tui.widgets.frame import KeyBar, StudioHeader, TooSmall

_STEER = ("overrule", "edit", "draw", "swap", "rewrite", "parameters", "brief", "instances", "undo", "redo")
"""The verbs that wait until no stage is played."""
_WRITTEN = STAGES[STAGES.index(Stage.FILTER) :]
"""The stages to come when a round's completions are there and it is not committed."""


class StudioScreen(DrawingScreen):
    """Steps a session and shows what it does. Between stages a person may steer: whether an action applies is told by `check_action`."""

    TITLE = "Studio"
    AUTO_FOCUS = ""
    HELP = """
    ## The studio
    A round walks through six stages, in chat through seven. `s` does the next one and stops, `r` finishes the round, `R` runs on until
    you press `escape`.
    `T` sets how many tasks the pool shall have, or how many rounds to play.

    Between two stages you may steer, and `u` takes everything back:

    - `t` overrules the verdict under the cursor, `e` edits the text, `i` opens the instances of an accepted task
    - after *sample*: `D` draws other in-context tasks, `w` swaps the one under the cursor
    - after *instructions*: `W` asks the same prompts once more
    - `p` sets temperature, threshold and others for this round alone, `B` the brief and the system turns

    Where to find things:

    - `tab` goes round the four panes; arrows or `j` `k` move in each
    - `[` and `]` go through the prompts of the round, `P` shows one as the model gets it
    - `/` finds a candidate by its words, `ctrl+c` sends the one under the cursor to the clipboard
    - `1` `2` `3` are the studio, the pool and the insight screen, `F2` the settings, `F3` the log
    - `v` rates a sample of the pool, `V` compares two models' answers, blind; `x` exports
    - `ctrl+o` goes back to the picker, for another pool; `F4` goes on with another model
    - `ctrl+p` finds every command by name, `q` quits: nothing is lost
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("step", "step", "Step", "Do the next stage and stop."),
        bind("round", "finish_round", "Round", "Finish this round and stop."),
        bind("run-on", "run_on", "Run on", "Run until the target, the stop rule or Esc."),
        bind("goal", "goal", "Target", "Set how many tasks the pool shall have, or how many rounds to play.", show=False),
        bind("find", "find", "Find", "Find a candidate of the round by its words.", show=False),
        bind("copy", "copy", "Copy", "Send the candidate, task or text under the cursor to the clipboard.", show=False),
        bind("back", "stop", "Stop", "Stop now; the stage under way can be done again."),
        bind("retry", "retry", "Try again", "Open the pool and load the model again."),
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
        bind("prompt", "whole_prompt", "Prompt", "Read the prompt that is shown as the model gets it.", show=False),
        bind("previous", "prompt(-1)", "Prompt before", "The prompt before.", show=False),
        bind("next", "prompt(1)", "Next prompt", "The next prompt.", show=False),
        bind("next-part", "pane(1)", "Next pane", "Go to the next pane."),
        bind("part-before", "pane(-1)", "Pane before", "Go to the pane before.", show=False),
    ]

    OFFERED: ClassVar[Mapping[str, str]] = {
        "step": "Run: step",
        "finish_round": "Run: finish the round",
        "run_on": "Run: run on",
        "goal": "Run: target and rounds",
        "find": "Candidate: find",
        "whole_prompt": "Prompt: read it",
        "stop": "Run: stop",
        "retry": "Run: try again",
        "overrule": "Candidate: overrule the verdict",
        "edit": "Candidate: edit the text",
        "instances": "Candidate: instances of the task",
        "draw": "Prompt: draw other in-context tasks",
        "swap": "Prompt: swap an in-context task",
        "parameters": "Round: set parameters",
        "brief": "Round: brief and system turns",
        "regenerate": "Round: write anew",
        "undo": "Round: undo",
        "redo": "Round: redo",
    }

    def compose(self) -> ComposeResult:
        yield StudioHeader(self._facts())
        yield Rail(self.live, id="rail")
        yield StatusLine(id="status")
        with Vertical(id="body"):
            with Horizontal(id="prompt-page"):
                yield ContextTasks(id="context")
                yield Stream(id="stream")
            with Horizontal(id="verdict-page"):
                yield DecisionTable(id="decisions")
                yield Why(self.runner.asked.pool, id="why")
        yield FindLine("words of a candidate; enter goes on to the next")
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        """Show what there is, which is nothing; the runner starts after the first frame."""
        self.add_class("-prompt")
        self.follow_cursor()
        self._show_all()
        self._led_to = self.query_one(Stream)
        self._led_to.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """Only what applies now is offered; what steers, between stages only."""
        state = self.runner.state
        idle = state is RunnerState.IDLE
        following = self.live.view.next_stage if self.live.view is not None else None
        match action:
            case "step" | "finish_round" | "run_on":
                return idle
            case "stop":
                return state is RunnerState.RUNNING or (None if state is RunnerState.STOPPING else False)
            case "retry":
                return state is RunnerState.FAILED
            case "whole_prompt":
                return self.live.prompt(0) is not None
            case "overrule" | "edit":
                return idle and self._judged is not None
            case "instances":
                accepted = self._judged is not None and self._judged.verdict is Verdict.ACCEPTED
                return idle and accepted and following not in (Stage.CLASSIFY, Stage.INSTANCES)
            case "draw" | "swap":
                return idle and following is Stage.INSTRUCTIONS
            case "regenerate":
                return idle and following in _WRITTEN
            case "parameters" | "brief":
                return idle and self.method is not None
            case "undo":
                return idle and self.undo_words is not None
            case "redo":
                return idle and self.redo_words is not None
            case _:
                return True

    def words_of(self, action: str) -> str:
        return {"undo": f"Take back: {self.undo_words}", "redo": f"Do again: {self.redo_words}"}.get(action, "")

    def action_step(self) -> None:
        self._play(Work.STEP)

    def action_finish_round(self) -> None:
        self._play(Work.ROUND)

    def action_run_on(self) -> None:
        """Play until something ends it."""
        self.progress = Progress(self.runner.goal, self.live.generated, self.runner.now())
        self._play(Work.RUN_ON)

    def action_goal(self) -> None:
        def store(goal: Goal, stored: Callable[[], None], _: object) -> None:
            self.runner.goal = goal
            stored()
            self._show_all()

        lay_over(self, GoalDialog(self.runner.goal, self.live.generated, store))

    def action_find(self) -> None:
        if not self.decisions_shown:
            self.page = "verdict"
        self.query_one(FindLine).open()

    @on(FindLine.Wanted)
    def _find(self, event: FindLine.Wanted) -> None:
        self.query_one(DecisionTable).seek(event.fits, again=event.again)

    @on(FindLine.Left)
    def _found(self) -> None:
        self.query_one(DecisionTable).focus()

    def action_copy(self) -> None:
        """What is under the cursor of the pane that has the focus: a task of the prompt, the model's text, else a candidate."""
        row, context = self.query_one(DecisionTable).row, self.query_one(ContextTasks)
        text = row.text if row is not None else ""
        if context.has_focus and context.chosen is not None:
            text = context.chosen.instruction
        elif self.query_one(Stream).has_focus_within:
            shown = self.live.texts.get((self._text_stage, self._text_ordinal))
            text = "" if shown is None else shown.text
        copy_from(self, text)

    def action_whole_prompt(self) -> None:
        self.query_one(ContextTasks).open_prompt()

    def action_stop(self) -> None:
        self.runner.cancel()

    def action_retry(self) -> None:
        self._note = ""
        self.runner.start()

    def _play(self, work: Work) -> None:
        self._note = ""
        self.runner.play(work)

    def action_prompt(self, by: int) -> None:
        """Show another prompt, or another text of a later stage; in the pane of the prompts always a prompt."""
        prompts = self.live.prompts
        if not prompts:
            return
        here = self.focused is not None and self.focused.id == PANES[0]
        if here or self._text_stage is Stage.INSTRUCTIONS:
            self._prompt = min(max(self._prompt + by, 0), len(prompts) - 1)
            self._show_prompt()
        if self._text_stage is Stage.INSTRUCTIONS:
            self._text_ordinal = self._prompt
        elif here:
            return
        else:
            count = sum(stage is self._text_stage for stage, _ in self.live.texts)
            self._text_ordinal = min(max(self._text_ordinal + by, 0), max(count - 1, 0))
        self._chosen = True
        self._show_text()

    def action_pane(self, by: int) -> None:
        """Go to the next pane, turning the page where it is on the other one."""
        at = PANES.index(self.focused.id) if self.focused is not None and self.focused.id in PANES else 0
        name = PANES[(at + by) % len(PANES)]
        self._turn_page("prompt" if name in PANES[:2] else "verdict")
        # At once: `focus()` waits for a turn of its own, and keys that come together would all start from the same pane.
        self._led_to = None
        self.set_focus(self.query_one(f"#{name}", Widget))

    @property
    def decisions_shown(self) -> bool:
        """Whether the decision table is on the screen: nothing is decided on a line that is out of sight."""
        return not (self.has_class("-narrow") and self.has_class("-prompt"))

    @property
    def _judged(self) -> JudgedCandidate | None:
        """The candidate under the cursor, if it is in sight and decided."""
        row = self.query_one(DecisionTable).row if self.is_mounted and self.decisions_shown else None
        return None if row is None else row.candidate

    def action_overrule(self) -> None:
        if (judged := self._judged) is not None:
            self._steer(lambda steering: overrule(steering, judged.id))

    def action_edit(self) -> None:
        if (judged := self._judged) is not None and self.steerer.ready(self):
            store: Store[str] = self._storing(lambda steering, text: steering.edit_candidate(judged.id, text))
            lay_over(self, EditDialog(judged.text, judged.id, self.steerer, store))

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
        if (judged := self._judged) is not None and judged.task_id is not None and self.steerer.ready(self):
            lay_over(self, InstancesDialog(judged.task_id, judged.text, self.steerer))

    def on_key(self, event: Key) -> None:
        """The footer has no key that decides while a stage is played: say why it does nothing, should one be pressed."""
        own = self.app.own_keys if isinstance(self.app, TellingApp) else {}
        steered = {key for verb in _STEER for key in keys_of(own.get(verb, VERBS[verb].keys))}
        if event.key in steered and self.steerer.refusal() is not None:
            event.stop()
            self.steerer.ready(self)
