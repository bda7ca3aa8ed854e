"""Stages 1 to 3, how a round's new instructions come about: in-context tasks are drawn, the model goes on with the lists, and what it
wrote, stored by then, is parsed into candidates, each of which is decided: heuristics first, then novelty.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from studio.engine.api import RepeatRule
from studio.loop.events import CandidateDecided, Event
from studio.loop.filters import rule_reason
from studio.loop.lists import split_list
from studio.loop.parsing import ParsedCandidate, parse_instructions, parse_triples
from studio.loop.prompts import numbered, numbered_triples
from studio.loop.sampling import generator, in_context_tasks
from studio.loop.settings import Method
from studio.loop.stages.asking import StageContext, complete
from studio.loop.thoughts import MODEL_THINKS, THINKING, Answer, first_mark
from studio.pool.candidates import DecidedCandidate
from studio.pool.requests import PlannedRequest, StoredCompletion
from studio.pool.rounds import RoundRecord
from studio.records import Origin, Stage, Task, TaskState, Verdict

OTHER_FORM = (
    "the model numbers its lists in another form than this profile knows, so that a whole list counts as one item; "
    "--profile studio, or --set tolerant=true, tells the items apart"
)


def sample(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Plan the round's instruction requests, each from its own draw of in-context tasks."""
    context.pool.requests.plan(current.id, Stage.INSTRUCTIONS, plan_instructions(context, current), Stage.INSTRUCTIONS)
    yield from ()


def plan_instructions(context: StageContext, current: RoundRecord, action: int = 0) -> list[PlannedRequest]:
    """Draw the in-context tasks of every request of the round; `action` is the id of a person's action that has them drawn anew."""
    drawn = draw_parents(context, current, range(context.method.requests_per_round), action)
    return [instruction_request(context, current, ordinal, parents) for ordinal, parents in enumerate(drawn)]


def draw_parents(context: StageContext, current: RoundRecord, ordinals: Iterable[int], action: int = 0) -> list[tuple[int, ...]]:
    """Draw the in-context tasks of the requests with these ordinals."""
    method = context.method
    seeds, others = to_draw_from(context)
    generators = (generator(context.seed, current.number, Stage.SAMPLE, ordinal, action) for ordinal in ordinals)
    return [in_context_tasks(rng, seeds, others, method.in_context_tasks, method.generated_in_context) for rng in generators]


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
    method = context.method
    tasks = context.pool.tasks.many(parents)
    if method.variant == "alpaca":
        template, filling = "triples", numbered_triples(tasks)
    else:
        template = "instructions_classification" if method.classification_only else "instructions"
        filling = numbered([task.instruction for task in tasks])
    place = (current, Stage.INSTRUCTIONS, ordinal)
    # Whole tasks hold outputs, which may repeat lines for good reason.
    rule: RepeatRule = "" if not method.early_stop else "text" if method.variant == "alpaca" else "items"
    return replace(context.planned(place, template, filling, method.sampling.instructions, stop_on_repeat=rule), parents=parents)


def write_instructions(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Complete the round's instruction requests."""
    yield from complete(context, current, Stage.INSTRUCTIONS, Stage.FILTER)


def filter_candidates(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Decide all candidates of the round, in the order of the requests; an accepted one counts for those after it at once."""
    pool = context.pool
    first = {request.id: len(request.parents) + 1 for request in pool.requests.planned(current.id, Stage.INSTRUCTIONS)}
    candidates: list[tuple[StoredCompletion, int, ParsedCandidate]] = []
    for stored in pool.requests.completions(current.id, Stage.INSTRUCTIONS):
        answer = context.answer(stored.completion)
        if answer.thought:
            yield from context.note(MODEL_THINKS)
        number = first[stored.request_id]
        parsed = parse_candidates(context.method, answer, number)
        if len(parsed) == 1 and _in_another_form(context.method, answer, number):
            yield from context.note(OTHER_FORM)
        candidates += [(stored, ordinal, each) for ordinal, each in enumerate(parsed)]
    decided: list[DecidedCandidate] = []
    try:
        yield from _decide_candidates(context, candidates, decided)
        pool.candidates.record(current.id, decided, Stage.CLASSIFY)
    except BaseException:
        # Nothing of the stage is stored: it is done again, and no candidate may be compared with itself then.
        for each in decided:
            if each.task_id is not None:
                context.index.remove(each.task_id)
        raise


def _decide_candidates(
    context: StageContext, candidates: Sequence[tuple[StoredCompletion, int, ParsedCandidate]], decided: list[DecidedCandidate]
) -> Iterator[Event]:
    """Decide candidates, each with the completion it stands in and its place there, and append them to `decided`."""
    batch = context.index.batch([parsed.text for _, _, parsed in candidates])
    next_id = context.pool.tasks.next_id()
    for position, (stored, ordinal, parsed) in enumerate(candidates):
        novelty = batch.novelty(position)
        reason = parsed.discard or rule_reason(parsed.text, novelty.score, context.method)
        accepted = reason == "novel"
        task_id = next_id if accepted else None
        verdict = Verdict.ACCEPTED if accepted else Verdict.REJECTED
        decided.append(
            DecidedCandidate(stored.request_id, ordinal, parsed.text, verdict, reason, novelty, parsed.input, parsed.output, task_id)
        )
        if accepted:
            batch.accept(position, next_id)
            next_id += 1
        yield CandidateDecided(stored.ordinal, parsed.text, verdict, reason, novelty, task_id)


def _in_another_form(method: Method, answer: Answer, first_number: int) -> bool:
    """Whether a completion that a profile with the released form alone takes for one item is a list."""
    return method.variant == "self-instruct" and not method.tolerant and len(split_list(answer.text, first_number).texts) > 2


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
    if method.keep_thoughts:
        return parsed
    return [replace(each, discard=THINKING) if not each.discard and first_mark(each.text) else each for each in parsed]
