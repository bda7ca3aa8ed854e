"""Instructions for passages of documents: requests that a passage answers, and questions about it.

The model is shown a passage and writes what it is the answer to (instruction back-translation, Li et al. 2023, arXiv 2308.06259), or a
question that it answers. Whether that fits the passage is told by the words it shares with it, and by the model's own logits: how much
likelier than without the passage it finds what it wrote. What has nothing to do with the passage gains little, as does what fits any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from studio.engine.api import Chat
from studio.loop.checks import points_at_absent, runs
from studio.loop.filters import COPIED, LESS_FITTING, NEEDS_PASSAGE, OFF_PASSAGE, TRUNCATED
from studio.loop.parsing import THINKING, Answer, ParsedCandidate
from studio.loop.sampling import generator
from studio.loop.settings import Method
from studio.loop.stages.asking import StageContext
from studio.loop.stages.likelihood import Candidate
from studio.loop.tokens import unicode_tokens
from studio.pool.documents import PassageRecord
from studio.pool.requests import PlannedRequest, StoredRequest
from studio.pool.rounds import RoundRecord
from studio.records import Source, Stage

USED_UP = "every passage of the documents has been used in each way: no more instructions are written for them"
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


def passage_requests(context: StageContext, current: RoundRecord, first: int, action: int = 0) -> list[PlannedRequest]:
    """Plan the round's requests for passages; their ordinals count from `first`. Fewer where fewer passages are left, none at the end."""
    method, pool = context.method, context.pool
    if method.document_requests < 1:
        return []
    sources, tries = method.document_sources, method.passage_tries
    wanted = [sources[place // tries % len(sources)] for place in range(method.document_requests)]
    drawn: dict[Source, list[int]] = {}
    for number, source in enumerate(sources):
        unused = pool.documents.unused(method.cutting, source)
        rng = generator(context.seed, current.number, Stage.SAMPLE, first + number, action)
        drawn[source] = rng.sample(unused, min(len(unused), -(-wanted.count(source) // tries)))
    places = [(source, passage) for source in sources for passage in drawn[source] for _ in range(tries)]
    passages = pool.documents.passages(passage for _, passage in places)
    return [
        passage_request(context, current, ordinal, source, passages[passage]) for ordinal, (source, passage) in enumerate(places, first)
    ]


def passages_left(context: StageContext) -> bool:
    """Whether there are passages that some way has not been tried with."""
    return any(context.pool.documents.unused(context.method.cutting, source) for source in context.method.document_sources)


def passage_request(context: StageContext, current: RoundRecord, ordinal: int, source: Source, passage: PassageRecord) -> PlannedRequest:
    """The request for an instruction that fits a passage in the way of `source`."""
    name, text = str(source), passage.passage.text
    opening = _opening(context, current, ordinal, source)
    chat: Chat | None = None
    if not context.chats:
        prefix, suffix = context.filled(name, text)
        suffix, chat = f"{suffix}{opening and f' {opening}'}", context.few_shot
    elif context.engine.info.writes_requests:
        prefix, suffix = context.filled(f"{name}_begun", text)
        suffix, chat = f"{suffix}{opening and f' {opening}'}", context.chat(system=context.brief, writes_request=True)
    else:
        prefix, suffix = context.filled(f"{name}_chat", text)
        chat = context.chat(system=context.brief)
    place, decoding = (current, Stage.INSTRUCTIONS, ordinal), context.method.sampling.passage
    repeats = "text" if context.method.early_stop else ""
    planned = context.planned(place, (prefix, suffix), decoding, chat, stop_on_repeat=repeats, measure=True)
    return replace(planned, source=source, passage_id=passage.id)


def _opening(context: StageContext, current: RoundRecord, ordinal: int, source: Source) -> str:
    """How the instruction begins, where its beginning is given: it is behind the prompt then, for the model to go on with."""
    begun = not context.chats or context.engine.info.writes_requests
    openings = [line for line in context.templates[f"{source}_openings"].prefix.splitlines() if line.strip()]
    if not begun or not openings or (not context.chats and context.few_shot is not None):
        return ""
    return generator(context.seed, current.number, Stage.INSTRUCTIONS, ordinal).choice(openings)


def request_again(context: StageContext, current: RoundRecord, request: StoredRequest) -> PlannedRequest:
    """The request in the place of `request`, for the same passage, under the parameters that hold now."""
    assert request.source is not None
    assert request.passage_id is not None
    passage = context.pool.documents.passages([request.passage_id])[request.passage_id]
    return passage_request(context, current, request.ordinal, request.source, passage)


def parse_passage_request(
    context: StageContext, current: RoundRecord, request: StoredRequest, passage: PassageRecord, answer: Answer
) -> ParsedCandidate:
    """The candidate that a completion for a passage is: one line, without what introduces it, with the passage as its input or output."""
    assert request.source is not None
    text, source = passage.passage.text, request.source
    given = ("", text) if source is Source.BACKTRANSLATION else (text, None)
    opening = _opening(context, current, request.ordinal, source)
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


def fitted(context: StageContext, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, of which those are discarded that do not fit their passage; of several requests that one answers all but the best.

    What was not measured fits.
    """
    least = context.method.passage_gain
    found = [_discarded(each, OFF_PASSAGE) if each.gain is not None and each.gain < least else each for each in candidates]
    best: dict[int, float] = {}
    for each in found:
        if (passage := _answered_by(each)) is not None:
            best[passage] = max(best.get(passage, float("-inf")), each.gain or 0.0)
    taken: set[int] = set()
    for place, each in enumerate(found):
        passage = _answered_by(each)
        if passage is None:
            continue
        if passage in taken or (each.gain or 0.0) < best[passage]:
            found[place] = _discarded(each, LESS_FITTING)
        else:
            taken.add(passage)
    return found


def _answered_by(each: Candidate) -> int | None:
    """The passage that is the answer to a candidate which is still open."""
    open_still = each.request.source is Source.BACKTRANSLATION and not each.parsed.discard and not each.fails
    return each.request.passage_id if open_still else None


def _discarded(each: Candidate, reason: str) -> Candidate:
    return each if each.parsed.discard or each.fails else each._replace(parsed=replace(each.parsed, discard=reason))
