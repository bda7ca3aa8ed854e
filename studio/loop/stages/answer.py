"""The stage `answer`: a task's output is asked for in the model's own chat template, with instruction and input as the user's turn.

Of several answers the one is taken that agrees most with the others (self-consistency, Wang et al. 2022b, arXiv 2203.11171, here by ROUGE-L
for texts without a final answer); how far they agree is kept as a score.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from studio.loop.checks import answer_fault
from studio.loop.events import Event, InstanceDecided
from studio.loop.filters import DISAGREEMENT, EMPTY_OUTPUT, TRUNCATED, UNGROUNDED, UNLIKELY_ANSWER, VALID, disagrees, is_unlikely
from studio.loop.novelty import rouge_l
from studio.loop.parsing import MODEL_THINKS, THINKING, Answer, first_mark
from studio.loop.settings import Method
from studio.loop.stages.asking import StageContext, complete
from studio.loop.stages.candidates import LATEST, limit_of, shared_words
from studio.loop.tokens import TOKENIZERS
from studio.pool.instances import ChosenAnswer, DrawnAnswer
from studio.pool.requests import PlannedRequest, StoredRequest
from studio.records import OF_PASSAGES, Instance, Stage, Task, Verdict

_OTHER_TEMPERATURE = 0.7
"""At least this for the second answer and those after it: greedy decoding would write the first one again."""


def answer_instances(context: StageContext) -> Iterator[Event]:
    """Ask for the outputs of the round's instances, and decide each instance with the answer chosen for it.

    Where all answers break a rule, one more is asked for in other words.
    """
    pool, method = context.pool, context.method
    drafts = pool.tasks.drafts(context.current.id)
    tasks = {draft.task.id: draft.task for draft in drafts}
    of_passages = frozenset(draft.task.id for draft in drafts if draft.source in OF_PASSAGES)
    instances = pool.instances.to_answer(context.current.id)
    questions = {each.id: Question.about(tasks[each.task_id], each.input, of_passage=each.task_id in of_passages) for each in instances}
    chosen: dict[int, ChosenAnswer] = {}
    for again in (False, True) if method.answer_again else (False,):
        open_still = [each for each in instances if each.id not in chosen or chosen[each.id].verdict is Verdict.REJECTED]
        _plan(context, [questions[each.id] for each in open_still], of_passages, again=again)
        yield from complete(context, Stage.ANSWER)
        drawn = yield from _drawn(context)
        for each in open_still:
            question = questions[each.id]
            answers = drawn[question] + (drawn[question.again(context)] if again else [])
            chosen[each.id] = choose(method, tasks[each.task_id], each.input, answers, of_passage=each.task_id in of_passages)
    limit = _limit(context, list(chosen.values()))
    chosen = {number: within(each, limit) for number, each in chosen.items()}
    for instance in instances:
        found = chosen[instance.id]
        yield InstanceDecided(instance.task_id, Instance(instance.input, found.output), found.verdict, found.reason)
    pool.instances.answer(context.current.id, chosen, Stage.COMMIT, max_nats=limit)


def _drawn(context: StageContext) -> Generator[Event, None, defaultdict[Question, list[Drawn]]]:
    """The answers that are there, by what was asked, in the order they were asked for."""
    drawn: defaultdict[Question, list[Drawn]] = defaultdict(list)
    asked = {each.id: Question.of(each) for each in context.asked(Stage.ANSWER)}
    for stored in context.completions(Stage.ANSWER):
        answer = context.answer(stored.completion)
        if answer.thought:
            yield from context.note(MODEL_THINKS)
        drawn[asked[stored.request_id]].append(Drawn(stored.request_id, answer, stored.completion.nats))
    return drawn


def _limit(context: StageContext, chosen: Sequence[ChosenAnswer]) -> float | None:
    """The nats a token beyond which an answer is unlikely, among this round's and the latest that broke no rule; None for no limit."""
    if context.method.likely_answers >= 1:
        return None
    own = [each.nats for each in chosen if each.nats is not None and each.verdict is Verdict.ACCEPTED]
    return limit_of(own + context.pool.instances.latest_nats(context.current.run_id, LATEST), context.method.likely_answers)


class Question(NamedTuple):
    """A task and the user's turn that has it answered."""

    task_id: int
    text: str

    @classmethod
    def of(cls, request: StoredRequest) -> Question:
        """What a request of this stage asks."""
        assert request.task_id is not None
        return cls(request.task_id, request.suffix)

    @classmethod
    def about(cls, task: Task, given: str, *, of_passage: bool = False) -> Question:
        """What has a task answered. Behind a passage the question is what a small model heeds; elsewhere the instruction comes first."""
        parts = (given, task.instruction) if of_passage and given.strip() else (task.instruction, given)
        return cls(task.id, user_text(*parts))

    def again(self, context: StageContext) -> Question:
        """The same in other words."""
        return Question(self.task_id, context.templates["answer_again"].filled(self.text))


def user_text(instruction: str, given: str) -> str:
    """The user's turn of a task: its instruction and its input, a blank line between them."""
    return f"{instruction.strip()}\n\n{given.strip()}" if given.strip() else instruction.strip()


def answer_request(context: StageContext, ordinal: int, question: Question, copy: int, *, of_passage: bool = False) -> PlannedRequest:
    """The request that has a question answered, for the `copy`-th time, from 0; `of_passage` says that it is about a passage."""
    decoding = context.method.sampling.answer
    if copy:
        decoding = decoding.model_copy(update={"temperature": max(decoding.temperature, _OTHER_TEMPERATURE)})
    chat = context.chat(system=context.templates["passage_system" if of_passage else "answer_system"].prefix)
    # What is drawn at some temperature is one of many things that the model might say: its likelihood tells nothing.
    planned = context.planned(Stage.ANSWER, ordinal, ("", question.text), decoding, chat, repeats="text", measure=not copy)
    return replace(planned, task_id=question.task_id)


def _plan(context: StageContext, questions: Sequence[Question], of_passages: Collection[int], *, again: bool) -> None:
    """Store a request for each answer of each question, or for one more in other words, that an earlier attempt has not planned."""
    pool = context.pool
    stored = context.asked(Stage.ANSWER)
    known = Counter(map(Question.of, stored))
    wanted = [each.again(context) for each in questions] if again else questions
    copies = 1 if again else context.method.best_of
    missing = [(each, copy) for each in wanted for copy in range(known[each], copies)]
    requests = [
        answer_request(context, ordinal, *each, of_passage=each[0].task_id in of_passages)
        for ordinal, each in enumerate(missing, len(stored))
    ]
    if requests:
        pool.requests.replan(context.current.id, Stage.ANSWER, [], requests)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One answer that was drawn for an instance, and its nats a token where they were measured."""

    request_id: int
    answer: Answer
    nats: float | None = None

    @property
    def text(self) -> str:
        return self.answer.text.strip()

    def found(self, agreement: float, fault: str) -> DrawnAnswer:
        return DrawnAnswer(self.request_id, agreement, fault, self.text if self.answer.thought else None)


def within(found: ChosenAnswer, limit: float | None) -> ChosenAnswer:
    """The same, rejected where it was accepted and is less likely than `limit`, in nats a token."""
    if found.verdict is Verdict.ACCEPTED and is_unlikely(found.nats, limit):
        return replace(found, verdict=Verdict.REJECTED, reason=UNLIKELY_ANSWER)
    return found


def choose(method: Method, task: Task, given: str, drawn: Sequence[Drawn], *, of_passage: bool = False) -> ChosenAnswer:
    """Choose among the answers drawn for a task and an input, and decide the instance that it makes.

    Of those that break no rule the one is taken whose mean ROUGE-L F1 with all others is highest, of equal ones the first. Where all break
    one, the first is rejected with its reason. `of_passage` says that the input is the passage that the task is about.
    """
    if not drawn:
        return ChosenAnswer(None, "", Verdict.REJECTED, EMPTY_OUTPUT)
    tokens = [TOKENIZERS[method.tokenizer](each.text) for each in drawn]
    faults = [_fault(method, task, Instance(given, each.text), each.answer, of_passage=of_passage) for each in drawn]
    means = [
        sum(rouge_l(mine, other) for place, other in enumerate(tokens) if place != own) / max(1, len(tokens) - 1)
        for own, mine in enumerate(tokens)
    ]
    whole = [place for place, fault in enumerate(faults) if not fault] or [0]
    best = max(whole, key=lambda place: (means[place], -place))
    agreement = means[best] if method.best_of > 1 and len(drawn) > 1 else None
    reason = faults[best] or (DISAGREEMENT if disagrees(agreement, method.min_agreement) else "")
    decided = (Verdict.REJECTED if reason else Verdict.ACCEPTED, reason or VALID)
    taken = drawn[best]
    # How sure the model is of it, or of the first that was drawn where this one was not measured.
    nats = drawn[0].nats if taken.nats is None else taken.nats
    found = zip(drawn, means, faults, strict=True)
    return ChosenAnswer(
        taken.request_id,
        taken.text,
        *decided,
        agreement,
        nats,
        thoughts=taken.answer.thoughts if method.thinking == "keep" else "",
        drawn=tuple(each.found(mean, fault) for each, mean, fault in found) if len(drawn) > 1 else (),
    )


def _fault(method: Method, task: Task, instance: Instance, answer: Answer, *, of_passage: bool) -> str:
    """Why an answer cannot be kept, or an empty string."""
    if answer.missing or first_mark(instance.output):
        return THINKING
    if answer.truncated:
        return TRUNCATED
    if not instance.output:
        return EMPTY_OUTPUT
    rules = method.answer_rules
    if of_passage:
        # What the passage says in a few words is the right answer.
        if shared_words(instance.output, f"{instance.input} {task.instruction}") < method.passage_words:
            return UNGROUNDED
        instance, rules = replace(instance, input=""), tuple(rule for rule in rules if rule != "says_little")
    return answer_fault(task.instruction, instance, rules, is_label=bool(task.is_classification))
