"""The newest round: as the pool has it after each committed stage, read in one go, with the runner's notices folded into it. No widget
in sight.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.engine.api import Chat, Completion, FinishReason
from studio.loop.events import (
    CandidateDecided,
    EngineRestarted,
    Event,
    RequestFinished,
    RequestRetried,
    RequestsSent,
    RoundStarted,
    StageFinished,
    StageStarted,
    TaskClassified,
    TextStreamed,
)
from studio.loop.prompts import Template
from studio.loop.runs import known_method, overridden
from studio.loop.settings import Method
from studio.pool.candidates import JudgedCandidate
from studio.pool.documents import PassageRecord
from studio.pool.pool import Queries
from studio.records import STAGES, Novelty, Source, Stage, Task, Verdict

MODEL_STAGES = (Stage.INSTRUCTIONS, Stage.CLASSIFY, Stage.INSTANCES, Stage.ANSWER)
"""Those in which a model writes."""
RAW_STAGES = tuple(stage for stage in Stage if stage is not Stage.ANSWER)
"""The stages of a round whose model is not asked in chat."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One instruction request: its in-context tasks in the order of the prompt, and what came back, if it has.

    One that the model begins itself (`Source.TEMPLATE`) has no in-context tasks, nor has one for a passage of a document. `text` is the
    prompt, with `chat` as a user's turn.
    """

    ordinal: int
    parents: tuple[Task, ...]
    completion: Completion | None
    source: Source | None = None
    chat: Chat | None = None
    text: str = ""
    passage: PassageRecord | None = None

    @property
    def begun(self) -> str:
        """What of the instruction stands in the prompt already, where it is for a passage: what follows the last colon of its last line."""
        behind = self.chat is None or self.chat.writes_request
        return self.text.rpartition("\n")[2].rpartition(":")[2].lstrip() if self.passage is not None and behind else ""


@dataclass(frozen=True, slots=True)
class TaskText:
    """What the model wrote about a new task in one of the later stages."""

    stage: Stage
    ordinal: int
    task_id: int
    completion: Completion
    draw: tuple[int, int] = (1, 1)
    """Of several answers to the same instance: which one it is, from 1, and of how many."""
    chosen: bool = False
    """Whether it is the answer that was taken."""


@dataclass(frozen=True, slots=True)
class RoundView:
    """A round from its in-context tasks to its verdicts.

    `next_stage` is None when the round is finished. `drafts` are the accepted candidates of an unfinished round; `instances` counts the
    accepted instances of the round.
    """

    id: int
    number: int
    next_stage: Stage | None
    prompts: tuple[Prompt, ...]
    candidates: tuple[JudgedCandidate, ...]
    task_texts: tuple[TaskText, ...]
    instances: int
    drafts: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that hold for this round alone, by dotted key."""
    stages: tuple[Stage, ...] = RAW_STAGES
    """Those that it has been played with, or will be."""


def read_round(reader: Queries) -> RoundView | None:
    """Return the newest round of the pool, or None when it never ran. Raises PoolError as reading does."""
    newest = reader.rounds.newest()
    if newest is None:
        return None
    last, finished = newest
    overrides = reader.rounds.overrides(last.id)
    method = known_method(next(run for run in reader.runs.all() if run.id == last.run_id))
    if method is not None and overrides:
        method = overridden(method, overrides)
    requests = reader.requests.planned(last.id, Stage.INSTRUCTIONS)
    answers = {each.ordinal: each.completion for each in reader.requests.completions(last.id, Stage.INSTRUCTIONS)}
    ids = list(dict.fromkeys(parent for each in requests for parent in each.parents))
    tasks = {task.id: task for task in reader.tasks.many(ids)}
    passages = reader.documents.passages(each.passage_id for each in requests if each.passage_id is not None)
    candidates = tuple(reader.candidates.judged(last.id))
    prompts = (
        Prompt(
            each.ordinal,
            tuple(tasks[parent] for parent in each.parents),
            answers.get(each.ordinal),
            each.source,
            each.chat,
            each.prefix + each.suffix,
            None if each.passage_id is None else passages[each.passage_id],
        )
        for each in requests
    )
    return RoundView(
        id=last.id,
        number=last.number,
        next_stage=None if finished else last.stage,
        prompts=tuple(prompts),
        candidates=candidates,
        task_texts=(*_about_tasks(reader, last.id), *_answers(reader, last.id, method)),
        instances=reader.rounds.result(last.id).instances,
        drafts=sum(each.verdict is Verdict.ACCEPTED for each in candidates) if not finished else 0,
        overrides=overrides,
        stages=RAW_STAGES if method is None else method.stages,
    )


def _about_tasks(reader: Queries, round_id: int) -> Iterator[TaskText]:
    for stage in (Stage.CLASSIFY, Stage.INSTANCES):
        for each in reader.requests.completions(round_id, stage):
            if each.task_id is not None:
                yield TaskText(stage, each.ordinal, each.task_id, each.completion)


def _answers(reader: Queries, round_id: int, method: Method | None) -> Iterator[TaskText]:
    """The answers to the round's instances: several to one where the best of them is taken, or where it was asked for in other words."""
    completions = reader.requests.completions(round_id, Stage.ANSWER)
    if not completions:
        return
    planned = reader.requests.planned(round_id, Stage.ANSWER)
    first = {} if method is None else _in_other_words(method, [each.suffix for each in planned])
    asked = {each.id: (each.task_id, first.get(each.suffix, each.suffix)) for each in planned}
    of = Counter(asked[each.request_id] for each in completions)
    chosen = reader.instances.chosen_answers(round_id)
    drawn: Counter[tuple[int | None, str]] = Counter()
    for each in completions:
        if each.task_id is not None:
            question = asked[each.request_id]
            drawn[question] += 1
            draw = (drawn[question], of[question])
            yield TaskText(Stage.ANSWER, each.ordinal, each.task_id, each.completion, draw, each.request_id in chosen)


def _in_other_words(method: Method, texts: Sequence[str]) -> dict[str, str]:
    """The texts by how each is asked for once more."""
    template = Template.parse("answer_again", method.filled(method.prompts.answer_again))
    return {template.filled(text): text for text in texts}


Place = tuple[Stage, int]
"""A request: its stage and its ordinal."""


@dataclass
class StageProgress:
    """How far a stage is. `seconds` counts from its start to its end or, while it runs, to the last notice.

    `rate`: tokens a second, of all its requests together and from the first token on. It is another one once a second only: so it can
    be read, and is not drawn anew with every token.
    """

    state: str = "waiting"
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    tokens: int = 0
    rate: float = 0.0
    started: float = 0.0
    wrote: float = 0.0
    """When the first token came."""
    before: int = 0
    """How many were done when the requests under way were sent."""


@dataclass
class LiveText:
    """A completion as it grows. A piece of streamed text is about a token; the engine's own count replaces that at the end."""

    pieces: list[str] = field(default_factory=list)
    count: int = 0
    completion: Completion | None = None

    def add(self, piece: str) -> None:
        self.pieces.append(piece)
        self.count += 1

    @property
    def text(self) -> str:
        """All that came so far; once it is finished, what was stored."""
        if self.completion is not None:
            return self.completion.text
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


class LiveRound:
    """Folds events and pool readings; `view` is the newest reading, `novelty` what was known of each candidate when it was decided."""

    def __init__(self) -> None:
        self.number = 0
        self.view: RoundView | None = None
        self.generated = 0
        self.counted = False
        """Whether `generated` was read of the pool."""
        self.running: Stage | None = None
        self.stages = {stage: StageProgress() for stage in STAGES}
        self.texts: dict[Place, LiveText] = defaultdict(LiveText)
        self.changed_texts: set[Place] = set()
        self.decided: list[CandidateDecided] = []
        self._told: set[Place] = set()
        """The texts that were complete when the requests under way were sent."""
        self.own_order: tuple[Stage, ...] = RAW_STAGES
        """The stages of the rounds that the run plays, as far as is known."""

    @property
    def order(self) -> tuple[Stage, ...]:
        """The stages of the round: those it has been played with, or will be."""
        return self.own_order if self.view is None else self.view.stages

    @property
    def next_stage(self) -> Stage:
        """The stage that a step would do."""
        if self.view is None or self.view.next_stage is None:
            return Stage.SAMPLE
        return self.view.next_stage

    @property
    def prompts(self) -> Sequence[Prompt]:
        """The instruction requests, as far as the pool had them when it was read."""
        return self.view.prompts if self.view is not None else ()

    @property
    def task_texts(self) -> Sequence[TaskText]:
        """What the pool knew of the texts of later stages when it was read."""
        return self.view.task_texts if self.view is not None else ()

    def prompt(self, ordinal: int) -> Prompt | None:
        """The instruction request at `ordinal`."""
        return self.prompts[ordinal] if 0 <= ordinal < len(self.prompts) else None

    def text_about(self, stage: Stage, ordinal: int) -> TaskText | None:
        """A text of a later stage."""
        return next((each for each in self.task_texts if each.stage is stage and each.ordinal == ordinal), None)

    def novelty_of(self, position: int) -> Novelty | None:
        """What the novelty index said of the candidate at `position` of the round, while this session still knows."""
        return self.decided[position].novelty if position < len(self.decided) else None

    def apply(self, at: float, event: Event) -> None:
        """Take one event of the session, made `at` that second of the runner's clock."""
        match event:
            case RoundStarted(number, _):
                if number != self.number:
                    self._begin(number)
            case StageStarted(_, stage):
                self._start(stage, at)
            case RequestsSent(stage, count):
                # A stage may ask more than once.
                progress = self.stages[stage]
                progress.before, progress.total = progress.done, progress.done + count
                self._told = {place for place, text in self.texts.items() if place[0] is stage and text.completion is not None}
            case TextStreamed(stage, ordinal, text):
                self.texts[stage, ordinal].add(text)
                self.changed_texts.add((stage, ordinal))
                progress = self.stages[stage]
                progress.wrote = progress.wrote if progress.tokens else at
                progress.tokens += 1
            case RequestFinished(stage, ordinal, completion):
                self._finish_request((stage, ordinal), completion)
            case EngineRestarted(stage, _, _):
                self._forget(stage, self._told)
                self.stages[stage].done, self.stages[stage].tokens = self.stages[stage].before, 0
            case RequestRetried(stage, ordinal):
                self.texts[stage, ordinal] = LiveText()
                self.changed_texts.add((stage, ordinal))
            case CandidateDecided():
                self.decided.append(event)
            case TaskClassified():
                self.stages[Stage.CLASSIFY].done = max(self.stages[Stage.CLASSIFY].done, 1)
            case StageFinished(_, stage, _):
                self.stages[stage].state = "done"
                self.stages[stage].seconds = at - self.stages[stage].started
                self.running = None

    def tick(self, at: float) -> None:
        """Let the running stage's time pass."""
        if self.running is not None:
            progress = self.stages[self.running]
            seconds = max(at - progress.started, 0.0)
            # Of less than a second nothing can be said: sixteen sequences may begin at once.
            if int(seconds) != int(progress.seconds) and at - progress.wrote >= 1:
                progress.rate = progress.tokens / (at - progress.wrote)
            progress.seconds = seconds

    def read(self, view: RoundView | None, generated: int) -> None:
        """Take the round as the pool has it now; it settles what was guessed from the stream."""
        self.generated = generated
        self.counted = True
        if view is None:
            return
        if view.number != self.number or (self.view is not None and view.id != self.view.id):
            self._begin(view.number)
        self.view = view
        if len(self.decided) != len(view.candidates):
            self.decided = []
        self._settle(view)

    def interrupted(self) -> None:
        """The stage under way was given up: what it streamed stays on the screen as cancelled text."""
        if self.running is None:
            return
        self.stages[self.running].state = "cancelled"
        for (stage, _), text in self.texts.items():
            if stage is self.running and text.completion is None:
                text.completion = Completion(text.text, FinishReason.CANCELLED, 0, 0)
        self.running = None

    def _begin(self, number: int) -> None:
        self.number = number
        self.view = None
        self.running = None
        self.stages = {stage: StageProgress() for stage in STAGES}
        self.texts.clear()
        self.changed_texts.clear()
        self.decided = []

    def _start(self, stage: Stage, at: float) -> None:
        self._forget(stage)
        if self.view is not None:
            # What a server answered before the stage was interrupted is not asked again.
            self._take_texts(self.view)
        self.running = stage
        self.stages[stage] = StageProgress(state="running", started=at)
        if stage is Stage.FILTER:
            self.decided = []

    def _forget(self, stage: Stage, but: Collection[Place] = ()) -> None:
        for place in [place for place in self.texts if place[0] is stage and place not in but]:
            del self.texts[place]
        self.changed_texts = {place for place in self.changed_texts if place[0] is not stage}

    def _finish_request(self, place: Place, completion: Completion) -> None:
        progress = self.stages[place[0]]
        # What was cancelled is over, not done.
        progress.done += completion.finish_reason is not FinishReason.CANCELLED
        if place[0] is Stage.FILTER:
            # Candidates were measured: nothing was written.
            return
        text = self.texts[place]
        progress.tokens += completion.completion_tokens - text.count
        text.completion = completion
        self.changed_texts.add(place)

    def _settle(self, view: RoundView) -> None:
        """Stages before the next one are done, whoever did them; their texts are what the pool holds."""
        following = STAGES.index(view.next_stage) if view.next_stage is not None else len(STAGES)
        for place, stage in enumerate(STAGES):
            if place < following:
                self.stages[stage].state = "done"
            elif self.stages[stage].state == "done":
                # A person took the round back.
                self.stages[stage] = StageProgress()
                self._forget(stage)
        self._take_texts(view)

    def _take_texts(self, view: RoundView) -> None:
        for prompt in view.prompts:
            if prompt.completion is not None:
                written = (Stage.INSTRUCTIONS, prompt.ordinal)
                if self.texts[written].completion is None:
                    # In a pool that is gone on with, nothing of it was streamed: its candidates are found in it now.
                    self.changed_texts.add(written)
                self.texts[written].completion = prompt.completion
        for each in view.task_texts:
            self.texts[each.stage, each.ordinal].completion = each.completion
