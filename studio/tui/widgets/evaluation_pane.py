"""Whether finetuning helped: the newest evaluation's figures, and how people graded its answers blind."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from studio.insight.grading_report import grading_report
from studio.insight.grading_tables import grading_tables
from studio.pool.pool import Queries
from studio.tui.widgets.figures_pane import FiguresPane
from studio.tuning.result_tables import result_tables
from studio.tuning.results import evaluation_result

_NO_EVALUATION = (
    "No model has been evaluated on tasks that it has not seen: hold some out when the pool is made (--hold-out), then let the base and "
    "the finetuned model answer: studio finetune POOL, studio evaluate POOL."
)
_NO_COMPARISON = "Nobody has graded two models' answers: press c, or studio compare POOL."


class EvaluationPane(FiguresPane):
    """The newest evaluation, then the newest comparison; what is still graded blind is not told here either."""

    def figures(self, pool: Queries) -> RenderableType:
        """Compute both of one state of the pool."""
        with pool.one_state():
            evaluations, comparisons = pool.evaluations(), pool.comparisons()
            if not evaluations:
                return Text(_NO_EVALUATION)
            newest = max(evaluations, key=lambda each: each.id)
            parts: list[RenderableType] = [result_tables(evaluation_result(pool, newest.id)), Text()]
            parts.append(grading_tables(grading_report(pool, comparisons[0])) if comparisons else Text(_NO_COMPARISON))
        return Group(*parts)
