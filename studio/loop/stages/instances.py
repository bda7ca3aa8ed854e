"""Stage 5: write instances: the input first for most tasks, the label first for classification tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from studio.engine.api import FinishReason
from studio.loop.events import Event, InstanceDecided
from studio.loop.instance_rules import decide_instances
from studio.loop.instances import parse_input_first, parse_output_first
from studio.loop.sampling import generator
from studio.loop.stages.complete import complete
from studio.loop.stages.context import StageContext
from studio.pool.records import DecidedInstance, DraftTask, PlannedRequest, RoundRecord, StoredCompletion
from studio.records import Instance, Stage


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Write and decide the instances of the round's drafts. A task left with none stays in the pool but not in the data."""
    reader = context.pool.reader
    drafts = reader.drafts(current.id)
    if context.method.variant == "alpaca":
        decided = [each for ordinal, draft in enumerate(drafts) for each in _of_triple(context, current, ordinal, draft)]
    else:
        if not reader.requests(current.id, Stage.INSTANCES):
            requests = [_plan(context, current, ordinal, draft) for ordinal, draft in enumerate(drafts)]
            context.pool.plan_requests(current.id, Stage.INSTANCES, requests, None)
        yield from complete(context, current, Stage.INSTANCES)
        labels_first = {draft.task.id: bool(draft.task.is_classification) for draft in drafts}
        decided = [
            each
            for stored in reader.completions(current.id, Stage.INSTANCES)
            if stored.task_id is not None
            for each in _of_completion(context, current, stored, stored.task_id, labels_first[stored.task_id])
        ]
    for each in decided:
        yield InstanceDecided(each.task_id, Instance(each.input, each.output), each.verdict, each.reason)
    context.pool.record_instances(current.id, decided, Stage.COMMIT)


def _plan(context: StageContext, current: RoundRecord, ordinal: int, draft: DraftTask) -> PlannedRequest:
    sampling = context.method.sampling
    template, decoding = ("output_first", sampling.output_first) if draft.task.is_classification else ("input_first", sampling.input_first)
    planned = context.planned((current, Stage.INSTANCES, ordinal), template, draft.task.instruction.strip(), decoding)
    return replace(planned, task_id=draft.task.id)


def _of_completion(
    context: StageContext, current: RoundRecord, stored: StoredCompletion, task_id: int, label_first: bool
) -> list[DecidedInstance]:
    text = stored.completion.text
    parsed = parse_output_first(text) if label_first else parse_input_first(text, line_markers=context.method.line_markers)
    truncated = stored.completion.finish_reason in (FinishReason.LENGTH, FinishReason.REPEAT)
    return _decide(context, (current, stored.ordinal), task_id, stored.request_id, parsed, text, truncated)


def _of_triple(context: StageContext, current: RoundRecord, ordinal: int, draft: DraftTask) -> list[DecidedInstance]:
    parsed = [Instance(draft.input or "", draft.output or "")]
    return _decide(context, (current, ordinal), draft.task.id, draft.request_id, parsed, "", False)


def _decide(
    context: StageContext,
    place: tuple[RoundRecord, int],
    task_id: int,
    request_id: int | None,
    parsed: Sequence[Instance],
    text: str,
    truncated: bool,
) -> list[DecidedInstance]:
    current, ordinal = place
    decisions = decide_instances(
        parsed,
        raw_text=text,
        truncated=truncated,
        rules=context.method.instance_rules,
        max_instances=context.method.max_instances,
        rng=generator(context.seed, current.number, Stage.INSTANCES, ordinal),
    )
    return [
        DecidedInstance(task_id, request_id, instance.input, instance.output, verdict, reason) for instance, verdict, reason in decisions
    ]
