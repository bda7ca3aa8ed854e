"""The drawing half of the studio screen: what the runner told, on the four panes and the lines above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget

from studio.engine.api import EngineInfo
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
from studio.loop.settings import Method
from studio.records import Stage, Verdict
from studio.text import display_line, spoken
from studio.tui.base import ErrorDialog, leaving
from studio.tui.dialogs.parameters import Progress
from studio.tui.help_log import ActivityLog, log_line
from studio.tui.keys import key_of
from studio.tui.round.decisions import DecisionTable, Row, Rows
from studio.tui.round.live import MODEL_STAGES, LiveRound
from studio.tui.round.prompt import ContextTasks, Shown, Stream
from studio.tui.round.rail import Rail, Status, StatusLine, loading_words
from studio.tui.round.why import Why
from studio.tui.runner import Answered, Failed, Loading, Notice, Opened, RoundRead, Runner, RunnerState, StateChanged, Work, WorkEnded
from studio.tui.steering import SteeredScreen, Steerer, say_error
from studio.tui.widgets.frame import HeaderFacts, StudioHeader


@dataclass
class RunOpened(Message):
    """The pool is there: the picker may offer it next time."""

    pool: Path


PANES = ("context", "stream", "decisions", "why")
_PROMPT_STAGES = (Stage.SAMPLE, Stage.INSTRUCTIONS)
TICK_S = 0.1
"""Between two looks at what the runner told, while it plays: more of them are no easier to read, and the model needs the cores."""
_TOASTS = 2
"""Notes that are shown one above the other: more would cover a small terminal."""


class DrawingScreen(SteeredScreen):
    """Knows what is shown: which prompt, which text, which page of a narrow window. All it knows comes from the runner's notices and the
    pool's read side; it decides nothing about the run.
    """

    def __init__(self, runner: Runner, activity: ActivityLog) -> None:
        super().__init__()
        self.runner = runner
        self.steerer: Steerer = Steerer(runner)
        self.live = LiveRound()
        self.undo_words: str | None = None
        self.redo_words: str | None = None
        self.comparable = False
        self._activity = activity
        self._ticker: Timer | None = None
        self._written: list[InstanceDecided] = []
        """Instances that were asked for outside the stages, since the runner's state changed."""
        self.method: Method | None = None
        self._own_method: Method | None = None
        self._info: EngineInfo | None = None
        self._answering = ""
        """The name of the model that answers, where there is one of its own."""
        self.progress: Progress | None = None
        self._note = ""
        self._table_rows = Rows()
        self._prompt = 0
        self._text_stage = Stage.INSTRUCTIONS
        self._text_ordinal = 0
        self._chosen = False
        """Whether the text that is shown was chosen by a key; if not, the one that grows is shown."""
        self._standing: tuple[int, Stage | None] | None = None
        self._led_to: Widget | None = None
        """The pane that the focus was brought to last, if not by the user."""

    @property
    def model_file(self) -> str:
        """The model that is loaded: its file, or the name or address that it goes by; empty before it is."""
        return "" if self._info is None else self._info.model.path or self._info.model.name

    @property
    def page(self) -> str:
        """Which half a narrow window shows: `prompt` or `verdict`. A wide one shows both."""
        return "prompt" if self.has_class("-prompt") else "verdict"

    @page.setter
    def page(self, name: str) -> None:
        if name == self.page:
            return
        self._turn_page(name)
        # Whoever went to a pane of a wide window stays there; in a narrow one it would be out of sight.
        focused = self.focused
        if focused is None or focused is self._led_to or (focused.id in PANES and self.has_class("-narrow")):
            self._led_to = self.query_one("#stream" if name == "prompt" else "#decisions")
            self.set_focus(self._led_to)

    def _turn_page(self, name: str) -> None:
        # Where both halves are shown it says nothing to the styles; a narrower window looks at them all again.
        self.set_class(name == "prompt", "-prompt", update=self.has_class("-narrow"))

    def on_resize(self) -> None:
        """A wide window shows both halves, and what can be done in each."""
        self.refresh_bindings()

    def _follow(self, stage: Stage | None) -> None:
        """Turn to the page where `stage` can be watched, and to its text; the stage after the last is the last."""
        # Where only one half fits, the half in which something happens is shown.
        writes = self.live.running in (Stage.INSTANCES, Stage.ANSWER) and self.has_class("-narrow")
        self.page = "prompt" if stage in _PROMPT_STAGES or writes else "verdict"
        texts = [each for each in MODEL_STAGES if any(place[0] is each for place in self.live.texts)]
        running = self.live.running
        self._text_stage = running if running in MODEL_STAGES else texts[-1] if texts else Stage.INSTRUCTIONS
        row = None
        if stage not in _PROMPT_STAGES:
            # The prompt that was written last is no news any more: all panes tell of the candidate under the cursor. The rows are those
            # of now: a fast model is done before any of them was drawn.
            table = self.query_one(DecisionTable)
            table.show(self._rows(), self.method)
            row = table.row
        if row is not None:
            self._prompt = row.request_ordinal
        self._text_ordinal = self._prompt if self._text_stage is Stage.INSTRUCTIONS else 0
        self._chosen = False
        if row is not None and running is None:
            self._turn_to_text_of(row)

    def _show_all(self) -> None:
        self._show_live({RoundRead})

    def _show_live(self, kinds: set[type]) -> None:
        self.query_one(Rail).show()
        far = "" if self.progress is None else self.progress.words(self.live.generated, self.runner.now())
        self.query_one(StatusLine).status = Status.of(self.live, self.runner.state, self._note, far, self.method)
        self.query_one(StudioHeader).facts = self._facts()
        if kinds & {RoundRead, Opened, StateChanged}:
            self._show_prompt()
            self._show_decisions()
            self.refresh_bindings()
        elif any(stage is Stage.INSTRUCTIONS for stage, _ in self.live.changed_texts):
            self._show_decisions()
        if kinds & {RoundRead} or (self._text_stage, self._text_ordinal) in self.live.changed_texts or self.live.running is not None:
            self._show_text()
        self.live.changed_texts.clear()

    def _show_prompt(self) -> None:
        self.query_one(ContextTasks).show(self.live.prompts, self._prompt)

    def _turn_to_growing(self) -> None:
        """When the text that is shown is complete, go on with the first that is still being written."""
        stage = self.live.running
        shown = self.live.texts.get((self._text_stage, self._text_ordinal))
        if self._chosen or stage is not self._text_stage or shown is None or shown.completion is None:
            return
        growing = [place[1] for place, text in self.live.texts.items() if place[0] is stage and text.count and text.completion is None]
        if growing:
            self._text_ordinal = min(growing)
            if stage is Stage.INSTRUCTIONS:
                self._prompt = self._text_ordinal
                self._show_prompt()

    def _show_text(self) -> None:
        self._turn_to_growing()
        stage = self._text_stage
        text = self.live.texts.get((stage, self._text_ordinal))
        shown = Shown.of(self.live, stage, self._text_ordinal, self.method)
        self.query_one(Stream).show(shown, text, self.live.stages[stage].rate, running=self.live.running is stage)

    def _rows(self) -> list[Row]:
        """The candidates as they are known now."""
        return self._table_rows.of(self.live, self.method)

    def _show_decisions(self) -> None:
        table = self.query_one(DecisionTable)
        table.show(self._rows(), self.method)
        self.query_one(Why).explain(table.row, self.live, self.method)

    def follow_cursor(self) -> None:
        """Explain the row under the cursor, and show the prompt it came from, in the frame in which the cursor moves."""
        self.watch(self.query_one(DecisionTable), "cursor", self._moved, init=False)

    def _moved(self) -> None:
        row = self.query_one(DecisionTable).row
        if row is not None and row.candidate is not None and row.request_ordinal != self._prompt:
            self._prompt = row.request_ordinal
            self._show_prompt()
        if row is not None and self.live.running is None:
            self._turn_to_text_of(row)
        self.query_one(Why).explain(row, self.live, self.method)
        self.refresh_bindings()

    def _turn_to_text_of(self, row: Row) -> None:
        """Show what the model wrote that the row came from or, in a later stage, what it wrote about its task."""
        ordinal: int | None = row.request_ordinal
        if self._text_stage is not Stage.INSTRUCTIONS:
            task = row.candidate.task_id if row.candidate is not None else None
            about = [each for each in self.live.task_texts if each.stage is self._text_stage and each.task_id == task]
            unasked = self._text_stage is Stage.INSTANCES and Stage.ANSWER in self.live.order and row.accepted
            ordinal = next((each.ordinal for each in about if each.chosen), about[0].ordinal if about else None)
            if ordinal is None and unasked:
                ordinal = -1
        if ordinal is not None and ordinal != self._text_ordinal:
            self._text_ordinal = ordinal
            self._show_text()

    def _facts(self) -> HeaderFacts:
        info = self._info
        place = ""
        if info is not None:
            place = f"{info.layers_offloaded}/{info.layers} layers on GPU" if info.layers else display_line(info.backend, 24)
        return HeaderFacts(
            pool=self.runner.asked.pool.name,
            model=info.model.name if info is not None else "",
            quantisation=info.model.quantisation if info is not None else "",
            place=place,
            answers=self._answering,
            profile=self.method.profile if self.method is not None else "",
            round=self.live.number,
            accepted=self.live.generated if self.live.counted else None,
            drafts=self.live.view.drafts if self.live.view is not None else 0,
            target=self.runner.goal.target or 0,
        )

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
                self._note = loading_words(notice)
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
                    self._table_rows.clear()
                    self._prompt = 0
                if self.live.running is not running and self.live.running is not None:
                    self._follow(self.live.running)

    def _take_round(self, read: RoundRead) -> None:
        view = read.view
        self.undo_words, self.redo_words = read.undo, read.redo
        if view is None or view.number != self.live.number:
            self._table_rows.clear()
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
        self._note = ""

    def _fail(self, error: StudioError) -> None:
        self.live.interrupted()
        if isinstance(error, UsageError) and self.runner.state is RunnerState.IDLE:
            say_error(self.app, error)
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
