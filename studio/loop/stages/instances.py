"""Stage 5: write instances: the input first for most tasks, the label first for classification tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from studio.engine.api import FinishReason, RepeatRule
from studio.loop.events import Event, InstanceDecided
from studio.loop.instance_rules import decide_instances
from studio.loop.instances import parse_input_first, parse_output_first
from studio.loop.sampling import generator
from studio.loop.stages import classify
from studio.loop.stages.complete import complete
from studio.loop.stages.context import StageContext
from studio.loop.stages.planning import plan_for_drafts
from studio.pool.records import DecidedInstance, DraftTask, PlannedRequest, RoundRecord, StoredCompletion
from studio.records import Instance, Stage, Task


def run(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Write and decide the instances of the round's drafts. A task left with none stays in the pool but not in the data."""
    reader = context.pool.reader
    drafts = reader.drafts(current.id)
    if any(draft.task.is_classification is None for draft in drafts):
        # A person accepted some of them after their round was classified.
        yield from classify.run(context, current)
        drafts = reader.drafts(current.id)
    if context.method.variant == "alpaca":
        decided = [each for ordinal, draft in enumerate(drafts) for each in _of_triple(context, current, ordinal, draft)]
    else:
        plan_for_drafts(context, current, Stage.INSTANCES, lambda ordinal, draft: request_for(context, current, ordinal, draft.task))
        yield from complete(context, current, Stage.INSTANCES)
        labels_first = {draft.task.id: bool(draft.task.is_classification) for draft in drafts}
        decided = [
            each
            for stored in reader.completions(current.id, Stage.INSTANCES)
            if stored.task_id is not None and stored.task_id in labels_first
            for each in decided_instances(context, (current, stored.ordinal), stored, label_first=labels_first[stored.task_id])
        ]
    for each in decided:
        yield InstanceDecided(each.task_id, Instance(each.input, each.output), each.verdict, each.reason)
    context.pool.record_instances(current.id, decided, Stage.COMMIT)


def request_for(context: StageContext, current: RoundRecord, ordinal: int, task: Task) -> PlannedRequest:
    """The request that asks for instances of `task`."""
    sampling = context.method.sampling
    template, decoding = ("output_first", sampling.output_first) if task.is_classification else ("input_first", sampling.input_first)
    planned = context.planned((current, Stage.INSTANCES, ordinal), template, task.instruction.strip(), decoding)
    stop_on_repeat: RepeatRule = "text" if context.method.early_stop else ""
    return replace(planned, params=replace(planned.params, stop_on_repeat=stop_on_repeat), task_id=task.id)


def decided_instances(
    context: StageContext, place: tuple[RoundRecord, int], stored: StoredCompletion, *, label_first: bool
) -> list[DecidedInstance]:
    """Parse a completion about a task, asked for at `place` (round, ordinal), and decide the instances in it."""
    assert stored.task_id is not None
    text = stored.completion.text
    parsed = parse_output_first(text) if label_first else parse_input_first(text, line_markers=context.method.line_markers)
    truncated = stored.completion.finish_reason in (FinishReason.LENGTH, FinishReason.REPEAT)
    return _decide(context, place, stored.task_id, stored.request_id, parsed, text, truncated)


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
