"""The page's examples. All of it is a model's text."""

from __future__ import annotations

from collections.abc import Iterator

from studio.loop.reasons import REASONS
from studio.publish.elements import Html, missing, tag, text
from studio.publish.examples import AcceptedExample
from studio.publish.publication import Publication
from studio.text import spoken

LONGEST = 1500
"""Characters of an example that are shown."""


def shortened(words: str) -> str:
    """Return an example's text, cut with a mark where it is very long."""
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}… ({len(words) - LONGEST:,} more characters)"


def quoted(words: str) -> Html:
    """Return a model's text as it was written, or say that there is none."""
    return tag("pre", shortened(words)) if words else tag("p", "(none)", class_="note")


def examples_section(found: Publication) -> Iterator[Html]:
    """Accepted tasks with their instances, and rejected candidates with the reason."""
    shown = found.examples
    if not shown.accepted:
        yield missing("There is no generated task with instances yet:", "studio run POOL --headless --target 500")
    else:
        yield tag("h3", "Accepted")
        yield tag(
            "p", f"{len(shown.accepted)} of {found.statistics.tasks_with_instances:,} tasks with instances, drawn at random.", class_="note"
        )
        yield from (_accepted(each) for each in shown.accepted)
    if shown.rejected:
        yield tag("h3", "Rejected")
        yield tag("p", "A few candidates for each reason.", class_="note")
        for each in shown.rejected:
            why = f"{spoken(each.reason)}: {REASONS.get(each.reason, '')} Highest ROUGE-L {each.score:.3f}."
            yield tag("article", quoted(each.text), tag("p", why, class_="note"), class_="rejected")


def _accepted(example: AcceptedExample) -> Html:
    task = example.task
    kind = "classification task" if task.is_classification else "task"
    parts = [tag("h4", shortened(task.instruction))]
    for each in example.instances:
        if each.input:
            parts += [tag("p", "Input", class_="field"), quoted(each.input)]
        parts += [tag("p", "Output", class_="field"), quoted(each.output)]
    number = text(f"{kind} {task.id}, round {task.round}") if task.round is not None else text(f"{kind} {task.id}")
    return tag("article", *parts, tag("p", number, class_="note"))
