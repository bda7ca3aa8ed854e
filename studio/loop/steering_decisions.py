"""Steering candidates and tasks: what a person decides of them."""

from __future__ import annotations

from collections.abc import Sequence

from studio.errors import UsageError
from studio.loop.filters import first_failure
from studio.loop.novelty import is_novel
from studio.loop.reasons import BY_HAND, EDITED
from studio.loop.settings import Method
from studio.loop.stages.context import StageContext
from studio.loop.stages.filter import filter_settings
from studio.pool.actions.records import Effect, HandDecision, Note
from studio.pool.records import DecisionRecord
from studio.pool.studies.reviews import Annotation
from studio.records import Neighbour, Novelty, TaskState, Verdict


def override(context: StageContext, candidate_id: int, verdict: Verdict) -> Effect:
    """Decide a candidate otherwise than it is decided now; an accepted one is scored anew."""
    candidate, held = context.pool.reader.candidate(candidate_id), _held(context, candidate_id)
    if held.verdict is verdict:
        raise UsageError(f"candidate {candidate_id} is {verdict} already")
    accepted = verdict is Verdict.ACCEPTED
    text = candidate.text if held.edited is None else held.edited
    novelty = score(context, text, candidate_id) if accepted else _novelty_of(held)
    note = Note("override", f"{'accepted' if accepted else 'rejected'} candidate {candidate_id}")
    return context.pool.ledger.decide(note, candidate_id, HandDecision(verdict, BY_HAND, novelty, held.edited))


def edit(context: StageContext, candidate_id: int, text: str, verdict: Verdict | None) -> Effect:
    """Give a candidate another text, to the letter, and decide it with that."""
    candidate, held = context.pool.reader.candidate(candidate_id), _held(context, candidate_id)
    if not text.strip():
        raise UsageError("an instruction needs a text", "reject the candidate instead")
    novelty = score(context, text, candidate_id)
    reason = EDITED
    if verdict is None:
        verdict = held.verdict
        if verdict is Verdict.REJECTED:
            fault = _fault(context, candidate_id, text, novelty)
            verdict, reason = (Verdict.REJECTED, fault) if fault else (Verdict.ACCEPTED, EDITED)
    edited = None if text == candidate.text else text
    note = Note("edit", f"changed the text of candidate {candidate_id}")
    return context.pool.ledger.decide(note, candidate_id, HandDecision(verdict, reason, novelty, edited))


def annotate(context: StageContext, task_id: int, tags: Sequence[str], note: str) -> Effect:
    """Hang tags and a note on a task; spaces around them and tags given twice count for nothing."""
    context.pool.reader.task(task_id)
    kept = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags if tag.strip()))
    return context.pool.ledger.annotate(Note("annotate", f"annotated task {task_id}"), task_id, Annotation(kept, note.strip()))


def retire(context: StageContext, task_id: int) -> Effect:
    """Retire a task."""
    if context.pool.reader.task(task_id).state is TaskState.RETIRED:
        raise UsageError(f"task {task_id} is retired already")
    return context.pool.ledger.set_retired(Note("retire", f"retired task {task_id}"), task_id, retired=True)


def restore(context: StageContext, task_id: int) -> Effect:
    """Bring a retired task back; one whose candidate was rejected, by accepting that."""
    if context.pool.reader.task(task_id).state is not TaskState.RETIRED:
        raise UsageError(f"task {task_id} is not retired")
    candidate = context.pool.reader.task_candidate(task_id)
    if candidate is not None and _held(context, candidate.id).verdict is Verdict.REJECTED:
        return override(context, candidate.id, Verdict.ACCEPTED)
    return context.pool.ledger.set_retired(Note("restore", f"brought task {task_id} back"), task_id, retired=False)


def mark(context: StageContext, task_id: int, marked: bool) -> Effect:
    """Mark a task for review, or take the mark away."""
    context.pool.reader.task(task_id)
    words = f"marked task {task_id} for review" if marked else f"took the mark from task {task_id}"
    return context.pool.ledger.set_marked(Note("mark", words), task_id, marked=marked)


def score(context: StageContext, text: str, candidate_id: int | None = None) -> Novelty:
    """Compare `text` with the index, the candidate's own task left out."""
    index, reader = context.index, context.pool.reader
    task_id = reader.candidate(candidate_id).task_id if candidate_id is not None else None
    own = [task for task in reader.compared_tasks([task_id]) if task.compared] if task_id is not None else []
    for task in own:
        index.remove(task.id)
    try:
        return index.batch([text]).novelty(0)
    finally:
        for task in own:
            index.put(task.id, task.instruction, is_seed=task.is_seed)


def method_of(context: StageContext, candidate_id: int) -> Method:
    """The method whose rule holds for a candidate: that of its round while it is open, else the run's."""
    current = context.pool.reader.open_round()
    request = context.pool.reader.candidate_request(candidate_id)
    return context.for_round(current).method if current is not None and current.number == request.round else context.method


def _fault(context: StageContext, candidate_id: int, text: str, novelty: Novelty) -> str:
    """Return the reason code with which the rule would reject `text`, or an empty string."""
    method = method_of(context, candidate_id)
    if fault := first_failure(text, method.filters, filter_settings(method)):
        return fault
    return "" if is_novel(novelty.score, method.threshold, at_threshold=method.accept_at_threshold) else "not_novel"


def _held(context: StageContext, candidate_id: int) -> DecisionRecord:
    return context.pool.reader.decisions(candidate_id)[-1]


def _novelty_of(held: DecisionRecord) -> Novelty:
    """What is known of the scores of a decision: a rejected candidate keeps its nearest task alone."""
    nearest = () if held.nearest is None else (Neighbour(held.nearest, held.score),)
    return Novelty(nearest, held.mean_score, held.seed_score)
