"""A task or candidate with its story as one scrollable text: what it is, whether it is in the data, and all that led to it."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from studio.insight.story import Story
from studio.insight.story_report import Line, Role, answer_line, story_sections
from studio.tui.cells import SHOWN

_MOST = 60_000
"""Characters of a story that are drawn: a task may have thousands of instances."""

Part = str | tuple[str, str]

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
    return Content.assemble(*_to_its_end(_parts(story)))


def _to_its_end(parts: Iterator[Part]) -> Iterator[Part]:
    """All of `parts`, or as many as can be drawn and that there are more."""
    room = _MOST
    for part in parts:
        room -= len(part if isinstance(part, str) else part[0])
        if room < 0:
            yield ("\n… and more, which `studio show` has\n", "bold $text-warning")
            return
        yield part


def _parts(story: Story) -> Iterator[Part]:
    for section in story_sections(story, most=SHOWN):
        if section.title:
            yield "\n"
            yield (f"{section.title}\n", "bold $text-primary")
        for line in section.lines:
            yield from _styled(line)
        if not section.title:
            yield from _styled(answer_line(story))


def _styled(line: Line) -> Iterator[Part]:
    yield from ((words, _STYLES[role]) for words, role in line if words)
    yield "\n"
