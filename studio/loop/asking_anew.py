"""A person asks otherwise than the loop: other in-context tasks or parameters, a round's prompts once more, more instances.

What each does stands with the methods of `Steering` that call them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

from studio.config import flat, keys_of, require_known
from studio.engine.api import FinishReason
from studio.errors import ModelError, UsageError
from studio.loop.events import Event, InstanceDecided, TaskClassified
from studio.loop.filters import CONTRADICTORY, DUPLICATE
from studio.loop.runs import overridden, require_effect
from studio.loop.settings import Method
from studio.loop.stages.answer import Drawn, Question, answer_request, choose
from studio.loop.stages.asking import SessionContext, StageCancelled, StageContext, send
from studio.loop.stages.instances import (
    answered,
    asks_for_instances,
    classification_request,
    decided_instances,
    given_instance,
    instances_request,
    whole_instance,
)
from studio.loop.stages.instructions import draw_parents, may_stand, plan_instructions, request_like, to_draw_from
from studio.pool.changes import Effect
from studio.pool.instances import ChosenAnswer, DecidedInstance
from studio.pool.ledger import HandRequest, MoreInstances, Note
from studio.pool.requests import PlannedRequest, StoredCompletion, StoredRequest
from studio.pool.rounds import RoundRecord
from studio.records import STAGES, Instance, Origin, Stage, Task, TaskState, Verdict

FIXED = frozenset(
    {"profile", "variant", "asking", "answers", "tokenizer", "stall_rounds", "passage_size", "passage_overlap", "passage_least"}
)
"""Parameters of the whole run: no round has its own."""

DRAWN = frozenset(
    {"in_context_tasks", "generated_in_context", "requests_per_round", "template_requests", "classification_only"}
    | {"document_requests", "document_way", "passage_tries"}
)
"""Parameters that decide which in-context tasks are drawn."""

TEMPERATURE = 0.7
"""At least this for more instances: greedy decoding would only write those that are there."""


def resample(session: SessionContext, ordinal: int) -> Effect:
    context = _sampled_round(session)
    request = _request_with_tasks(context, ordinal)
    (parents,) = draw_parents(context, [ordinal], context.pool.ledger.next_action_id())
    return _rewrite(context, request, parents, Note("resample", f"drew other in-context tasks for prompt {ordinal + 1}"))


def swap(session: SessionContext, ordinal: int, position: int, task_id: int | None) -> Effect:
    context = _sampled_round(session)
    request = _request_with_tasks(context, ordinal)
    if not 0 <= position < len(request.parents):
        raise UsageError(f"prompt {ordinal + 1} has {len(request.parents)} in-context tasks, none at position {position + 1}")
    chosen = _another(context, request, position) if task_id is None else task_id
    if chosen in request.parents:
        raise UsageError(f"task {chosen} stands in prompt {ordinal + 1} already", "choose another one")
    parents = (*request.parents[:position], chosen, *request.parents[position + 1 :])
    gone = _not_standing(context, parents)
    if chosen in gone:
        raise UsageError(f"task {chosen} cannot stand in a prompt of this round", "choose an active task of the kind that it draws")
    if gone:
        raise UsageError(f"task {gone[0]} of prompt {ordinal + 1} can stand there no more", "swap that one first, or draw them all anew")
    note = Note("swap", f"swapped task {request.parents[position]} for {chosen} in prompt {ordinal + 1}")
    return _rewrite(context, request, parents, note)


def set_round_parameters(session: SessionContext, run_id: int, overrides: Mapping[str, Any]) -> Effect:
    require_known(overrides, {key for key, _ in keys_of(Method)} - FIXED, "this round")
    pool = session.pool
    current = pool.rounds.unfinished() or pool.rounds.begin(run_id)
    before = session.for_round(current)
    given = dict(overrides)
    if "filters" in given and "request_filters" not in given:
        # The filters of a run in chat hold those for requests: which was taken out there must not come back from here.
        given["request_filters"] = [name for name in before.method.request_filters if name in given["filters"]]
    asked = overridden(before.method, given)
    require_effect(asked, given)
    answering = None if session.answering is None else session.answering.info
    wanted = asked.resolved(session.engine.info, answering=answering)
    own, new, old = (dict(flat(method.model_dump(mode="json"))) for method in (session.method, wanted, before.method))
    text = _json({key: value for key, value in new.items() if value != own[key]})
    redrawn = sorted(key for key in DRAWN if new[key] != old[key])
    note = Note("parameters", f"set {', '.join(sorted(overrides))} for round {current.number}")
    if current.stage is Stage.INSTRUCTIONS:
        return pool.ledger.supersede(note, current.id, _replanned(replace(before, method=wanted), redraw=bool(redrawn)), text)
    if redrawn and current.stage is not Stage.SAMPLE:
        words = f"{redrawn[0]} is for drawing in-context tasks, which round {current.number} has done"
        raise UsageError(words, "set it before `instructions`")
    return pool.ledger.set_overrides(note, current.id, text)


def regenerate(session: SessionContext) -> Effect:
    pool = session.pool
    current = pool.rounds.unfinished()
    if current is None or STAGES.index(current.stage) <= STAGES.index(Stage.INSTRUCTIONS):
        raise UsageError("no round has completions that could be drawn anew", "play the stage `instructions` first")
    context, action = session.for_round(current), pool.ledger.next_action_id()
    requests = [
        replace(planned, seed=context.engine_seed(Stage.INSTRUCTIONS, ordinal, action))
        for ordinal, planned in enumerate(_replanned(context, redraw=False))
    ]
    note = Note("regenerate", f"asked for round {current.number} once more")
    return pool.ledger.supersede(note, current.id, requests, _json(pool.rounds.overrides(current.id)))


def _replanned(context: StageContext, *, redraw: bool) -> list[PlannedRequest]:
    """The round's instruction requests as `context` would plan them, with the in-context tasks they have unless `redraw`.

    A prompt with a task that was retired since is drawn anew in any case.
    """
    if redraw:
        return plan_instructions(context)
    action = context.pool.ledger.next_action_id()
    planned = []
    for request in context.asked(Stage.INSTRUCTIONS):
        parents = request.parents
        if _not_standing(context, parents):
            (parents,) = draw_parents(context, [request.ordinal], action)
        planned.append(request_like(context, request, parents))
    return planned


def _not_standing(context: StageContext, parents: Sequence[int]) -> list[int]:
    """Return those of `parents` that no prompt may hold now."""
    return [task.id for task in context.pool.tasks.many(parents) if not may_stand(context, task)]


def _rewrite(context: StageContext, request: StoredRequest, parents: tuple[int, ...], note: Note) -> Effect:
    return context.pool.ledger.rewrite_request(note, request.id, request_like(context, request, parents))


def _another(context: StageContext, request: StoredRequest, position: int) -> int:
    """Draw a task of the same origin as the one at `position`: a seed for a seed; of the others where that origin has none left."""
    seeds, others = to_draw_from(context)
    is_seed = context.pool.tasks.get(request.parents[position]).origin is Origin.SEED
    rng = context.generator(Stage.SAMPLE, request.ordinal, context.pool.ledger.next_action_id())
    for ids in (seeds, others) if is_seed else (others, seeds):
        left = [task_id for task_id in ids if task_id not in request.parents]
        if left:
            return rng.choice(left)
    raise UsageError("the pool has no other task to put there", "import some, or accept some first")


def _sampled_round(session: SessionContext) -> StageContext:
    current = session.pool.rounds.unfinished()
    if current is None or current.stage is not Stage.INSTRUCTIONS:
        raise UsageError(
            "no round has prompts that were not sent yet", "play the stage `sample` first; its prompts can be changed until they are sent"
        )
    return session.for_round(current)


def _request_with_tasks(context: StageContext, ordinal: int) -> StoredRequest:
    """The instruction request at `ordinal`, which has in-context tasks and was not answered yet."""
    requests = context.asked(Stage.INSTRUCTIONS)
    if not 0 <= ordinal < len(requests):
        raise UsageError(f"round {context.current.number} has {len(requests)} prompts, none with number {ordinal + 1}")
    if requests[ordinal].id in {each.request_id for each in context.completions(Stage.INSTRUCTIONS)}:
        raise UsageError(f"prompt {ordinal + 1} was answered already, its answer is kept", "play the stage to its end, then ask once more")
    if not requests[ordinal].parents:
        raise UsageError(f"prompt {ordinal + 1} has no in-context tasks: the model writes it whole", "template_tasks gives it some")
    return requests[ordinal]


def _json(overrides: Mapping[str, Any]) -> str | None:
    return json.dumps(overrides, ensure_ascii=False, sort_keys=True) if overrides else None


def more_instances(session: SessionContext, run_id: int, task_id: int) -> Generator[Event, None, Effect]:
    """Ask for more instances of a task, store them, and return the effect; the requests belong to the run's newest round."""
    pool = session.pool
    task = pool.tasks.get(task_id)
    current, finished = pool.rounds.newest(run_id) or (pool.rounds.begin(run_id), False)
    _require_written(task, current, finished)
    context = session.for_round(current, own=not finished)
    asked: list[HandRequest] = []
    answer: bool | None = None
    if task.is_classification is None:
        answer = False
        if context.method.variant != "alpaca":
            planned = partial(classification_request, context, task=task)
            answer = answered(context, (yield from _ask(context, Stage.CLASSIFY, planned, asked)).completion)
        task = replace(task, is_classification=answer)
    candidate = pool.candidates.of_task(task_id)
    given = given_instance(candidate) if candidate is not None else None
    if given is not None and (given.output or context.method.answers_apart):
        decided = [whole_instance(task_id, None, given)]
    elif given is not None or asks_for_instances(context, task, None if candidate is None else candidate.source):

        def warmer(ordinal: int) -> PlannedRequest:
            planned = instances_request(context, ordinal, task, given)
            return replace(planned, params=replace(planned.params, temperature=max(planned.params.temperature, TEMPERATURE)))

        came = yield from _ask(context, Stage.INSTANCES, warmer, asked)
        decided = decided_instances(context, came, task, given)
    else:
        decided = [whole_instance(task_id, None, Instance("", ""))]
    if context.method.answers_apart:
        decided = yield from _answered(context, task, decided, asked, of_passage=given is not None)
    decided = _beside(task.instances, decided)
    note = Note("more instances", f"asked for more instances of task {task_id}")
    effect = pool.ledger.add_instances(note, current.id, MoreInstances(task_id, tuple(asked), tuple(decided), answer))
    if answer is not None:
        yield TaskClassified(task_id, answer)
    for each in decided:
        yield InstanceDecided(task_id, Instance(each.input, each.output), each.verdict, each.reason)
    return effect


def _answered(
    context: StageContext, task: Task, instances: Sequence[DecidedInstance], asked: list[HandRequest], *, of_passage: bool
) -> Generator[Event, None, list[DecidedInstance]]:
    """Have the accepted instances of a task answered; what was asked for that is appended to `asked`."""
    result = []
    for each in instances:
        if each.verdict is Verdict.REJECTED or each.output:
            result.append(each)
            continue
        question = Question.about(task, each.input, of_passage=of_passage)
        planned = partial(answer_request, context, question=question, copy=1, of_passage=of_passage)
        drawn = []
        for _ in range(context.method.best_of):
            came = yield from _ask(context, Stage.ANSWER, planned, asked)
            drawn.append(Drawn(came.request_id, context.answer(came.completion), came.completion.nats))
        found = choose(context.method, task, each.input, drawn, of_passage=of_passage)
        result.append(replace(each, **{chosen.name: getattr(found, chosen.name) for chosen in fields(ChosenAnswer)}))
    return result


def _require_written(task: Task, current: RoundRecord, finished: bool) -> None:
    if task.state is TaskState.RETIRED:
        raise UsageError(f"task {task.id} is retired", "bring it back first")
    if task.state is TaskState.DRAFT and not finished and current.stage is not Stage.COMMIT:
        raise UsageError(f"round {current.number} has still to write the instances of task {task.id}", "play on until it has")


def _ask(
    context: StageContext, stage: Stage, plan: Callable[[int], PlannedRequest], asked: list[HandRequest]
) -> Generator[Event, None, StoredCompletion]:
    """Ask what `plan` makes of an ordinal beside the round's own; append it to `asked`, where its place is the request's id."""
    ordinal = context.pool.requests.next_hand_ordinal(context.current.id, stage) - sum(each.stage is stage for each in asked)
    planned = plan(ordinal)
    found = (yield from send(context, stage, [(ordinal, planned)])).get(0)
    if context.cancel.cancelled and (found is None or found.finish_reason is FinishReason.CANCELLED):
        raise StageCancelled
    if found is None:
        raise ModelError("the engine did not answer the request", "try again")
    if found.finish_reason is FinishReason.REFUSED:
        raise context.engine_of(stage).info.no_room(found.detail)
    asked.append(HandRequest(stage, planned, found))
    return StoredCompletion(len(asked) - 1, ordinal, planned.task_id, found)


def _beside(present: Sequence[Instance], decided: Sequence[DecidedInstance]) -> list[DecidedInstance]:
    """Reject those of `decided` that repeat or contradict the instances the task has."""
    outputs = {instance.input: instance.output for instance in present}
    pairs = {(instance.input, instance.output) for instance in present}
    result = []
    for each in decided:
        reason = each.reason
        if each.verdict is Verdict.ACCEPTED and (each.input, each.output) in pairs:
            reason = DUPLICATE
        elif each.verdict is Verdict.ACCEPTED and each.input and outputs.get(each.input, each.output) != each.output:
            reason = CONTRADICTORY
        result.append(each if reason == each.reason else replace(each, verdict=Verdict.REJECTED, reason=reason))
    return result
