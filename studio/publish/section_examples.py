"""The page's examples. All of it is a model's text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from studio.insight.lineage.story import Story
from studio.insight.lineage.story_report import Line, answer_line, story_sections
from studio.publish.elements import Html, missing, tag
from studio.publish.publication import Publication
from studio.records import TaskState, Verdict

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
        yield from examples_of(shown.accepted)
    if shown.rejected:
        yield tag("h3", "Rejected")
        yield tag("p", "A few candidates for each reason.", class_="note")
        yield from examples_of(shown.rejected)


def examples_of(stories: Iterable[Story]) -> Iterator[Html]:
    """Yield tasks with their accepted instances, and what is not in the data by its text alone, each with what was done with it."""
    for story in stories:
        if story.task is None or story.task.state is not TaskState.ACTIVE:
            yield tag("article", quoted(story.text), *_told(story), class_="rejected")
            continue
        parts = [tag("h4", shortened(story.text))]
        for each in story.instances:
            if each.verdict is Verdict.ACCEPTED:
                if each.input:
                    parts += [tag("p", "Input", class_="field"), quoted(each.input)]
                parts += [tag("p", "Output", class_="field"), quoted(each.output)]
        yield tag("article", *parts, *_told(story))


def _told(story: Story) -> Iterator[Html]:
    """What else there is to tell: what it is, what was edited, what was done with it by whom and when, and whether it is in the data."""
    yield tag("p", _plain(answer_line(story)), class_="note")
    sections = {each.title: each.lines for each in story_sections(story, most=LONGEST)}
    (what, _, *hung), lines = sections[""], [*sections.get("Instances", ()), *sections.get("History", ())]
    yield tag("details", tag("summary", _plain(what)), *(tag("p", _plain(line), class_="note") for line in (*hung, *lines)))


def _plain(line: Line) -> str:
    return "".join(words for words, _ in line)
