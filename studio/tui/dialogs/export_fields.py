"""What the fields of the export dialog ask for, and writing it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from studio.errors import PoolError, UsageError
from studio.insight.lint.api import Lint, LintOptions
from studio.insight.lint.run import chosen_lints, without_findings
from studio.pool.browse import Keep
from studio.pool.exchange.export import ExportOptions, ExportSummary, export_to_files, left_out_by_scores
from studio.pool.pool import Queries

_SCORES = {"max_nats": "nats", "min_agreement": "agreement", "max_answer_nats": "answer"}
"""The fields of the dialog for those of `Keep`."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The texts of the fields as they were typed, empty for what is not asked for."""

    format: str
    seeds: bool = False
    split: str = ""
    quality: str = ""
    tag: str = ""
    lints: str = ""
    nats: str = ""
    agreement: str = ""
    answer_nats: str = ""
    scored: bool = False


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
    agreement = _share(fields.agreement)
    if fields.agreement and (agreement is None or not 0 <= agreement <= 1):
        raise UsageError("the agreement is a ROUGE-L from 0 to 1, such as 0.4")
    nats, answer_nats = _nats(fields.nats), _nats(fields.answer_nats)
    scores = Keep(max_nats=nats, min_agreement=agreement, max_answer_nats=answer_nats, scored=fields.scored)
    keep = replace(scores, min_quality=quality, tags=tuple(_words(fields.tag)))
    if keep.scored and not keep.by_score:
        raise UsageError("only what was scored: by which score? fill in nats, agreement or answer")
    codes = _words(fields.lints)
    options = ExportOptions(fields.format, fields.seeds, split, keep=keep)
    return Asked(options, chosen_lints(codes, with_file=False) if codes else ())


@dataclass(frozen=True, slots=True)
class Written:
    """What came of an export, and in words what each score left out."""

    summary: ExportSummary
    left_out: tuple[str, ...]


def write_export(pool: Queries, asked: Asked, target: Path, path: Path, progress: Callable[[int], None]) -> Written:
    """Write what is asked for of the pool at `path`, as one state of it. Raises PoolError, also when the lints leave nothing."""
    with pool.one_state():
        left_out = tuple(
            f"{_SCORES[name]} left out {tasks:,} tasks, {instances:,} instances in all"
            for name, tasks, instances in left_out_by_scores(pool.stream, asked.options)
        )
        return Written(_write(pool, asked, target, path, progress), left_out)


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
