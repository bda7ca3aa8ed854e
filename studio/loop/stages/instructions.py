"""Stages 1 and 2: the round's requests for instructions are planned, and the model completes them.

A request goes on with a list of in-context tasks, or leaves the user's turn to the model, or shows it a passage of a document and has it
write what that is the answer to (instruction back-translation, Li et al. 2023, arXiv 2308.06259) or a question that it answers.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from studio.engine.api import Chat, RepeatRule
from studio.errors import UsageError
from studio.loop.events import Event
from studio.loop.parsing import triples_grammar
from studio.loop.prompts import numbered, numbered_lines, numbered_triples
from studio.loop.stages.asking import SessionContext, StageContext, complete
from studio.pool.documents import PassageRecord
from studio.pool.requests import PlannedRequest, StoredRequest
from studio.records import Origin, Source, Stage, Task, TaskState

USED_UP = "every passage of the documents has been used in each way: no more instructions are written for them"
NO_GRAMMAR = "the engine keeps to no grammar: tasks are written without one, and those that do not parse are counted as malformed_item"


def sample(context: StageContext) -> Iterator[Event]:
    """Plan the round's instruction requests: each list from its own draw of in-context tasks, then those that the model begins itself,
    then those for passages of documents."""
    planned = plan_instructions(context)
    context.pool.requests.plan(context.current.id, Stage.INSTRUCTIONS, planned, Stage.INSTRUCTIONS)
    if context.method.document_requests and not any(each.passage_id for each in planned):
        yield from context.note(USED_UP)


def plan_instructions(context: StageContext, action: int = 0) -> list[PlannedRequest]:
    """Plan every request of the round; `action` is the id of a person's action that has the in-context tasks drawn anew."""
    lists, own = context.method.requests_per_round, context.method.template_requests
    drawn = draw_parents(context, range(lists + own), action) if lists + own else []
    planned = [
        (instruction_request if ordinal < lists else template_request)(context, ordinal, parents) for ordinal, parents in enumerate(drawn)
    ]
    return planned + passage_requests(context, len(planned), action)


def draw_parents(context: StageContext, ordinals: Iterable[int], action: int = 0) -> list[tuple[int, ...]]:
    """Draw the in-context tasks of the requests with these ordinals: lists come first, then those that the model begins itself."""
    method = context.method
    seeds, others = to_draw_from(context)
    drawn = []
    for ordinal in ordinals:
        rng = context.generator(Stage.SAMPLE, ordinal, action)
        total = method.in_context_tasks if ordinal < method.requests_per_round else method.template_tasks
        drawn.append(in_context_tasks(rng, seeds, others, total, method.generated_in_context) if total else ())
    return drawn


def in_context_tasks(
    rng: random.Random, seeds: Sequence[int], generated: Sequence[int], total: int, from_generated: int
) -> tuple[int, ...]:
    """Draw the in-context tasks of one prompt, without repetition, shuffled.

    `from_generated` of `total` come from `generated` (fewer while there are fewer), the rest from `seeds`; where the seeds do not
    suffice, generated ones fill up. Source: Self-Instruct, section 2.2 (6 seed and 2 generated tasks).
    Raises UsageError when there is no task at all.
    """
    drawn = rng.sample(generated, min(from_generated, total, len(generated)))
    drawn += rng.sample(seeds, min(total - len(drawn), len(seeds)))
    missing = total - len(drawn)
    if missing and len(generated) > from_generated:
        taken = set(drawn)
        rest = [task for task in generated if task not in taken]
        drawn += rng.sample(rest, min(missing, len(rest)))
    if not drawn:
        raise UsageError("the pool has no task to put into a prompt", "import some, or create the pool with --seeds FILE")
    rng.shuffle(drawn)
    return tuple(drawn)


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


def instruction_request(context: StageContext, ordinal: int, parents: tuple[int, ...]) -> PlannedRequest:
    method, sampling = context.method, context.method.sampling
    tasks = context.pool.tasks.many(parents)
    texts = [task.instruction for task in tasks]
    # Whole tasks hold outputs, which may repeat lines for good reason.
    rule: RepeatRule = "text" if method.variant == "alpaca" else "items"
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
    planned = context.planned(Stage.INSTRUCTIONS, ordinal, prompt, decoding, chat, repeats=rule)
    if grammar:
        # It ends the list itself; a stop string may stand in a text.
        planned = replace(planned, params=replace(planned.params, grammar=grammar, stop=()))
    return replace(planned, parents=parents, source=Source.IN_CONTEXT)


def request_like(context: StageContext, request: StoredRequest, parents: tuple[int, ...]) -> PlannedRequest:
    """The request in the place of `request`, with the same seed, under the parameters that hold now, with these in-context tasks.

    It is from the same source, of the same passage where that is one of a document.
    """
    if request.passage_id is not None:
        assert request.source is not None
        passage = context.pool.documents.passages([request.passage_id])[request.passage_id]
        planned = passage_request(context, request.ordinal, request.source, passage)
    elif request.source is Source.TEMPLATE:
        planned = template_request(context, request.ordinal, parents)
    else:
        planned = instruction_request(context, request.ordinal, parents)
    return replace(planned, seed=request.seed)


def template_request(context: StageContext, ordinal: int, parents: tuple[int, ...]) -> PlannedRequest:
    """The request that leaves the user's turn of the chat template to the model, or all of it but its opening."""
    openings = context.templates["openings"].prefix.splitlines()
    rng = context.generator(Stage.INSTRUCTIONS, ordinal)
    # Openings speak of anything; with a brief all of it is about that.
    opened = bool(openings) and not context.brief and rng.random() < context.method.opening_share
    opening = rng.choice(openings) if opened else ""
    decoding = context.method.sampling.template
    chat = context.user_turn([task.instruction for task in context.pool.tasks.many(parents)])
    planned = context.planned(Stage.INSTRUCTIONS, ordinal, ("", opening), decoding, chat, repeats="text", measure=True)
    return replace(planned, parents=parents, source=Source.TEMPLATE)


def passage_requests(context: StageContext, first: int, action: int = 0) -> list[PlannedRequest]:
    """Plan the round's requests for passages; their ordinals count from `first`. Fewer where fewer passages are left, none at the end."""
    method, pool = context.method, context.pool
    if method.document_requests < 1:
        return []
    sources, tries = method.document_sources, method.passage_tries
    wanted = [sources[place // tries % len(sources)] for place in range(method.document_requests)]
    drawn: dict[Source, list[int]] = {}
    for number, source in enumerate(sources):
        unused = pool.documents.unused(method.cutting, source)
        rng = context.generator(Stage.SAMPLE, first + number, action)
        drawn[source] = rng.sample(unused, min(len(unused), -(-wanted.count(source) // tries)))
    places = [(source, passage) for source in sources for passage in drawn[source] for _ in range(tries)]
    passages = pool.documents.passages(passage for _, passage in places)
    return [passage_request(context, ordinal, source, passages[passage]) for ordinal, (source, passage) in enumerate(places, first)]


def passages_left(context: SessionContext) -> bool:
    """Whether there are passages that some way has not been tried with."""
    return any(context.pool.documents.unused(context.method.cutting, source) for source in context.method.document_sources)


def passage_request(context: StageContext, ordinal: int, source: Source, passage: PassageRecord) -> PlannedRequest:
    """The request for an instruction that fits a passage in the way of `source`."""
    name, text = str(source), passage.passage.text
    if not context.chats:
        prompt, chat = context.filled(name, text), context.few_shot
    elif context.engine.info.writes_requests:
        prompt, chat = context.filled(f"{name}_begun", text), context.chat(system=context.brief, writes_request=True)
    else:
        prompt, chat = context.filled(f"{name}_chat", text), context.chat(system=context.brief)
    if opening := opening_of(context, ordinal, source):
        prompt = prompt[0], f"{prompt[1]} {opening}"
    decoding = context.method.sampling.passage
    planned = context.planned(Stage.INSTRUCTIONS, ordinal, prompt, decoding, chat, repeats="text", measure=True)
    return replace(planned, source=source, passage_id=passage.id)


def opening_of(context: StageContext, ordinal: int, source: Source) -> str:
    """How an instruction for a passage begins, where that is given: it is behind the prompt then, for the model to go on with."""
    begun = context.engine.info.writes_requests if context.chats else context.few_shot is None
    openings = [line for line in context.templates[f"{source}_openings"].prefix.splitlines() if line.strip()]
    return context.generator(Stage.INSTRUCTIONS, ordinal).choice(openings) if begun and openings else ""


def write_instructions(context: StageContext) -> Iterator[Event]:
    method = context.method
    if method.variant == "alpaca" and method.triples_grammar and not context.engine.info.grammars:
        yield from context.note(NO_GRAMMAR)
    yield from complete(context, Stage.INSTRUCTIONS, Stage.FILTER)
