"""The stage `answer`: a task's output is asked for in the model's own chat template, with instruction and input as the user's turn.

Of several answers the one is taken that agrees most with the others (self-consistency, Wang et al. 2022b, arXiv 2203.11171, here by ROUGE-L
for texts without a final answer); how far they agree is kept as a score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from studio.engine.api import Chat
from studio.loop.checks import answer_fault
from studio.loop.events import Event, InstanceDecided
from studio.loop.filters import EMPTY_OUTPUT, TRUNCATED, UNLIKELY_ANSWER, VALID, agreement_fault
from studio.loop.novelty import rouge_l
from studio.loop.settings import Method
from studio.loop.stages.asking import StageContext, complete
from studio.loop.stages.likelihood import LATEST, limit_of
from studio.loop.thoughts import MODEL_THINKS, THINKING, Answer, first_mark
from studio.loop.tokens import TOKENIZERS
from studio.pool.instances import AnsweredInstance, InstanceRecord
from studio.pool.requests import PlannedRequest
from studio.pool.rounds import RoundRecord
from studio.records import Instance, Stage, Task, Verdict

_OTHER_TEMPERATURE = 0.7
"""At least this for the second answer and those after it: greedy decoding would write the first one again."""


def answer_instances(context: StageContext, current: RoundRecord) -> Iterator[Event]:
    """Ask for the outputs of the round's instances, and decide each instance with the answer chosen for it."""
    pool = context.pool
    tasks = {draft.task.id: draft.task for draft in pool.tasks.drafts(current.id)}
    instances = pool.instances.to_answer(current.id)
    _plan(context, current, instances, tasks)
    yield from complete(context, current, Stage.ANSWER)
    drawn: defaultdict[Key, list[Drawn]] = defaultdict(list)
    suffixes = {request.id: request.suffix for request in pool.requests.planned(current.id, Stage.ANSWER)}
    for stored in pool.requests.completions(current.id, Stage.ANSWER):
        answer = context.answer(stored.completion)
        if answer.thought:
            yield from context.note(MODEL_THINKS)
        drawn[stored.task_id, suffixes[stored.request_id]].append(Drawn(stored.request_id, answer, stored.completion.nats))
    chosen = []
    for instance in instances:
        task = tasks[instance.task_id]
        chosen.append(choose(context.method, task, instance.input, drawn[task.id, user_text(task.instruction, instance.input)]))
    limit = _limit(context, current, chosen)
    chosen = [each.within(limit) for each in chosen]
    for instance, found in zip(instances, chosen, strict=True):
        yield InstanceDecided(instance.task_id, Instance(instance.input, found.output), found.verdict, found.reason)
    pool.instances.answer(
        current.id, [found.of(instance.id) for instance, found in zip(instances, chosen, strict=True)], Stage.COMMIT, max_nats=limit
    )


def _limit(context: StageContext, current: RoundRecord, chosen: Sequence[Chosen]) -> float | None:
    """The nats a token beyond which an answer is unlikely, among this round's and the latest that broke no rule; None for no limit."""
    if context.method.likely_answers >= 1:
        return None
    own = [each.nats for each in chosen if each.nats is not None and each.verdict is Verdict.ACCEPTED]
    return limit_of(own + context.pool.instances.latest_nats(current.run_id, LATEST), context.method.likely_answers)


Key = tuple[int | None, str]
"""A task and the text that is answered."""


def user_text(instruction: str, given: str) -> str:
    """The user's turn of a task: its instruction and its input, a blank line between them."""
    return f"{instruction.strip()}\n\n{given.strip()}" if given.strip() else instruction.strip()


def answer_request(context: StageContext, place: tuple[RoundRecord, Stage, int], task_id: int, text: str, copy: int) -> PlannedRequest:
    """The request that has `text` answered, for the `copy`-th time, from 0."""
    decoding = context.method.sampling.answer
    if copy:
        decoding = decoding.model_copy(update={"temperature": max(decoding.temperature, _OTHER_TEMPERATURE)})
    rule = "text" if context.method.early_stop else ""
    chat = Chat(system=context.templates["answer_system"].prefix)
    return replace(context.planned(place, ("", text), decoding, chat, stop_on_repeat=rule, measure=True), task_id=task_id)


def _plan(context: StageContext, current: RoundRecord, instances: Sequence[InstanceRecord], tasks: Mapping[int, Task]) -> None:
    """Store a request for each answer of each instance that an earlier attempt at the stage has not planned."""
    pool, requests = context.pool, []
    stored = pool.requests.planned(current.id, Stage.ANSWER)
    known: defaultdict[Key, int] = defaultdict(int)
    for request in stored:
        known[request.task_id, request.suffix] += 1
    ordinals = count(len(stored))
    for instance in instances:
        text = user_text(tasks[instance.task_id].instruction, instance.input)
        for copy in range(known[instance.task_id, text], context.method.best_of):
            place = (current, Stage.ANSWER, next(ordinals))
            requests.append(answer_request(context, place, instance.task_id, text, copy))
    if requests:
        pool.requests.replan(current.id, Stage.ANSWER, [], requests)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One answer that was drawn for an instance, and its nats a token where they were measured."""

    request_id: int
    answer: Answer
    nats: float | None = None

    @property
    def text(self) -> str:
        return self.answer.text.strip()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer that was chosen for an instance, None where none came, with what was decided of it."""

    drawn: Drawn | None
    verdict: Verdict
    reason: str
    agreement: float | None = None
    """Its mean ROUGE-L F1 (0 to 1) with the others drawn; None where there are no others."""
    nats: float | None = None
    """Those of the first answer that was drawn: how sure the model is of what it would say, not of one of many things it might."""

    @property
    def output(self) -> str:
        return "" if self.drawn is None else self.drawn.text

    @property
    def request_id(self) -> int | None:
        return None if self.drawn is None else self.drawn.request_id

    def within(self, limit: float | None) -> Chosen:
        """The same, rejected where it was accepted and is less likely than `limit`, in nats a token."""
        if limit is None or self.nats is None or self.nats <= limit or self.verdict is Verdict.REJECTED:
            return self
        return replace(self, verdict=Verdict.REJECTED, reason=UNLIKELY_ANSWER)

    def of(self, instance_id: int) -> AnsweredInstance:
        """The instance of this id with this answer."""
        return AnsweredInstance(instance_id, self.request_id, self.output, self.verdict, self.reason, self.agreement, self.nats)


def choose(method: Method, task: Task, given: str, drawn: Sequence[Drawn]) -> Chosen:
    """Choose among the answers drawn for a task and an input, and decide the instance that it makes.

    Of those that break no rule the one is taken whose mean ROUGE-L F1 with all others is highest, of equal ones the first. Where all break
    one, the first is rejected with its reason.
    """
    if not drawn:
        return Chosen(None, Verdict.REJECTED, EMPTY_OUTPUT)
    tokens = [TOKENIZERS[method.tokenizer](each.text) for each in drawn]
    faults = [_fault(method, task, Instance(given, each.text), each.answer) for each in drawn]
    means = [
        sum(rouge_l(mine, other) for place, other in enumerate(tokens) if place != own) / max(1, len(tokens) - 1)
        for own, mine in enumerate(tokens)
    ]
    whole = [place for place, fault in enumerate(faults) if not fault] or [0]
    best = max(whole, key=lambda place: (means[place], -place))
    agreement = means[best] if len(drawn) > 1 else None
    reason = faults[best] or agreement_fault(agreement, method)
    return Chosen(drawn[best], Verdict.REJECTED if reason else Verdict.ACCEPTED, reason or VALID, agreement, drawn[0].nats)


def _fault(method: Method, task: Task, instance: Instance, answer: Answer) -> str:
    """Why an answer cannot be kept, or an empty string."""
    if answer.missing or first_mark(instance.output):
        return THINKING
    if answer.truncated:
        return TRUNCATED
    if not instance.output:
        return EMPTY_OUTPUT
    return answer_fault(task.instruction, instance, method.answer_rules, is_label=bool(task.is_classification))
