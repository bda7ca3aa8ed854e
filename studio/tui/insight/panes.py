"""Figures that take a while: diversity, evaluations, and what people and models said of the tasks.

Each pane computes its own on another thread when it is looked at, and keeps them until the pool changes.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from studio.errors import StudioError, UsageError
from studio.insight.diversity import diversity, diversity_report
from studio.insight.phrases import Parser, load_parser
from studio.insight.studies.comparison import grading_report, grading_tables
from studio.insight.studies.judge import judge_report, judge_tables
from studio.insight.studies.review import review_report, review_tables
from studio.pool.pool import Queries
from studio.records import Origin
from studio.text import display_line
from studio.tui.base import start_latest
from studio.tui.keys import key_of
from studio.tui.reader import PoolAccess
from studio.tuning.results import evaluation_result, result_tables


class FiguresPane(VerticalScroll):
    """Shows what `figures` makes of the pool. Nothing is read before `look`; a pane that goes gives its question up."""

    DEFAULT_CSS = """
    FiguresPane { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    FiguresPane Static { height: auto; width: 100%; }
    """

    def __init__(self, path: Path, opened: Callable[[Path], Queries], *, id: str) -> None:
        super().__init__(id=id)
        self._access = PoolAccess(path, opened)
        self._version = -1
        self._looked = self._took_s = 0.0
        self.waiting = False
        self._shown = Static("", markup=False)

    def compose(self) -> ComposeResult:
        yield self._shown

    def on_unmount(self) -> None:
        self._access.close()

    def look(self) -> None:
        """Bring the figures up to date, unless that is under way or was so costly that it has to wait a little."""
        if not self.waiting and time.monotonic() - self._looked >= 5 * self._took_s:
            self.waiting = True
            if self._version == -1:
                self._shown.update(Content("computing …"))
            start_latest(self, self.id or "", self._look)

    @abstractmethod
    def figures(self, pool: Queries) -> RenderableType:
        """Compute what is shown; on a thread that is not the screen's. Raises StudioError with what is to be said instead."""

    async def _look(self) -> None:
        before = self._version

        def question(pool: Queries) -> tuple[int, RenderableType | None]:
            version = pool.version()
            return version, None if version == before else self.figures(pool)

        started = time.monotonic()
        try:
            version, shown = await self._access.ask(question)
        except StudioError as error:
            self._shown.update(Content(display_line(f"{error.message}: {error.hint}" if error.hint else error.message)))
            return
        finally:
            self.waiting = False
            self._looked = time.monotonic()
            self._took_s = self._looked - started
        self._version = version
        if shown is not None:
            self._shown.update(shown)


MOST = 20_000
"""Tasks that are measured beside a screen; of more, a minute's work, the command tells."""
BATCH = 16
"""Instructions that are parsed at a time: the parser lets no other thread run meanwhile, and keys are not to wait."""


class DiversityPane(FiguresPane):
    """Loads the parser once, with the first look."""

    _parser: Parser | None = None
    _missing = ""

    def figures(self, pool: Queries) -> RenderableType:
        """Measure the generated tasks of `pool`."""
        tasks = pool.figures.active(Origin.GENERATED)
        if not tasks:
            return Text("No generated task yet. Press 1 and play a round; how diverse its tasks are will stand here.")
        if tasks > MOST:
            return Text(f"{tasks:,} generated tasks take a while: studio diversity POOL measures them with a progress bar.")
        if self._parser is None:
            try:
                self._parser = load_parser(batch=BATCH)
            except UsageError as error:
                self._missing = f"Words only: {error.message}; {error.hint.partition(';')[0]}"
        report = diversity_report(diversity(pool, Origin.GENERATED, self._parser))
        return report if self._parser else Group(report, Text(), Text(display_line(self._missing)))


_NO_EVALUATION = (
    "No model has been evaluated on tasks that it has not seen: hold some out when the pool is made (--hold-out), then let the base and "
    "the finetuned model answer: studio finetune POOL, studio evaluate POOL."
)
_NO_COMPARISON = f"Nobody has graded two models' answers: press {key_of('compare')}, or studio compare POOL."


class EvaluationPane(FiguresPane):
    """The newest evaluation, then the newest comparison; what is still graded blind is not told here either."""

    def figures(self, pool: Queries) -> RenderableType:
        """Compute both of one state of the pool."""
        with pool.one_state():
            evaluations, comparisons = pool.evaluations.all(), pool.comparisons.all()
            if not evaluations:
                return Text(_NO_EVALUATION)
            newest = max(evaluations, key=lambda each: each.id)
            parts: list[RenderableType] = [result_tables(evaluation_result(pool, newest.id)), Text()]
            parts.append(grading_tables(grading_report(pool, comparisons[0])) if comparisons else Text(_NO_COMPARISON))
        return Group(*parts)


_NO_REVIEW = f"Nobody has rated tasks yet: press {key_of('review')}, or studio review POOL."
_NO_JUDGE = (
    "No model has judged the tasks: studio judge POOL. Its opinion filters nothing, and only people's ratings show what it is worth."
)


class OpinionsPane(FiguresPane):
    """Ratings of the newest review, then all judges."""

    def figures(self, pool: Queries) -> RenderableType:
        """Compute both reports of one state of the pool."""
        with pool.one_state():
            reviews = pool.reviews.all()
            judges = judge_report(pool)
            parts: list[RenderableType] = [review_tables(review_report(pool, reviews[0])) if reviews else Text(_NO_REVIEW), Text()]
        parts.append(judge_tables(judges) if judges else Text(_NO_JUDGE))
        return Group(*parts)
