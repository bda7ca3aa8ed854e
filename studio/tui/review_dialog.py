"""What is asked before a review: who rates, and which sample."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Select

from studio.pool.studies.reviews import ReviewPlan, Strata
from studio.tui.closing import Store
from studio.tui.safe import SafeInput
from studio.tui.study_dialog import Asked, StudyDialog
from studio.tui.widgets.choice import Choice

_STRATA = {
    Strata.NONE: "not stratified",
    Strata.ROUND: "by round, in five bands",
    Strata.CLASS: "by classification or not",
    Strata.DEPTH: "by generation depth",
}


class ReviewDialog(StudyDialog[ReviewPlan]):
    """Made with the newest review's plan, or the paper's."""

    heading = "Rate a sample of the pool"
    HELP = """\
## Review

A random sample of the generated tasks, one instance of each, drawn once: the same number, seed and strata open it again, for every rater,
where each left off. Another seed draws another sample. Raters do not see each other's answers.
"""

    def __init__(self, plan: ReviewPlan, rater: str, store: Store[Asked[ReviewPlan]]) -> None:
        super().__init__(rater, store)
        self._offered = plan

    def fields(self) -> Iterable[tuple[str, Widget]]:
        """How many tasks, and how they are drawn."""
        yield "tasks", SafeInput(str(self._offered.size), id="size", compact=True)
        yield "seed", SafeInput(self._offered.seed, id="seed", compact=True)
        options = [(words, strata.value) for strata, words in _STRATA.items()]
        yield "strata", Choice(options, value=self._offered.strata.value, allow_blank=False, compact=True, id="strata")

    def plan(self) -> ReviewPlan:
        """Return how many tasks are drawn, and how."""
        strata = Strata(str(self.query_one("#strata", Select).value))
        return ReviewPlan(self.number_of("size", "the number of tasks"), self.text_of("seed"), strata)
