"""What a reasoning model writes before its answer: found by its marks, and taken out before a completion is parsed.

The marks are those of `studio.engine.thoughts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from studio.engine.api import Completion, FinishReason
from studio.engine.thoughts import CHANNEL, CLOSING, OPENING, thought_spans

THINKING = "thinking"
"""The reason code of what is nothing but thoughts, or holds a mark of them that could not be taken out."""

MODEL_THINKS = (
    "the model thinks before it answers; its thoughts are kept with the completions and left out of the data "
    "(--set thinking=off asks it not to, thinking=keep has them in the data)"
)

_AROUND_ANSWER = re.compile(
    r"<\|start\|>(?:assistant)?|<\|(?:end|return|begin_of_solution|end_of_solution|START_RESPONSE|END_RESPONSE)\|>|</?answer>\n?"
)

_ANY = re.compile(rf"{OPENING}|{CLOSING}|{CHANNEL}", re.IGNORECASE)
_LEFT = re.compile(rf"(?<![`'\"“‘«])(?:{_ANY.pattern})", re.IGNORECASE)


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
