"""The drawing half of the studio screen: what the runner told, on the four panes and the lines above them."""

from __future__ import annotations

from collections.abc import Callable

from textual.widget import Widget

from studio.engine.api import EngineInfo
from studio.errors import PoolError
from studio.loop.settings import Method
from studio.pool.pool import Queries
from studio.records import Source, Stage
from studio.text import display_line
from studio.tui.base import start_latest
from studio.tui.dialogs.parameters import Progress
from studio.tui.round.decisions import DecisionTable, PendingRows, Row, decided_rows
from studio.tui.round.live import LiveRound, TaskText
from studio.tui.round.prompt import ContextTasks, Shown, Stream
from studio.tui.round.rail import Rail, Status, StatusLine
from studio.tui.round.steering import SteeringScreen
from studio.tui.round.why import Evidence, Why, question_about
from studio.tui.runner import Opened, RoundRead, Runner, StateChanged
from studio.tui.steering import PoolAccess, Steerer
from studio.tui.widgets.frame import HeaderFacts, StudioHeader

PANES = ("context", "stream", "decisions", "why")
MODEL_STAGES = (Stage.INSTRUCTIONS, Stage.CLASSIFY, Stage.INSTANCES, Stage.ANSWER)
_PROMPT_STAGES = (Stage.SAMPLE, Stage.INSTRUCTIONS)
_WRITTEN = {Stage.INSTRUCTIONS: "Completion", Stage.CLASSIFY: "Class", Stage.INSTANCES: "Instances", Stage.ANSWER: "Answer"}
"""What the model writes in each stage."""
UNASKED = "This task needs no input: nothing was asked of the model here.\nIts output is written in the stage answer."


class DrawingScreen(SteeringScreen):
    """Knows what is shown: which prompt, which text, which page of a narrow window. Decides nothing about the run."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self.runner, self.steerer = runner, Steerer(runner)
        self.live = LiveRound()
        self.method: Method | None = None
        self._own_method: Method | None = None
        self._info: EngineInfo | None = None
        self._answering = ""
        """The name of the model that answers, where there is one of its own."""
        self.progress: Progress | None = None
        self._note = ""
        self._access = PoolAccess(runner.asked.pool)
        self._pending = PendingRows()
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
        progress = self.live.stages[self.live.running] if self.live.running is not None else None
        stage = self.live.running or self.live.next_stage
        rate = round(progress.rate) if progress is not None else 0
        note = self._note or self._reading()
        self.query_one(StatusLine).status = Status(self.runner.state, stage, note, rate, self._far(), self.method)
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

    def _far(self) -> str:
        """How far the run is, if it goes on by itself."""
        return "" if self.progress is None else self.progress.words(self.live.generated, self.runner.now())

    def _reading(self) -> str:
        """What the model does before it has written anything: a template that it has not seen yet takes it seconds."""
        running = self.live.running
        if running is Stage.FILTER and self.live.stages[running].total:
            return "how likely is each candidate as a request? The model measures it"
        if running not in MODEL_STAGES or self.live.stages[running].tokens or self.live.stages[running].done:
            return ""
        return "the model reads its prompts"

    def _show_prompt(self) -> None:
        prompts = self.live.view.prompts if self.live.view is not None else ()
        self.query_one(ContextTasks).show(prompts, self._prompt)

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
        self.query_one(Stream).show(self._shown(), text, self.live.stages[stage].rate, running=self.live.running is stage)

    def _shown(self) -> Shown:
        """Which text is shown, and what of it the prompt has said already."""
        stage, ordinal = self._text_stage, self._text_ordinal
        total = max(self.live.stages[stage].total, sum(each is stage for each, _ in self.live.texts))
        if ordinal < 0:
            return Shown(_WRITTEN[stage], empty=UNASKED)
        words = f"{_WRITTEN[stage]} {ordinal + 1} of {total}" if total else _WRITTEN[stage]
        if stage is Stage.ANSWER:
            return Shown(words + _draw_words(self.live.text_about(stage, ordinal)))
        prompt = self.live.prompt(ordinal) if stage is Stage.INSTRUCTIONS else None
        if prompt is None or (self.method is not None and self.method.variant == "alpaca"):
            return Shown(words, beginnings=stage)
        if prompt.source is Source.TEMPLATE:
            return Shown(words, before=prompt.text)
        if prompt.passage is not None:
            return Shown(words, before=prompt.begun)
        begun = prompt.chat is None or bool(prompt.chat.begins)
        return Shown(words, before=f"{len(prompt.parents) + 1}." if begun else "", beginnings=stage)

    def _rows(self) -> list[Row]:
        """The candidates as they are known now."""
        tokenizer = self.method.tokenizer if self.method is not None else "unicode"
        rows = decided_rows(self.live, tokenizer)
        undecided = self.live.view is None or self.live.view.next_stage in (Stage.INSTRUCTIONS, Stage.FILTER)
        if not rows and undecided:
            rows = self._pending.rows(self.live, self.method)
        return rows

    def _show_decisions(self) -> None:
        table = self.query_one(DecisionTable)
        table.show(self._rows(), self.method)
        self._explain(table.row)

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
        self._explain(row)
        self.refresh_bindings()

    def _turn_to_text_of(self, row: Row) -> None:
        """Show what the model wrote that the row came from or, in a later stage, what it wrote about its task."""
        ordinal: int | None = row.request_ordinal
        if self._text_stage is not Stage.INSTRUCTIONS:
            task = row.candidate.task_id if row.candidate is not None else None
            texts = self.live.view.task_texts if self.live.view is not None else ()
            about = [each for each in texts if each.stage is self._text_stage and each.task_id == task]
            unasked = self._text_stage is Stage.INSTANCES and Stage.ANSWER in self.live.order and row.accepted
            ordinal = next((each.ordinal for each in about if each.chosen), about[0].ordinal if about else None)
            if ordinal is None and unasked:
                ordinal = -1
        if ordinal is not None and ordinal != self._text_ordinal:
            self._text_ordinal = ordinal
            self._show_text()

    def _explain(self, row: Row | None) -> None:
        """Explain `row`. What the pool knows of it is read beside the screen; until it is there, what was explained before stands."""
        question = question_about(row, self.live) if row is not None else None
        start_latest(self, "why", self._show_why, row, question)

    async def _show_why(self, row: Row | None, question: Callable[[Queries], Evidence] | None) -> None:
        evidence = None
        if question is not None:
            try:
                evidence = await self._access.ask(question)
            except PoolError as error:
                self.notify(display_line(error.message, 200), title="The pool cannot be read", severity="error", markup=False)
        self.query_one(Why).show(row, evidence, self.method)

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

    def action_prompt(self, by: int) -> None:
        """Show another prompt, or another text of a later stage; in the pane of the prompts always a prompt."""
        prompts = self.live.view.prompts if self.live.view is not None else ()
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

    def on_unmount(self) -> None:
        self._access.close()


def _draw_words(answer: TaskText | None) -> str:
    """Whose answer it is, and of several whether it was taken."""
    if answer is None:
        return ""
    number, count = answer.draw
    taken = f", {number}/{count} {'✓ taken' if answer.chosen else 'not taken'}" if count > 1 else ""
    return f" · task #{answer.task_id}{taken}"
