"""One task of a comparison as a rater sees it: the texts, and the grades he gave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.content import Content

from studio.insight.walk import Walk
from studio.pool.studies.comparisons import ComparisonItem, Grade
from studio.tui.cells import LONG, cut
from studio.tui.widgets.review_item import Part, said_besides

MEANING = {Grade.A: "correct, satisfying", Grade.B: "minor faults", Grade.C: "relevant, major faults", Grade.D: "irrelevant, invalid"}
"""The paper's four grades, short enough for one line of a narrow screen."""

_DONE = "all done: studio compare POOL --report unblinds"


def task_text(item: ComparisonItem) -> Content:
    """Instruction and input; all of it cleaned, none of it markup."""
    parts: list[Part] = [("Instruction\n", "bold $text-primary"), cut(item.instruction, LONG)]
    if item.input:
        parts += [("\nInput\n", "bold $text-primary"), cut(item.input, LONG)]
    return Content.assemble(*parts)


def answer_text(item: ComparisonItem, place: int) -> Content:
    """The answer on a side, 0 being the left."""
    text = item.answers[item.sides[place]]
    return Content.assemble(cut(text, LONG) if text.strip() else ("(empty)", "$text-muted"))


def answer_title(place: int, grade: Grade | None, marked: bool) -> str:
    """What stands above an answer: its number on the screen and its grade; nothing tells whose it is."""
    return f"{'▸ ' if marked else ''}Answer {place + 1}: {grade.value if grade else '–'}"


def grade_lines(walk: Walk[ComparisonItem, Any], width: int) -> Content:
    """The four grades with their meaning, that of the marked answer standing out; below, what else the rater said of the task."""
    return Content.assemble(*_grades(walk, width))


def _grades(walk: Walk[ComparisonItem, Any], width: int) -> Iterator[Part]:
    given = walk.rating.answers[walk.question]
    used, room = 0, width - 10
    yield (f"▸ Answer {walk.order.index(walk.question) + 1}", "bold $accent")
    for grade, words in MEANING.items():
        here = f"   {grade.value} {words}"
        used += len(here)
        if used > room:
            yield "\n"
            used, room = len(here), width
        yield "   "
        yield (f"{grade.value}", "bold reverse" if grade is given else "bold $accent")
        yield (f" {words}", "bold" if grade is given else "")
    yield "\n"
    yield from said_besides(walk, width, "  tab marks the other answer, o goes to the next open task", _DONE)
