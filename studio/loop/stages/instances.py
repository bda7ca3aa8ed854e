"""Stage 5: write instances: the input first for most tasks, the label first for classification tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from studio.engine.api import RepeatRule
from studio.loop.events import Event, InstanceDecided
from studio.loop.instance_rules import UNPARSED, decide_instances
from studio.loop.instances import parse_input_first, parse_output_first
from studio.loop.sampling import generator
from studio.loop.stages import classify
from studio.loop.stages.complete import complete
from studio.loop.stages.context import StageContext
from studio.loop.stages.planning import plan_for_drafts
from studio.loop.thoughts import MODEL_THINKS, THINKING, Answer, answer_of
from studio.pool.records import DecidedInstance, DraftTask, PlannedRequest, RoundRecord, StoredCompletion
from studio.records import Instance, Stage, Task

NO_INSTANCES = (
    "most completions about the new tasks have none of the marks of inputs and outputs (Output:, Class label:), so that no instance is "
    "found in them; the form is the trouble: try a base model, or prompts of your own with the same marks"
)
_FEW = 3


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
        completions = reader.completions(current.id, Stage.INSTANCES)
        if any(answer_of(each.completion, keep_thoughts=context.method.keep_thoughts).thought for each in completions):
            yield from context.note(MODEL_THINKS)
        labels_first = {draft.task.id: bool(draft.task.is_classification) for draft in drafts}
        decided = [
            each
            for stored in completions
            if stored.task_id is not None and stored.task_id in labels_first
            for each in decided_instances(context, (current, stored.ordinal), stored, label_first=labels_first[stored.task_id])
        ]
    if len({each.task_id for each in decided if each.reason == UNPARSED}) * 2 > max(len(drafts), _FEW):
        yield from context.note(NO_INSTANCES)
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
    method = context.method
    answer = answer_of(stored.completion, keep_thoughts=method.keep_thoughts)
    if label_first:
        parsed = parse_output_first(answer.text, tolerant=method.tolerant)
    else:
        parsed = parse_input_first(answer.text, line_markers=method.line_markers, tolerant=method.tolerant)
    return _decide(context, place, stored.task_id, stored.request_id, parsed, answer)


def _of_triple(context: StageContext, current: RoundRecord, ordinal: int, draft: DraftTask) -> list[DecidedInstance]:
    parsed = [Instance(draft.input or "", draft.output or "")]
    return _decide(context, (current, ordinal), draft.task.id, draft.request_id, parsed, Answer(""))


def _decide(
    context: StageContext,
    place: tuple[RoundRecord, int],
    task_id: int,
    request_id: int | None,
    parsed: Sequence[Instance],
    answer: Answer,
) -> list[DecidedInstance]:
    current, ordinal = place
    decisions = decide_instances(
        parsed,
        raw_text=answer.text,
        truncated=answer.truncated,
        unparsed=THINKING if answer.missing else UNPARSED,
        keep_thoughts=context.method.keep_thoughts,
        rules=context.method.instance_rules,
        max_instances=context.method.max_instances,
        rng=generator(context.seed, current.number, Stage.INSTANCES, ordinal),
    )
    return [
        DecidedInstance(task_id, request_id, instance.input, instance.output, verdict, reason) for instance, verdict, reason in decisions
    ]
