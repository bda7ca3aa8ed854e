"""Stages 4 to 6, what becomes of a round's new tasks: is each a classification task, its instances, and into the pool.

Instances are written input first for most tasks, label first for classification tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from studio.engine.api import Completion
from studio.loop.checks import points_at_absent
from studio.loop.events import Event, InstanceDecided, RoundFinished, TaskClassified
from studio.loop.filters import INPUT_MISSING, UNANSWERED, UNPARSED, VALID, decide_instances
from studio.loop.parsing import CHOICES, MODEL_THINKS, THINKING, Answer, parse_classification, parse_input_first, parse_output_first
from studio.loop.stages.asking import StageContext, complete, plan_for_drafts
from studio.pool.candidates import CandidateRecord
from studio.pool.instances import DecidedInstance
from studio.pool.requests import PlannedRequest, StoredCompletion
from studio.pool.tasks import DraftTask
from studio.records import OF_PASSAGES, Instance, Source, Stage, Task, Verdict

NO_INSTANCES = (
    "most completions about the new tasks have none of the marks of inputs and outputs (Output:, Class label:), so that no instance is "
    "found in them; the form is the trouble: try a base model, or prompts of your own with the same marks"
)
_FEW = 3


def classify(context: StageContext) -> Iterator[Event]:
    """Classify the round's drafts. Alpaca's variant has no such stage: nothing is asked and no task counts as classification."""
    pool = context.pool
    drafts = pool.tasks.drafts(context.current.id)
    unanswered = {draft.task.id for draft in drafts if draft.task.is_classification is None}
    # What a whole passage answers is no label.
    known = {draft.task.id for draft in drafts if context.method.variant == "alpaca" or draft.source is Source.BACKTRANSLATION}
    answers = [(task_id, False) for task_id in sorted(unanswered & known)]
    if context.method.variant != "alpaca":
        asked = {draft.task.id for draft in drafts} - known
        plan_for_drafts(context, Stage.CLASSIFY, lambda ordinal, draft: classification_request(context, ordinal, draft.task), asked)
        yield from complete(context, Stage.CLASSIFY)
        answers += [
            (stored.task_id, answered(context, stored.completion))
            for stored in context.completions(Stage.CLASSIFY)
            if stored.task_id in unanswered - known
        ]
    for task_id, is_classification in answers:
        yield TaskClassified(task_id, is_classification)
    pool.tasks.classify(context.current.id, answers, Stage.INSTANCES)


def answered(context: StageContext, completion: Completion) -> bool:
    """What a completion says: whether the task is a classification task."""
    return parse_classification(context.answer(completion).text, tolerant=context.method.tolerant)


def classification_request(context: StageContext, ordinal: int, task: Task) -> PlannedRequest:
    """The request that asks whether `task` is a classification task."""
    choices = CHOICES if context.method.classify_from_logits else ()
    prompt = context.filled("classification", task.instruction.strip())
    decoding = context.method.sampling.classification
    planned = context.planned(Stage.CLASSIFY, ordinal, prompt, decoding, context.few_shot, choices=choices)
    return replace(planned, task_id=task.id)


def write_instances(context: StageContext) -> Iterator[Event]:
    """Write and decide the instances of the round's drafts. A task left with none stays in the pool but not in the data.

    Those of passages have their input or output already.
    """
    pool = context.pool
    drafts = pool.tasks.drafts(context.current.id)
    if any(draft.task.is_classification is None for draft in drafts):
        # A person accepted some of them after their round was classified.
        yield from classify(context)
        drafts = pool.tasks.drafts(context.current.id)
    asked = {draft.task.id for draft in drafts if _asks(context, draft)}

    def planned(ordinal: int, draft: DraftTask) -> PlannedRequest:
        return instances_request(context, ordinal, draft.task, given_instance(draft))

    plan_for_drafts(context, Stage.INSTANCES, planned, asked)
    yield from complete(context, Stage.INSTANCES)
    completions = context.completions(Stage.INSTANCES)
    if any(context.answer(each.completion).thought for each in completions):
        yield from context.note(MODEL_THINKS)
    by_id = {draft.task.id: draft for draft in drafts}
    decided = [
        each
        for stored in completions
        if stored.task_id is not None and (draft := by_id.get(stored.task_id)) is not None
        for each in decided_instances(context, stored, draft.task, given_instance(draft))
    ]
    for ordinal, draft in enumerate(drafts):
        if draft.task.id not in asked:
            decided += _unasked(context, ordinal, draft)
    if len({each.task_id for each in decided if each.reason == UNPARSED}) * 2 > max(len(drafts), _FEW):
        yield from context.note(NO_INSTANCES)
    for each in decided:
        yield InstanceDecided(each.task_id, Instance(each.input, each.output), each.verdict, each.reason)
    pool.instances.record(context.current.id, decided, Stage.ANSWER if context.method.answers_apart else Stage.COMMIT)


def _asks(context: StageContext, draft: DraftTask) -> bool:
    """Whether the model is asked for instances of a draft: not where they came with it, nor where the next stage asks for the output."""
    if (given := given_instance(draft)) is not None:
        return not given.output and not context.method.answers_apart
    return context.method.variant != "alpaca" and asks_for_instances(context, draft.task, draft.source)


def _unasked(context: StageContext, ordinal: int, draft: DraftTask) -> list[DecidedInstance]:
    if (given := given_instance(draft)) is not None:
        return [whole_instance(draft.task.id, draft.request_id, given)]
    if context.method.variant != "alpaca":
        return [whole_instance(draft.task.id, None, Instance("", ""))]
    return _decided(context, ordinal, draft.task, draft.request_id, [Instance(draft.input or "", draft.output or "")], Answer(""))


def given_instance(draft: DraftTask | CandidateRecord) -> Instance | None:
    """The instance that a task for a passage came with: without an output where it is still to be answered; None for other tasks."""
    return Instance(draft.input or "", draft.output or "") if draft.source in OF_PASSAGES else None


def whole_instance(task_id: int, request_id: int | None, given: Instance) -> DecidedInstance:
    """The instance that a task came with, or none of its own: without an output it is still to be answered."""
    return DecidedInstance(task_id, request_id, given.input, given.output, Verdict.ACCEPTED, VALID if given.output else UNANSWERED)


def asks_for_instances(context: StageContext, task: Task, source: Source | None) -> bool:
    """Whether the model is asked for instances of a task; what it wrote as a user's turn has an input of its own unless it misses one."""
    whole = context.method.answers_apart and source is Source.TEMPLATE
    return not whole or bool(task.is_classification) or points_at_absent(task.instruction)


def instances_request(context: StageContext, ordinal: int, task: Task, given: Instance | None = None) -> PlannedRequest:
    """The request that asks for instances of `task`, or for the output of the one that is `given`: the examples, then that input."""
    sampling = context.method.sampling
    first = given is not None or not task.is_classification
    template, decoding = ("input_first", sampling.input_first) if first else ("output_first", sampling.output_first)
    prefix, suffix = context.filled(template, task.instruction.strip())
    if given is not None:
        suffix = f"{suffix.rstrip()}\nExample 1\nInput: {given.input}\nOutput:"
        decoding = decoding.model_copy(update={"stop": (*decoding.stop, "\nExample 2", "\nInput:")})
    planned = context.planned(Stage.INSTANCES, ordinal, (prefix, suffix), decoding, context.few_shot, repeats="text")
    return replace(planned, task_id=task.id)


def decided_instances(context: StageContext, stored: StoredCompletion, task: Task, given: Instance | None = None) -> list[DecidedInstance]:
    """Parse a completion about a task, and decide the instances in it. Where the input was `given` the completion is its output."""
    method, answer = context.method, context.answer(stored.completion)
    if given is not None:
        output = parse_input_first(f"Output:{answer.text}", line_markers=True, tolerant=method.tolerant)
        parsed = [replace(given, output=each.output) for each in output[:1]]
    elif task.is_classification:
        parsed = parse_output_first(answer.text, tolerant=method.tolerant)
    else:
        parsed = parse_input_first(answer.text, line_markers=method.line_markers, tolerant=method.tolerant)
    if method.answers_apart and parsed:
        # The output of the last example may be cut, its input is whole once an output has begun.
        answer = replace(answer, truncated=answer.truncated and not parsed[-1].output)
    return _decided(context, stored.ordinal, task, stored.request_id, parsed, answer)


_INPUT_RULES = ("ends_with_colon", "duplicate")


def _decided(
    context: StageContext, ordinal: int, task: Task, request_id: int | None, parsed: Sequence[Instance], answer: Answer
) -> list[DecidedInstance]:
    """Decide instances; where tasks are answered apart, by their inputs alone, which are still to be answered."""
    method, apart = context.method, context.method.answers_apart
    decisions = decide_instances(
        [Instance(each.input, "") for each in parsed] if apart else parsed,
        method.model_copy(update={"instance_rules": _INPUT_RULES}) if apart else method,
        truncated=answer.truncated,
        rng=context.generator(Stage.INSTANCES, ordinal),
        raw_text=answer.text,
        unparsed=THINKING if answer.missing else UNPARSED,
    )
    decided = []
    for instance, verdict, reason in decisions:
        if apart and verdict is Verdict.ACCEPTED:
            # An instruction may point at what is not there.
            missing = not instance.input and points_at_absent(task.instruction)
            verdict, reason = (Verdict.REJECTED, INPUT_MISSING) if missing else (verdict, UNANSWERED)
        decided.append(DecidedInstance(task.id, request_id, instance.input, instance.output, verdict, reason))
    return decided


def commit(context: StageContext) -> Iterator[Event]:
    """Commit the round and sum it up."""
    context.pool.rounds.commit(context.current.id)
    brought = context.pool.rounds.result(context.current.id)
    generated = context.pool.figures.generated()
    yield RoundFinished(context.current.number, brought.accepted, brought.rejected, brought.instances, generated)
