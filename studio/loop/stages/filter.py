"""Stage 3: parse the completions into candidates and decide each: heuristics first, then novelty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from studio.loop.events import CandidateDecided, Event
from studio.loop.filters import FilterSettings, first_failure
from studio.loop.lists import split_list
from studio.loop.novelty import is_novel
from studio.loop.parsing import ParsedCandidate, parse_instructions, parse_triples
from studio.loop.settings import Method
from studio.loop.stages.context import StageContext
from studio.loop.thoughts import MODEL_THINKS, THINKING, Answer, answer_of, first_mark
from studio.loop.tokens import unicode_tokens
from studio.pool.records import DecidedCandidate, RoundRecord
from studio.records import Stage, Verdict

OTHER_FORM = (
    "the model numbers its lists in another form than this profile knows, so that a whole list counts as one item; "
    "--profile studio, or --set tolerant=true, tells the items apart"
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    request_id: int
    request_ordinal: int
    ordinal: int
    parsed: ParsedCandidate


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Decide all candidates of the round, in the order of the requests; an accepted one counts for those after it at once."""
    reader = context.pool.reader
    first = {request.id: len(request.parents) + 1 for request in reader.requests(current.id, Stage.INSTRUCTIONS)}
    candidates: list[_Candidate] = []
    for stored in reader.completions(current.id, Stage.INSTRUCTIONS):
        answer = answer_of(stored.completion, keep_thoughts=context.method.keep_thoughts)
        if answer.thought:
            yield from context.note(MODEL_THINKS)
        number = first[stored.request_id]
        parsed = parse(context.method, answer, number)
        if len(parsed) == 1 and _in_another_form(context.method, answer, number):
            yield from context.note(OTHER_FORM)
        candidates += [_Candidate(stored.request_id, stored.ordinal, ordinal, each) for ordinal, each in enumerate(parsed)]
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


def _in_another_form(method: Method, answer: Answer, first_number: int) -> bool:
    """Whether a completion that a profile with the released form alone takes for one item is a list."""
    return method.variant == "self-instruct" and not method.tolerant and len(split_list(answer.text, first_number).texts) > 2


def parse(method: Method, answer: Answer, first_number: int) -> list[ParsedCandidate]:
    """The candidates of one completion whose prompt ends with `first_number`, in order."""
    if answer.missing:
        return [ParsedCandidate("", THINKING)]
    if method.variant == "alpaca":
        parsed = parse_triples(answer.text, first_number=first_number, truncated=answer.truncated)
    else:
        parsed = parse_instructions(
            answer.text,
            truncated=answer.truncated,
            keep_complete=method.keep_complete,
            capitalize=method.capitalize,
            first_number=first_number if method.tolerant else None,
        )
    if method.keep_thoughts:
        return parsed
    return [replace(each, discard=THINKING) if not each.discard and first_mark(each.text) else each for each in parsed]


def filter_settings(method: Method) -> FilterSettings:
    """The parameters of the heuristics; where the tokeniser knows other scripts, so does the count of words."""
    words = unicode_tokens if method.tokenizer == "unicode" else str.split
    return FilterSettings(method.min_words, method.max_words, method.blocked_words, words)
