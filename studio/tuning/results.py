"""What an evaluation came to: each contestant's figures with their intervals, and how two of them differ on the same tasks.

Everything is computed from the stored answers, so it can be told again at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from studio.insight.studies.agreement import wilson
from studio.pool.pool import Queries
from studio.pool.studies.evaluations import ContestantRecord, EvaluationItem, EvaluationRecord
from studio.tuning.bootstrap import RESAMPLES, Estimate, estimate
from studio.tuning.differences import PairFigures, compare
from studio.tuning.scores import AnswerScore, score_sheet

SEED = "0"


@dataclass(frozen=True, slots=True)
class ContestantFigures:
    """One contestant's figures over the items it has answered, with 95 % intervals.

    `rouge_l` and `exact_match` are 0 to 1. The former's interval is by the bootstrap over tasks; the latter is of the `exact_items` of
    classification tasks, None without any, and has Wilson's interval of a share. Words are parted by white space. `cut` answers reached
    the limit of tokens; `unanswered` prompts did not fit the context and count as empty answers.
    """

    id: int
    label: str
    model: str
    sha256: str
    quantisation: str
    adapter: str
    adapter_sha256: str
    format: str
    answered: int
    rouge_l: Estimate
    exact_items: int
    exact_match: Estimate | None
    mean_words: float
    median_words: float
    mean_tokens: float
    cut: int
    refusals: int
    empty: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """An evaluation as far as it is answered. `pairs` compare the main contestant, the first of each, with every other one.

    `seed` and `resamples` are those of the intervals and tests. `unscorable` items have references without a Latin letter or digit: their
    ROUGE-L is 0 whatever is answered.
    """

    evaluation: EvaluationRecord
    seed: str
    resamples: int
    unscorable: int
    contestants: tuple[ContestantFigures, ...]
    pairs: tuple[PairFigures, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def evaluation_result(
    pool: Queries,
    evaluation_id: int,
    contestants: Sequence[int] | None = None,
    *,
    seed: str = SEED,
    resamples: int = RESAMPLES,
) -> EvaluationResult:
    """Compute the figures of an evaluation from its answers.

    `contestants` are the ids of those to tell of, the main one first; None means all, the one that came last with an adapter, or else the
    first, being the main one. Who has answered nothing is left out. Raises PoolError when there is no such evaluation.
    """
    record = pool.evaluation(evaluation_id)
    items = pool.evaluation_items(evaluation_id)
    chosen = _chosen(pool.contestants(evaluation_id), contestants)
    sheets = {each.id: score_sheet(items, pool.contestant_answers(each.id)) for each in chosen}
    figures = tuple(_figures(each, items, sheets[each.id].scores, seed, resamples) for each in chosen)
    main = figures[0] if figures else None
    pairs = [] if main is None else [compare(items, (main, sheets[main.id]), (other, sheets[other.id]), seed) for other in figures[1:]]
    unscorable = sum(not any(_scorable(output) for output in item.outputs) for item in items)
    return EvaluationResult(record, seed, resamples, unscorable, figures, tuple(pair for pair in pairs if pair is not None))


def _chosen(entered: Sequence[ContestantRecord], wanted: Sequence[int] | None) -> list[ContestantRecord]:
    answered: dict[int, ContestantRecord] = {each.id: each for each in entered if each.answered}
    if wanted is not None:
        return [answered[found] for found in wanted if found in answered]
    tuned = [each for each in answered.values() if each.contestant.adapter]
    main = tuned[-1:] or list(answered.values())[:1]
    return main + [each for each in answered.values() if each not in main]


def _figures(
    record: ContestantRecord, items: Sequence[EvaluationItem], scores: Mapping[int, AnswerScore], seed: str, resamples: int
) -> ContestantFigures:
    contestant = record.contestant
    tasks = {item.position: item.task for item in items}
    exact = [item.position for item in items if item.is_classification and item.position in scores]
    return ContestantFigures(
        id=record.id,
        label=contestant.label,
        model=contestant.model.name,
        sha256=contestant.model.sha256,
        quantisation=contestant.model.quantisation,
        adapter=contestant.adapter,
        adapter_sha256=contestant.adapter_sha256,
        format=contestant.format,
        answered=len(scores),
        rouge_l=estimate([each.rouge_l for each in scores.values()], [tasks[place] for place in scores], seed, resamples),
        exact_items=len(exact),
        exact_match=_share([scores[place].exact for place in exact]) if exact else None,
        mean_words=fmean(each.words for each in scores.values()),
        median_words=median(each.words for each in scores.values()),
        mean_tokens=fmean(each.tokens for each in scores.values()),
        cut=sum(each.cut for each in scores.values()),
        refusals=sum(each.refusal for each in scores.values()),
        empty=sum(each.empty for each in scores.values()),
        unanswered=sum(each.unanswered for each in scores.values()),
    )


def _share(exact: Sequence[bool]) -> Estimate:
    """A bootstrap interval of answers that are all wrong would be of width 0, however few they are."""
    yes, count = sum(exact), len(exact)
    return Estimate(yes / count, *wilson(yes, count))


def _scorable(output: str) -> bool:
    return any(character.isascii() and character.isalnum() for character in output)
