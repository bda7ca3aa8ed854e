"""A person's hand on a run: between two stages anything the rule decided can be decided otherwise, drawn anew, or taken back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from studio.errors import UsageError
from studio.loop import asking_anew
from studio.loop.events import Event
from studio.loop.filters import BY_HAND, EDITED, OTHER_RULES, rule_reason
from studio.loop.settings import Method
from studio.loop.stages.asking import SessionContext
from studio.loop.whatif import AT_A_TIME, Change, Flip, InstanceFlip, what_if
from studio.pool.candidates import DecisionRecord
from studio.pool.changes import Effect
from studio.pool.evaluations import Comparisons
from studio.pool.ledger import HandDecision, Note
from studio.pool.pool import Queries
from studio.pool.reviews import Reviews
from studio.pool.tasks import Annotation
from studio.records import Neighbour, Novelty, Stage, TaskState, Verdict
from studio.text import counted

Known = tuple[Collection[int], Collection[int]]
"""The ids of candidates and of instances that are known to flip."""


class Steering:
    """Every method is one action: recorded beside what the rule decided, stored in one transaction, and undone by `undo`.

    Call it between stages, on the thread that owns pool and session. Methods return in words what they did. They raise UsageError when an
    action does not fit where the round stands, and PoolError when there is nothing of that id or the pool cannot be written; nothing has
    happened then. Besides the pool an action touches the novelty index alone, which is kept as a session opened anew would fill it.
    """

    def __init__(self, context: SessionContext, run_id: int) -> None:
        self._context = context
        self._pool = context.pool
        self._run_id = run_id

    @property
    def reader(self) -> Queries:
        """The pool's read side, as it stands between two actions."""
        return self._context.pool

    def resample(self, request_ordinal: int) -> str:
        """Draw the in-context tasks of one prompt anew. Between `sample` and `instructions`."""
        return self._done(asking_anew.resample(self._context, request_ordinal))

    def swap(self, request_ordinal: int, position: int, task_id: int | None = None) -> str:
        """Put another task at `position`, from 0, of one prompt; None draws one of the same origin. Between `sample` and `instructions`."""
        return self._done(asking_anew.swap(self._context, request_ordinal, position, task_id))

    def set_round_parameters(self, overrides: Mapping[str, Any]) -> str:
        """Set parameters of the method, by dotted key, for the open round alone, or the next one when none is open.

        They hold for the stages to come, on top of those set for the round before; a value equal to the run's own ends an override.
        Between `sample` and `instructions` the prompts are made anew. See `asking_anew.FIXED` for what cannot be set.
        """
        return self._done(asking_anew.set_round_parameters(self._context, self._run_id, overrides))

    def regenerate(self) -> str:
        """Send the open round back to its instruction prompts, with new seeds. From `instructions` on, until the round is committed.

        Everything the round has brought is kept as superseded and comes back whole when this is undone.
        """
        return self._done(asking_anew.regenerate(self._context))

    def override(self, candidate_id: int, verdict: Verdict) -> str:
        """Accept what was rejected, or the reverse.

        A candidate accepted before its round is committed becomes one of the round's drafts, and the stages to come treat it as the others;
        after that it becomes an active task at once, still without class and instances: see `more_instances`. An accepted one is scored
        anew. The task of a rejected one retires, and new candidates are not compared with it.
        """
        candidate, held = self.reader.candidates.get(candidate_id), self._held(candidate_id)
        if held.verdict is verdict:
            raise UsageError(f"candidate {candidate_id} is {verdict} already")
        text = candidate.text if held.edited is None else held.edited
        novelty = self.score(text, candidate_id) if verdict is Verdict.ACCEPTED else _novelty_of(held)
        note = Note("override", f"{verdict} candidate {candidate_id}")
        return self._done(self._pool.ledger.decide(note, candidate_id, HandDecision(verdict, BY_HAND, novelty, held.edited)))

    def edit_candidate(self, candidate_id: int, text: str, verdict: Verdict | None = None) -> str:
        """Change a candidate's text, to the letter; what the model wrote stays on record.

        Without a `verdict` an accepted one stays accepted, and a rejected one is accepted if its new text passes the rule.
        """
        candidate, held = self.reader.candidates.get(candidate_id), self._held(candidate_id)
        if not text.strip():
            raise UsageError("an instruction needs a text", "reject the candidate instead")
        novelty = self.score(text, candidate_id)
        reason = EDITED
        if verdict is None:
            verdict = Verdict.ACCEPTED
            fault = rule_reason(text, novelty.score, self.method_of(candidate_id), source=candidate.source)
            if held.verdict is Verdict.REJECTED and fault != "novel":
                verdict, reason = Verdict.REJECTED, fault
        note = Note("edit", f"changed the text of candidate {candidate_id}")
        decision = HandDecision(verdict, reason, novelty, None if text == candidate.text else text)
        effect = self._pool.ledger.decide(note, candidate_id, decision)
        return self._done(effect) + self._of_another_text(effect)

    def edit_instance(self, instance_id: int, input: str, output: str) -> str:
        """Change an instance, to the letter, which is accepted then; what the model wrote stays on record."""
        instance = self.reader.instances.get(instance_id)
        if not output.strip():
            raise UsageError("an instance needs an output", "drop the instance instead")
        note = Note("edit instance", f"changed instance {instance_id} of task {instance.task_id}")
        values = {"input": input, "output": output, "verdict": Verdict.ACCEPTED.value, "reason": EDITED}
        return self._done(self._pool.ledger.change_instance(note, instance_id, values))

    def drop_instance(self, instance_id: int) -> str:
        return self._decide_instance(instance_id, Verdict.REJECTED, "drop instance", "dropped")

    def restore_instance(self, instance_id: int) -> str:
        """Accept an instance, whoever rejected it."""
        return self._decide_instance(instance_id, Verdict.ACCEPTED, "restore instance", "brought back")

    def _decide_instance(self, instance_id: int, verdict: Verdict, kind: str, done: str) -> str:
        instance = self.reader.instances.get(instance_id)
        if instance.verdict is verdict:
            raise UsageError(f"instance {instance_id} is {verdict} already")
        note = Note(kind, f"{done} instance {instance_id} of task {instance.task_id}")
        return self._done(self._pool.ledger.change_instance(note, instance_id, {"verdict": verdict.value, "reason": BY_HAND}))

    def more_instances(self, task_id: int) -> Iterator[Event]:
        """Ask the engine for more instances of a task, and for its class if nobody has; stored before `InstanceDecided` tells of them.

        Not for a draft whose round has still to write its instances. Raises StageCancelled when the user cancelled first, and ModelError.
        """
        effect = yield from asking_anew.more_instances(self._context, self._run_id, task_id)
        self._done(effect)

    def retire(self, task_id: int) -> str:
        """Keep a task out of prompts and exports. New candidates are still compared with it, so that it does not come back."""
        if self.reader.tasks.get(task_id).state is TaskState.RETIRED:
            raise UsageError(f"task {task_id} is retired already")
        return self._done(self._pool.ledger.set_retired(Note("retire", f"retired task {task_id}"), task_id, retired=True))

    def restore(self, task_id: int) -> str:
        """Bring a retired task back; one whose candidate was rejected, by accepting that."""
        if self.reader.tasks.get(task_id).state is not TaskState.RETIRED:
            raise UsageError(f"task {task_id} is not retired")
        candidate = self.reader.candidates.of_task(task_id)
        if candidate is not None and self._held(candidate.id).verdict is Verdict.REJECTED:
            return self.override(candidate.id, Verdict.ACCEPTED)
        return self._done(self._pool.ledger.set_retired(Note("restore", f"brought task {task_id} back"), task_id, retired=False))

    def mark(self, task_id: int, marked: bool) -> str:
        """Mark a task for review, or take the mark away."""
        self.reader.tasks.get(task_id)
        words = f"marked task {task_id} for review" if marked else f"took the mark from task {task_id}"
        return self._done(self._pool.ledger.set_marked(Note("mark", words), task_id, marked=marked))

    def annotate(self, task_id: int, tags: Sequence[str], note: str) -> str:
        """Hang tags and a note on a task, in the place of those it has. Spaces around tags and tags given twice count for nothing."""
        self.reader.tasks.get(task_id)
        kept = tuple(dict.fromkeys(" ".join(tag.split()) for tag in tags if tag.strip()))
        annotation = Annotation(kept, note.strip())
        return self._done(self._pool.ledger.annotate(Note("annotate", f"annotated task {task_id}"), task_id, annotation))

    def apply_what_if(self, change: Change, expected: Known | None = None) -> str:
        """Decide all candidates and instances that flip under `change` (see `whatif`) as it decides them: one action, however many.

        Each becomes a person's decision beside the rule's, as `override` makes one; the rules of the rounds to come stay what they are.
        `expected` are the ids of the candidates and of the instances that are known to flip: with others nothing is done.
        """
        outcome = what_if(self.reader, change)
        flips, instances = outcome.flips, outcome.instances
        if not flips and not instances:
            raise UsageError("no candidate would be decided otherwise", "move the threshold or switch a filter first")
        found = {flip.candidate_id for flip in flips}, {flip.instance_id for flip in instances}
        if expected is not None and (set(expected[0]), set(expected[1])) != found:
            raise UsageError("the pool has changed since this was worked out", "look at what would flip now, and apply that")
        told = [_told(name, each) for name, each in (("candidate", flips), ("instance", instances)) if each]
        what, so = " and ".join(what for what, _ in told), "; ".join(so for _, so in told)
        note = Note("what if", f"decided {what} again under {in_words(change)}: {so}")
        decided = []
        for flip in instances:
            verdict, reason = _turned(flip)
            decided.append((flip.instance_id, {"verdict": verdict.value, "reason": reason}))
        return self._done(self._pool.ledger.decide_all(note, _decisions(self._context, flips), decided))

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

        Passed over is what the run has built upon since: prompts that were answered, parameters of stages that are done. The text of a task
        comes back, too, after its instances were written; they stay, and the words say so.
        """
        effect = self._pool.ledger.undo()
        return None if effect is None else self._done(effect) + self._of_another_text(effect)

    def redo(self) -> str | None:
        """Do again what was undone last; None when there is nothing, or when something else was done since."""
        effect = self._pool.ledger.redo()
        return None if effect is None else self._done(effect) + self._of_another_text(effect)

    def score(self, text: str, candidate_id: int | None = None) -> Novelty:
        """Compare a text with the index as a candidate would be, recording nothing; `candidate_id` leaves out that candidate's own task."""
        task_id = self.reader.candidates.get(candidate_id).task_id if candidate_id is not None else None
        with self._context.index_without([] if task_id is None else [task_id]):
            return self._context.index.batch([text]).novelty(0)

    def method_of(self, candidate_id: int) -> Method:
        """The method whose rule holds for a candidate: that of its round while it is open, else the run's."""
        current = self.reader.rounds.unfinished()
        request = self.reader.candidates.request(candidate_id)
        open_still = current is not None and current.number == request.round
        return self._context.for_round(current).method if current is not None and open_still else self._context.method

    def _held(self, candidate_id: int) -> DecisionRecord:
        return self.reader.candidates.decisions(candidate_id)[-1]

    def _done(self, effect: Effect) -> str:
        """Bring the novelty index to where the pool is now."""
        for task in self.reader.tasks.compared(effect.tasks):
            if task.compared:
                self._context.index.put(task.id, task.instruction, is_seed=task.is_seed)
            else:
                self._context.index.remove(task.id)
        return effect.words

    def _of_another_text(self, effect: Effect) -> str:
        """What is to be said where a task's instances were written for another text than it has now: a person decides of them."""
        if len(effect.tasks) != 1:
            return ""
        task = self.reader.tasks.get(effect.tasks[0])
        asked = [each for each in self.reader.requests.about(task.id) if each.stage in (Stage.INSTANCES, Stage.ANSWER) and each.completion]
        if not task.instances or not asked or task.instruction.strip() in asked[-1].suffix:
            return ""
        return "; its instances were written for another text"


def _novelty_of(held: DecisionRecord) -> Novelty:
    """What is known of the scores of a decision: a rejected candidate keeps its nearest task alone."""
    nearest = () if held.nearest is None else (Neighbour(held.nearest, held.score),)
    return Novelty(nearest, held.mean_score, held.seed_score)


def _turned(flip: Flip | InstanceFlip) -> tuple[Verdict, str]:
    """What is decided of a flip, and why: what passes other rules was accepted by a person's doing."""
    return (Verdict.ACCEPTED, OTHER_RULES) if flip.accepted else (Verdict.REJECTED, flip.after)


def _told(name: str, flips: Sequence[Flip | InstanceFlip]) -> tuple[str, str]:
    """How many of `name` flip, and which way, in words."""
    joining = sum(flip.accepted for flip in flips)
    return counted(len(flips), name), f"{joining:,} joined, {len(flips) - joining:,} left"


def in_words(change: Change) -> str:
    """The change for people: `threshold 0.55, length off`."""
    limits = (
        ("threshold {:.2f}", change.threshold),
        ("at most {:.2f} nats a token", change.max_nats),
        ("agreement from {:.2f}", change.min_agreement),
        ("answers of at most {:.2f} nats a token", change.max_answer_nats),
    )
    parts = [words.format(value) for words, value in limits if value is not None]
    return ", ".join(parts + [f"{name} {'on' if on else 'off'}" for name, on in sorted(change.filters.items())]) or "the run's rules"


def _decisions(context: SessionContext, flips: Sequence[Flip]) -> list[tuple[int, HandDecision]]:
    """A person's decision for each flip, those that join first.

    They are scored against the pool as it stands without those that leave, one after another in their order; those that leave against what
    there is then. The index is left as it was.
    """
    # Tasks of candidates that a person accepted once and then did not have ids already; the others get the next ones.
    known = [flip for flip in flips if flip.accepted and flip.task_id is not None]
    new = [flip for flip in flips if flip.accepted and flip.task_id is None]
    leaving = [flip for flip in flips if not flip.accepted]
    next_id = context.pool.tasks.next_id()
    index = context.index
    decisions: list[tuple[int, HandDecision]] = []
    with context.index_without([flip.task_id for flip in flips if flip.task_id is not None]) as added:
        for flip in known:
            assert flip.task_id is not None
            decisions.append((flip.candidate_id, HandDecision(Verdict.ACCEPTED, OTHER_RULES, index.batch([flip.text]).novelty(0))))
            index.put(flip.task_id, flip.text, is_seed=False)
            added.append(flip.task_id)
        for kind in (new, leaving):
            for start in range(0, len(kind), AT_A_TIME):
                piece = kind[start : start + AT_A_TIME]
                batch = index.batch([flip.text for flip in piece])
                for place, flip in enumerate(piece):
                    verdict, reason = _turned(flip)
                    decisions.append((flip.candidate_id, HandDecision(verdict, reason, batch.novelty(place))))
                    if flip.accepted:
                        batch.accept(place, next_id)
                        added.append(next_id)
                        next_id += 1
    return decisions
