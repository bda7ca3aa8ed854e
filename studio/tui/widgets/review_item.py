"""One task of a review as a rater sees it: the texts, and the questions with what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from textual.content import Content

from studio.insight.reviewing import Reviewing
from studio.insight.walk import Walk
from studio.pool.studies.reviews import ReviewItem
from studio.tui.cells import LONG, clip, cut

ASKED = ("Does the instruction describe a valid task?", "Is the input appropriate for it?", "Is the output correct and acceptable?")
"""The paper's three questions, short enough for a narrow screen."""
_BAR = 16
_DONE = "all done: studio review POOL --report has the figures"

Part = str | tuple[str, str]


def item_text(item: ReviewItem) -> Content:
    """Instruction, input and output; all of it cleaned, none of it markup."""
    parts: list[Part] = []
    for title, text in (("Instruction", item.instruction), ("Input", item.input), ("Output", item.output)):
        parts += ["\n" if parts else "", (f"{title}\n", "bold $text-primary"), cut(text, LONG) if text else ("(none)", "$text-muted"), "\n"]
    return Content.assemble(*parts)


def place_line(walk: Walk[Any, Any], title: str, width: int) -> Content:
    """Who rates what, and how far it is, in one line."""
    complete, skipped = walk.counts
    total = len(walk.items)
    settled = complete + skipped
    words = f"task {walk.position + 1} of {total} · {complete} complete, {skipped} skipped "
    room = width - len(words) - 3
    left = clip(f"{title} {walk.study} · {walk.rater}", max(room, 8))
    # In a narrow window the bar gives way to the name.
    bar = min(_BAR, max(room - cell_len(left), 0))
    filled = settled * bar // total if settled < total else bar
    return Content.assemble((left, "bold"), " · ", words, ("━" * filled, "$success"), ("─" * (bar - filled), "$text-muted"))


def question_lines(reviewing: Reviewing, width: int) -> Content:
    """The three questions with the answers, the one that is asked with a mark; below, what else the rater said of the item."""
    return Content.assemble(*_questions(reviewing, width))


def _questions(reviewing: Reviewing, width: int) -> Iterator[Part]:
    rating = reviewing.rating
    for place, words in enumerate(ASKED):
        here = place == reviewing.question
        yield ("▸ " if here else "  ", "bold $accent")
        given = rating.answers[place]
        shown, style = {None: ("y/n", "$text-muted"), True: ("yes", "bold $success"), False: ("no ", "bold $error")}[given]
        yield (shown, style if not rating.skipped else "$text-muted")
        yield ("  " + words + "\n", "bold" if here else "")
    yield from said_besides(reviewing, width, "  tab marks another question, o goes to the next open task", _DONE)


def said_besides(walk: Walk[Any, Any], width: int, otherwise: str, done: str) -> Iterator[Part]:
    """What else the rater said of the item, and `done` when he is; `otherwise` where there is nothing."""
    rating = walk.rating
    said = [("skipped", "bold $text-warning")] if rating.skipped else []
    if walk.finished:
        said.append((done, "bold $success"))
    for words, style in said:
        yield (f"  {words} ", style)
    if rating.note:
        used = sum(len(words) + 3 for words, _ in said)
        yield clip(f"  note: {rating.note}", max(width - used, 10))
    elif not said:
        yield (otherwise, "$text-muted")
