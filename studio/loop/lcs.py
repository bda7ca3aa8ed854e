"""Where two texts share their longest common subsequence: the tokens of ROUGE-L, found again in the texts they came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import LCSseq

from studio.loop.rouge import f1
from studio.loop.tokens import Tokenizer

Span = tuple[int, int]
"""First character and the one after the last."""

MOST_TOKENS = 4000
"""Of longer texts the common tokens are not looked for: nobody could read the answer, and it takes the product of both lengths in bits."""

_PIECE = re.compile(r"\S+")
_RUN = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two texts side by side: ROUGE-L's numbers and the places of the common tokens in each text.

    `lcs` is the length of the longest common subsequence in tokens, `m` and `n` the tokens of the first and the second text, `score` the
    F1 (0 to 1). The spans are in reading order and never overlap; they are empty for texts above `MOST_TOKENS`.
    """

    lcs: int
    m: int
    n: int
    score: float
    first: tuple[Span, ...]
    second: tuple[Span, ...]


def lcs_pairs(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Return one longest common subsequence of two token lists as pairs of positions, ascending in both."""
    ids: dict[str, int] = {}
    left, right = ([ids.setdefault(token, len(ids)) for token in tokens] for tokens in (a, b))
    blocks = LCSseq.opcodes(left, right)
    return [
        (block.src_start + step, block.dest_start + step)
        for block in blocks
        if block.tag == "equal"
        for step in range(block.src_end - block.src_start)
    ]


def compare(first: str, second: str, tokenizer: Tokenizer) -> Comparison:
    """Compare two texts as the novelty index does, and say where in them the common tokens stand."""
    a, b = tokenizer(first), tokenizer(second)
    if max(len(a), len(b)) > MOST_TOKENS:
        ids: dict[str, int] = {}
        left, right = ([ids.setdefault(token, len(ids)) for token in tokens] for tokens in (a, b))
        common = int(LCSseq.similarity(left, right))
        return Comparison(common, len(a), len(b), f1(common, len(a), len(b)), (), ())
    pairs = lcs_pairs(a, b)
    places, others = token_spans(first, a, tokenizer), token_spans(second, b, tokenizer)
    return Comparison(
        lcs=len(pairs),
        m=len(a),
        n=len(b),
        score=f1(len(pairs), len(a), len(b)),
        first=tuple(dict.fromkeys(places[i] for i, _ in pairs)),
        second=tuple(dict.fromkeys(others[j] for _, j in pairs)),
    )


def token_spans(text: str, tokens: Sequence[str], tokenizer: Tokenizer) -> list[Span]:
    """Return for each of `tokens`, which are `tokenizer(text)`, where it stands in `text`.

    A tokeniser may fold and decompose characters, so a token need not be found as it is. Each word between white space is tokenised on its
    own, then each run of letters and digits in it, then each character; where the parts do not give the tokens of the whole, the
    tokens share the whole's span.
    """
    return _refined(text, (0, len(text)), tokens, tokenizer, (_PIECE, _RUN, None))


def _refined(text: str, place: Span, tokens: Sequence[str], tokenizer: Tokenizer, patterns: Sequence[re.Pattern[str] | None]) -> list[Span]:
    if not tokens:
        return []
    if not patterns:
        return [place] * len(tokens)
    start, stop = place
    pattern = patterns[0]
    if pattern is None and (len(tokens) == 1 or stop - start > MOST_TOKENS):
        return [place] * len(tokens)
    if pattern is None:
        pieces = [(at, at + 1) for at in range(start, stop)]
    else:
        pieces = [match.span() for match in pattern.finditer(text, start, stop)]
    found = [tokenizer(text[first:last]) for first, last in pieces]
    if [token for part in found for token in part] != list(tokens):
        # Parts that do not add up are of no use: one token is the whole, several are looked for the next way.
        return [place] * len(tokens) if len(tokens) == 1 else _refined(text, place, tokens, tokenizer, patterns[1:])
    spans: list[Span] = []
    for piece, part in zip(pieces, found, strict=True):
        spans += _refined(text, piece, part, tokenizer, patterns[1:])
    return spans
