"""What people and models said of the tasks: the newest review beside the paper's table 2, and how far each judge agrees with people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from studio.insight.judge_report import judge_report
from studio.insight.judge_tables import judge_tables
from studio.insight.review import review_report
from studio.insight.review_tables import review_tables
from studio.pool.pool import Queries
from studio.tui.widgets.figures_pane import FiguresPane

_NO_REVIEW = "Nobody has rated tasks yet: press v, or studio review POOL."
_NO_JUDGE = (
    "No model has judged the tasks: studio judge POOL. Its opinion filters nothing, and only people's ratings show what it is worth."
)


class OpinionsPane(FiguresPane):
    """Ratings of the newest review, then all judges."""

    def figures(self, pool: Queries) -> RenderableType:
        """Compute both reports of one state of the pool."""
        with pool.one_state():
            reviews = pool.reviews()
            judges = judge_report(pool)
            parts: list[RenderableType] = [review_tables(review_report(pool, reviews[0])) if reviews else Text(_NO_REVIEW), Text()]
        parts.append(judge_tables(judges) if judges else Text(_NO_JUDGE))
        return Group(*parts)
