"""What if the rule had been another one: the stored candidates decided again, in their order, without a model call.

The result is what deciding every candidate anew against the pool as it would then have been gives, but most of that is on record already:
a candidate's stored score is the highest over the tasks there were. It stays so unless the replay has *removed* its nearest task, and only
what the replay has *added* must be compared on top. So moving the threshold costs about as much as the candidates that flip.

Whatever is unlikely, by its stored nats a token and a limit of them, is rejected after the filters and before novelty is asked for. Each
instance is decided again by itself, by the stored scores of its answer.

What a person decided stands: such a candidate keeps its verdict, and from its place on the others are compared with it or no longer. A
task that a person rejected counts as rejected throughout where a score has to be computed anew. Where nothing is changed a candidate stays
as it was decided, so without a change there are no flips; nor are there any under the same change once it was applied.

A person may have what flips decided so: then what another rule would have decided is what holds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import groupby, islice

from studio.loop.filters import (
    DISAGREEMENT,
    FILTERS,
    PASSAGE_REASONS,
    UNLIKELY,
    UNLIKELY_ANSWER,
    VALID,
    disagrees,
    first_failure,
    is_unlikely,
)
from studio.loop.novelty import NoveltyIndex
from studio.loop.runs import overridden, stored_method
from studio.loop.settings import Method
from studio.loop.tokens import TOKENIZERS
from studio.pool.candidates import RuleDecision
from studio.pool.instances import ScoredAnswer
from studio.pool.pool import Queries
from studio.records import Decider, Verdict

BY_SCORE = (VALID, DISAGREEMENT, UNLIKELY_ANSWER)
"""Reasons of instances that passed every rule but those about scores; of the others no limit makes anything else."""


@dataclass(frozen=True, slots=True)
class InstanceFlip:
    """An instance that would have been decided otherwise: `before` and `after` are reason codes, `valid` the accepting one.

    `agreement` is that of its answer, `text`, with the others drawn: mean ROUGE-L F1, 0 to 1; `nats` a token say how likely the first one
    is. Both are None where nobody knows.
    """

    instance_id: int
    task_id: int
    text: str
    before: str
    after: str
    agreement: float | None
    nats: float | None

    @property
    def accepted(self) -> bool:
        return self.after == VALID


PARSER_REASONS = ("truncated", "thinking", "preamble", "unmarked", "malformed_item", *PASSAGE_REASONS)
"""Reasons that come before any filter; no other rule could have accepted these candidates."""

_PASSED = ("novel", "not_novel", UNLIKELY)
"""Reasons of candidates that passed every filter."""

AT_A_TIME = 64
"""Candidates that are compared at once."""
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Change:
    """Another rule. `threshold` None leaves each run its own; `filters` switches filters on and off by name, those not named stay.

    `max_nats` and `max_answer_nats` None leave each round its own limits, `min_agreement` None what was decided of agreement; without the
    latter two every instance stays as it was decided. Of candidates that nobody measured, which no limit rejects, there may be more under
    other filters.
    """

    threshold: float | None = None
    filters: Mapping[str, bool] = field(default_factory=dict, hash=False)
    max_nats: float | None = None
    min_agreement: float | None = None
    max_answer_nats: float | None = None

    def apply(self, method: Method) -> Method:
        """The method with this change in it. A filter switched on comes where the registry has it, after the method's own."""
        names = [name for name in method.filters if self.filters.get(name, True)]
        names += [name for name in FILTERS if self.filters.get(name, False) and name not in names]
        threshold = method.threshold if self.threshold is None else self.threshold
        return method.model_copy(update={"threshold": threshold, "filters": tuple(names)})

    def unlikely(self, each: RuleDecision) -> bool:
        """Whether a candidate is less likely than this lets one be, or its own round did."""
        return is_unlikely(each.nats, each.max_nats if self.max_nats is None else self.max_nats)

    @property
    def is_of_answers(self) -> bool:
        """Whether it changes a limit of answers."""
        return self.min_agreement is not None or self.max_answer_nats is not None

    def answer_reason(self, each: ScoredAnswer) -> str:
        """The reason code of an answer that breaks no other rule. Agreement comes first, as when it was decided."""
        apart = each.reason == DISAGREEMENT if self.min_agreement is None else disagrees(each.agreement, self.min_agreement)
        if apart:
            return DISAGREEMENT
        if self.max_answer_nats is None and each.reason != DISAGREEMENT:
            # As it was decided: the limit is not asked of what a person had answered besides.
            return each.reason
        limit = each.max_nats if self.max_answer_nats is None else self.max_answer_nats
        return UNLIKELY_ANSWER if is_unlikely(each.nats, limit) else VALID


@dataclass(frozen=True, slots=True)
class Flip:
    """A candidate that would have been decided otherwise: `before` and `after` are reason codes, `novel` the accepting one.

    `score` is the highest ROUGE-L F1 (0 to 1) over the pool as it would have been; `nats` say how likely it is as a user's turn, None where
    nobody measured.
    """

    candidate_id: int
    task_id: int | None
    text: str
    before: str
    after: str
    score: float
    nats: float | None = None

    @property
    def accepted(self) -> bool:
        return self.after == "novel"


@dataclass(frozen=True, slots=True)
class Outcome:
    """All candidates decided again. `before` and `after` count them by reason; those that a person decided are under `human`.

    `instances` are those that would have been decided otherwise.
    """

    flips: tuple[Flip, ...]
    before: Mapping[str, int] = field(hash=False)
    after: Mapping[str, int] = field(hash=False)
    pinned_accepted: int
    candidates: int
    instances: tuple[InstanceFlip, ...] = ()

    @property
    def accepted_before(self) -> int:
        return self.before.get("novel", 0) + self.pinned_accepted

    @property
    def accepted_after(self) -> int:
        return self.after.get("novel", 0) + self.pinned_accepted


@dataclass(slots=True)
class _Indexes:
    """The texts of one tokeniser that may have to be compared: what was added, and, once needed, all that was there."""

    added: NoveltyIndex
    there: NoveltyIndex
    instructions: Iterator[tuple[int, str, bool]]
    waiting: tuple[int, str, bool] | None = None


class _Replay:
    def __init__(self, reader: Queries, change: Change) -> None:
        self._reader = reader
        self._change = change
        self._runs = {run.id: stored_method(run) for run in reader.runs.all()}
        self._methods: dict[tuple[int, str], tuple[Method, Method]] = {}
        self._indexes: dict[str, _Indexes] = {}
        self._added: list[tuple[int, str]] = []
        self._removed: set[int] = set()
        self._last_task = 0
        self.flips: list[Flip] = []
        self.before: Counter[str] = Counter()
        self.after: Counter[str] = Counter()
        self.pinned_accepted = 0

    def decide(self, piece: list[RuleDecision]) -> None:
        """Decide candidates of one round again; all of them had the same rules."""
        method, changed = self._rules(piece[0])
        failures = [self._failure(each, method, changed) for each in piece]
        added = self._indexes_of(changed.tokenizer).added
        compared = [place for place, failure in enumerate(failures) if not failure and piece[place].pinned is None]
        batch = cache(lambda: added.batch([piece[place].text for place in compared]))

        def added_score(place: int) -> float:
            """The score to what the replay has added so far; nothing is compared before something was."""
            return batch().novelty(compared.index(place)).score if len(added) else 0.0

        for place, each in enumerate(piece):
            if each.pinned is not None:
                self._keep(each, each.pinned)
            elif changed == method and self._change.max_nats is None and not self.flips:
                self._count(each, each.reason, each.score)
            else:
                after, score = failures[place], each.score
                if not after:
                    after, score = self._novelty(each, (method, changed), partial(added_score, place), self._bound(piece, place))
                self._count(each, after, score)
            if each.verdict is Verdict.ACCEPTED and each.task_id is not None:
                self._last_task = each.task_id

    def _novelty(self, each: RuleDecision, rules: tuple[Method, Method], added_score: Callable[[], float], bound: int) -> tuple[str, float]:
        """The reason and the score of a candidate that passes the filters."""
        method, changed = rules

        def reason(score: float) -> str:
            if score == each.score and changed.threshold == method.threshold and each.reason in ("novel", "not_novel"):
                # As it was decided; a person may have set the round's threshold afterwards, for the next one.
                return each.reason
            return "novel" if changed.is_novel(score) else "not_novel"

        score = self._score(each, changed, bound)
        if reason(score) == "not_novel" and each.reason != "novel":
            # Comparing it with what was added could only raise the score.
            return "not_novel", score
        score = max(score, added_score())
        return reason(score), score

    def _keep(self, each: RuleDecision, pinned: Verdict) -> None:
        """Let stand what a person decided, for the candidates that follow as well."""
        self.before["human"] += 1
        self.after["human"] += 1
        self.pinned_accepted += pinned is Verdict.ACCEPTED
        if pinned is not each.verdict:
            self._turn(each, each.standing, accepted=pinned is Verdict.ACCEPTED)

    def _count(self, each: RuleDecision, after: str, score: float) -> None:
        was, now = each.reason == "novel", after == "novel"
        self.before[each.reason] += 1
        self.after[after] += 1
        if was == now:
            return
        self.flips.append(Flip(each.candidate_id, each.task_id, each.text, each.reason, after, score, each.nats))
        self._turn(each, each.text, accepted=now)

    def _turn(self, each: RuleDecision, text: str, *, accepted: bool) -> None:
        """Let a task with `text` be there for the candidates that follow, or be gone."""
        if accepted:
            self._added.append((-each.candidate_id, text))
            for indexes in self._indexes.values():
                indexes.added.add(-each.candidate_id, text, is_seed=False)
        elif each.task_id is not None:
            self._removed.add(each.task_id)

    def _rules(self, each: RuleDecision) -> tuple[Method, Method]:
        key = (each.run_id, each.overrides)
        if key not in self._methods:
            method = self._runs[each.run_id]
            if each.overrides:
                method = overridden(method, json.loads(each.overrides))
            self._methods[key] = (method, self._change.apply(method))
        return self._methods[key]

    def _failure(self, each: RuleDecision, method: Method, changed: Method) -> str:
        if each.reason in PARSER_REASONS:
            return each.reason
        if changed.filters == method.filters:
            failure = "" if each.reason in _PASSED else each.reason
        else:
            failure = first_failure(each.text, changed, each.source)
        return failure or (UNLIKELY if self._change.unlikely(each) else "")

    def _score(self, each: RuleDecision, changed: Method, bound: int) -> float:
        """The highest score over the tasks there were then, without those removed."""
        if each.nearest is None or each.nearest not in self._removed:
            return each.score
        if each.verdict is Verdict.ACCEPTED:
            for neighbour in self._reader.candidates.neighbours(each.candidate_id):
                if neighbour.task_id not in self._removed:
                    return neighbour.score
        indexes = self._indexes_of(changed.tokenizer)
        self._fill(indexes, bound)
        return indexes.there.batch([each.text]).novelty(0).score

    def _indexes_of(self, tokenizer: str) -> _Indexes:
        if tokenizer not in self._indexes:
            split = TOKENIZERS[tokenizer]
            made = _Indexes(NoveltyIndex(split), NoveltyIndex(split), self._reader.tasks.instructions())
            made.added.extend((task_id, text, False) for task_id, text in self._added)
            self._indexes[tokenizer] = made
        return self._indexes[tokenizer]

    def _fill(self, indexes: _Indexes, bound: int) -> None:
        """Let `there` hold all tasks below `bound` that are not removed. Those removed later than this have higher ids."""

        def until_bound() -> Iterator[tuple[int, str, bool]]:
            while (row := indexes.waiting or next(indexes.instructions, None)) is not None:
                indexes.waiting = row if row[0] >= bound else None
                if indexes.waiting is not None:
                    return
                if row[0] not in self._removed:
                    yield row

        indexes.there.extend(until_bound())

    def _bound(self, piece: list[RuleDecision], place: int) -> int:
        """Tasks with lower ids were there when the candidate was decided: a round's own follow it without a gap."""
        following = (each.task_id for each in piece[place:] if each.verdict is Verdict.ACCEPTED and each.task_id is not None)
        return next(following, max(self._last_task, piece[place].nearest or 0) + 1)


def what_if(reader: Queries, change: Change, progress: Progress = lambda _: None) -> Outcome:
    """Decide all stored candidates again under `change`. `progress` is told how many are done, and may raise to give up.

    Without a change the outcome equals what is stored, and there are no flips. Raises PoolError as reading does.
    """
    replay = _Replay(reader, change)
    done = 0
    with closing(reader.candidates.rule_decisions()) as decisions:
        for piece in _pieces(decisions):
            replay.decide(piece)
            done += len(piece)
            progress(done)
    instances = tuple(_answers_again(reader, change)) if change.is_of_answers else ()
    return Outcome(tuple(replay.flips), replay.before, replay.after, replay.pinned_accepted, done, instances)


def _answers_again(reader: Queries, change: Change) -> Iterator[InstanceFlip]:
    """Decide the instances of tasks that are not retired again. What a person decided stands."""
    for each in reader.instances.scored_answers():
        if each.decided_by is Decider.RULE and each.reason in BY_SCORE:
            after = change.answer_reason(each)
            if (after == VALID) is not (each.reason == VALID):
                yield InstanceFlip(each.id, each.task_id, each.output, each.reason, after, each.agreement, each.nats)


def _pieces(decisions: Iterable[RuleDecision]) -> Iterator[list[RuleDecision]]:
    """Cut the decisions into pieces of one round each, at most `AT_A_TIME` long."""
    for _, of_round in groupby(decisions, key=lambda each: each.round_id):
        while piece := list(islice(of_round, AT_A_TIME)):
            yield piece
