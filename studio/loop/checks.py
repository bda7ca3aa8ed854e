"""Is it good? What the text alone tells of an instruction that is no request, and of an answer that is none.

Each rule is a reason code that settings switch on and off. All of them are about English texts; a text in another language passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from studio.loop.tokens import unicode_tokens
from studio.records import Instance

_ABSENT = re.compile(
    r"\b(?:the|this|these|those|that|following|given|attached|enclosed|provided)\s+(?:following|given|above|below|attached|enclosed|provided)?\s*"
    r"(?:text|passage|paragraphs?|sentences?|article|story|poem|e-?mail|letter|review|tweet|list|table|data|dataset|code|snippet|"
    r"conversation|dialogue|document|essay|statements?|words?|numbers?|phrases?|equations?|documents?|excerpts?|abstract)\b"
    r"|\b(?:following|below|above)\b\s*[:.]?\s*$",
    re.IGNORECASE,
)


def points_at_absent(text: str) -> bool:
    """Whether an instruction speaks of a text that it does not hold itself, so that it needs an input."""
    return _ABSENT.search(text) is not None and "\n" not in text.strip() and '"' not in text


def _repeats_instruction(instruction: str, instance: Instance) -> bool:
    """All of the answer is the instruction, or the input, once more."""
    said = unicode_tokens(instance.output)
    return bool(said) and said in (unicode_tokens(instruction), unicode_tokens(instance.input))


AnswerRule = Callable[[str, Instance], bool]
"""Whether an answer to an instruction has to go."""

ANSWER_RULES: Mapping[str, AnswerRule] = {"repeats_instruction": _repeats_instruction}
"""All rules for answers by the name that settings use, which is their reason code."""


ANSWER_REASONS: Mapping[str, str] = {"repeats_instruction": "Its output only says the instruction or the input again."}
"""What each of them means."""


def answer_fault(instruction: str, instance: Instance, rules: tuple[str, ...]) -> str:
    """Return the first of `rules` that an answer breaks, or an empty string."""
    return next((name for name in rules if ANSWER_RULES[name](instruction, instance)), "")
