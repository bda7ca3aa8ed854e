"""Which data of a pool a command takes, and in which format: the options that `studio export` and `studio publish` have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from studio.cli.shared import INPUT, Command, progress_bar, with_options
from studio.cli.task_files import gather
from studio.errors import PoolError, UsageError
from studio.text import counted

if TYPE_CHECKING:
    from studio.insight.lint.api import Lint
    from studio.insight.lint.run import LeavingOut
    from studio.pool.browse import Keep
    from studio.pool.exchange.export import ExportOptions, ExportSummary
    from studio.pool.exchange.formats import TaskStream
    from studio.pool.pool import Queries
    from studio.publish.card import DataFile, Exported


_STEP = 500

_OPTIONS = (
    click.option(
        "--format",
        "format_name",
        default="alpaca",
        show_default=True,
        help="alpaca, chat, sharegpt, prompt-completion, preference, preference-text, raw, or self-instruct, which fills a folder.",
    ),
    click.option("--include-seeds", is_flag=True, help="Export the seed tasks too."),
    click.option(
        "--split",
        type=float,
        metavar="SHARE",
        help="Two files instead, FILE.train and FILE.validation, with SHARE of the instructions in the first.",
    ),
    click.option("--seed", default="0", show_default=True, help="Decides which instructions --split puts where."),
    click.option(
        "--min-quality",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="Only tasks of which at least SHARE of the raters' answers are yes; 0.67 is two of three.",
    ),
    click.option("--unrated", is_flag=True, help="With --min-quality: keep the tasks nobody has rated, too."),
    click.option(
        "--exclude-lint", "excluded", multiple=True, metavar="CODE,...", help="Leave out what these lints find, see `studio lint`."
    ),
    click.option("--against", type=INPUT, multiple=True, metavar="FILE", help="The evaluation files of --exclude-lint contamination."),
    click.option(
        "--tag", "tags", multiple=True, metavar="NAME", help="Only tasks with this tag; may be repeated for tasks with any of them."
    ),
    click.option("--noted", is_flag=True, help="Only tasks with a note."),
    click.option(
        "--max-nats", type=click.FloatRange(min=0), metavar="X", help="Only tasks whose instruction has at most X nats a token in chat."
    ),
    click.option(
        "--min-agreement",
        type=click.FloatRange(0, 1),
        metavar="X",
        help="Only instances whose answer agrees with the others drawn by X or more.",
    ),
    click.option(
        "--max-answer-nats", type=click.FloatRange(min=0), metavar="X", help="Only instances whose answer has at most X nats a token."
    ),
    click.option("--scored", is_flag=True, help="With one of these three: leave out what has no such score, too."),
    click.option("--system", metavar="TEXT|@FILE", help="A system turn for the records that have none of their own."),
    click.option(
        "--thinking",
        type=click.Choice(("keep", "strip")),
        default="keep",
        show_default=True,
        help="strip: leave out what a model thought before its answers, also where it stands in them as <think>.",
    ),
)


def selecting(command: Command) -> Command:
    """Give a command the options that `chosen` takes."""
    return with_options(command, _OPTIONS)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be written: the export's options, and the lints whose findings are left out, `against` being their evaluation files."""

    options: ExportOptions
    lints: Sequence[Lint] = ()
    against: tuple[Path, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(each.code for each in self.lints)


def chosen(said: dict[str, Any]) -> Selection:
    """Take the options of `selecting` out of `said` and return what they choose. Raises UsageError for what does not go together."""
    from studio.pool.exchange.export import ExportOptions
    from studio.pool.exchange.parts import Thinking

    keep = _keep(said)
    name, seeds, split, seed = (said.pop(each) for each in ("format_name", "include_seeds", "split", "seed"))
    options = ExportOptions(name, seeds, split, seed, keep, _system(said.pop("system")), Thinking(said.pop("thinking")))
    options.fitting()
    against = tuple(gather(said.pop("against")).paths)
    return Selection(options, _lints(said.pop("excluded"), against), against)


def _system(said: str | None) -> str:
    """The system turn that is given as it is, or as a file's name."""
    from studio.config import read_text

    if said is None:
        return ""
    text = read_text(Path(said[1:]), "the system turn,").removesuffix("\n") if said.startswith("@") else said
    if not text.strip():
        raise UsageError("the system turn is empty", "leave --system out, or say something")
    return text


def _keep(said: dict[str, Any]) -> Keep:
    """Which tasks and instances are wanted, taken out of the options."""
    from studio.pool.browse import Keep

    keep = Keep(**{each.name: said.pop(each.name) for each in fields(Keep)})
    if keep.unrated and keep.min_quality is None:
        raise UsageError("--unrated goes with --min-quality", "without it tasks are exported whether rated or not")
    if keep.scored and not keep.by_score:
        raise UsageError("--scored goes with --max-nats, --min-agreement or --max-answer-nats", "name the score that has to be there")
    return keep


def _lints(excluded: tuple[str, ...], against: tuple[Path, ...]) -> Sequence[Lint]:
    if not excluded:
        if against:
            raise UsageError("--against goes with --exclude-lint", "add --exclude-lint contamination")
        return ()
    from studio.cli.show import split_codes
    from studio.insight.lint.run import chosen_lints

    codes = split_codes(excluded)
    if not codes:
        raise UsageError("--exclude-lint names no lint", "`studio lint --help` lists them")
    return chosen_lints(codes, with_file=bool(against))


class LeftOut(NamedTuple):
    """How many tasks and instances in all an option left out."""

    by: str
    tasks: int
    instances: int


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a selection: where it was read from, the files with their records, and what each option left out."""

    selection: Selection
    source: TaskStream
    summary: ExportSummary
    left_out: tuple[LeftOut, ...]

    def exported(self, files: tuple[DataFile, ...]) -> Exported:
        """What a card says of it, the files as they are called beside the card."""
        from studio.pool.preferences import told
        from studio.publish.card import Exported

        options, notes = self.selection.options, tuple(self.summary.notes(self.selection.options.format))
        return Exported(self.source, options, self.selection.codes, files, notes, told(self.summary.kinds))

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": self.selection.options.format,
            "tasks": self.summary.tasks,
            "records": self.summary.total,
            "no_place": {part.name.lower(): number for part, number in self.summary.lost.items()},
            "thoughts_left_out": self.summary.stripped,
            "pairs": dict(self.summary.kinds),
            "left_out": [each._asdict() for each in self.left_out],
        }


def write_selection(
    reader: Queries, selection: Selection, output: str, pool: Path, wrapped: Callable[[TaskStream], TaskStream] = lambda source: source
) -> Written:
    """Write what is selected of `pool`, which `reader` has open, to `output`, `-` being stdout, and tell on stderr what is left out
    and what has no place in the format. `wrapped` may change what is told of a task.

    Raises UsageError and PoolError as `export_to_files` does, and PoolError where nothing is left.
    """
    from studio.pool.exchange.export import left_out_by_scores, option_of
    from studio.pool.preferences import told

    left = [LeftOut(option_of(name), *counts) for name, *counts in left_out_by_scores(reader.stream, selection.options)]
    without = _without(reader, selection) if selection.lints else None
    source = wrapped(without or reader.stream)
    try:
        summary = _write(source, output, selection.options, pool)
    except PoolError as error:
        if without is not None and without.tasks_left_out and not without.tasks_kept:
            hint = "`studio lint POOL` shows what they find; exclude fewer"
            raise PoolError(f"nothing to export: the lints leave nothing of {counted(without.tasks_left_out, 'task')}", hint) from error
        raise
    if without is not None:
        left.append(LeftOut("--exclude-lint", without.tasks_left_out, without.instances_left_out))
    for each in left:
        what = "in all" if each.by != "--exclude-lint" else "of others"
        click.echo(
            f"{clear_line()}{each.by} left out {counted(each.tasks, 'task')}, {counted(each.instances, 'instance')} {what}", err=True
        )
    evidence = [f"pairs by evidence: {told(summary.kinds)}"] if summary.kinds else []
    for note in (*summary.notes(selection.options.format), *evidence):
        click.echo(f"{clear_line()}{note}", err=True)
    return Written(selection, source, summary, tuple(left))


def _without(reader: Queries, selection: Selection) -> LeavingOut:
    from studio.insight.lint.api import LintOptions
    from studio.insight.lint.run import without_findings

    with progress_bar() as progress:
        return without_findings(reader, selection.lints, LintOptions(against=selection.against), selection.options, progress)


def _write(source: TaskStream, output: str, options: ExportOptions, pool: Path) -> ExportSummary:
    from studio.pool.exchange.export import export_to_files, export_to_stream

    if output == "-":
        return export_to_stream(source, sys.stdout.buffer, options, _progress)
    return export_to_files(source, Path(output), options, pool, _progress)


def _progress(tasks: int) -> None:
    if tasks % _STEP == 0 and sys.stderr.isatty():
        click.echo(f"\r{tasks} tasks", nl=False, err=True)


def clear_line() -> str:
    """What puts the next words in the place of a counter on a terminal; nothing elsewhere."""
    return "\r\x1b[K" if sys.stderr.isatty() else ""
