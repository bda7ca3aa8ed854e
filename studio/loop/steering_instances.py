"""Steering instances: changing them, deciding them, and asking for more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from studio.engine.api import Completion, Finished, FinishReason, Noted, Request, Restarted, Retried, TextPiece
from studio.errors import ModelError, UsageError
from studio.loop.events import (
    EngineRestarted,
    Event,
    InstanceDecided,
    RequestFinished,
    RequestRetried,
    RequestsSent,
    TaskClassified,
    TextStreamed,
)
from studio.loop.instance_rules import CONTRADICTORY, DUPLICATE
from studio.loop.reasons import BY_HAND, EDITED
from studio.loop.stages import classify, instances
from studio.loop.stages.context import StageCancelled, StageContext
from studio.pool.actions.records import Effect, HandRequest, MoreInstances, Note
from studio.pool.records import DecidedInstance, PlannedRequest, RoundRecord, StoredCompletion
from studio.records import STAGES, Instance, Stage, Task, TaskState, Verdict

TEMPERATURE = 0.7
"""At least this for more instances: greedy decoding would only write those that are there."""


def edit(context: StageContext, instance_id: int, given: str, output: str) -> Effect:
    """Give an instance another input and output, to the letter, and accept it."""
    instance = context.pool.reader.instance(instance_id)
    if not output.strip():
        raise UsageError("an instance needs an output", "drop the instance instead")
    values = {"input": given, "output": output, "verdict": Verdict.ACCEPTED.value, "reason": EDITED}
    return context.pool.ledger.change_instance(
        Note("edit instance", f"changed {_words(instance_id, instance.task_id)}"), instance_id, values
    )


def decide(context: StageContext, instance_id: int, verdict: Verdict) -> Effect:
    """Accept or reject an instance."""
    instance = context.pool.reader.instance(instance_id)
    if instance.verdict is verdict:
        raise UsageError(f"instance {instance_id} is {verdict} already")
    done = "brought back" if verdict is Verdict.ACCEPTED else "dropped"
    note = Note("restore instance" if verdict is Verdict.ACCEPTED else "drop instance", f"{done} {_words(instance_id, instance.task_id)}")
    return context.pool.ledger.change_instance(note, instance_id, {"verdict": verdict.value, "reason": BY_HAND})


def more(context: StageContext, run_id: int, task_id: int) -> Generator[Event, None, Effect]:
    """Ask for more instances of a task, store them, and return the effect; the requests belong to the run's newest round."""
    pool = context.pool
    task = pool.reader.task(task_id)
    current, finished = pool.reader.newest_round(run_id) or (pool.begin_round(run_id), False)
    _require_written(task, current, finished)
    context = context if finished else context.for_round(current)
    asked: list[HandRequest] = []
    answer: bool | None = None
    if task.is_classification is None:
        answer = False
        if context.method.variant != "alpaca":
            ordinal = pool.reader.next_hand_ordinal(current.id, Stage.CLASSIFY)
            planned = classify.request_for(context, current, ordinal, task)
            asked.append((yield from _ask(context, (current, Stage.CLASSIFY, ordinal), planned)))
            answer = classify.answered(context, asked[-1].completion)
        task = replace(task, is_classification=answer)
    ordinal = pool.reader.next_hand_ordinal(current.id, Stage.INSTANCES)
    planned = instances.request_for(context, current, ordinal, task)
    planned = replace(planned, params=replace(planned.params, temperature=max(planned.params.temperature, TEMPERATURE)))
    asked.append((yield from _ask(context, (current, Stage.INSTANCES, ordinal), planned)))
    stored = StoredCompletion(0, ordinal, task_id, asked[-1].completion)
    decided = instances.decided_instances(context, (current, ordinal), stored, label_first=bool(task.is_classification))
    decided = _beside(task.instances, decided)
    note = Note("more instances", f"asked for more instances of task {task_id}")
    effect = pool.ledger.add_instances(note, current.id, MoreInstances(task_id, tuple(asked), tuple(decided), answer))
    if answer is not None:
        yield TaskClassified(task_id, answer)
    for each in decided:
        yield InstanceDecided(task_id, Instance(each.input, each.output), each.verdict, each.reason)
    return effect


def _require_written(task: Task, current: RoundRecord, finished: bool) -> None:
    if task.state is TaskState.RETIRED:
        raise UsageError(f"task {task.id} is retired", "bring it back first")
    if task.state is TaskState.DRAFT and not finished and STAGES.index(current.stage) <= STAGES.index(Stage.INSTANCES):
        raise UsageError(f"round {current.number} has still to write the instances of task {task.id}", "play on until it has")


def _ask(context: StageContext, place: tuple[RoundRecord, Stage, int], planned: PlannedRequest) -> Generator[Event, None, HandRequest]:
    current, stage, ordinal = place
    yield RequestsSent(stage, 1)
    found: Completion | None = None
    request = Request(planned.prefix, planned.suffix, planned.params, planned.seed)
    for event in context.engine.stream([request], context.cancel):
        match event:
            case TextPiece(_, text):
                yield TextStreamed(stage, ordinal, text)
            case Finished(_, completion):
                found = completion
                yield RequestFinished(stage, ordinal, completion)
            case Restarted(attempt, cause):
                found = None
                yield EngineRestarted(stage, attempt, cause)
            case Retried(_, attempt, cause, wait):
                yield RequestRetried(stage, ordinal, attempt, cause, wait)
            case Noted(text):
                yield from context.note(text)
    if context.cancel.cancelled and (found is None or found.finish_reason is FinishReason.CANCELLED):
        if found is not None and found.text:
            context.pool.ledger.keep_cancelled(current.id, HandRequest(stage, planned, found))
        raise StageCancelled
    if found is None:
        raise ModelError("the engine did not answer the request", "try again")
    if found.finish_reason is FinishReason.REFUSED:
        raise context.engine.info.no_room(found.detail)
    return HandRequest(stage, planned, found)


def _beside(present: Sequence[Instance], decided: Sequence[DecidedInstance]) -> list[DecidedInstance]:
    """Reject those of `decided` that repeat or contradict the instances the task has."""
    outputs = {instance.input: instance.output for instance in present}
    result = []
    for each in decided:
        reason = each.reason
        if each.verdict is Verdict.ACCEPTED and Instance(each.input, each.output) in present:
            reason = DUPLICATE
        elif each.verdict is Verdict.ACCEPTED and each.input and outputs.get(each.input, each.output) != each.output:
            reason = CONTRADICTORY
        result.append(each if reason == each.reason else replace(each, verdict=Verdict.REJECTED, reason=reason))
    return result


def _words(instance_id: int, task_id: int) -> str:
    return f"instance {instance_id} of task {task_id}"
