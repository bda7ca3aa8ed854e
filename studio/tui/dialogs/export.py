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
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Label, Select, Static

from studio.errors import PoolError, StudioError, UsageError
from studio.insight.lint.api import Lint, LintOptions
from studio.insight.lint.run import chosen_lints, without_findings
from studio.paths import user_path
from studio.pool.browse import ALL, Keep
from studio.pool.exchange.export import ExportOptions, ExportSummary, export_to_files, files_of, left_out_by_scores, sample_records
from studio.pool.exchange.formats import FORMATS
from studio.pool.pool import Queries
from studio.pool.preferences import NO_PAIRS, told
from studio.text import display, display_line
from studio.tui.base import Dialog, GivenUp, confirm, leaving, start_latest
from studio.tui.keys import bind
from studio.tui.steering import PoolAccess
from studio.tui.widgets.fields import Choice, MarkedBox, SafeInput
from studio.tui.widgets.frame import KeyBar, Pane

SAMPLES = 3
_TEXTS = ("split", "quality", "tag", "lints", "nats", "agreement", "answer_nats")
_SAMPLE_TEXT = 4_000
"""Characters of a record that the sample shows; a record may be as long as the model cared to write."""


class ExportDialog(Dialog[Path | None]):
    """Made with the pool's path alone; closes with the path that was written last, or None."""

    HELP = """\
## Export

Writes the data as JSON, one object a line. The records below the fields are the first that will be written. A file that is there already
is replaced when you said so and the new one is complete, not before.

*quality* keeps tasks of which at least that share of the raters' answers is yes, *tag* those with any of the tags (`keep, good`), and
*lints* leaves out what they find when the file is written (`near-duplicate, refusal`; `studio lint --help` lists them).

The scores are those of a model that was asked in chat: *nats* keeps tasks whose instruction has at most so many nats a token, *answer*
instances whose answer has at most so many, *agreement* those whose answer agrees so much with the others drawn. What has no score is
kept unless *only what was scored*.

*preference* writes a line for each pair of answers of which one is known to be better, and why.
"""
    DEFAULT_CSS = """
    ExportDialog #box { width: 90%; max-width: 110; height: 90%; }
    ExportDialog .row { height: 1; }
    ExportDialog .row Label { width: 11; color: $text-muted; }
    ExportDialog .row Input { width: 1fr; border: none; height: 1; padding: 0; background: $panel; }
    ExportDialog .row #split, ExportDialog .row #quality, ExportDialog .row .score { width: 20; }
    ExportDialog .row .beside { width: 8; margin-left: 3; }
    ExportDialog Select { width: 1fr; height: 1; }
    ExportDialog Checkbox { border: none; padding: 0; background: transparent; margin-left: 3; width: auto; }
    ExportDialog Checkbox > .toggle--button { background: $surface; }
    ExportDialog #said { height: auto; min-height: 1; max-height: 6; }
    ExportDialog #said.-error { color: $text-error; }
    ExportDialog #said.-done { color: $text-success; }
    ExportDialog Pane { height: 1fr; }
    ExportDialog #buttons { height: 1; margin-top: 1; }
    ExportDialog Button { margin-right: 2; }
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
        self._written: Path | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = Content(f"Export {display_line(self._path.name, 60)}")
            options = [(Content(f"{each.name}: {each.summary}"), each.name) for each in FORMATS.values()]
            yield _row("format", Choice(options, value="alpaca", allow_blank=False, id="format"))
            seeds = MarkedBox(Content("with the seed tasks"), id="seeds")
            yield _row("split", SafeInput(placeholder="none, or 0.95", id="split"), seeds)
            tag = SafeInput(placeholder="any, or keep", id="tag")
            yield _row("quality", SafeInput(placeholder="any, or 0.67", id="quality"), Label("tag", classes="beside"), tag)
            yield _row("lints", SafeInput(placeholder="none, or those to leave out: near-duplicate, refusal", id="lints"))
            answer = SafeInput(placeholder="any, or up to 0.6", id="answer_nats")
            nats = SafeInput(placeholder="any, or up to 2.2", id="nats", classes="score")
            yield _row("nats", nats, Label("answer", classes="beside"), answer)
            scored = MarkedBox(Content("only what was scored"), id="scored")
            yield _row("agreement", SafeInput(placeholder="any, or from 0.4", id="agreement", classes="score"), scored)
            yield _row("file", SafeInput(str(self._default("alpaca")), id="target"), id="target-label")
            yield Static(id="said", markup=False)
            with Pane(id="sample-pane") as pane:
                pane.border_title = Content(f"The first {SAMPLES} records")
                yield Static(id="sample", markup=False)
            with Horizontal(id="buttons"):
                yield Button("Export", id="export", compact=True, variant="primary", action="screen.export")
                yield Button("Close", id="close", compact=True, action="screen.back")
        yield KeyBar()

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
        try:
            seeds, scored = (self.query_one(f"#{name}", Checkbox).value for name in ("seeds", "scored"))
            return read_fields(chosen, texts, seeds=seeds, scored=scored)
        except UsageError as error:
            self._fail(error)
            return None

    @on(Select.Changed)
    def _format_changed(self, event: Select.Changed) -> None:
        folder = bool(FORMATS[str(event.value)].files)
        target, split = self.query_one("#target", SafeInput), self.query_one("#split", SafeInput)
        if target.text in {str(self._default(name)) for name in FORMATS}:
            target.text = str(self._default(str(event.value)))
        self.query_one("#target-label", Label).update(Content("folder" if folder else "file"))
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
        self.dismiss(self._written)

    @on(Input.Submitted)
    def action_export(self) -> None:
        """Write what is asked for, unless something is being written; where that replaces files, ask first."""
        if self._writing or (asked := self._read()) is None:
            return
        try:
            target = self._target()
            there = [path.name for path in files_of(target, asked.options, self._path).values() if path.exists()]
        except StudioError as error:
            self._fail(error)
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
        options = asked.options
        there = self._exists(options)
        self.query_one("#export", Button).label = Content("Replace" if there else "Export")
        self._say("this is there already and would be replaced" if there else "")
        lints = ", before the lints have left out what they find" if asked.lints else ""
        self.query_one("#sample-pane").border_title = Content(f"The first {SAMPLES} records{lints}")
        start_latest(self, "sample", self._sample, options)

    async def _sample(self, options: ExportOptions) -> None:
        try:
            records = await self._access.ask(lambda pool: sample_records(pool, options, SAMPLES))
        except StudioError as error:
            self._fail(error)
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
            self._fail(error)
            return
        finally:
            self._writing = False
        if written is not None:
            self._written = target
            summary, left_out = written
            places = "\n".join(f"{display_line(str(path))} ({count:,} records)" for path, count in summary.records.items())
            pairs = (f"pairs: {told(summary.kinds)}",) if summary.kinds else ()
            notes = "".join(f"\n{note}" for note in (*pairs, *left_out, *summary.notes(asked.options.format)))
            self._say(f"written, {summary.tasks:,} {'task' if summary.tasks == 1 else 'tasks'}:\n{places}{notes}", "-done")
            self.app.notify(f"exported {summary.total:,} records", markup=False)

    def _default(self, format_name: str) -> Path:
        ending = "" if FORMATS[format_name].files else ".jsonl"
        return self._path.absolute().with_name(f"{self._path.stem}.{format_name}{ending}")

    def _target(self) -> Path:
        """The file or folder named. Raises UsageError and PoolError for one that cannot be used."""
        return user_path(self.query_one("#target", SafeInput).text.strip(), PoolError).absolute()

    def _exists(self, options: ExportOptions) -> bool:
        with suppress(StudioError):
            return any(path.exists() for path in files_of(self._target(), options, self._path).values())
        return False

    def _tell_progress(self) -> None:
        if self._writing and not leaving(self):
            self._say(f"writing … {self._done:,} tasks")

    def _fail(self, error: StudioError) -> None:
        self._say(display_line(error.words()), "-error")

    def _say(self, text: str, kind: str = "") -> None:
        said = self.query_one("#said", Static)
        for each in ("-error", "-done"):
            said.set_class(each == kind, each)
        said.update(Content(text))


_SCORES = {"max_nats": "nats", "min_agreement": "agreement", "max_answer_nats": "answer"}
"""The fields of the dialog for those of `Keep`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An export, and the lints whose findings it leaves out."""

    options: ExportOptions
    lints: Sequence[Lint] = ()


def _row(name: str, *fields: Widget, id: str | None = None) -> Horizontal:
    return Horizontal(Label(name, id=id, markup=False), *fields, classes="row")


def read_fields(name: str, texts: Mapping[str, str], *, seeds: bool, scored: bool) -> Asked:
    """Return what the fields ask for: the format's name, the texts as they were typed, empty for what is not asked for, and both boxes.

    Raises UsageError for the first text that means nothing, with what would.
    """
    split = _share(texts["split"])
    if texts["split"] and (split is None or not 0 < split < 1):
        raise UsageError("the split is a share for training between 0 and 1, such as 0.95")
    quality = _share(texts["quality"])
    if texts["quality"] and (quality is None or not 0 <= quality <= 1):
        raise UsageError("the quality is a share of yes from 0 to 1, such as 0.67")
    agreement = _share(texts["agreement"])
    if texts["agreement"] and (agreement is None or not 0 <= agreement <= 1):
        raise UsageError("the agreement is a ROUGE-L from 0 to 1, such as 0.4")
    nats, answer_nats = _nats(texts["nats"]), _nats(texts["answer_nats"])
    scores = Keep(max_nats=nats, min_agreement=agreement, max_answer_nats=answer_nats, scored=scored)
    keep = replace(scores, min_quality=quality, tags=tuple(_words(texts["tag"])))
    if keep.scored and not keep.by_score:
        raise UsageError("only what was scored: by which score? fill in nats, agreement or answer")
    codes = _words(texts["lints"])
    options = ExportOptions(name, seeds, split, keep=keep)
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


def _share(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _nats(text: str) -> float | None:
    found = _share(text)
    if text and (found is None or not 0 <= found < math.inf):
        raise UsageError("nats a token are a number from 0 on, such as 2.2")
    return found
