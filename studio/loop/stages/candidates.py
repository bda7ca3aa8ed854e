"""Stage 3: what the model wrote, stored by then, is parsed into candidates, each of which is decided: heuristics first, then novelty.

Where the model is asked in chat it tells before how likely it finds each as a user's turn of its template. An instruct model has seen very
many requests and tells what is one from what is none: of the bundled model's own, the likelier half is valid in nine of ten, the other in
about three of ten. The limit is a share, not a number of nats: models differ in their nats.

Whether an instruction fits the passage that it was written for is told by the words it shares with it, and by how much likelier than
without the passage the model finds it. What has nothing to do with the passage gains little, as does what fits any.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from studio.engine.api import SamplingParams
from studio.loop.checks import points_at_absent, runs
from studio.loop.events import CandidateDecided, Event
from studio.loop.filters import COPIED, LESS_FITTING, NEEDS_PASSAGE, OFF_PASSAGE, TRUNCATED, first_failure, is_unlikely, rule_reason
from studio.loop.lists import split_list
from studio.loop.parsing import MODEL_THINKS, THINKING, Answer, ParsedCandidate, first_mark, parse_instructions, parse_triples
from studio.loop.settings import Method
from studio.loop.stages.asking import StageContext, complete
from studio.loop.stages.instructions import opening_of
from studio.loop.tokens import unicode_tokens
from studio.pool.candidates import DecidedCandidate
from studio.pool.documents import PassageRecord
from studio.pool.requests import PlannedRequest, StoredRequest
from studio.records import OF_PASSAGES, Source, Stage, Verdict

OTHER_FORM = (
    "the model numbers its lists in another form than this profile knows, so that a whole list counts as one item; "
    "--profile studio, or --set tolerant=true, tells the items apart"
)
NOT_MEASURED = (
    "the engine tells no likelihoods: which instructions are the likeliest, and which fit their passage, cannot be told, and none is"
    " rejected for that"
)
LATEST = 1000
"""Instructions or answers that a limit is taken from, the newest of the run: enough for any share, not dearer for a large pool."""

_LEAD = re.compile(
    r"\A[\s\"'“”«»*_-]*(?:(?:Request|Question|Instruction|Frage|Aufgabe|Anfrage|Pregunta|Demande)\s?\d*\s?[:：])?[\s*_]*", re.IGNORECASE
)
_OF_ASKING = re.compile(r"\banswer (?:to|of)\b|\bname of the (?:author|person)\b|\bname of the \w+ (?:that|who|which)\b", re.IGNORECASE)
"""What small models ask of any text whatever."""
_QUOTES = '"“”«»*_'
_RUN = 4
_MOST_COPIED = 0.7
_LONG, _BEGINNING = 5, 5
"""Characters of a word that says something, and of its beginning, by which its other forms are known."""


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


def filter_candidates(context: StageContext) -> Iterator[Event]:
    """Decide all candidates of the round, in the order of the requests; an accepted one counts for those after it at once."""
    candidates: list[Candidate] = []
    answers = {stored.request_id: stored for stored in context.completions(Stage.INSTRUCTIONS)}
    planned = context.asked(Stage.INSTRUCTIONS)
    passages = context.pool.documents.passages(request.passage_id for request in planned if request.passage_id is not None)
    for request in planned:
        stored = answers.get(request.id)
        if stored is None:
            continue
        answer, number = context.answer(stored.completion), len(request.parents) + 1
        if answer.thought:
            yield from context.note(MODEL_THINKS)
        if request.passage_id is not None:
            parsed = [parse_passage_request(context, request, passages[request.passage_id], answer)]
        elif request.source is Source.TEMPLATE:
            parsed = [parse_request(request.prefix + request.suffix, answer)]
        else:
            parsed = parse_candidates(context.method, answer, number)
            if len(parsed) == 1 and _in_another_form(context.method, answer, number):
                yield from context.note(OTHER_FORM)
        nats = stored.completion.nats if request.source is Source.TEMPLATE else None
        given = stored.completion.nats if request.passage_id is not None else None
        candidates += [Candidate(request, ordinal, each, nats, given) for ordinal, each in enumerate(parsed)]
    candidates, limit = yield from measured(context, candidates)
    candidates = fitted(context, candidates)
    decided: list[DecidedCandidate] = []
    try:
        yield from _decide_candidates(context, candidates, limit, decided)
        context.pool.candidates.record(context.current.id, decided, Stage.CLASSIFY, max_nats=limit)
    except BaseException:
        # Nothing of the stage is stored: it is done again, and no candidate may be compared with itself then.
        for each in decided:
            if each.task_id is not None:
                context.index.remove(each.task_id)
        raise


def _decide_candidates(
    context: StageContext, candidates: Sequence[Candidate], limit: float | None, decided: list[DecidedCandidate]
) -> Iterator[Event]:
    """Decide candidates and append them to `decided`; `limit` are the nats a token beyond which one is unlikely."""
    batch = context.index.batch([each.parsed.text for each in candidates])
    next_id = context.pool.tasks.next_id()
    for position, candidate in enumerate(candidates):
        request, parsed = candidate.request, candidate.parsed
        # How likely it is without its passage is no figure of its own.
        nats = candidate.nats if request.passage_id is None else None
        novelty = batch.novelty(position)
        reason = parsed.discard or rule_reason(
            parsed.text, novelty.score, context.method, unlikely=is_unlikely(nats, limit), source=request.source
        )
        accepted = reason == "novel"
        task_id = next_id if accepted else None
        verdict = Verdict.ACCEPTED if accepted else Verdict.REJECTED
        texts = (parsed.text, verdict, reason, novelty, parsed.input, parsed.output)
        decided.append(DecidedCandidate(request.id, candidate.ordinal, *texts, task_id, nats, candidate.gain))
        if accepted:
            batch.accept(position, next_id)
            next_id += 1
        yield CandidateDecided(request.ordinal, parsed.text, verdict, reason, novelty, task_id, nats, request.source)


def _in_another_form(method: Method, answer: Answer, first_number: int) -> bool:
    """Whether a completion that a profile with the released form alone takes for one item is a list."""
    return method.variant == "self-instruct" and not method.tolerant and len(split_list(answer.text, first_number).texts) > 2


def parse_request(opening: str, answer: Answer) -> ParsedCandidate:
    """The candidate of a completion that is a user's turn behind `opening`, unless it was cut or holds nothing but thoughts."""
    if answer.missing:
        return ParsedCandidate("", THINKING)
    discard = TRUNCATED if answer.truncated else THINKING if first_mark(answer.text) else ""
    return ParsedCandidate(f"{opening}{answer.text}".strip(), discard)


def parse_candidates(method: Method, answer: Answer, first_number: int) -> list[ParsedCandidate]:
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
    if method.leaves_thoughts:
        return parsed
    return [replace(each, discard=THINKING) if not each.discard and first_mark(each.text) else each for each in parsed]


def parse_passage_request(context: StageContext, request: StoredRequest, passage: PassageRecord, answer: Answer) -> ParsedCandidate:
    """The candidate that a completion for a passage is: one line, without what introduces it, with the passage as its input or output."""
    assert request.source is not None
    text, source = passage.passage.text, request.source
    given = ("", text) if source is Source.BACKTRANSLATION else (text, None)
    opening = opening_of(context, request.ordinal, source)
    written = f"{opening}{answer.text}" if opening else _LEAD.sub("", answer.text, count=1)
    line = next((each for each in written.strip().splitlines() if each.strip()), "").strip().strip(_QUOTES).strip()
    discard = THINKING if answer.missing else TRUNCATED if answer.truncated else _fault(context.method, line, opening, text, source)
    return ParsedCandidate(line, discard, *given)


def _fault(method: Method, line: str, opening: str, passage: str, source: Source) -> str:
    """Why a text is no instruction for a passage, by itself; empty where nothing speaks against it."""
    if copies(line, passage):
        return COPIED
    if _OF_ASKING.search(line) and not _OF_ASKING.search(passage):
        return OFF_PASSAGE
    # How it begins was given, or is one of the words that all questions and orders begin with.
    said = line.removeprefix(opening) if opening else line.partition(" ")[2]
    if shared_words(said, passage) < method.passage_words:
        return OFF_PASSAGE
    if source is Source.BACKTRANSLATION and points_at_absent(line):
        return NEEDS_PASSAGE
    return ""


def copies(text: str, passage: str) -> bool:
    """Whether most of what `text` says, by runs of four words, stands in the passage in the same words."""
    said, there = (set(runs(unicode_tokens(each), _RUN)) for each in (text, passage))
    return bool(said) and len(said & there) > len(said) * _MOST_COPIED


def shared_words(text: str, passage: str) -> float:
    """The share of the longer words of `text` that stand in the passage, too, by their beginnings; 1 where there are none.

    >>> shared_words("How do bees survive the winter?", "A colony that is to survive eats in winter what it stored.")
    1.0
    """
    wanted = {word[:_BEGINNING] for word in unicode_tokens(text) if len(word) >= _LONG}
    there = {word[:_BEGINNING] for word in unicode_tokens(passage)}
    return len(wanted & there) / len(wanted) if wanted else 1.0


def measured(context: StageContext, candidates: Sequence[Candidate]) -> Generator[Event, None, tuple[list[Candidate], float | None]]:
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
    nats = yield from _measure(context, list(dict.fromkeys(open_still)))
    found = [each._replace(nats=nats.get(each.parsed.text)) if each.nats is None else each for each in found]
    return found, _limit(context, [each for each in found if each.request.source not in OF_PASSAGES]) if limited else None


def _measure(context: StageContext, texts: Sequence[str]) -> Generator[Event, None, dict[str, float | None]]:
    """The nats a token of `texts`; what an earlier attempt at the stage has measured is not measured again."""
    pool = context.pool
    stored = context.asked(Stage.FILTER)
    known = {request.suffix for request in stored}
    params, chat = SamplingParams(max_tokens=0, measure=True), context.user_turn() if context.chats else None
    requests = [
        PlannedRequest("", text, params, context.engine_seed(Stage.FILTER, ordinal), chat=chat)
        for ordinal, text in enumerate((text for text in texts if text not in known), len(stored))
    ]
    if requests:
        pool.requests.replan(context.current.id, Stage.FILTER, [], requests)
    yield from complete(context, Stage.FILTER)
    suffixes = {request.id: request.suffix for request in context.asked(Stage.FILTER)}
    return {suffixes[each.request_id]: each.completion.nats for each in context.completions(Stage.FILTER)}


def _limit(context: StageContext, candidates: Sequence[Candidate]) -> float | None:
    """The nats that the share of the likeliest stays within, among what the model wrote in its template, this round's and the latest."""
    own = [each.nats for each in candidates if each.request.source is Source.TEMPLATE and each.nats is not None and not each.parsed.discard]
    drawn = own + context.pool.candidates.latest_nats(context.current.run_id, LATEST)
    return limit_of(drawn or [each.nats for each in candidates if each.nats is not None], context.method.likely_share)


def limit_of(nats: Sequence[float], share: float) -> float | None:
    """The nats that `share` of all, the likeliest, stay within; None where there are none.

    >>> limit_of([2.0, 1.0, 4.0, 3.0], 0.5)
    2.0
    """
    return sorted(nats)[max(0, round(len(nats) * share) - 1)] if nats else None


def fitted(context: StageContext, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, of which those are discarded that do not fit their passage; of several requests that one answers all but the best.

    What was not measured fits.
    """
    least = context.method.passage_gain
    found = [_discarded(each, OFF_PASSAGE) if each.gain is not None and each.gain < least else each for each in candidates]
    best: dict[int, int] = {}
    for place, each in enumerate(found):
        passage = _answered_by(each)
        if passage is not None and (passage not in best or (each.gain or 0.0) > (found[best[passage]].gain or 0.0)):
            best[passage] = place
    return [
        each if (passage := _answered_by(each)) is None or best[passage] == place else _discarded(each, LESS_FITTING)
        for place, each in enumerate(found)
    ]


def _answered_by(each: Candidate) -> int | None:
    """The passage that is the answer to a candidate which is still open."""
    open_still = each.request.source is Source.BACKTRANSLATION and not each.parsed.discard and not each.fails
    return each.request.passage_id if open_still else None


def _discarded(each: Candidate, reason: str) -> Candidate:
    return each if each.parsed.discard or each.fails else each._replace(parsed=replace(each.parsed, discard=reason))
