"""A person's hand on a run: between two stages anything the rule decided can be decided otherwise, drawn anew, or taken back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from studio.loop import steering_decisions, steering_instances, steering_prompts, steering_whatif
from studio.loop.events import Event
from studio.loop.settings import Method
from studio.loop.stages.context import StageContext
from studio.loop.whatif import Change
from studio.pool.actions.records import Effect
from studio.pool.pool import Queries
from studio.pool.studies.comparisons import Comparisons
from studio.pool.studies.reviews import Reviews
from studio.records import Novelty, Verdict


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
        return self._done(steering_prompts.resample(self._context, request_ordinal))

    def swap(self, request_ordinal: int, position: int, task_id: int | None = None) -> str:
        """Put another task at `position`, from 0, of one prompt; None draws one of the same origin. Between `sample` and `instructions`."""
        return self._done(steering_prompts.swap(self._context, request_ordinal, position, task_id))

    def set_round_parameters(self, overrides: Mapping[str, Any]) -> str:
        """Set parameters of the method, by dotted key, for the open round alone, or the next one when none is open.

        They hold for the stages to come, on top of those set for the round before; a value equal to the run's own ends an override.
        Between `sample` and `instructions` the prompts are made anew. See `steering_prompts.FIXED` for what cannot be set.
        """
        return self._done(steering_prompts.set_round_parameters(self._context, self._run_id, overrides))

    def regenerate(self) -> str:
        """Send the open round back to its instruction prompts, with new seeds. From `instructions` on, until the round is committed.

        Everything the round has brought is kept as superseded and comes back whole when this is undone.
        """
        return self._done(steering_prompts.regenerate(self._context))

    def override(self, candidate_id: int, verdict: Verdict) -> str:
        """Accept what was rejected, or the reverse.

        A candidate accepted before its round is committed becomes one of the round's drafts, and the stages to come treat it as the others;
        after that it becomes an active task at once, still without class and instances: see `more_instances`. The task of a rejected one
        retires, and new candidates are not compared with it.
        """
        return self._done(steering_decisions.override(self._context, candidate_id, verdict))

    def edit_candidate(self, candidate_id: int, text: str, verdict: Verdict | None = None) -> str:
        """Change a candidate's text; what the model wrote stays on record.

        Without a `verdict` an accepted one stays accepted, and a rejected one is accepted if its new text passes the rule.
        """
        return self._done(steering_decisions.edit(self._context, candidate_id, text, verdict))

    def edit_instance(self, instance_id: int, input: str, output: str) -> str:
        """Change an instance, which is accepted then; what the model wrote stays on record."""
        return self._done(steering_instances.edit(self._context, instance_id, input, output))

    def drop_instance(self, instance_id: int) -> str:
        """Reject an instance."""
        return self._done(steering_instances.decide(self._context, instance_id, Verdict.REJECTED))

    def restore_instance(self, instance_id: int) -> str:
        """Accept an instance, whoever rejected it."""
        return self._done(steering_instances.decide(self._context, instance_id, Verdict.ACCEPTED))

    def more_instances(self, task_id: int) -> Iterator[Event]:
        """Ask the engine for more instances of a task, and for its class if nobody has; stored before `InstanceDecided` tells of them.

        Not for a draft whose round has still to write its instances. Raises StageCancelled when the user cancelled first, and ModelError.
        """
        effect = yield from steering_instances.more(self._context, self._run_id, task_id)
        self._done(effect)

    def retire(self, task_id: int) -> str:
        """Keep a task out of prompts and exports. New candidates are still compared with it, so that it does not come back."""
        return self._done(steering_decisions.retire(self._context, task_id))

    def restore(self, task_id: int) -> str:
        """Bring a retired task back."""
        return self._done(steering_decisions.restore(self._context, task_id))

    def mark(self, task_id: int, marked: bool) -> str:
        """Mark a task for review, or take the mark away."""
        return self._done(steering_decisions.mark(self._context, task_id, marked))

    def apply_what_if(self, change: Change, expected: Collection[int] | None = None) -> str:
        """Decide all candidates that flip under `change` (see `whatif`) as it decides them: one action, however many they are.

        Each becomes a person's decision beside the rule's, as `override` makes one; the rules of the rounds to come stay what they are.
        `expected` are the ids of the candidates that are known to flip: with others nothing is done.
        """
        return self._done(steering_whatif.apply(self._context, change, expected))

    def annotate(self, task_id: int, tags: Sequence[str], note: str) -> str:
        """Hang tags and a note on a task, in the place of those it has. Tags are told apart by their letters, not by spaces around them."""
        return self._done(steering_decisions.annotate(self._context, task_id, tags, note))

    @property
    def reader(self) -> Queries:
        """The pool's read side, as it stands between two actions."""
        return self._context.pool.reader

    def method_of(self, candidate_id: int) -> Method:
        """The method whose rule holds for a candidate: that of its round while it is open, else the run's."""
        return steering_decisions.method_of(self._context, candidate_id)

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
        return steering_decisions.score(self._context, text, candidate_id)

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
