"""Stage 3: parse the completions into candidates and decide each: heuristics first, then novelty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studio.engine.api import FinishReason
from studio.loop.events import CandidateDecided, Event
from studio.loop.filters import FilterSettings, first_failure
from studio.loop.novelty import is_novel
from studio.loop.parsing import ParsedCandidate, parse_instructions, parse_triples
from studio.loop.settings import Method
from studio.loop.stages.context import StageContext
from studio.loop.tokens import unicode_tokens
from studio.pool.records import DecidedCandidate, RoundRecord, StoredCompletion
from studio.records import Stage, Verdict


@dataclass(frozen=True, slots=True)
class _Candidate:
    request_id: int
    request_ordinal: int
    ordinal: int
    parsed: ParsedCandidate


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Decide all candidates of the round, in the order of the requests; an accepted one counts for those after it at once."""
    candidates = [
        _Candidate(stored.request_id, stored.ordinal, ordinal, parsed)
        for stored in context.pool.reader.completions(current.id, Stage.INSTRUCTIONS)
        for ordinal, parsed in enumerate(parse(context.method, stored))
    ]
    decided: list[DecidedCandidate] = []
    try:
        yield from _decide(context, candidates, decided)
        context.pool.record_candidates(current.id, decided, Stage.CLASSIFY)
    except BaseException:
        # Nothing of the stage is stored: it is done again, and no candidate may be compared with itself then.
        for each in decided:
            if each.task_id is not None:
                context.index.remove(each.task_id)
        raise


def _decide(context: StageContext, candidates: Sequence[_Candidate], decided: list[DecidedCandidate]) -> Iterator[Event]:
    heuristics = filter_settings(context.method)
    batch = context.index.batch([candidate.parsed.text for candidate in candidates])
    next_id = context.pool.next_task_id()
    for position, candidate in enumerate(candidates):
        parsed = candidate.parsed
        novelty = batch.novelty(position)
        reason = parsed.discard or first_failure(parsed.text, context.method.filters, heuristics)
        if not reason:
            novel = is_novel(novelty.score, context.method.threshold, at_threshold=context.method.accept_at_threshold)
            reason = "novel" if novel else "not_novel"
        accepted = reason == "novel"
        task_id = next_id if accepted else None
        verdict = Verdict.ACCEPTED if accepted else Verdict.REJECTED
        decided.append(
            DecidedCandidate(
                candidate.request_id, candidate.ordinal, parsed.text, verdict, reason, novelty, parsed.input, parsed.output, task_id
            )
        )
        if accepted:
            batch.accept(position, next_id)
            next_id += 1
        yield CandidateDecided(candidate.request_ordinal, parsed.text, verdict, reason, novelty, task_id)


def parse(method: Method, stored: StoredCompletion) -> list[ParsedCandidate]:
    """The candidates of one completion, in order."""
    completion = stored.completion
    truncated = completion.finish_reason in (FinishReason.LENGTH, FinishReason.REPEAT)
    if method.variant == "alpaca":
        return parse_triples(completion.text, first_number=method.in_context_tasks + 1, truncated=truncated)
    return parse_instructions(
        completion.text,
        truncated=truncated,
        keep_complete=method.keep_complete,
        capitalize=method.capitalize,
    )


def filter_settings(method: Method) -> FilterSettings:
    """The parameters of the heuristics; where the tokeniser knows other scripts, so does the count of words."""
    words = unicode_tokens if method.tokenizer == "unicode" else str.split
    return FilterSettings(method.min_words, method.max_words, method.blocked_words, words)
