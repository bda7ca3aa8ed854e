"""The prompts of the judge: one text file a question, of a rubric, examples, and the task that is judged."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from studio.engine.api import Request, SamplingParams
from studio.loop.classification import CHOICES
from studio.loop.prompts import one_line
from studio.pool.studies.reviews import QUESTIONS, Question, ReviewItem

MOST = 2_000
"""Characters of a text that the judge reads: a longer one is cut in the middle, and the cut is marked."""

_PARAMS = SamplingParams(temperature=0.0, max_tokens=3, stop=("\n",), choices=CHOICES)
_SLOTS = ("{instruction}", "{input}", "{output}")


@cache
def _text(question: Question) -> str:
    return (files(__name__) / f"{question.value}.txt").read_text(encoding="utf-8").removesuffix("\n")


@cache
def prompt_version() -> str:
    """Return twelve digits that stand for the three prompts; opinions on other prompts are another judge's."""
    return hashlib.sha256("\0".join([*map(_text, QUESTIONS), str(MOST)]).encode()).hexdigest()[:12]


def request_for(question: Question, item: ReviewItem) -> Request:
    """Return the request that asks the judge a question about an item; the rubric and examples are its prefix."""
    prefix, _, ending = _text(question).partition(_SLOTS[0])
    rest = ending
    suffix = _cut(one_line(item.instruction))
    for slot, text in zip(_SLOTS[1:], (item.input, item.output), strict=True):
        before, found, after = rest.partition(slot)
        suffix += before + (_cut(text.strip()) or "(empty)" if found else "")
        rest = after
    return Request(prefix, suffix + rest, _PARAMS, 0)


def _cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[: MOST // 2]} […] {text[-MOST // 2 :]}"
