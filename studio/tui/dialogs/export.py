"""The export dialog: which format, how split, which tasks, where to; three records before anything is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Checkbox, Input, Label, Select, Static

from studio.errors import PoolError, StudioError, UsageError
from studio.insight.lint.api import Lint, LintOptions
from studio.insight.lint.run import chosen_lints, without_findings
from studio.paths import user_path
from studio.pool.browse import ALL, Keep
from studio.pool.exchange.export import ExportOptions, ExportSummary, export_to_files, files_of, left_out_by_scores, sample_records
from studio.pool.exchange.formats import FORMATS
from studio.pool.exchange.parts import Thinking
from studio.pool.pool import Queries
from studio.pool.preferences import NO_PAIRS, told
from studio.text import counted, display, display_line
from studio.tui.base import Dialog, GivenUp, Row, confirm, leaving, start_latest
from studio.tui.keys import bind
from studio.tui.steering import PoolAccess
from studio.tui.widgets.fields import Choice, MarkedBox, SafeInput
from studio.tui.widgets.frame import Pane

SAMPLES = 3
_TEXTS = ("split", "quality", "tag", "lints", "nats", "agreement", "answer_nats", "system")
_BOXES = ("seeds", "scored", "strip")
_SAMPLE_TEXT = 4_000
"""Characters of a record that the sample shows; a record may be as long as the model cared to write."""


class ExportDialog(Dialog[None]):
    """Made with the pool's path alone."""

    HELP = """\
## Export

Writes the data as JSON, one object a line. The records below the fields are the first that will be written. A file that is there already
is replaced when you said so and the new one is complete, not before.

*quality* keeps tasks of which at least that share of the raters' answers is yes, *tag* those with any of the tags (`keep, good`), and
*lints* leaves out what they find when the file is written (`near-duplicate, refusal`; `studio lint --help` lists them).

The scores are those of a model that was asked in chat: *nats* keeps tasks whose instruction has at most so many nats a token, *answer*
instances whose answer has at most so many, *agreement* those whose answer agrees so much with the others drawn. What has no score is
kept unless *only what was scored*.

*system* is a system turn for the records that have none of their own, *without thoughts* leaves out what a model thought before an answer.
The format *preference* writes a line for each pair of answers of which one is known to be better, and why.
"""
    DEFAULT_CSS = """
    ExportDialog > Vertical { height: 92%; }
    ExportDialog .short { width: 20; }
    ExportDialog Row .beside { width: 8; margin-left: 3; }
    ExportDialog Checkbox { margin-left: 3; }
    ExportDialog Pane { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("accept", "export", "Export", "Write the file", priority=True),
        bind("back", "back", "Close", "Close; an export under way is given up, nothing of it is left"),
    ]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._access = PoolAccess(path)
        self._writing = False
        self._given_up = False
        self._done = 0
        self.title = f"Export {display_line(path.name, 60)}"

    def body(self) -> ComposeResult:
        options = [(Content(f"{each.name}: {each.summary}"), each.name) for each in FORMATS.values()]
        yield Row("format", Choice(options, value="alpaca", allow_blank=False, id="format"))
        yield Row("split", _short("split", "none, or 0.95"), MarkedBox(Content("with the seed tasks"), id="seeds"))
        tag = SafeInput(placeholder="any, or keep", id="tag")
        yield Row("quality", _short("quality", "any, or 0.67"), Label("tag", classes="beside"), tag)
        yield Row("lints", SafeInput(placeholder="none, or those to leave out: near-duplicate, refusal", id="lints"))
        answer = SafeInput(placeholder="any, or up to 0.6", id="answer_nats")
        yield Row("nats", _short("nats", "any, or up to 2.2"), Label("answer", classes="beside"), answer)
        yield Row("agreement", _short("agreement", "any, or from 0.4"), MarkedBox(Content("only what was scored"), id="scored"))
        system = SafeInput(placeholder="none, or Be brief.", id="system")
        yield Row("system", system, MarkedBox(Content("without thoughts"), id="strip"))
        yield Row("file", SafeInput(str(self._default("alpaca")), id="target"), id="target-row")
        with Pane(id="sample-pane") as pane:
            pane.border_title = Content(f"The first {SAMPLES} records")
            yield Static(id="sample", markup=False)
        with Horizontal(classes="buttons"):
            yield Button("Export", id="export", compact=True, variant="primary", action="screen.export")
            yield Button("Close", id="close", compact=True, action="screen.back")

    def on_mount(self) -> None:
        self.query_one("#format").focus()
        self.set_interval(0.2, self._tell_progress)
        self._look()

    def on_unmount(self) -> None:
        self._given_up = True
        self._access.close()

    def _read(self) -> Asked | None:
        """What is asked for; where a field means nothing, that is said and it is None."""
        texts = {name: self.query_one(f"#{name}", SafeInput).text.strip() for name in _TEXTS}
        chosen = str(self.query_one("#format", Select).value)
        boxes = {name: self.query_one(f"#{name}", Checkbox).value for name in _BOXES}
        try:
            return read_fields(chosen, texts, **boxes)
        except UsageError as error:
            self.refuse(error.words())
            return None

    @on(Select.Changed)
    def _format_changed(self, event: Select.Changed) -> None:
        folder = bool(FORMATS[str(event.value)].files)
        target, split = self.query_one("#target", SafeInput), self.query_one("#split", SafeInput)
        if target.text in {str(self._default(name)) for name in FORMATS}:
            target.text = str(self._default(str(event.value)))
        self.query_one("#target-row Label", Label).update(Content("folder" if folder else "file"))
        split.disabled = folder
        if folder:
            split.text = ""
        self._look()

    @on(Checkbox.Changed)
    @on(Input.Changed)
    def _field_changed(self) -> None:
        self._look()

    def action_back(self) -> None:
        """Close. An export under way is given up; what stood at its place before is still there."""
        self._given_up = True
        self.dismiss()

    @on(Input.Submitted)
    def action_export(self) -> None:
        """Write what is asked for, unless something is being written; where that replaces files, ask first."""
        if self._writing or (asked := self._read()) is None:
            return
        try:
            target = self._target()
            there = self._there(asked.options)
        except StudioError as error:
            self.refuse(error.words())
            return

        def then() -> None:
            start_latest(self, "export", self._export, target, asked)

        if there:
            words = f"{', '.join(display_line(name, 60) for name in there)} in {display_line(str(target.parent), 120)}"
            confirm(self, "Replace what is there?", f"{words} will be gone when the new export is complete.", then)
        else:
            then()

    def _look(self) -> None:
        """Show the sample of what is asked for, and whether something is there already."""
        asked = self._read()
        if asked is None:
            return
        options, there = asked.options, False
        with suppress(StudioError):
            there = bool(self._there(options))
        self.query_one("#export", Button).label = Content("Replace" if there else "Export")
        self.say("this is there already and would be replaced" if there else "")
        lints = ", before the lints have left out what they find" if asked.lints else ""
        self.query_one("#sample-pane").border_title = Content(f"The first {SAMPLES} records{lints}")
        start_latest(self, "sample", self._sample, options)

    async def _sample(self, options: ExportOptions) -> None:
        try:
            records = await self._access.ask(lambda pool: sample_records(pool, options, SAMPLES))
        except StudioError as error:
            self.refuse(error.words())
            return
        empty = "Nothing to export yet: no task has an instance. Play a round first, or take the seed tasks along."
        if options.keep != ALL:
            empty = "No task has that quality, tag and scores. Raters judge tasks with v, tags are given on the pool screen with N."
        if FORMATS[options.format].paired:
            empty = f"Of no answer is it known that it is better than another. To have pairs: {NO_PAIRS}."
        shown = "\n\n".join(display(record[:_SAMPLE_TEXT]) for record in records)
        self.query_one("#sample", Static).update(Content(shown or empty))

    async def _export(self, target: Path, asked: Asked) -> None:
        def progress(tasks: int) -> None:
            self._done = tasks
            if self._given_up:
                raise GivenUp

        def write(pool: Queries) -> tuple[ExportSummary, tuple[str, ...]] | None:
            try:
                return write_export(pool, asked, target, self._path, progress)
            except GivenUp:
                return None

        self._writing, self._done = True, 0
        try:
            written = await self._access.ask(write)
        except StudioError as error:
            self.refuse(error.words())
            return
        finally:
            self._writing = False
        if written is not None:
            summary, left_out = written
            places = "\n".join(f"{display_line(str(path))} ({count:,} records)" for path, count in summary.records.items())
            pairs = (f"pairs: {told(summary.kinds)}",) if summary.kinds else ()
            notes = "".join(f"\n{note}" for note in (*pairs, *left_out, *summary.notes(asked.options.format)))
            self.say(f"written, {counted(summary.tasks, 'task')}:\n{places}{notes}", "-done")
            self.app.notify(f"exported {summary.total:,} records", markup=False)

    def _default(self, format_name: str) -> Path:
        ending = "" if FORMATS[format_name].files else ".jsonl"
        return self._path.absolute().with_name(f"{self._path.stem}.{format_name}{ending}")

    def _target(self) -> Path:
        """The file or folder named. Raises UsageError and PoolError for one that cannot be used."""
        return user_path(self.query_one("#target", SafeInput).text.strip(), PoolError).absolute()

    def _there(self, options: ExportOptions) -> list[str]:
        """The names of the files that would be replaced. Raises UsageError and PoolError as `_target` does."""
        return [path.name for path in files_of(self._target(), options, self._path).values() if path.exists()]

    def _tell_progress(self) -> None:
        if self._writing and not leaving(self):
            self.say(f"writing … {self._done:,} tasks")


_SCORES = {"max_nats": "nats", "min_agreement": "agreement", "max_answer_nats": "answer"}
"""The fields of the dialog for those of `Keep`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An export, and the lints whose findings it leaves out."""

    options: ExportOptions
    lints: Sequence[Lint] = ()


def _short(name: str, placeholder: str) -> SafeInput:
    return SafeInput(placeholder=placeholder, id=name, classes="short")


def read_fields(name: str, texts: Mapping[str, str], *, seeds: bool, scored: bool, strip: bool) -> Asked:
    """Return what the fields ask for: the format's name, the texts as they were typed, empty for what is not asked for, and the boxes.

    Raises UsageError for the first text that means nothing, with what would.
    """
    split = _number(texts["split"], lambda share: 0 < share < 1, "the split is a share for training between 0 and 1, such as 0.95")
    quality = _number(texts["quality"], lambda share: 0 <= share <= 1, "the quality is a share of yes from 0 to 1, such as 0.67")
    agreement = _number(texts["agreement"], lambda share: 0 <= share <= 1, "the agreement is a ROUGE-L from 0 to 1, such as 0.4")
    nats, answer_nats = (
        _number(texts[each], lambda nats: 0 <= nats < math.inf, "nats a token are a number from 0 on, such as 2.2")
        for each in ("nats", "answer_nats")
    )
    scores = Keep(max_nats=nats, min_agreement=agreement, max_answer_nats=answer_nats, scored=scored)
    keep = replace(scores, min_quality=quality, tags=tuple(_words(texts["tag"])))
    if keep.scored and not keep.by_score:
        raise UsageError("only what was scored: by which score? fill in nats, agreement or answer")
    codes = _words(texts["lints"])
    thinking = Thinking.STRIP if strip else Thinking.KEEP
    options = ExportOptions(name, seeds, split, keep=keep, system=texts["system"], thinking=thinking)
    return Asked(options, chosen_lints(codes, with_file=False) if codes else ())


def write_export(
    pool: Queries, asked: Asked, target: Path, path: Path, progress: Callable[[int], None]
) -> tuple[ExportSummary, tuple[str, ...]]:
    """Write what is asked for of the pool at `path`, as one state of it; return what came of it, and in words what each score left out.

    Raises PoolError, also when the lints leave nothing.
    """
    with pool.one_state():
        left_out = tuple(
            f"{_SCORES[name]} left out {tasks:,} tasks, {instances:,} instances in all"
            for name, tasks, instances in left_out_by_scores(pool.stream, asked.options)
        )
        return _write(pool, asked, target, path, progress), left_out


def _write(pool: Queries, asked: Asked, target: Path, path: Path, progress: Callable[[int], None]) -> ExportSummary:
    if not asked.lints:
        return export_to_files(pool.stream, target, asked.options, path, progress)
    source = without_findings(pool, asked.lints, LintOptions(), asked.options, lambda *_: progress(0))
    try:
        return export_to_files(source, target, asked.options, path, progress)
    except PoolError as error:
        if source.tasks_left_out and not source.tasks_kept:
            raise PoolError(f"the lints leave out all {source.tasks_left_out} tasks", "exclude fewer") from error
        raise


def _words(text: str) -> list[str]:
    return [word for word in (each.strip() for each in text.split(",")) if word]


def _number(text: str, fits: Callable[[float], bool], words: str) -> float | None:
    """Return the number that is typed, None for no text. Raises UsageError with `words` for another text, or one that does not fit."""
    if not text:
        return None
    with suppress(ValueError):
        if fits(found := float(text)):
            return found
    raise UsageError(words)
