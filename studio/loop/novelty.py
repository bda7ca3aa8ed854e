"""Exact ROUGE-L: of two texts, and of candidates over the whole pool, a batch at a time.

The longest common subsequences are integers from RapidFuzz; the F1 comes of them by `rouge_score`'s own float formula in its own order, so
each equals what that package gives, bit for bit. There `scorer.score(target, prediction)` has precision = LCS / len(prediction) and recall
= LCS / len(target). The formula gives the same bits for both orders: doubling is exact, and one rounded product and one rounded sum do not
depend on the order of their terms. So no function here says which of two texts is the target; the released code passes the candidate.

Memory of an index: 130 to 150 bytes a task of ordinary length (16 tokens), and the vocabulary.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from studio.loop.tokens import Encoded, Tokenizer, Vocabulary, joined_tokens
from studio.records import Neighbour, Novelty


def _numbers(a: Sequence[str], b: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return two token lists as numbers, the same number for the same token."""
    ids: dict[str, int] = {}
    return [ids.setdefault(token, len(ids)) for token in a], [ids.setdefault(token, len(ids)) for token in b]


def lcs_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length, in tokens, of the longest common subsequence of two token lists."""
    return int(LCSseq.similarity(*_numbers(a, b)))


def f1(lcs: int, m: int, n: int) -> float:
    """Return the F1 (0 to 1) of two texts of `m` and `n` tokens whose longest common subsequence has `lcs`; 0 when there is none."""
    if lcs == 0:
        return 0.0
    precision = lcs / n
    recall = lcs / m
    return 2 * precision * recall / (precision + recall)


def f1_array(lcs: NDArray[Any], m: NDArray[Any], n: NDArray[Any]) -> NDArray[np.float64]:
    """Return `f1` for integer arrays that broadcast together, element by element with the same bits.

    numpy rounds each operation on float64 as Python does, as long as the order is kept and nothing is fused.
    """
    common = lcs.astype(np.float64)
    precision: NDArray[np.float64] = common / np.maximum(n, 1)
    recall = common / np.maximum(m, 1)
    total = precision + recall
    # Where the total is 0 so are the terms, and 0 / 1 is the 0 that is due.
    total[total == 0] = 1
    precision *= 2
    precision *= recall
    precision /= total
    return precision


def rouge_l(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the ROUGE-L F1 (0 to 1) of two token lists; 0 when either is empty."""
    return f1(lcs_length(a, b), len(a), len(b))


NEIGHBOURS = 10
"""How many of the most similar tasks are kept, as in the released code."""

_CELLS = 1 << 17
"""Pairs scored at a time: their float arrays stay within a few megabytes, whatever the pool's size."""

_CHUNK = 512
"""Instructions tokenised at a time: their tokens stay in the processor's cache, and the cost of a chunk is spread over enough of them."""


@dataclass(slots=True)
class _Standing:
    """What is known of one candidate after the first `seen` instructions of the index.

    `best` holds (score, place) pairs, best first, ties by place.
    """

    seen: int = 0
    best: list[tuple[float, int]] = field(default_factory=list)
    total: float = 0.0
    seed_score: float = 0.0


class NoveltyIndex:
    """The instructions of a pool, in pool order, ready to be compared with candidates."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = Vocabulary()
        self._encoded: list[Encoded] = []
        self._lengths = array("I")
        self._task_ids = array("q")
        self._seeds = bytearray()

    def __len__(self) -> int:
        return len(self._encoded)

    def add(self, task_id: int, instruction: str, *, is_seed: bool) -> None:
        """Append one instruction; batches that are still in use see it from now on."""
        self._insert(len(self), task_id, self._tokenizer(instruction), is_seed)

    def extend(self, instructions: Iterable[tuple[int, str, bool]]) -> None:
        """Append (task id, instruction, is it a seed) triples in their order: as `add` does, but several times faster for many."""
        remaining = iter(instructions)
        while chunk := list(islice(remaining, _CHUNK)):
            task_ids, texts, are_seeds = zip(*chunk, strict=True)
            encoded = self._vocabulary.add_joined(joined_tokens(self._tokenizer, texts))
            self._encoded += encoded
            self._lengths.extend(map(len, encoded))
            self._task_ids.extend(task_ids)
            self._seeds.extend(are_seeds)

    def put(self, task_id: int, instruction: str, *, is_seed: bool) -> None:
        """Let the index hold `instruction` for this task, at the task's place in the order of ids, as if it had been filled with it.

        Takes ascending ids throughout, as the pool gives them. Batches made before count for nothing afterwards; so too after `remove`.
        """
        self.remove(task_id)
        self._insert(bisect_left(self._task_ids, task_id), task_id, self._tokenizer(instruction), is_seed)

    def remove(self, task_id: int) -> None:
        """Forget a task; nothing happens when the index does not hold it."""
        place = bisect_left(self._task_ids, task_id)
        if place < len(self) and self._task_ids[place] == task_id:
            for parts in (self._encoded, self._lengths, self._task_ids, self._seeds):
                del parts[place]

    def batch(self, texts: Sequence[str]) -> NoveltyBatch:
        """Compare all `texts` with the whole index at once, which costs much less than one by one."""
        return NoveltyBatch(self, [self._tokenizer(text) for text in texts])

    def _insert(self, place: int, task_id: int, tokens: Sequence[str], is_seed: bool) -> None:
        self._encoded.insert(place, self._vocabulary.add(tokens))
        self._lengths.insert(place, len(tokens))
        self._task_ids.insert(place, task_id)
        self._seeds.insert(place, is_seed)

    def _scan(self, token_lists: Sequence[Sequence[str]], standings: Sequence[_Standing]) -> None:
        """Bring `standings`, which have all seen the same number of instructions, up to the end of the index."""
        queries = [self._vocabulary.encode(tokens) for tokens in token_lists]
        lengths = np.array([[len(tokens)] for tokens in token_lists], dtype=np.int64)
        # A common subsequence is no longer than the query: the smallest type that holds it is the fastest.
        dtype = np.min_scalar_type(int(lengths.max()))
        step = max(_CELLS // len(queries), 1)
        for start in range(standings[0].seen, len(self), step):
            stop = min(start + step, len(self))
            common = process.cdist(queries, self._encoded[start:stop], scorer=LCSseq.similarity, dtype=dtype)
            # Slices are copies: a view would forbid the arrays to grow for as long as it lives.
            scores = f1_array(common, lengths, np.frombuffer(self._lengths[start:stop], dtype=np.uint32))
            seeds = np.frombuffer(self._seeds[start:stop], dtype=np.bool_)
            seed_scores = scores[:, seeds].max(axis=1) if seeds.any() else np.zeros(len(queries))
            for standing, row, seed_score in zip(standings, scores, seed_scores, strict=True):
                standing.best = _merge(standing.best, row, start)
                standing.total += float(row.sum())
                standing.seed_score = max(standing.seed_score, float(seed_score))
                standing.seen = stop

    def _novelty(self, standing: _Standing) -> Novelty:
        if not standing.seen:
            return Novelty()
        neighbours = tuple(Neighbour(self._task_ids[place], score) for score, place in standing.best)
        return Novelty(neighbours, standing.total / standing.seen, standing.seed_score)


class NoveltyBatch:
    """Candidates that are decided one after another against an index that grows by those accepted."""

    def __init__(self, index: NoveltyIndex, token_lists: list[list[str]]) -> None:
        self._index = index
        self._token_lists = token_lists
        self._standings = [_Standing() for _ in token_lists]
        if token_lists:
            index._scan(token_lists, self._standings)

    def novelty(self, place: int) -> Novelty:
        """Return how the text at `place` compares with all that is in the index now, texts accepted earlier included.

        Ask before accepting it: afterwards it is its own nearest neighbour.
        """
        standing = self._standings[place]
        if standing.seen < len(self._index):
            self._index._scan([self._token_lists[place]], [standing])
        return self._index._novelty(standing)

    def accept(self, place: int, task_id: int) -> None:
        """Add the text at `place` to the index as a task that is no seed."""
        self._index._insert(len(self._index), task_id, self._token_lists[place], is_seed=False)


def _merge(best: list[tuple[float, int]], row: NDArray[np.float64], start: int) -> list[tuple[float, int]]:
    """Return the best of `best` and of `row`, whose places begin at `start` and come after all in `best`."""
    # A later place loses a tie, so only what is above the last one of a full list can enter it.
    bar = best[-1][0] if len(best) == NEIGHBOURS else -1.0
    entering = np.flatnonzero(row > bar)
    if entering.size > NEIGHBOURS:
        values = row[entering]
        entering = entering[values >= np.partition(values, -NEIGHBOURS)[-NEIGHBOURS]]
        entering = entering[np.argsort(-row[entering], kind="stable")[:NEIGHBOURS]]
    merged = best + [(float(row[place]), start + int(place)) for place in entering]
    return sorted(merged, key=lambda pair: (-pair[0], pair[1]))[:NEIGHBOURS]


Span = tuple[int, int]
"""First character and the one after the last."""

MOST_TOKENS = 4000
"""Of longer texts the common tokens are not looked for: nobody could read the answer, and it takes the product of both lengths in bits."""

_PIECE = re.compile(r"\S+")
_RUN = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Alignment:
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
    return [
        (block.src_start + step, block.dest_start + step)
        for block in LCSseq.opcodes(*_numbers(a, b))
        if block.tag == "equal"
        for step in range(block.src_end - block.src_start)
    ]


def align(first: str, second: str, tokenizer: Tokenizer) -> Alignment:
    """Compare two texts as the novelty index does, and say where in them the common tokens stand."""
    a, b = tokenizer(first), tokenizer(second)
    if max(len(a), len(b)) > MOST_TOKENS:
        common = lcs_length(a, b)
        return Alignment(common, len(a), len(b), f1(common, len(a), len(b)), (), ())
    pairs = lcs_pairs(a, b)
    places, others = token_spans(first, a, tokenizer), token_spans(second, b, tokenizer)
    return Alignment(
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
