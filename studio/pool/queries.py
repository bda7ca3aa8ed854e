"""The pool's read side, as one object."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from studio.pool.counts import CountQueries
from studio.pool.database import connect_readable
from studio.pool.header import check_header, resolved
from studio.pool.lock import holder
from studio.pool.opening import check_readable
from studio.pool.queries_browse import BrowseQueries
from studio.pool.queries_comparison import ComparisonQueries
from studio.pool.queries_diversity import DiversityQueries
from studio.pool.queries_evaluation import EvaluationQueries
from studio.pool.queries_export import ExportQueries
from studio.pool.queries_judge import JudgeQueries
from studio.pool.queries_ledger import LedgerQueries
from studio.pool.queries_lineage import LineageQueries
from studio.pool.queries_lint import LintQueries
from studio.pool.queries_lists import ListQueries
from studio.pool.queries_progress import ProgressQueries
from studio.pool.queries_provenance import ProvenanceQueries
from studio.pool.queries_reviews import ReviewQueries
from studio.pool.queries_rounds import RoundQueries
from studio.pool.queries_screen import ScreenQueries
from studio.pool.queries_statistics import StatisticsQueries
from studio.pool.queries_story import StoryQueries
from studio.pool.queries_tasks import TaskQueries
from studio.pool.queries_training import TrainingQueries
from studio.pool.queries_watch import WatchQueries
from studio.pool.queries_whatif import WhatIfQueries
from studio.pool.records import WriterRecord


class Queries(
    RoundQueries,
    ProgressQueries,
    TaskQueries,
    StoryQueries,
    CountQueries,
    StatisticsQueries,
    DiversityQueries,
    ExportQueries,
    ListQueries,
    ScreenQueries,
    BrowseQueries,
    LedgerQueries,
    LineageQueries,
    WatchQueries,
    WhatIfQueries,
    LintQueries,
    ReviewQueries,
    JudgeQueries,
    ProvenanceQueries,
    TrainingQueries,
    EvaluationQueries,
    ComparisonQueries,
):
    """All questions one can ask of a pool. Every method raises PoolError when the file cannot be read."""

    @staticmethod
    def open(path: Path) -> Queries:
        """Open the pool at `path` for reading, on a connection of its own, beside a writer if there is one.

        Raises PoolError when it is missing, no pool, of another version, damaged or locked. Close it after use.
        """
        place = resolved(path)
        check_header(place)
        return Queries(check_readable(connect_readable(place)))

    def writer(self) -> WriterRecord | None:
        """Return who signed as the writer last and has not signed off: the present one, or one that was killed."""
        return holder(self._database)

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
