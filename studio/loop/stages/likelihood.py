"""How likely the model itself finds an instruction as a user's turn of its chat template, and which are too unlikely to be kept.

An instruct model has seen very many requests and tells what is one from what is none: of the bundled model's own, the likelier half is
valid in nine of ten, the other in about three of ten. The limit is a share, not a number of nats: models differ in their nats.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple

from studio.engine.api import SamplingParams
from studio.loop.events import Event
from studio.loop.filters import first_failure
from studio.loop.parsing import ParsedCandidate
from studio.loop.sampling import engine_seed
from studio.loop.stages.asking import StageContext, complete
from studio.pool.requests import PlannedRequest, StoredRequest
from studio.pool.rounds import RoundRecord
from studio.records import OF_PASSAGES, Source, Stage

NOT_MEASURED = (
    "the engine tells no likelihoods: which instructions are the likeliest, and which fit their passage, cannot be told, and none is"
    " rejected for that"
)
LATEST = 1000
"""Instructions or answers that a limit is taken from, the newest of the run: enough for any share, not dearer for a large pool."""


class Candidate(NamedTuple):
    """A candidate that is not decided yet: the request that yielded it, its place in the completion, and its nats a token.

    `given` are those behind the passage that it was written for, None where there is none; `fails` says that some filter rejects it.
    """

    request: StoredRequest
    ordinal: int
    parsed: ParsedCandidate
    nats: float | None
    given: float | None = None
    fails: bool = False

    @property
    def gain(self) -> float | None:
        """By how many nats a token its passage makes it likelier; None where that was not measured."""
        return None if self.given is None or self.nats is None else self.nats - self.given


def measured(
    context: StageContext, current: RoundRecord, candidates: Sequence[Candidate]
) -> Generator[Event, None, tuple[list[Candidate], float | None]]:
    """Measure the candidates that no filter rejects anyway; return all, and the nats beyond which one is unlikely, None for no limit.

    What the model wrote as a user's turn was measured while it wrote; no limit holds for what it wrote for a passage.
    Raises StageCancelled and ModelError as `complete` does.
    """
    method = context.method
    limited = context.chats and method.likely_share < 1
    found = [
        each._replace(fails=not each.parsed.discard and bool(first_failure(each.parsed.text, method, each.request.source)))
        if limited or each.request.source in OF_PASSAGES
        else each
        for each in candidates
    ]
    wanted = [each for each in found if (method.passage_gain > 0 if each.request.source in OF_PASSAGES else limited)]
    if not wanted:
        return found, None
    if not context.engine.info.measures:
        yield from context.note(NOT_MEASURED)
        return found, None
    open_still = [each.parsed.text for each in wanted if each.nats is None and not each.parsed.discard and not each.fails]
    nats = yield from _measure(context, current, list(dict.fromkeys(open_still)))
    found = [each._replace(nats=nats.get(each.parsed.text)) if each.nats is None else each for each in found]
    return found, _limit(context, current, [each for each in found if each.request.source not in OF_PASSAGES]) if limited else None


def _measure(context: StageContext, current: RoundRecord, texts: Sequence[str]) -> Generator[Event, None, dict[str, float | None]]:
    """The nats a token of `texts`; what an earlier attempt at the stage has measured is not measured again."""
    pool = context.pool
    stored = pool.requests.planned(current.id, Stage.FILTER)
    known = {request.suffix for request in stored}
    params, chat = SamplingParams(max_tokens=0, measure=True), context.user_turn() if context.chats else None
    requests = [
        PlannedRequest("", text, params, engine_seed(context.seed, current.number, Stage.FILTER, ordinal), chat=chat)
        for ordinal, text in enumerate((text for text in texts if text not in known), len(stored))
    ]
    if requests:
        pool.requests.replan(current.id, Stage.FILTER, [], requests)
    yield from complete(context, current, Stage.FILTER)
    suffixes = {request.id: request.suffix for request in pool.requests.planned(current.id, Stage.FILTER)}
    return {suffixes[each.request_id]: each.completion.nats for each in pool.requests.completions(current.id, Stage.FILTER)}


def _limit(context: StageContext, current: RoundRecord, candidates: Sequence[Candidate]) -> float | None:
    """The nats that the share of the likeliest stays within, among what the model wrote in its template, this round's and the latest."""
    own = [each.nats for each in candidates if each.request.source is Source.TEMPLATE and each.nats is not None and not each.parsed.discard]
    drawn = own + context.pool.candidates.latest_nats(current.run_id, LATEST)
    return limit_of(drawn or [each.nats for each in candidates if each.nats is not None], context.method.likely_share)


def limit_of(nats: Sequence[float], share: float) -> float | None:
    """The nats that `share` of all, the likeliest, stay within; None where there are none.

    >>> limit_of([2.0, 1.0, 4.0, 3.0], 0.5)
    2.0
    """
    return sorted(nats)[max(0, round(len(nats) * share) - 1)] if nats else None
