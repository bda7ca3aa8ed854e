"""The whole story of one task or candidate: where it came from, what was measured of it and what was done with it, by whom and when, and
whether it is in the data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from studio.errors import UsageError
from studio.loop.runs import known_method, overridden
from studio.loop.stages.answer import user_text
from studio.pool.candidates import CandidateRecord, DecisionRecord
from studio.pool.documents import PassageRecord
from studio.pool.instances import InstanceRecord
from studio.pool.ledger import ActionState, ActionStep
from studio.pool.pool import Queries
from studio.pool.requests import RequestRecord
from studio.pool.tasks import Annotation
from studio.records import SOURCE_WORDS, Decider, Neighbour, Origin, Source, Stage, Task, TaskState, Verdict
from studio.text import bar, spoken

Kind = Literal["request", "answer", "agreement"]
_UNLIMITED_NATS = 5.0
"""Where a bar of nats ends that has no limit; a limit stands in its middle."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure with its limit, None where none held.

    `request` and `answer` are nats a token, how surprising the model finds the text: at most the limit. `agreement` is the mean ROUGE-L F1
    (0 to 1) of an answer with the others that were drawn: at least the limit.
    """

    kind: Kind
    value: float
    limit: float | None

    @property
    def name(self) -> str:
        """What is measured, in a word or two."""
        return _MEANINGS[self.kind][0]

    @property
    def passes(self) -> bool:
        """Whether it is within its limit."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.kind == "agreement" else self.value <= self.limit

    @property
    def words(self) -> str:
        """The figure, its limit, and what that says."""
        unit = "" if self.kind == "agreement" else " nats a token"
        if self.limit is None:
            return f"{self.value:.2f}{unit}, no limit"
        least = self.kind == "agreement"
        relation = ("≥" if self.passes else "<") if least else ("≤" if self.passes else ">")
        return f"{self.value:.2f} {relation} {self.limit:.2f}{unit}: {_MEANINGS[self.kind][1 if self.passes else 2]}"

    def bar(self, width: int) -> str:
        """The figure as a bar with its limit as a cross; one without a limit has none."""
        most = 1.0 if self.kind == "agreement" else 2 * self.limit if self.limit else _UNLIMITED_NATS
        if self.limit is None:
            filled = min(max(round(self.value / most * width), 1), width)
            return "━" * filled + "─" * (width - filled)
        share, mark = min(self.value / most, 1.0), self.limit / most
        drawn = bar(share, width, mark)
        # A figure equal to its limit passes: of nats the bar then ends before the cross, of an agreement at it.
        return drawn.replace("┿", "┼") if self.kind != "agreement" and self.passes else drawn


_MEANINGS: dict[Kind, tuple[str, str, str]] = {
    "request": ("likelihood", "likely as a request", "too unlikely as a request"),
    "answer": ("sureness", "the model is sure of its answer", "the model is not sure of its answer"),
    "agreement": ("agreement", "the answers drawn agree", "the answers drawn disagree"),
}
"""What a figure is called, and what is said of one within its limit and beyond it."""

EXPLAINED = "Nats a token tell how surprising the model finds a text: fewer are likelier. The cross is the limit."

BEFORE_EDIT = "The likelihood is that of the text the model wrote: an edited one is not measured."


def source_words(source: Source | None) -> str:
    """Where the instructions of a prompt come from, in a few words; empty for a prompt of a later stage."""
    return "" if source is None else f"{spoken(source)}: {SOURCE_WORDS[source][0]}"


def of_candidate(pool: Queries, candidate: CandidateRecord) -> tuple[Measure, ...]:
    """Return what was measured of a candidate."""
    if candidate.nats is None:
        return ()
    return (Measure("request", candidate.nats, pool.requests.get(candidate.request_id).max_nats),)


def of_instance(pool: Queries, instance: InstanceRecord) -> tuple[Measure, ...]:
    """Return what was measured of an instance whose output was asked for apart."""
    if instance.answer_id is None or (instance.agreement is None and instance.nats is None):
        return ()
    request = pool.requests.get(instance.answer_id)
    found = []
    if instance.agreement is not None:
        run = next(each for each in pool.runs.all() if each.id == request.run_id)
        method = known_method(run)
        least = 0.0 if method is None else overridden(method, pool.rounds.overrides(request.round_id)).min_agreement
        found.append(Measure("agreement", instance.agreement, least or None))
    if instance.nats is not None:
        found.append(Measure("answer", instance.nats, request.max_answer_nats))
    return tuple(found)


_STEPS = {"do": "by human", "undo": "taken back by human", "redo": "done again by human"}
_ANEW = frozenset({"regenerate", "parameters"})
"""Kinds of actions that have a round written anew."""
_OF_INSTANCES = frozenset({"edit instance", "drop instance", "restore instance", "more instances"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done, in words that say by whom; `at` is an ISO 8601 time in UTC, `decision` what it decided of the candidate."""

    at: str
    words: str
    decision: DecisionRecord | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether something is in the data, because of what, by whom and when; the last two are None where nobody noted it."""

    in_data: bool
    because: str
    by: Decider | None = None
    at: str | None = None

    @property
    def words(self) -> str:
        """The answer as a sentence."""
        who = f", by {self.by}" if self.by else ""
        when = f" at {self.at}" if self.at else ""
        return f"{'In' if self.in_data else 'Not in'} the data: {self.because}{who}{when}."


@dataclass(frozen=True, slots=True)
class Story:
    """All that the pool knows of a task or a candidate.

    A seed or import has a task and no candidate, a rejected candidate no task. `parents` are the in-context tasks in the order of the
    prompt; `decisions` are oldest first, the last one holds; `near` are the instructions of the neighbours and of the nearest task, by id.
    `steps` are what people did with it, oldest first. `held_out_at` is when seeds were kept apart, None where none were.
    """

    task: Task | None
    candidate: CandidateRecord | None
    request: RequestRecord | None
    parents: tuple[Task, ...]
    decisions: tuple[DecisionRecord, ...]
    neighbours: tuple[Neighbour, ...]
    near: dict[int, str]
    instances: tuple[InstanceRecord, ...]
    task_requests: tuple[RequestRecord, ...]
    steps: tuple[ActionStep, ...] = ()
    annotation: Annotation = field(default_factory=Annotation)
    provenance: str = ""
    """What the pool that it was exported from knew of it, as JSON."""
    held_out_at: str | None = None
    measures: tuple[Measure, ...] = ()
    """What was measured of the candidate."""
    of_instances: dict[int, tuple[Measure, ...]] = field(default_factory=dict)
    """What was measured of instances, by their ids."""
    passage: PassageRecord | None = None
    """The passage of a document that it was written for."""

    @property
    def text(self) -> str:
        """The instruction as it is now."""
        if self.task is not None:
            return self.task.instruction
        edited = self.decisions[-1].edited if self.decisions else None
        return edited if edited is not None else self.candidate.text if self.candidate is not None else ""

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that was done, oldest first. An action that decides the candidate does so once in each of its steps: both are one."""
        brought: defaultdict[int | None, list[DecisionRecord]] = defaultdict(list)
        for each in self.decisions:
            brought[each.action_id].append(each)
        events = [Event(each.decided_at, _decided(each), each) for each in brought[None]]
        for step in self.steps:
            decision = brought[step.action_id].pop(0) if brought[step.action_id] else None
            words = f"{_STEPS[step.step]}: {step.words}" + (f"; {_decided(decision)}" if decision else "")
            events.append(Event(step.at, words, decision))
        # Times are whole seconds; what happened within one is in order already.
        return tuple(sorted(events, key=lambda event: event.at))

    @property
    def answers(self) -> tuple[DrawnAnswers, ...]:
        """Which answers were drawn for each instance that was answered apart."""
        written = self.candidate.text if self.candidate is not None else self.text
        edited = next((each.edited for each in reversed(self.decisions) if each.edited is not None), None)
        return drawn_answers(edited or written, self.instances, self.task_requests)

    @property
    def answer(self) -> Outcome:
        """Whether this is in the data, and why."""
        return _answer(self)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {
            **asdict(self),
            "events": [asdict(each) for each in self.events],
            "answers": [asdict(each) for each in self.answers],
            "answer": {**asdict(self.answer), "words": self.answer.words},
        }


def parse_reference(text: str) -> tuple[str, int]:
    """Return the kind (`task` or `candidate`) and id of `12`, `t12` or `c12`. Raises UsageError for anything else."""
    kind, digits = ("candidate", text[1:]) if text[:1] == "c" else ("task", text.removeprefix("t"))
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise UsageError(f"{text!r} is no task or candidate", "write a task's id, such as 176, or a candidate's with a c, such as c12")
    return kind, int(digits)


def story_of(pool: Queries, reference: str) -> Story:
    """Tell the story of the task or candidate that `reference` names.

    Raises UsageError when it names nothing, PoolError when the pool has none of that id.
    """
    kind, number = parse_reference(reference)
    with pool.one_state():
        if kind == "task":
            return _story(pool, pool.tasks.get(number), pool.candidates.of_task(number))
        candidate = pool.candidates.get(number)
        return _story(pool, pool.tasks.get(candidate.task_id) if candidate.task_id is not None else None, candidate)


def _story(pool: Queries, task: Task | None, candidate: CandidateRecord | None) -> Story:
    request = pool.requests.get(candidate.request_id) if candidate else None
    passage = request.passage_id if request else None
    decisions = tuple(pool.candidates.decisions(candidate.id)) if candidate else ()
    neighbours = pool.candidates.neighbours(candidate.id) if candidate else ()
    near_ids = dict.fromkeys([each.task_id for each in neighbours] + [each.nearest for each in decisions if each.nearest is not None])
    held = pool.evaluations.hold_out()
    instances = tuple(pool.instances.of_task(task.id)) if task else ()
    return Story(
        task=task,
        candidate=candidate,
        request=request,
        parents=tuple(pool.tasks.many(request.parents)) if request else (),
        decisions=decisions,
        neighbours=neighbours,
        near={each.id: each.instruction for each in pool.tasks.many(list(near_ids))},
        instances=instances,
        task_requests=tuple(pool.requests.about(task.id)) if task else (),
        steps=tuple(pool.ledger.steps(task.id if task else None, candidate.id if candidate else None)),
        annotation=pool.tasks.annotation(task.id) if task else Annotation(),
        provenance=pool.tasks.provenance(task.id) if task else "",
        held_out_at=held.created_at if held and task and task.held_out else None,
        measures=of_candidate(pool, candidate) if candidate else (),
        of_instances={each.id: found for each in instances if (found := of_instance(pool, each))},
        passage=pool.documents.passages([passage])[passage] if passage is not None else None,
    )


def _decided(decision: DecisionRecord) -> str:
    return f"{decision.verdict} by {decision.decided_by}: {decision.reason}"


def _answer(story: Story) -> Outcome:
    task, request = story.task, story.request
    if request is not None and request.round_stage == "superseded":
        anew = next((step for step in reversed(story.steps) if step.kind in _ANEW), None)
        why = f"its attempt at round {request.round} was set aside"
        return Outcome(False, why, Decider.HUMAN, request.round_ended) if anew is None else _by(anew, why)
    if task is None or (task.state is TaskState.RETIRED and story.decisions and story.decisions[-1].verdict is Verdict.REJECTED):
        return _of_decision(story, in_data=False)
    if task.state is TaskState.RETIRED:
        retired = _last_done(story, "retire")
        if retired is not None:
            return _by(retired)
        number = f"round {request.round}" if request is not None else "its round"
        why = f"{number} was given up unfinished, for a run with other settings"
        return Outcome(False, why, Decider.HUMAN, request.round_ended if request is not None else None)
    if task.state is TaskState.DRAFT:
        return Outcome(False, f"round {task.round} is not finished")
    if task.held_out:
        return Outcome(False, "it was kept apart for evaluation", Decider.HUMAN, story.held_out_at)
    if not any(each.verdict is Verdict.ACCEPTED for each in story.instances):
        return _without_instances(story)
    if task.origin is Origin.GENERATED:
        return _of_decision(story, in_data=True)
    restored = _last_done(story, "restore")
    why = "it is a seed, exported with --include-seeds" if task.origin is Origin.SEED else "it was imported"
    return Outcome(True, why) if restored is None else _by(restored, why, in_data=True)


def _of_decision(story: Story, *, in_data: bool) -> Outcome:
    held = story.decisions[-1]
    restored = _last_done(story, "restore") if in_data else None
    if restored is not None and restored.at >= held.decided_at:
        return _by(restored, in_data=True)
    step = next((event for event in reversed(story.events) if event.decision is held), None)
    told = f" ({step.words.partition('; ')[0]})" if step is not None and held.action_id is not None else ""
    return Outcome(in_data, f"{held.verdict}, {held.reason}{told}", held.decided_by, held.decided_at)


def _without_instances(story: Story) -> Outcome:
    if not story.instances:
        return Outcome(False, "it has no instances yet", None, None)
    why = f"none of its instances is accepted ({', '.join(dict.fromkeys(each.reason for each in story.instances))})"
    changed = next((step for step in reversed(story.steps) if step.kind in _OF_INSTANCES), None)
    if changed is not None and any(each.decided_by is Decider.HUMAN for each in story.instances):
        return _by(changed, why)
    return Outcome(False, why, Decider.RULE, story.request.round_ended if story.request is not None else None)


def _by(step: ActionStep, why: str = "", *, in_data: bool = False) -> Outcome:
    words = step.words if step.step != "undo" else f"{step.words}, which was taken back"
    return Outcome(in_data, f"{why} ({words})" if why else words, Decider.HUMAN, step.at)


def _last_done(story: Story, kind: str) -> ActionStep | None:
    counting = (ActionState.DONE, ActionState.SETTLED)
    return next((step for step in reversed(story.steps) if step.kind == kind and step.state in counting), None)


@dataclass(frozen=True, slots=True)
class DrawnAnswers:
    """The requests, by their ids, that had one instance answered, in the order they were made; `chosen` is the one it has its output of."""

    instance_id: int
    drawn: tuple[int, ...]
    chosen: int


def drawn_answers(instruction: str, instances: Sequence[InstanceRecord], requests: Sequence[RequestRecord]) -> tuple[DrawnAnswers, ...]:
    """Tell for each instance of a task that has an answer which ones were drawn for it; `requests` are all about the task.

    What was asked once more in other words holds the question in it. Where a person has changed the question since, those count that asked
    as the chosen one does. What was asked for by hand more than once in a round counts together.
    """
    by_id = {each.id: each for each in requests if each.stage is Stage.ANSWER}
    given = {each.id: each.input if each.original is None else each.original.input for each in instances}
    # Of a passage the question stands behind it.
    asked = {number: (user_text(instruction, text), user_text(text, instruction)) for number, text in given.items()}
    questions = {question for both in asked.values() for question in both}
    found = []
    for each in instances:
        chosen = None if each.answer_id is None else by_id.get(each.answer_id)
        if chosen is not None:
            beside = [one for one in by_id.values() if (one.round, one.ordinal < 0) == (chosen.round, chosen.ordinal < 0)]
            drawn = [one.id for one in beside if any(_asks(one.suffix, question, questions) for question in asked[each.id])]
            if chosen.id not in drawn:
                drawn = [one.id for one in beside if one.suffix == chosen.suffix]
            found.append(DrawnAnswers(each.id, tuple(drawn), chosen.id))
    return tuple(found)


def _asks(suffix: str, question: str, questions: set[str]) -> bool:
    return suffix == question or (question in suffix and suffix not in questions)
