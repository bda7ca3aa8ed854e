"""Texts in another language than the pool's, which is guessed from scripts and the commonest words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from studio.insight.lint.api import EXCERPT, Finding, Lint, LintOptions, Measured, Part, Tasks, texts_of
from studio.loop.tokens import unicode_tokens

_LEAST_LETTERS = 4
_LEAST_TOKENS = 6
_LEAST_WORDS = 2
_LEAST_SHARE = 0.15

_SCRIPTS = {
    "Cyrillic": "\u0400-\u052f",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "Bengali": "\u0980-\u09ff",
    "Tamil": "\u0b80-\u0bff",
    "Thai": "\u0e00-\u0e7f",
    "Armenian": "\u0530-\u058f",
    "Georgian": "\u10a0-\u10ff",
    "Hangul": "\u1100-\u11ff\uac00-\ud7af",
    "Kana": "\u3041-\u30ff",
    "Han": "\u3400-\u4dbf\u4e00-\u9fff",
}
_PATTERNS = {name: re.compile(f"[{ranges}]") for name, ranges in _SCRIPTS.items()}
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")

# The commonest words of each language; one that several languages have counts for each of them.
_WORDS = {
    "English": "the of and to is in that it you was for are with his they this have from or had by but what your which their how about an "
    "a as at be can do does has he her if i me my no not on one so two up we who will when why would write name give list",
    "German": "der die das und ist nicht ein eine einen zu den mit sich des auf für im dem von es auch wie oder wird sind bei einer aus "
    "nach",
    "French": "le la les des et est un une dans que qui pour pas sur au avec ce il du vous sont par plus ne se aux cette ou de nous",
    "Spanish": "el la los las de que y en un una es por con para del se al lo como más su sobre este son o pero sus le",
    "Italian": "il di che e la un una è per in del della con non sono le i gli da al alla come nel più dei si anche questo lo",
    "Portuguese": "o a os as de que e do da em um uma para com não por mais dos das se na no é ao como são sobre seu",
    "Dutch": "de het een en van is dat in te op zijn met voor niet aan er om ook als bij of naar wordt deze hoe uit maar je",
    "Swedish": "och att det som en på är av för med den till inte om ett har de kan från eller vid hur var sig så",
    "Polish": "i w na z się nie do to jest że o jak po co tak za od przez dla czy oraz są które ten może przy",
    "Turkish": "ve bir bu için ile de da ne olarak daha çok gibi olan var mı en kadar sonra ya nasıl değil her veya",
}
_LANGUAGES: dict[str, list[str]] = {}
for _name, _words in _WORDS.items():
    for _word in set(_words.split()):
        _LANGUAGES.setdefault(_word, []).append(_name)

NAMES: tuple[str, ...] = (*_WORDS, *_SCRIPTS)
"""What a guess can be: the name of a language in Latin script, or of another script."""


def guess(text: str) -> str | None:
    """Return the language, or for scripts other than Latin the script, that a text is in; None when it does not show.

    A script needs four letters and more than half of all. A language needs two of its common words, a share of 15 % of six words or more,
    and twice as many as the next language.
    """
    if not text.isascii() and (script := _script(text)) is not None:
        return script
    tokens = unicode_tokens(text)
    if len(tokens) < _LEAST_TOKENS:
        return None
    hits = Counter(name for token in tokens for name in _LANGUAGES.get(token, ()))
    if not hits:
        return None
    (best, most), *others = hits.most_common(2)
    clear = most >= _LEAST_WORDS and most >= _LEAST_SHARE * len(tokens) and all(most >= 2 * count for _, count in others)
    return best if clear else None


def _script(text: str) -> str | None:
    counts = {name: len(pattern.findall(text)) for name, pattern in _PATTERNS.items()}
    if counts["Kana"]:
        # Japanese is written in both.
        counts["Kana"] += counts.pop("Han")
    name, most = max(counts.items(), key=lambda pair: pair[1])
    latin = len(_LATIN.findall(text))
    return name if most >= _LEAST_LETTERS and 2 * most > latin + sum(counts.values()) else None


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


def _language(tasks: Tasks, _options: LintOptions) -> Iterator[Finding]:
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


LANGUAGE = Lint(
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
    search=_language,
    passes=2,
)
