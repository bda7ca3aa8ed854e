"""The main screen: a round walks through its stages, and every decision explains itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from studio.errors import StudioError, UsageError
from studio.loop.events import EngineRestarted, InstanceDecided, Noted, RequestFinished, RequestRetried, StageFinished, StopReason
from studio.loop.filters import stall_hint
from studio.loop.runs import overridden
from studio.records import Stage, Verdict
from studio.text import display_line, spoken
from studio.tui.base import ErrorDialog, leaving
from studio.tui.direct_compositor import DirectCompositor
from studio.tui.help_log import log_line
from studio.tui.pace import Pace
from studio.tui.round.context import ContextTasks
from studio.tui.round.decisions import DecisionTable
from studio.tui.round.drawing import DrawingScreen
from studio.tui.round.rail import Rail, StatusLine
from studio.tui.round.steering import SteeringScreen
from studio.tui.round.stream import Stream
from studio.tui.round.why import Why
from studio.tui.runner import Answered, Failed, Loading, Notice, Opened, RoundRead, Runner, RunnerState, StateChanged, Work, WorkEnded
from studio.tui.widgets.header import StudioHeader, TooSmall
from studio.tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from studio.tui.app import StudioApp


class StudioScreen(DrawingScreen):
    """Steps a session and shows what it does. All it knows comes from the runner's notices and the pool's read side."""

    TITLE = "Studio"
    AUTO_FOCUS = ""

    HELP = """
    ## The studio
    A round walks through six stages. `s` does the next one and stops, `r` finishes the round, `a` runs on until you press `escape`.

    Between two stages you may steer, and `u` takes everything back:

    - `t` overrules the verdict under the cursor, `e` edits the text, `i` opens the instances of an accepted task
    - after *sample*: `d` draws other in-context tasks, `w` swaps the one under the cursor
    - after *instructions*: `n` asks the same prompts once more
    - `p` sets temperature, threshold and others for this round alone

    Where to find things:

    - `tab` goes round the four panes; arrows or `j` `k` move in each
    - `[` and `]` go through the prompts of the round
    - `1` `2` `3` are the studio, the pool and the insight screen
    - `v` rates a sample of the pool, `c` compares two models' answers, blind; `x` exports
    - `ctrl+p` finds every command by name, `q` quits: nothing is lost
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s,space", "step", "Step", id="studio.step", key_display="s", tooltip="Do the next stage and stop."),
        Binding("r", "finish_round", "Round", id="studio.round", tooltip="Finish this round and stop."),
        Binding("a", "run_on", "Run on", id="studio.run_on", tooltip="Run until the target, the stop rule or Esc."),
        Binding("escape", "stop", "Stop", id="studio.stop", key_display="esc", tooltip="Stop now; the stage under way can be done again."),
        Binding("ctrl+r", "retry", "Try again", id="studio.retry", tooltip="Open the pool and load the model again."),
        *SteeringScreen.STEERING,
        Binding("left_square_bracket", "prompt(-1)", "Prompt before", show=False, id="studio.prompt_before", tooltip="The prompt before."),
        Binding("right_square_bracket", "prompt(1)", "Next prompt", show=False, id="studio.prompt_next", tooltip="The next prompt."),
        Binding("tab", "pane(1)", "Next pane", id="studio.pane_next", tooltip="Go to the next pane."),
        Binding("shift+tab", "pane(-1)", "Pane before", show=False, id="studio.pane_before", tooltip="Go to the pane before."),
    ]

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner)
        self._compositor = DirectCompositor()
        self._ticker: Timer | None = None
        self._pace = Pace()
        self._written: list[InstanceDecided] = []
        """Instances that were asked for outside the stages, since the runner's state changed."""
        self.comparable = False

    def compose(self) -> ComposeResult:
        """Header, rail and status above; what goes in and comes out; what was decided and why."""
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
            cast("StudioApp", self.app).activity.add(line[0], error=line[1])
        match notice:
            case Loading(model):
                name = model if "://" in model else Path(model).name
                self._note = f"loading {display_line(name, 60) or 'the bundled model'}"
            case Opened(info, method, _, _, comparable):
                self._info, self._own_method, self.method, self._note = info, method, method, ""
                self.comparable = comparable
                self._tell_notes(info.notices)
                cast("StudioApp", self.app).opened()
            case RoundRead():
                self._take_round(notice)
            case StateChanged(state):
                self._written.clear()
                if state is not RunnerState.RUNNING and state is not RunnerState.STOPPING:
                    self.live.interrupted()
            case WorkEnded(work, stopped):
                self.live.interrupted()
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

    def _tell_notes(self, notes: Sequence[str]) -> None:
        """Say what a person should know of how the model runs; the log keeps it."""
        for note in notes:
            cast("StudioApp", self.app).activity.add(f"note: {note}")
            self.notify(display_line(note, 300), severity="warning", timeout=15, markup=False)

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
            case StopReason.STALLED:
                rejected = Counter(each.reason for each in self.live.view.candidates) if self.live.view else Counter[str]()
                words = f"The last rounds brought no new task: {stall_hint(rejected)}"
                self.notify(words, title="Stalled", severity="warning", timeout=15, markup=False)
            case StopReason.CANCELLED:
                self._note = "stopped; the text that had come is kept as cancelled"
                return
            case _:
                pass
        self._note = ""

    def _fail(self, error: StudioError) -> None:
        self.live.interrupted()
        if isinstance(error, UsageError) and self.runner.state is RunnerState.IDLE:
            words = f"{error.message}; {error.hint}" if error.hint else error.message
            self.notify(display_line(words, 300), severity="warning", markup=False)
            return
        self._note = ("ctrl+r tries again · " if self._info is None else "") + display_line(error.message, 100)
        self.app.push_screen(ErrorDialog(error))

    def _tick_while_busy(self) -> None:
        if self._ticker is None and self.runner.state in (RunnerState.RUNNING, RunnerState.STOPPING):
            self._ticker = self.set_timer(self._pace.delay(), self._tick)

    def _tick(self) -> None:
        self._ticker = None
        self.collect()

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
            case _:
                return self.steers(action) is not False

    def action_step(self) -> None:
        """Do the next stage."""
        self._play(Work.STEP)

    def action_finish_round(self) -> None:
        """Play to the end of the round."""
        self._play(Work.ROUND)

    def action_run_on(self) -> None:
        """Play until something ends it."""
        self._play(Work.RUN_ON)

    def action_stop(self) -> None:
        """Stop at once."""
        self.runner.cancel()

    def action_retry(self) -> None:
        """Open pool and model again."""
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
            ("stop", "Run: stop", "Give up the stage under way", self.action_stop),
            ("retry", "Run: try again", "Open the pool and load the model again", self.action_retry),
        )
        for action, title, words, callback in offers:
            if self.check_action(action, ()):
                yield SystemCommand(title, words, callback)
        yield from self.steering_commands()
