"""A task or candidate with its story as one scrollable text: what it is, whether it is in the data, and all that led to it."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from studio.insight.story import Story
from studio.insight.story_report import Line, Role, answer_line, story_sections

SHOWN = 4000
"""Characters of a text that are drawn, since breaking a line of 100 KB into a narrow pane takes seconds; `studio show` has all of them."""

_STYLES: dict[Role, str] = {
    "": "",
    "bold": "bold",
    "muted": "$text-muted",
    "good": "$text-success",
    "bad": "$text-error",
    "warning": "bold $text-warning",
}


def story_text(story: Story) -> Content:
    """The story, most important first; all of it is cleaned text, none of it markup."""
    return Content.assemble(*_parts(story))


def _parts(story: Story) -> Iterator[str | tuple[str, str]]:
    for section in story_sections(story, most=SHOWN):
        if section.title:
            yield "\n"
            yield (f"{section.title}\n", "bold $text-primary")
        for line in section.lines:
            yield from _styled(line)
        if not section.title:
            yield from _styled(answer_line(story))


def _styled(line: Line) -> Iterator[str | tuple[str, str]]:
    yield from ((words, _STYLES[role]) for words, role in line if words)
    yield "\n"
