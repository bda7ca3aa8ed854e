"""Stages 1 to 3, how a round's new instructions come about: in-context tasks are drawn, the model goes on with the lists, and what it
wrote, stored by then, is parsed into candidates, each of which is decided: heuristics first, then novelty.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from studio.engine.api import Chat, RepeatRule
from studio.loop.events import CandidateDecided, Event
from studio.loop.filters import TRUNCATED, is_unlikely, rule_reason
from studio.loop.lists import split_list
from studio.loop.parsing import (
    MODEL_THINKS,
    THINKING,
    Answer,
    ParsedCandidate,
    first_mark,
    parse_instructions,
    parse_triples,
    triples_grammar,
)
from studio.loop.prompts import numbered, numbered_lines, numbered_triples
from studio.loop.sampling import generator, in_context_tasks
from studio.loop.settings import Method
from studio.loop.stages.asking import StageContext, complete
from studio.loop.stages.documents import USED_UP, fitted, parse_passage_request, passage_requests, request_again
from studio.loop.stages.likelihood import Candidate, measured
from studio.pool.candidates import DecidedCandidate
from studio.pool.requests import PlannedRequest, StoredRequest
from studio.pool.rounds import RoundRecord
from studio.records import Origin, Source, Stage, Task, TaskState, Verdict

OTHER_FORM = (
    "the model numbers its lists in another form than this profile knows, so that a whole list counts as one item; "
    "--profile studio, or --set tolerant=true, tells the items apart"
)


NO_GRAMMAR = "the engine keeps to no grammar: tasks are written without one, and those that do not parse are counted as malformed_item"


def sample(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Plan the round's instruction requests: each list from its own draw of in-context tasks, then those that the model begins itself,
    then those for passages of documents."""
    planned = plan_instructions(context, current)
    context.pool.requests.plan(current.id, Stage.INSTRUCTIONS, planned, Stage.INSTRUCTIONS)
    if context.method.document_requests and not any(each.passage_id for each in planned):
        yield from context.note(USED_UP)


def plan_instructions(context: StageContext, current: RoundRecord, action: int = 0) -> list[PlannedRequest]:
    """Plan every request of the round; `action` is the id of a person's action that has the in-context tasks drawn anew."""
    lists, own = context.method.requests_per_round, context.method.template_requests
    drawn = draw_parents(context, current, range(lists + own), action) if lists + own else []
    planned = [
        (instruction_request if ordinal < lists else template_request)(context, current, ordinal, parents)
        for ordinal, parents in enumerate(drawn)
    ]
    return planned + passage_requests(context, current, len(planned), action)


def draw_parents(context: StageContext, current: RoundRecord, ordinals: Iterable[int], action: int = 0) -> list[tuple[int, ...]]:
    """Draw the in-context tasks of the requests with these ordinals: lists come first, then those that the model begins itself."""
    method = context.method
    seeds, others = to_draw_from(context)
    drawn = []
    for ordinal in ordinals:
        rng = generator(context.seed, current.number, Stage.SAMPLE, ordinal, action)
        total = method.in_context_tasks if ordinal < method.requests_per_round else method.template_tasks
        drawn.append(in_context_tasks(rng, seeds, others, total, method.generated_in_context) if total else ())
    return drawn


def to_draw_from(context: StageContext) -> tuple[array[int], array[int]]:
    """Return the ids of the seeds, and of the generated and imported tasks, that a prompt may hold.

    With `classification_only` these are the tasks known to be classification. Tasks of which it is unknown, as imports often are, are
    drawn as well where those do not fill a prompt.
    """
    method, pool = context.method, context.pool

    def drawn_from(*, only: bool, unknown: bool = False) -> tuple[array[int], array[int]]:
        seeds, others, imported = (
            pool.tasks.ids(
                origin=origin,
                classification_only=only,
                classification_unknown=unknown,
                with_instances=method.variant == "alpaca",
            )
            for origin in (Origin.SEED, Origin.GENERATED, Origin.IMPORTED)
        )
        return seeds, others + imported

    seeds, others = drawn_from(only=method.classification_only)
    if method.classification_only and len(seeds) + len(others) < method.in_context_tasks:
        more_seeds, more_others = drawn_from(only=False, unknown=True)
        return seeds + more_seeds, others + more_others
    return seeds, others


def may_stand(context: StageContext, task: Task) -> bool:
    """Return whether a prompt may hold `task` now."""
    method = context.method
    if task.state is not TaskState.ACTIVE or task.held_out or (method.classification_only and task.is_classification is False):
        return False
    return bool(task.instances) or method.variant != "alpaca"


def instruction_request(context: StageContext, current: RoundRecord, ordinal: int, parents: tuple[int, ...]) -> PlannedRequest:
    """The instruction request with these in-context tasks."""
    method, sampling = context.method, context.method.sampling
    tasks = context.pool.tasks.many(parents)
    texts = [task.instruction for task in tasks]
    # Whole tasks hold outputs, which may repeat lines for good reason.
    rule: RepeatRule = "" if not method.early_stop else "text" if method.variant == "alpaca" else "items"
    chat: Chat | None = None
    decoding, grammar = sampling.instructions, ""
    if method.variant == "alpaca":
        prefix, suffix = context.filled("triples", numbered_triples(tasks))
        chat = context.few_shot
        if method.triples_grammar and context.engine.info.grammars:
            grammar = triples_grammar(len(tasks) + 1, method.in_context_tasks + method.new_tasks)
    elif context.chats:
        decoding = sampling.list_chat
        if context.engine.info.prefills:
            prefix, suffix = context.templates["list_begun"].prefix, ""
            chat = context.chat(begins=numbered(texts))
        else:
            prefix, suffix = context.filled("list_chat", numbered_lines(texts))
            chat = context.chat()
    else:
        prefix, suffix = context.filled("instructions_classification" if method.classification_only else "instructions", numbered(texts))
    prompt = (f"{context.brief}\n\n{prefix}" if context.brief else prefix, suffix)
    planned = context.planned((current, Stage.INSTRUCTIONS, ordinal), prompt, decoding, chat, stop_on_repeat=rule)
    if grammar:
        # It ends the list itself; a stop string may stand in a text.
        planned = replace(planned, params=replace(planned.params, grammar=grammar, stop=()))
    return replace(planned, parents=parents, source=Source.IN_CONTEXT)


def request_like(context: StageContext, current: RoundRecord, request: StoredRequest, parents: tuple[int, ...]) -> PlannedRequest:
    """The request in the place of `request`, from the same source and with the same seed, with these in-context tasks."""
    if request.passage_id is not None:
        return replace(request_again(context, current, request), seed=request.seed)
    plan = template_request if request.source is Source.TEMPLATE else instruction_request
    return replace(plan(context, current, request.ordinal, parents), seed=request.seed)


def template_request(context: StageContext, current: RoundRecord, ordinal: int, parents: tuple[int, ...]) -> PlannedRequest:
    """The request that leaves the user's turn of the chat template to the model, or all of it but its opening."""
    openings = context.templates["openings"].prefix.splitlines()
    rng = generator(context.seed, current.number, Stage.INSTRUCTIONS, ordinal)
    # Openings speak of anything; with a brief all of it is about that.
    opened = bool(openings) and not context.brief and rng.random() < context.method.opening_share
    opening = rng.choice(openings) if opened else ""
    planned = context.planned(
        (current, Stage.INSTRUCTIONS, ordinal),
        ("", opening),
        context.method.sampling.template,
        context.user_turn([task.instruction for task in context.pool.tasks.many(parents)]),
        stop_on_repeat="text" if context.method.early_stop else "",
        measure=True,
    )
    return replace(planned, parents=parents, source=Source.TEMPLATE)


def write_instructions(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Complete the round's instruction requests."""
    method = context.method
    if method.variant == "alpaca" and method.triples_grammar and not context.engine.info.grammars:
        yield from context.note(NO_GRAMMAR)
    yield from complete(context, current, Stage.INSTRUCTIONS, Stage.FILTER)


def filter_candidates(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Decide all candidates of the round, in the order of the requests; an accepted one counts for those after it at once."""
    pool = context.pool
    candidates: list[Candidate] = []
    answers = {stored.request_id: stored for stored in pool.requests.completions(current.id, Stage.INSTRUCTIONS)}
    planned = pool.requests.planned(current.id, Stage.INSTRUCTIONS)
    passages = pool.documents.passages(request.passage_id for request in planned if request.passage_id is not None)
    for request in planned:
        stored = answers.get(request.id)
        if stored is None:
            continue
        answer, number = context.answer(stored.completion), len(request.parents) + 1
        if answer.thought:
            yield from context.note(MODEL_THINKS)
        if request.passage_id is not None:
            parsed = [parse_passage_request(context, current, request, passages[request.passage_id], answer)]
        elif request.source is Source.TEMPLATE:
            parsed = [parse_request(request.prefix + request.suffix, answer)]
        else:
            parsed = parse_candidates(context.method, answer, number)
            if len(parsed) == 1 and _in_another_form(context.method, answer, number):
                yield from context.note(OTHER_FORM)
        nats = stored.completion.nats if request.source is Source.TEMPLATE else None
        given = stored.completion.nats if request.passage_id is not None else None
        candidates += [Candidate(request, ordinal, each, nats, given) for ordinal, each in enumerate(parsed)]
    candidates, limit = yield from measured(context, current, candidates)
    candidates = fitted(context, candidates)
    decided: list[DecidedCandidate] = []
    try:
        yield from _decide_candidates(context, candidates, limit, decided)
        pool.candidates.record(current.id, decided, Stage.CLASSIFY, max_nats=limit)
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
