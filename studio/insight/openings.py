"""The word an instruction opens with: in most instructions of English its verb, found without a parser.

It is a stand-in and is called what it is, an opening word: "what" and "given" are some, too, and in languages that put the verb last it
says little. For verbs and their objects see the diversity figures, which parse.
"""

from __future__ import annotations

from itertools import dropwhile

from studio.loop.tokens import unicode_tokens

_COURTESIES = frozenset({"please", "kindly", "now", "then", "first", "next", "just"})
_REQUESTS = frozenset({"can", "could", "will", "would"})
_LOOKED_AT = 120
"""Characters; what opens an instruction stands at its beginning."""


def opening_word(instruction: str) -> str:
    """Return the first word, lower-case, after any "please" and "could you"; empty when there is no word at all."""
    tokens = unicode_tokens(instruction[:_LOOKED_AT])
    rest = list(dropwhile(_COURTESIES.__contains__, tokens))
    if len(rest) > 2 and rest[0] in _REQUESTS and rest[1] == "you":
        rest = list(dropwhile(_COURTESIES.__contains__, rest[2:]))
    return (rest or tokens or [""])[0]
