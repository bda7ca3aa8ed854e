"""A person's hand on a run: between two stages anything the rule decided can be decided otherwise, drawn anew, or taken back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from studio.errors import UsageError
from studio.loop.asking_anew import decide_instance, edit_instance, more_instances, regenerate, resample, set_round_parameters, swap
from studio.loop.events import Event
from studio.loop.filters import BY_HAND, EDITED, first_failure
from studio.loop.novelty import is_novel
from studio.loop.settings import Method
from studio.loop.stages.asking import StageContext
from studio.loop.stages.instructions import filter_settings
from studio.loop.whatif import Change, apply
from studio.pool.actions.records import Effect, HandDecision, Note
from studio.pool.pool import Queries
from studio.pool.records import DecisionRecord
from studio.pool.studies.comparisons import Comparisons
from studio.pool.studies.reviews import Annotation, Reviews
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


class Steering:
    """Every method is one action: recorded beside what the rule decided, stored in one transaction, and undone by `undo`.

    Call it between stages, on the thread that owns pool and session. Methods return in words what they did. They raise UsageError when an
    action does not fit where the round stands, and PoolError when there is nothing of that id or the pool cannot be written; nothing has
    happened then. Besides the pool an action touches the novelty index alone, which is kept as a session opened anew would fill it.
    """

    def __init__(self, context: StageContext, run_id: int) -> None:
        self._context = context
        self._run_id = run_id

    def resample(self, request_ordinal: int) -> str:
        """Draw the in-context tasks of one prompt anew. Between `sample` and `instructions`."""
        return self._done(resample(self._context, request_ordinal))

    def swap(self, request_ordinal: int, position: int, task_id: int | None = None) -> str:
        """Put another task at `position`, from 0, of one prompt; None draws one of the same origin. Between `sample` and `instructions`."""
        return self._done(swap(self._context, request_ordinal, position, task_id))

    def set_round_parameters(self, overrides: Mapping[str, Any]) -> str:
        """Set parameters of the method, by dotted key, for the open round alone, or the next one when none is open.

        They hold for the stages to come, on top of those set for the round before; a value equal to the run's own ends an override.
        Between `sample` and `instructions` the prompts are made anew. See `asking_anew.FIXED` for what cannot be set.
        """
        return self._done(set_round_parameters(self._context, self._run_id, overrides))

    def regenerate(self) -> str:
        """Send the open round back to its instruction prompts, with new seeds. From `instructions` on, until the round is committed.

        Everything the round has brought is kept as superseded and comes back whole when this is undone.
        """
        return self._done(regenerate(self._context))

    def override(self, candidate_id: int, verdict: Verdict) -> str:
        """Accept what was rejected, or the reverse.

        A candidate accepted before its round is committed becomes one of the round's drafts, and the stages to come treat it as the others;
        after that it becomes an active task at once, still without class and instances: see `more_instances`. The task of a rejected one
        retires, and new candidates are not compared with it.
        """
        return self._done(override(self._context, candidate_id, verdict))

    def edit_candidate(self, candidate_id: int, text: str, verdict: Verdict | None = None) -> str:
        """Change a candidate's text; what the model wrote stays on record.

        Without a `verdict` an accepted one stays accepted, and a rejected one is accepted if its new text passes the rule.
        """
        return self._done(edit(self._context, candidate_id, text, verdict))

    def edit_instance(self, instance_id: int, input: str, output: str) -> str:
        """Change an instance, which is accepted then; what the model wrote stays on record."""
        return self._done(edit_instance(self._context, instance_id, input, output))

    def drop_instance(self, instance_id: int) -> str:
        """Reject an instance."""
        return self._done(decide_instance(self._context, instance_id, Verdict.REJECTED))

    def restore_instance(self, instance_id: int) -> str:
        """Accept an instance, whoever rejected it."""
        return self._done(decide_instance(self._context, instance_id, Verdict.ACCEPTED))

    def more_instances(self, task_id: int) -> Iterator[Event]:
        """Ask the engine for more instances of a task, and for its class if nobody has; stored before `InstanceDecided` tells of them.

        Not for a draft whose round has still to write its instances. Raises StageCancelled when the user cancelled first, and ModelError.
        """
        effect = yield from more_instances(self._context, self._run_id, task_id)
        self._done(effect)

    def retire(self, task_id: int) -> str:
        """Keep a task out of prompts and exports. New candidates are still compared with it, so that it does not come back."""
        return self._done(retire(self._context, task_id))

    def restore(self, task_id: int) -> str:
        """Bring a retired task back."""
        return self._done(restore(self._context, task_id))

    def mark(self, task_id: int, marked: bool) -> str:
        """Mark a task for review, or take the mark away."""
        return self._done(mark(self._context, task_id, marked))

    def apply_what_if(self, change: Change, expected: Collection[int] | None = None) -> str:
        """Decide all candidates that flip under `change` (see `whatif`) as it decides them: one action, however many they are.

        Each becomes a person's decision beside the rule's, as `override` makes one; the rules of the rounds to come stay what they are.
        `expected` are the ids of the candidates that are known to flip: with others nothing is done.
        """
        return self._done(apply(self._context, change, expected))

    def annotate(self, task_id: int, tags: Sequence[str], note: str) -> str:
        """Hang tags and a note on a task, in the place of those it has. Tags are told apart by their letters, not by spaces around them."""
        return self._done(annotate(self._context, task_id, tags, note))

    @property
    def reader(self) -> Queries:
        """The pool's read side, as it stands between two actions."""
        return self._context.pool.reader

    def method_of(self, candidate_id: int) -> Method:
        """The method whose rule holds for a candidate: that of its round while it is open, else the run's."""
        return method_of(self._context, candidate_id)

    @property
    def reviews(self) -> Reviews:
        """What raters say, key by key. It is no action of this stack: each rater takes back only his own."""
        return self._context.pool.reviews

    @property
    def comparisons(self) -> Comparisons:
        """What raters say of two models' answers; as with `reviews`, each takes back only his own."""
        return self._context.pool.comparisons

    def undo(self) -> str | None:
        """Take back the newest action that can be; return it in words, None when there is none. The stack outlives the session.

        Passed over is what the run has built upon since: prompts that were answered, parameters of stages that are done.
        """
        return self._turned(self._context.pool.ledger.undo())

    def redo(self) -> str | None:
        """Do again what was undone last; None when there is nothing, or when something else was done since."""
        return self._turned(self._context.pool.ledger.redo())

    @property
    def next_undo(self) -> str | None:
        """What `undo` would take back, in words."""
        return self._context.pool.reader.next_undo()

    @property
    def next_redo(self) -> str | None:
        """What `redo` would do again, in words."""
        return self._context.pool.reader.next_redo()

    def score(self, text: str, candidate_id: int | None = None) -> Novelty:
        """Compare a text with the index as a candidate would be, recording nothing; `candidate_id` leaves out that candidate's own task."""
        return score(self._context, text, candidate_id)

    def _turned(self, effect: Effect | None) -> str | None:
        return None if effect is None else self._done(effect)

    def _done(self, effect: Effect) -> str:
        """Bring the novelty index to where the pool is now."""
        for task in self._context.pool.reader.compared_tasks(effect.tasks):
            if task.compared:
                self._context.index.put(task.id, task.instruction, is_seed=task.is_seed)
            else:
                self._context.index.remove(task.id)
        return effect.words
