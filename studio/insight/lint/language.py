"""Texts in another language than the pool's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintOptions, Measured, Part, Tasks, texts_of
from studio.insight.lint.languages import NAMES, guess

_MAJORITY = 0.6
"""The share of the instructions whose language shows; below it the pool has no language of its own."""

_NATIONS = (
    r"Russian|Ukrainian|Bulgarian|Hebrew|Hindi|Chinese|Mandarin|Cantonese|Japanese|Korean|Latin|Danish|Norwegian|Finnish|Czech|Hungarian"
    r"|Romanian|Vietnamese|Indonesian|Persian|Urdu"
)
_MEANT = re.compile(
    rf"translat|übersetz|tradu|\blanguages?\b|\bforeign\b|\bmultilingual|\b(?:{'|'.join(NAMES)}|{_NATIONS})\b",
    re.IGNORECASE,
)


def _search(tasks: Tasks, _options: LintOptions) -> Iterator[Finding]:
    """Read the instructions once for what the pool's language is, then all of it for what is in another."""
    counts = Counter(guess(task.instruction) for task in tasks(with_instances=False))
    del counts[None]
    if not counts:
        return
    own, most = max(counts.items(), key=lambda pair: (pair[1], str(pair[0])))
    if most < _MAJORITY * counts.total():
        return
    for task in tasks():
        about_languages = _MEANT.search(task.instruction) is not None
        for part, instance_id, text in texts_of(task):
            if part is not Part.INSTRUCTION and about_languages:
                break
            found = guess(text)
            if found is not None and found != own:
                yield Finding(task.id, instance_id, part, f"{found}: {text}"[:EXCERPT])


LINT = Lint(
    code="language",
    title="a text in another language than the pool's",
    help=(
        "The pool's language is that of most of its instructions, three fifths of those that show one at least; otherwise nothing is "
        f"reported. Known are {', '.join(NAMES[:10])} by their commonest words, and other scripts by their letters. Inputs and outputs of "
        "instructions that speak of languages or translation are passed over."
    ),
    note=(
        "Latin text of fewer than six words, or in a language not listed, shows none and is not reported; languages in one other script "
        "(Russian, Bulgarian) are not told apart. A quotation as a whole output is reported."
    ),
    measured=Measured(6, 8, 1, 9),
    faulty=("in an English pool: Beschreibe, wie man einen Kuchen backt, und nenne die Zutaten.",),
    sound=("Translate the sentence into German. | I am in the garden. → Ich bin im Garten und lese das Buch.",),
    search=_search,
    passes=2,
)
