"""The main screen: a round walks through its stages, and every decision explains itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer

from studio.errors import StudioError, UsageError
from studio.loop.events import (
    EngineRestarted,
    InstanceDecided,
    Noted,
    RequestFinished,
    RequestRetried,
    RoundFinished,
    StageFinished,
    StopReason,
)
from studio.loop.filters import stall_hint
from studio.loop.runs import overridden
from studio.loop.session import Goal
from studio.records import Stage, Verdict
from studio.text import display_line, spoken
from studio.tui.base import ErrorDialog, copy_from, lay_over, leaving
from studio.tui.dialogs.parameters import GoalDialog, Progress
from studio.tui.help_log import ActivityLog, log_line
from studio.tui.keys import bind, key_of
from studio.tui.round.decisions import DecisionTable
from studio.tui.round.drawing import DrawingScreen
from studio.tui.round.prompt import ContextTasks, Stream
from studio.tui.round.rail import Rail, StatusLine
from studio.tui.round.steering import SteeringScreen
from studio.tui.round.why import Why
from studio.tui.runner import Answered, Failed, Loading, Notice, Opened, RoundRead, Runner, RunnerState, StateChanged, Work, WorkEnded
from studio.tui.widgets.fields import FindLine
from studio.tui.widgets.frame import KeyBar, StudioHeader, TooSmall


@dataclass
class RunOpened(Message):
    """The pool is there: the picker may offer it next time."""

    pool: Path


TICK_S = 0.1
"""Between two looks at what the runner told, while it plays: more of them are no easier to read, and the model needs the cores."""
_TOASTS = 2
"""Notes that are shown one above the other: more would cover a small terminal."""


class StudioScreen(DrawingScreen):
    """Steps a session and shows what it does. All it knows comes from the runner's notices and the pool's read side."""

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
        *SteeringScreen.STEERING,
        bind("prompt", "whole_prompt", "Prompt", "Read the prompt that is shown as the model gets it.", show=False),
        bind("previous", "prompt(-1)", "Prompt before", "The prompt before.", show=False),
        bind("next", "prompt(1)", "Next prompt", "The next prompt.", show=False),
        bind("next-part", "pane(1)", "Next pane", "Go to the next pane."),
        bind("part-before", "pane(-1)", "Pane before", "Go to the pane before.", show=False),
    ]

    def __init__(self, runner: Runner, activity: ActivityLog) -> None:
        super().__init__(runner)
        self._activity = activity
        self._ticker: Timer | None = None
        self._written: list[InstanceDecided] = []
        """Instances that were asked for outside the stages, since the runner's state changed."""
        self.comparable = False

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
                yield Why(id="why")
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

    # What the runner tells

    def collect(self) -> None:
        """Take in all that happened since the last time and draw it once."""
        if leaving(self):
            return
        notices = self.runner.drain()
        for at, notice in notices:
            self._take(at, notice)
        if self.live.running is not None:
            self.live.tick(self.runner.now())
        if notices or self.live.running is not None:
            self._show_live({type(notice) for _, notice in notices})
        self._tick_while_busy()

    def _take(self, at: float, notice: Notice) -> None:
        if (line := log_line(notice)) is not None:
            self._activity.add(line[0], error=line[1])
        match notice:
            case Loading():
                self._note = _loading_words(notice)
            case Opened():
                self._opened(notice)
            case RoundRead():
                self._take_round(notice)
            case StateChanged(state):
                self._written.clear()
                if state is not RunnerState.RUNNING and state is not RunnerState.STOPPING:
                    self.live.interrupted()
            case WorkEnded(work, stopped):
                self.live.interrupted()
                self.progress = None
                if work is Work.MORE and stopped is None:
                    self._say_written()
                self._say(stopped)
            case InstanceDecided() if self.live.running is None:
                self._written.append(notice)
            case Failed(error):
                self._fail(error)
            case Answered(then, value):
                then(value)
            case Noted(text):
                self._tell_notes([text])
            case EngineRestarted(_, attempt, cause):
                words = f"The model's process ended ({display_line(cause, 120)}) and was started again, attempt {attempt}."
                self.notify(words, severity="warning", timeout=8, markup=False)
                self.live.apply(at, notice)
            case _:
                if isinstance(notice, RoundFinished) and self.progress is not None:
                    self.progress.rounds += 1
                if isinstance(notice, RequestRetried) and notice.wait >= 1:
                    self._note = f"the server is asked again {notice.when}: {display_line(notice.cause, 100)}"
                elif isinstance(notice, RequestFinished | StageFinished):
                    self._note = ""
                number, running = self.live.number, self.live.running
                self.live.apply(at, notice)
                if self.live.number != number:
                    self._pending.clear()
                    self._prompt = 0
                if self.live.running is not running and self.live.running is not None:
                    self._follow(self.live.running)

    def _take_round(self, read: RoundRead) -> None:
        view = read.view
        self.undo_words, self.redo_words = read.undo, read.redo
        if view is None or view.number != self.live.number:
            self._pending.clear()
            self._prompt = 0
        self.live.read(view, read.generated)
        if self._own_method is not None:
            overrides = view.overrides if view is not None and view.next_stage is not None else {}
            self.method = overridden(self._own_method, overrides) if overrides else self._own_method
        standing = (view.id, view.next_stage) if view is not None else None
        if standing != self._standing:
            self._standing = standing
            self._follow(view.next_stage if view is not None else Stage.SAMPLE)

    def _opened(self, run: Opened) -> None:
        self._info, self._own_method, self.method, self._note = run.info, run.method, run.method, ""
        self._answering = "" if run.answering is None else run.answering.model.name
        self.live.own_order = run.method.stages
        self.comparable = run.comparable
        self._tell_notes(run.notices)
        self.post_message(RunOpened(self.runner.asked.pool))

    def _tell_notes(self, notes: Sequence[str]) -> None:
        """Say what a person should know of the documents and of how the model runs, without covering the screen; the log keeps all."""
        for note in notes:
            self._activity.add(f"note: {note}")
        rest = len(notes) - _TOASTS
        for note in notes[: _TOASTS if rest > 1 else len(notes)]:
            self.notify(display_line(note, 300), severity="warning", timeout=15, markup=False)
        if rest > 1:
            self.notify(f"{rest:,} more notes: see the log ({key_of('log')}).", severity="warning", timeout=15, markup=False)

    def _say_written(self) -> None:
        """What became of the instances that were asked for."""
        if not self._written:
            self.notify("The model wrote no instance.", severity="warning", markup=False)
            return
        accepted = sum(each.verdict is Verdict.ACCEPTED for each in self._written)
        rejected = ", ".join(spoken(each.reason) for each in self._written if each.verdict is not Verdict.ACCEPTED)
        more = "no new instance" if not accepted else "1 more instance" if accepted == 1 else f"{accepted} more instances"
        words = f"Task {self._written[0].task_id} has {more}."
        self.notify(f"{words} Rejected: {rejected}." if rejected else words, markup=False)

    def _say(self, stopped: StopReason | None) -> None:
        match stopped:
            case StopReason.TARGET:
                self.notify("The target is reached.", title="Done", markup=False)
            case StopReason.DOCUMENTS:
                self.notify("Every passage of the documents has been used.", title="Done", markup=False)
            case StopReason.STALLED:
                rejected = Counter(each.reason for each in self.live.view.candidates) if self.live.view else Counter[str]()
                words = f"The last rounds brought no new task: {stall_hint(rejected)}"
                self.notify(words, title="Stalled", severity="warning", timeout=15, markup=False)
            case StopReason.CANCELLED:
                cut = next((stage for stage, each in self.live.stages.items() if each.state == "cancelled"), None)
                kept = "nothing is decided yet" if cut is Stage.FILTER else "the text that had come is kept as cancelled"
                self._note = "stopped between two stages" if cut is None else f"stopped; {kept}"
                return
            case _:
                pass
        self._note = ""

    def _fail(self, error: StudioError) -> None:
        self.live.interrupted()
        if isinstance(error, UsageError) and self.runner.state is RunnerState.IDLE:
            words = error.words("; ")
            self.notify(display_line(words, 300), severity="warning", markup=False)
            return
        self._note = ("ctrl+r tries again · " if self._info is None else "") + display_line(error.message, 100)
        self.app.push_screen(ErrorDialog(error))

    def _tick_while_busy(self) -> None:
        if self.runner.state not in (RunnerState.RUNNING, RunnerState.STOPPING):
            if self._ticker is not None:
                self._ticker.stop()
                self._ticker = None
        elif self._ticker is None:
            self._ticker = self.set_interval(TICK_S, self.collect)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  (Textual's signature)
        """Only what applies now is offered."""
        state = self.runner.state
        match action:
            case "step" | "finish_round" | "run_on":
                return state is RunnerState.IDLE
            case "stop":
                return state is RunnerState.RUNNING or (None if state is RunnerState.STOPPING else False)
            case "retry":
                return state is RunnerState.FAILED
            case "whole_prompt":
                return self.live.prompt(0) is not None
            case _:
                return self.steers(action) is not False

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

    def commands(self) -> Iterable[SystemCommand]:
        """What the palette offers here, as it applies now."""
        offers = (
            ("step", "Run: step", "Do the next stage and stop", self.action_step),
            ("finish_round", "Run: finish the round", "Play to the end of the round", self.action_finish_round),
            ("run_on", "Run: run on", "Run until the target, the stop rule or Esc", self.action_run_on),
            ("goal", "Run: target and rounds", "How far to run on", self.action_goal),
            ("find", "Candidate: find", "By its words, in this round", self.action_find),
            ("whole_prompt", "Prompt: read it", "As the model gets it: its turns, or a raw text", self.action_whole_prompt),
            ("stop", "Run: stop", "Give up the stage under way", self.action_stop),
            ("retry", "Run: try again", "Open the pool and load the model again", self.action_retry),
        )
        yield from self._offered(offers)
        yield from self.steering_commands()


def _loading_words(loading: Loading) -> str:
    """Which models are being loaded, files by their last names."""
    names = [each if "://" in each else Path(each).name for each in (loading.model or "the bundled model", loading.answering) if each]
    return f"loading {' and '.join(display_line(name, 60) for name in names)}"
