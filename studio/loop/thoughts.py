"""What a reasoning model writes before its answer: found by its marks, and taken out before a completion is parsed.

The marks are those that models write as plain text, or that servers leave in it: `<think>` and its like (DeepSeek-R1, Qwen), `[THINK]`
(Magistral), `◁think▷` (Kimi), `<|START_THINKING|>` (Command), `<|begin_of_thought|>` (Sky-T1), `<seed:think>` (Seed-OSS), and gpt-oss's
channels, also without their control words (`analysis … assistantfinal …`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from studio.engine.api import Completion, FinishReason

THINKING = "thinking"
"""The reason code of what is nothing but thoughts, or holds a mark of them that could not be taken out."""

MODEL_THINKS = (
    "the model thinks before it answers; its thoughts are kept with the completions and left out of the data "
    "(--set keep_thoughts=true leaves them in)"
)

_NAMES = r"think|thinking|thoughts?|reasoning|reflection|scratchpad"
_OPENING = rf"<\s?(?:seed:)?(?:{_NAMES})(?:\s[^<>\n]{{0,80}})?>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|begin_of_thought\|>"
_CLOSING = rf"<\s?/\s?(?:seed:)?(?:{_NAMES})\s?>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|end_of_thought\|>"
_CHANNEL = r"<\|channel\|>\s?(?:analysis|commentary)\b[^<\n]{0,80}<\|message\|>"
_FINAL = r"(?:<\|end\|>)?\s?(?:<\|start\|>\s?assistant)?\s?<\|channel\|>\s?final\b[^<\n]{0,80}<\|message\|>"
_MARK = re.compile(
    rf"(?P<open>{_OPENING}|{_CHANNEL}|\A\s*(?-i:analysis(?=[A-Z])))|(?P<close>{_CLOSING}|{_FINAL}|assistantfinal)", re.IGNORECASE
)
_AROUND_ANSWER = re.compile(
    r"<\|start\|>(?:assistant)?|<\|(?:end|return|begin_of_solution|end_of_solution|START_RESPONSE|END_RESPONSE)\|>|</?answer>\n?"
)

_ANY = re.compile(rf"{_OPENING}|{_CLOSING}|{_CHANNEL}", re.IGNORECASE)
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

    @property
    def missing(self) -> bool:
        """Whether there was nothing but thoughts."""
        return self.thought and not self.text.strip()


def answer_of(completion: Completion, *, keep_thoughts: bool) -> Answer:
    """What a completion is parsed from: its text without thoughts, unless they are to be kept."""
    cut = completion.finish_reason in (FinishReason.LENGTH, FinishReason.REPEAT)
    if keep_thoughts:
        return Answer(completion.text, truncated=cut)
    found = without_thoughts(completion.text)
    return Answer(found.text, found.thought, cut or found.truncated)


def without_thoughts(text: str) -> Answer:
    """Take the thoughts out of a completion.

    They begin where a mark begins a line or follows what begins an item or a field (`10.`, `Output:`), and go up to the closing mark, or to
    the end where there is none. A closing mark alone, at an end of its line, closes all that came since the thoughts before, or since the
    beginning. Marks within a sentence are left: a text may speak of them; see `first_mark`. A text without a mark is returned as it is.
    """
    kept: list[str] = []
    start = 0
    inside = thought = False
    for mark in _MARK.finditer(text):
        if mark["close"] is not None and (inside or _ends_line(text, mark)):
            # Without an opening one, all since the last thoughts was some.
            inside, thought, start = False, True, mark.end()
        elif mark["open"] is not None and not inside and _begins(text, start, mark.start()):
            kept.append(text[start : mark.start()])
            inside = thought = True
    if not thought:
        return Answer(text)
    if not inside:
        kept.append(text[start:])
    return Answer(_AROUND_ANSWER.sub("", "".join(kept)), True, inside)


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
