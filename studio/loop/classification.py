"""Whether the model took a task for a classification task."""

from __future__ import annotations

import re

CHOICES = (" Yes", " No")
"""What the prompt's question can be answered with, as its examples answer it."""

_LOOKED_AT = 200
_YES_WORDS = frozenset({"yes", "是", "是的", "ja", "oui", "sí", "sim", "да", "はい", "예", "네", "نعم", "हाँ"})
"""As a prompt in another language may be answered."""

_BORDERS = re.compile(r"[\s.,;:!?。，！？；：、…—–*_`\"'“”«»()\[\]>#-]+")
_YES = frozenset({"Yes", "yes", "YES"})


def parse_classification(text: str, *, tolerant: bool = False) -> bool:
    """Return True for exactly `Yes`, `yes` or `YES` after stripping; anything else, an empty answer included, means no.

    `tolerant` goes by the first word, whatever its case and the signs around it: `**Yes**`, `yes!`, `Answer: Yes.`, `是`; `Yes/No` is no.
    """
    if not tolerant:
        return text.strip() in _YES
    words = [word for word in _BORDERS.split(text[:_LOOKED_AT].casefold()) if word]
    if words[:1] in (["answer"], ["a"]):
        words = words[1:]
    return bool(words) and words[0] in _YES_WORDS
