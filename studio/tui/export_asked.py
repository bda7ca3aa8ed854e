"""What the fields of the export dialog ask for, read from their texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.errors import PoolError, UsageError
from studio.insight.lint.api import Lint, LintOptions
from studio.insight.lint.leaving_out import without_findings
from studio.insight.lint.registry import chosen_lints
from studio.pool.exchange.export import ExportOptions, ExportSummary, export_to_files
from studio.pool.pool import Queries
from studio.pool.studies.reviews import Keep


@dataclass(frozen=True, slots=True)
class Fields:
    """The texts of the fields as they were typed, empty for what is not asked for."""

    format: str
    seeds: bool = False
    split: str = ""
    quality: str = ""
    tag: str = ""
    lints: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """An export, and the lints whose findings it leaves out."""

    options: ExportOptions
    lints: Sequence[Lint] = ()


def read_fields(fields: Fields) -> Asked:
    """Return what the fields ask for. Raises UsageError for the first text that means nothing, with what would."""
    split = _share(fields.split)
    if fields.split and (split is None or not 0 < split < 1):
        raise UsageError("the split is a share for training between 0 and 1, such as 0.95")
    quality = _share(fields.quality)
    if fields.quality and (quality is None or not 0 <= quality <= 1):
        raise UsageError("the quality is a share of yes from 0 to 1, such as 0.67")
    codes = _words(fields.lints)
    keep = Keep(quality, tags=tuple(_words(fields.tag)))
    options = ExportOptions(fields.format, fields.seeds, split, keep=keep)
    return Asked(options, chosen_lints(codes, with_file=False) if codes else ())


def write_export(pool: Queries, asked: Asked, target: Path, path: Path, progress: Callable[[int], None]) -> ExportSummary:
    """Write what is asked for of the pool at `path`, as one state of it. Raises PoolError, also when the lints leave nothing."""
    if not asked.lints:
        return export_to_files(pool, target, asked.options, path, progress)
    with pool.one_state():
        source = without_findings(pool, asked.lints, LintOptions(), asked.options, lambda _done, _steps: progress(0))
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
