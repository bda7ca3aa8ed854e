"""What is asked before a comparison: who grades, and whose answers to which items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Select

from studio.errors import UsageError
from studio.insight.pairing import Comparable, likely_pair
from studio.pool.studies.comparisons import ComparisonPlan
from studio.text import display_line
from studio.tui.closing import Store
from studio.tui.safe import SafeInput
from studio.tui.study_dialog import Asked, StudyDialog
from studio.tui.widgets.choice import Choice

_SIDES = ("first", "second")


class CompareDialog(StudyDialog[ComparisonPlan]):
    """Made with the evaluations that can be compared, and the plan of a comparison of one of them to begin from."""

    heading = "Compare two models' answers, blind"
    HELP = """\
## Compare

The answers that two contestants gave in a stored evaluation, side by side, to be graded A to D without being told whose is which. A
comparison is drawn once: the same contestants, number of items and seed open it again, for every rater, where each left off. Another seed
draws other items and sides. Raters do not see each other's grades.
"""
    DEFAULT_CSS = """
    CompareDialog > Vertical { width: 90; }
    CompareDialog Label { width: 12; }
    """

    def __init__(self, there: Sequence[Comparable], plan: ComparisonPlan, rater: str, store: Store[Asked[ComparisonPlan]]) -> None:
        super().__init__(rater, store)
        self._there = {each.evaluation.id: each for each in there}
        self._offered = plan
        self._shown = next(each for each in there if plan.first in {one.id for one in each.contestants})

    def fields(self) -> Iterable[tuple[str, Widget]]:
        """Which evaluation, which two of its contestants, how many items, and how they are drawn."""
        evaluations = [
            (_line(f"{number}: {each.evaluation.name}, {each.evaluation.items} items"), number) for number, each in self._there.items()
        ]
        yield "evaluation", Choice(evaluations, value=self._shown.evaluation.id, allow_blank=False, compact=True, id="evaluation")
        for side, contestant in zip(_SIDES, (self._offered.first, self._offered.second), strict=True):
            yield side, Choice(self._contestants(), value=contestant, allow_blank=False, compact=True, id=side)
        yield "items", SafeInput(str(self._offered.size), id="size", compact=True)
        yield "seed", SafeInput(self._offered.seed, id="seed", compact=True)

    def plan(self) -> ComparisonPlan:
        """Return whose answers to how many items, and how they are drawn."""
        first, second = (int(str(self.query_one(f"#{side}", Select).value)) for side in _SIDES)
        if first == second:
            raise UsageError("one contestant is not compared with itself")
        size = min(self.number_of("size", "the number of items"), self._shown.evaluation.items)
        return ComparisonPlan(first, second, self.text_of("seed"), size)

    @on(Select.Changed, "#evaluation")
    def follow_evaluation(self, event: Select.Changed) -> None:
        """Offer the contestants of the chosen evaluation, and all of its items."""
        chosen = self._there[int(str(event.value))]
        if chosen is self._shown:
            return
        self._shown = chosen
        pair = likely_pair(chosen.contestants) or chosen.contestants[:2]
        for side, contestant in zip(_SIDES, pair, strict=True):
            choice = self.query_one(f"#{side}", Select)
            choice.set_options(self._contestants())
            choice.value = contestant.id
        self.query_one("#size", SafeInput).text = str(chosen.evaluation.items)

    def _contestants(self) -> list[tuple[Content, int]]:
        return [(_line(each.contestant.label), each.id) for each in self._shown.contestants]


def _line(text: str) -> Content:
    return Content(display_line(text, 90))
