"""What a reasoning model writes before its answer: found by its marks, and taken out before a completion is parsed.

The marks are those of `studio.engine.thoughts`, here wherever they stand in a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from studio.engine.api import Completion, FinishReason
from studio.engine.thoughts import BARE_CHANNEL, BARE_FINAL, CHANNEL, CLOSING, FINAL, OPENING

THINKING = "thinking"
"""The reason code of what is nothing but thoughts, or holds a mark of them that could not be taken out."""

MODEL_THINKS = (
    "the model thinks before it answers; its thoughts are kept with the completions and left out of the data "
    "(--set thinking=off asks it not to, thinking=keep has them in the data)"
)

_MARK = re.compile(rf"(?P<open>{OPENING}|{CHANNEL}|\A\s*{BARE_CHANNEL})|(?P<close>{CLOSING}|{FINAL}|{BARE_FINAL})", re.IGNORECASE)
_AROUND_ANSWER = re.compile(
    r"<\|start\|>(?:assistant)?|<\|(?:end|return|begin_of_solution|end_of_solution|START_RESPONSE|END_RESPONSE)\|>|</?answer>\n?"
)

_ANY = re.compile(rf"{OPENING}|{CLOSING}|{CHANNEL}", re.IGNORECASE)
_LEFT = re.compile(rf"(?<![`'\"“‘«])(?:{_ANY.pattern})", re.IGNORECASE)
_LEAD = re.compile(
    r"[\W\d_]*(?:(?:Example|Input|Output|Class label|Task|Instruction|Answer|Yes|No)[\W\d_]*){0,2}\Z",
    re.IGNORECASE,
)
_LEAD_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion without its thoughts: `thought` says that it had some, `truncated` that it was cut, or ends inside them."""

    text: str
    thought: bool = False
    truncated: bool = False
    thoughts: str = ""
    """What was taken out, without its marks."""

    @property
    def missing(self) -> bool:
        """Whether there was nothing but thoughts."""
        return self.thought and not self.text.strip()


def answer_of(completion: Completion, *, whole: bool = False) -> Answer:
    """What a completion is parsed from: its text without thoughts, or with `whole` all of it."""
    cut = completion.finish_reason in (FinishReason.LENGTH, FinishReason.REPEAT)
    found = Answer(completion.text) if whole else without_thoughts(completion.text)
    return replace(found, truncated=cut or found.truncated)


def without_thoughts(text: str) -> Answer:
    """Take the thoughts out of a completion; see `thought_spans`. A text without a mark is returned as it is."""
    spans = thought_spans(text)
    if not spans:
        return Answer(text)
    kept: list[str] = []
    at = 0
    for span in spans:
        kept.append(text[at : span.start])
        at = span.end
    kept.append(text[at:])
    thoughts = (_AROUND_ANSWER.sub("", text[span.inner_start : span.inner_end]).strip() for span in spans)
    return Answer(_AROUND_ANSWER.sub("", "".join(kept)), True, not spans[-1].closed, "\n\n".join(filter(None, thoughts)))


class ThoughtSpan(NamedTuple):
    """Where thoughts stand in a text, with their marks and without; not `closed`: the text ends inside them."""

    start: int
    end: int
    inner_start: int
    inner_end: int
    closed: bool = True


def thought_spans(text: str) -> list[ThoughtSpan]:
    """Find the thoughts in a completion, in order.

    They begin where a mark begins a line or follows what begins an item or a field (`10.`, `Output:`), and go up to the closing mark, or to
    the end where there is none. A closing mark alone, at an end of its line, closes all that came since the thoughts before, or since the
    beginning. Marks within a sentence are none: a text may speak of them; see `first_mark`.
    """
    spans: list[ThoughtSpan] = []
    answer = 0
    opened: re.Match[str] | None = None
    for mark in _MARK.finditer(text):
        if mark["close"] is not None and (opened is not None or _ends_line(text, mark)):
            # Without an opening one, all since the last thoughts was some.
            start, inner = (answer, answer) if opened is None else opened.span()
            spans.append(ThoughtSpan(start, mark.end(), inner, mark.start()))
            opened, answer = None, mark.end()
        elif mark["open"] is not None and opened is None and _begins(text, answer, mark.start()):
            opened = mark
    if opened is not None:
        spans.append(ThoughtSpan(opened.start(), len(text), opened.end(), len(text), closed=False))
    return spans


def told_apart(text: str, start: int = 0) -> Iterator[tuple[str, bool]]:
    """Yield the text from `start` on in pieces, each with whether it is thought, its marks included."""
    at = start
    for span in thought_spans(text):
        for end, thought in ((span.start, False), (span.end, True)):
            if end > at:
                yield text[at:end], thought
                at = end
    if at < len(text):
        yield text[at:], False


def first_mark(text: str, *, spoken_of: bool = False) -> re.Match[str] | None:
    """Return the first mark of thoughts in a text. One in quotation marks or code marks is spoken of, and counts only if asked for."""
    return (_ANY if spoken_of else _LEFT).search(text)


def _begins(text: str, start: int, place: int) -> bool:
    """Whether a mark at `place` begins thoughts; the thoughts before it ended at `start`."""
    line = text[max(start, place - _LEAD_CHARACTERS - 1) : place].rpartition("\n")[2]
    return len(line) <= _LEAD_CHARACTERS and _LEAD.match(line) is not None


def _ends_line(text: str, mark: re.Match[str]) -> bool:
    """Whether nothing else stands before the mark, or behind it, on its line; gpt-oss's control words need not stand alone."""
    if "final" in mark[0].lower():
        return "<" in mark[0]
    after = text[mark.end() : mark.end() + 80].partition("\n")[0]
    before = text[max(0, mark.start() - 80) : mark.start()].rpartition("\n")[2]
    return not after.strip() or not before.strip()
