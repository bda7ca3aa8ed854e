"""How a stage asks the model: its requests are planned and stored, completed in one batch, and stored with what came back."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from studio.engine.api import (
    CancelToken,
    Chat,
    Completion,
    Engine,
    Finished,
    FinishReason,
    RepeatRule,
    Request,
    Restarted,
    Retried,
    TextPiece,
)
from studio.engine.api import Noted as EngineNoted
from studio.errors import ModelError
from studio.loop.events import EngineRestarted, Event, Noted, RequestFinished, RequestRetried, RequestsSent, TextStreamed
from studio.loop.novelty import NoveltyIndex
from studio.loop.parsing import Answer, answer_of
from studio.loop.prompts import Template, one_line
from studio.loop.runs import overridden
from studio.loop.settings import Decoding, Method
from studio.pool.pool import Pool
from studio.pool.requests import PlannedRequest, StoredCompletion, StoredRequest
from studio.pool.rounds import RoundRecord
from studio.pool.tasks import DraftTask
from studio.records import Stage


def generator(seed: str, round_number: int, stage: Stage, ordinal: int, action: int = 0) -> random.Random:
    """The generator of one draw, keyed by where in the run it happens: no draw depends on how many came before it.

    `action` is the id of a person's action that draws anew.
    """
    by_hand = f"/{action}" if action else ""
    return random.Random(f"{seed}/{round_number}/{stage}/{ordinal}{by_hand}")


def engine_seed(seed: str, round_number: int, stage: Stage, ordinal: int, action: int = 0) -> int:
    """The 32-bit seed of one request."""
    return generator(seed, round_number, stage, ordinal, action).getrandbits(32)


class StageCancelled(Exception):
    """The user cancelled while the engine was at work: the stage is not committed and will be done again."""


@dataclass
class SessionContext:
    """The pool, the engines and the rules of one session."""

    pool: Pool
    engine: Engine
    method: Method
    seed: str
    index: NoveltyIndex
    answering: Engine | None = None
    """The engine of the stage `answer`, where it has one of its own."""
    cancel: CancelToken = field(default_factory=CancelToken)
    said: set[str] = field(default_factory=set)
    """What was noted in this session."""

    def for_round(self, current: RoundRecord, *, own: bool = True) -> StageContext:
        """What the stages of a round go by; with `own` the parameters that hold for it alone, if there are any, are in the method."""
        overrides = self.pool.rounds.overrides(current.id) if own else {}
        method = overridden(self.method, overrides) if overrides else self.method
        values = {each.name: getattr(self, each.name) for each in fields(SessionContext)}
        return StageContext(**values | {"method": method, "current": current})

    def engine_of(self, stage: Stage) -> Engine:
        """The engine that the requests of a stage go to."""
        return self.answering if stage is Stage.ANSWER and self.answering is not None else self.engine

    @contextmanager
    def index_without(self, task_ids: Sequence[int]) -> Iterator[list[int]]:
        """Within the block the index lacks these tasks; afterwards they are back, and those noted in the list are out of it again."""
        held = [task for task in self.pool.tasks.compared(task_ids) if task.compared]
        added: list[int] = []
        try:
            for task in held:
                self.index.remove(task.id)
            yield added
        finally:
            for task_id in added:
                self.index.remove(task_id)
            for task in held:
                self.index.put(task.id, task.instruction, is_seed=task.is_seed)


@dataclass
class StageContext(SessionContext):
    """The same for one round: a stage reads and writes what is of `current`, and asks as its method says."""

    current: RoundRecord = field(kw_only=True)

    @cached_property
    def templates(self) -> dict[str, Template]:
        """The prompts of the method, parsed."""
        return {name: Template.parse(name, self.method.filled(text)) for name, text in self.method.prompts.model_dump().items()}

    @property
    def brief(self) -> str:
        """What the prompts for new instructions say of the brief; empty without one."""
        brief = self.method.brief.strip()
        return self.templates["brief"].filled(brief) if brief else ""

    @property
    def chats(self) -> bool:
        """Whether the model that writes instructions is asked in its own chat template."""
        return self.method.asking == "chat"

    def user_turn(self, tasks: Sequence[str] = ()) -> Chat:
        """The chat whose user's turn is a new instruction, with these in-context tasks in its system turn."""
        shown = self.templates["template_tasks"].filled("\n".join(f"- {one_line(task)}" for task in tasks)) if tasks else ""
        system = self.templates["template_system"].prefix
        return self.chat(system="\n\n".join(filter(None, (system, self.brief, shown))), writes_request=True)

    @property
    def few_shot(self) -> Chat | None:
        """Few-shot prompts are raw texts that any model goes on with; where the engine takes none they are a user's turn."""
        return None if "completion" in self.engine.info.askings else self.chat()

    def chat(self, *, system: str = "", begins: str = "", writes_request: bool = False) -> Chat:
        """A chat in which the model thinks or not, as the method has it."""
        return Chat(system, begins, writes_request, thinking=self.method.thinking != "off")

    def asked(self, stage: Stage) -> list[StoredRequest]:
        """The requests that a stage of this round has planned."""
        return self.pool.requests.planned(self.current.id, stage)

    def completions(self, stage: Stage) -> list[StoredCompletion]:
        return self.pool.requests.completions(self.current.id, stage)

    def answer(self, completion: Completion) -> Answer:
        """What a completion is parsed from."""
        return answer_of(completion, whole=self.method.leaves_thoughts)

    def note(self, text: str) -> Iterator[Noted]:
        """Say `text` unless this session has said it."""
        if text not in self.said:
            self.said.add(text)
            yield Noted(text)

    def generator(self, stage: Stage, ordinal: int, action: int = 0) -> random.Random:
        return generator(self.seed, self.current.number, stage, ordinal, action)

    def engine_seed(self, stage: Stage, ordinal: int, action: int = 0) -> int:
        return engine_seed(self.seed, self.current.number, stage, ordinal, action)

    def planned(
        self,
        stage: Stage,
        ordinal: int,
        prompt: tuple[str, str],
        decoding: Decoding,
        chat: Chat | None = None,
        *,
        repeats: RepeatRule = "",
        **engine: Any,
    ) -> PlannedRequest:
        """A request of a stage with its own seed; `prompt` is its prefix and its suffix.

        `repeats` is the rule by which it may be stopped early, `engine` are parameters that no decoding has.
        """
        thinks = not self.method.leaves_thoughts and not (chat is not None and chat.writes_request)
        params = replace(
            decoding.params(),
            stop=tuple(map(self.method.filled, decoding.stop)),
            thinking_tokens=self.method.thinking_tokens if thinks else 0,
            stop_on_repeat=repeats if self.method.early_stop else "",
            **engine,
        )
        return PlannedRequest(*prompt, params, self.engine_seed(stage, ordinal), chat=chat)

    def filled(self, template: str, filling: str) -> tuple[str, str]:
        """The prefix and the suffix of a prompt: `template` filled with `filling`."""
        parsed = self.templates[template]
        return parsed.prefix, parsed.suffix(filling)


def plan_for_drafts(
    context: StageContext, stage: Stage, planned: Callable[[int, DraftTask], PlannedRequest], asked: Collection[int]
) -> None:
    """Store a request of `stage` for each draft of the round that is `asked` about; `planned` makes it from its ordinal and the draft.

    Where an earlier attempt at the stage has stored them already, a person may have added drafts since, or changed their text or the
    parameters: requests are added and, where they were not answered yet, brought up to date.
    """
    pool, current = context.pool, context.current
    stored = context.asked(stage)
    answered = {each.request_id for each in context.completions(stage)}
    known = {request.task_id: request for request in stored}
    changed: list[tuple[int, PlannedRequest]] = []
    more: list[PlannedRequest] = []
    for draft in pool.tasks.drafts(current.id):
        request = known.get(draft.task.id)
        if draft.task.id not in asked:
            continue
        if request is None:
            more.append(planned(len(stored) + len(more), draft))
        elif request.id not in answered:
            fresh = planned(request.ordinal, draft)
            if (fresh.prefix, fresh.suffix, fresh.params, fresh.chat) != (request.prefix, request.suffix, request.params, request.chat):
                changed.append((request.id, fresh))
    if changed or more:
        pool.requests.replan(current.id, stage, changed, more)


_NO_ANSWER = (FinishReason.CANCELLED, FinishReason.REFUSED)


def complete(context: StageContext, stage: Stage, next_stage: Stage | None = None) -> Iterator[Event]:
    """Complete the requests planned for `stage`, all in one batch, and store the completions.

    Those of a model on this machine are stored in one transaction; a server's each as it finishes, because it was paid for. Those answered
    already are not asked again: an earlier session got that far; nor those about tasks that a person has retired since.
    Raises StageCancelled when the user cancelled first, and ModelError when the engine failed or refused every request.
    """
    planned = _open_requests(context, stage)
    if not planned and next_stage is None:
        return
    stored: set[int] = set()
    engine = context.engine_of(stage)

    def store(index: int, completion: Completion) -> None:
        if engine.info.is_server and completion.finish_reason not in _NO_ANSWER:
            context.pool.requests.answer(context.current.id, [(planned[index].id, completion)], None)
            stored.add(index)

    come = yield from send(context, stage, [(each.ordinal, each) for each in planned], store)
    answers = [(planned[index].id, completion) for index, completion in sorted(come.items()) if index not in stored]
    missing = len(planned) - len(stored) - len(answers)
    if context.cancel.cancelled and (missing or any(each.finish_reason is FinishReason.CANCELLED for _, each in answers)):
        raise StageCancelled
    if missing:
        raise ModelError(f"the engine answered {len(planned) - missing} of {len(planned)} requests", "run the same command to go on")
    if answers and not stored and all(each.finish_reason is FinishReason.REFUSED for _, each in answers):
        _require_answers(context, stage, answers[0][1])
    context.pool.requests.answer(context.current.id, answers, next_stage)


def send(
    context: StageContext,
    stage: Stage,
    planned: Sequence[tuple[int, PlannedRequest | StoredRequest]],
    finished: Callable[[int, Completion], None] = lambda _index, _completion: None,
) -> Generator[Event, None, dict[int, Completion]]:
    """Hand (ordinal, request) pairs to the engine together and tell how they go; return the completions by their place in `planned`.

    `finished` is called as each is there, before it is told of. Where the engine was started again, what it had said before is void.
    """
    ordinals = [ordinal for ordinal, _ in planned]
    yield RequestsSent(stage, len(planned))
    come: dict[int, Completion] = {}
    requests = [Request(each.prefix, each.suffix, each.params, each.seed, chat=each.chat) for _, each in planned]
    for event in context.engine_of(stage).stream(requests, context.cancel) if requests else ():
        match event:
            case TextPiece(index, text):
                yield TextStreamed(stage, ordinals[index], text)
            case Finished(index, completion):
                come[index] = completion
                finished(index, completion)
                yield RequestFinished(stage, ordinals[index], completion)
            case Restarted(attempt, cause):
                come.clear()
                yield EngineRestarted(stage, attempt, cause)
            case Retried(index, attempt, cause, wait):
                yield RequestRetried(stage, ordinals[index], attempt, cause, wait)
            case EngineNoted(text):
                yield from context.note(text)
    return come


def _require_answers(context: StageContext, stage: Stage, refused: Completion) -> None:
    """Raise ModelError unless an earlier session got some answer for the stage: it is not stored, so that it can be asked once more."""
    if all(each.completion.finish_reason is FinishReason.REFUSED for each in context.completions(stage)):
        raise context.engine_of(stage).info.no_room(refused.detail)


def _open_requests(context: StageContext, stage: Stage) -> list[StoredRequest]:
    answered = {each.request_id for each in context.completions(stage)}
    drafts = {draft.task.id for draft in context.pool.tasks.drafts(context.current.id)}
    return [each for each in context.asked(stage) if each.id not in answered and (each.task_id is None or each.task_id in drafts)]
