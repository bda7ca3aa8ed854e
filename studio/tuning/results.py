"""What an evaluation came to: each contestant's figures with their intervals, how two of them differ on the same tasks, and tables of both.

Everything is computed from the stored answers, so it can be told again at any time. Tables show ROUGE-L and exact match times 100, as the
paper does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from string import ascii_uppercase
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight.studies.raters import wilson
from studio.insight.tables import plain_table
from studio.pool.evaluations import ContestantRecord, EvaluationItem, EvaluationRecord
from studio.pool.pool import Queries
from studio.text import display_line
from studio.tuning.scores import (
    RESAMPLES,
    AnswerScore,
    Estimate,
    Sheet,
    cut_to_words,
    estimate,
    mcnemar_p,
    permutation_p,
    rouge_l,
    score_sheet,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """The first's mean minus the second's over the same items, with its paired bootstrap interval and the p-value of a permutation test."""

    first: float
    second: float
    difference: Estimate
    p: float


@dataclass(frozen=True, slots=True)
class ExactDifference:
    """Right answers to classification items: how many only the first has, how many only the second, and McNemar's exact p-value."""

    items: int
    first_only: int
    second_only: int
    p: float


@dataclass(frozen=True, slots=True)
class PairFigures:
    """Two contestants over the `items` that both answered. All ROUGE-L figures are 0 to 1.

    `wins` and `losses` count the items on which the first has the higher and the lower ROUGE-L. `equal_length` is the control for length:
    both answers to an item cut to as many words as the shorter one has. What is left of a difference there is not that one of them stops.
    """

    first_id: int
    second_id: int
    first: str
    second: str
    items: int
    rouge_l: Difference
    wins: int
    losses: int
    equal_length: Difference
    exact_match: ExactDifference | None


def compare(
    items: Sequence[EvaluationItem], one: tuple[ContestantFigures, Sheet], two: tuple[ContestantFigures, Sheet], seed: str
) -> PairFigures | None:
    """Compare two contestants; None when no item has both their answers. Equal arguments give equal figures."""
    (first, our), (second, their) = one, two
    both = [item for item in items if item.position in our.scores and item.position in their.scores]
    if not both:
        return None
    ours = [our.scores[item.position].rouge_l for item in both]
    theirs = [their.scores[item.position].rouge_l for item in both]
    return PairFigures(
        first_id=first.id,
        second_id=second.id,
        first=first.label,
        second=second.label,
        items=len(both),
        rouge_l=_difference(both, ours, theirs, seed),
        wins=sum(a > b for a, b in zip(ours, theirs, strict=True)),
        losses=sum(a < b for a, b in zip(ours, theirs, strict=True)),
        equal_length=_at_equal_length(both, our, their, seed),
        exact_match=_exact(both, our, their),
    )


def _difference(items: Sequence[EvaluationItem], ours: Sequence[float], theirs: Sequence[float], seed: str) -> Difference:
    tasks = [item.task for item in items]
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    count = len(items)
    return Difference(sum(ours) / count, sum(theirs) / count, estimate(differences, tasks, seed), permutation_p(differences, tasks, seed))


def _at_equal_length(items: Sequence[EvaluationItem], our: Sheet, their: Sheet, seed: str) -> Difference:
    ours: list[float] = []
    theirs: list[float] = []
    for item in items:
        words = min(our.scores[item.position].words, their.scores[item.position].words)
        for scores, sheet in ((ours, our), (theirs, their)):
            whole = sheet.scores[item.position]
            cut = whole.words > words
            scores.append(rouge_l(cut_to_words(sheet.texts[item.position], words), item.outputs) if cut else whole.rouge_l)
    return _difference(items, ours, theirs, seed)


def _exact(items: Sequence[EvaluationItem], our: Sheet, their: Sheet) -> ExactDifference | None:
    pairs = [(our.scores[each.position].exact, their.scores[each.position].exact) for each in items if each.is_classification]
    if not pairs:
        return None
    first_only, second_only = (sum(pair == wanted for pair in pairs) for wanted in ((True, False), (False, True)))
    return ExactDifference(len(pairs), first_only, second_only, mcnemar_p(first_only, second_only))


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


def evaluation_result(pool: Queries, evaluation_id: int, contestants: Sequence[int] | None = None, *, seed: str = "0") -> EvaluationResult:
    """Compute the figures of an evaluation from its answers.

    `contestants` are the ids of those to tell of, the main one first; None means all, the one that came last with an adapter, or else the
    first, being the main one. Who has answered nothing is left out. Raises PoolError when there is no such evaluation.
    """
    record = pool.evaluations.get(evaluation_id)
    items = pool.evaluations.items(evaluation_id)
    chosen = _chosen(pool.evaluations.contestants(evaluation_id), contestants)
    sheets = {each.id: score_sheet(items, pool.evaluations.answers(each.id)) for each in chosen}
    figures = tuple(_figures(each, items, sheets[each.id].scores, seed) for each in chosen)
    main = figures[0] if figures else None
    pairs = [] if main is None else [compare(items, (main, sheets[main.id]), (other, sheets[other.id]), seed) for other in figures[1:]]
    unscorable = sum(not any(each.isascii() and each.isalnum() for each in "".join(item.outputs)) for item in items)
    return EvaluationResult(record, seed, RESAMPLES, unscorable, figures, tuple(pair for pair in pairs if pair is not None))


def _chosen(entered: Sequence[ContestantRecord], wanted: Sequence[int] | None) -> list[ContestantRecord]:
    answered: dict[int, ContestantRecord] = {each.id: each for each in entered if each.answered}
    if wanted is not None:
        return [answered[found] for found in wanted if found in answered]
    tuned = [each for each in answered.values() if each.contestant.adapter]
    main = tuned[-1:] or list(answered.values())[:1]
    return main + [each for each in answered.values() if each not in main]


def _figures(record: ContestantRecord, items: Sequence[EvaluationItem], scores: Mapping[int, AnswerScore], seed: str) -> ContestantFigures:
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
        rouge_l=estimate([each.rouge_l for each in scores.values()], [tasks[place] for place in scores], seed),
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


_LETTERS = dict(enumerate(ascii_uppercase))


def result_tables(result: EvaluationResult) -> Group:
    """All figures: who took part, a table of them, and one of each comparison."""
    record = result.evaluation
    head = (
        f"evaluation {record.id}: {display_line(record.name)}, {record.items} items, zero-shot, greedy, at most {record.max_tokens} tokens"
    )
    letters = {each.id: _LETTERS.get(place, f"#{place + 1}") for place, each in enumerate(result.contestants)}
    parts: list[Text | Table] = [Text(head), *_legend(result, letters), Text(), _contestants(result, letters)]
    if result.pairs:
        parts += [Text(), _pairs(result.pairs, letters)]
    if result.unscorable:
        parts.append(Text(f"{result.unscorable} items have references without Latin letters or digits: ROUGE-L gives them 0 always"))
    return Group(*parts)


def _legend(result: EvaluationResult, letters: Mapping[int, str]) -> list[Text]:
    lines = []
    for each in result.contestants:
        answered = "" if each.answered == result.evaluation.items else f", {each.answered} items answered"
        lines.append(Text(f"  {letters[each.id]}  {display_line(each.label, 90)}{answered}"))
    return lines


def _contestants(result: EvaluationResult, letters: Mapping[int, str]) -> Table:
    table = plain_table("", "ROUGE-L (95 % interval)", "exact match", "words", "cut", "refusals", "empty")
    for each in result.contestants:
        empty = f"{each.empty} ({each.unanswered} too long)" if each.unanswered else f"{each.empty}"
        counts = (f"{each.mean_words:.1f}", f"{each.cut}", f"{each.refusals}", empty)
        table.add_row(letters[each.id], estimate_words(each.rouge_l), exact_words(each), *counts)
    return table


def exact_words(each: ContestantFigures) -> str:
    """Return the share of exact matches with its interval, and of how many."""
    return "-" if each.exact_match is None else f"{estimate_words(each.exact_match)} of {each.exact_items}"


def _pairs(pairs: tuple[PairFigures, ...], letters: Mapping[int, str]) -> Table:
    table = plain_table("paired, task by task", "first", "second", "difference (95 % interval)", "p")
    for pair in pairs:
        names = f"{letters[pair.first_id]} and {letters[pair.second_id]}"
        table.add_row(f"{names}: ROUGE-L", *difference_words(pair.rouge_l))
        table.add_row("  at equal length", *difference_words(pair.equal_length))
        table.add_row(f"  higher on, of {pair.items}", f"{pair.wins}", f"{pair.losses}", "", "")
        if pair.exact_match is not None:
            exact = pair.exact_match
            table.add_row(f"  alone right, of {exact.items}", f"{exact.first_only}", f"{exact.second_only}", "", p_words(exact.p))
    return table


def difference_words(found: Difference) -> tuple[str, ...]:
    """Return both means, their difference and its p-value."""
    return (f"{100 * found.first:.1f}", f"{100 * found.second:.1f}", estimate_words(found.difference, "+"), p_words(found.p))


def estimate_words(found: Estimate, sign: str = "") -> str:
    """Return a mean and its interval, times 100; `sign` is `+` for differences."""
    return f"{100 * found.value:{sign}.1f} ({100 * found.low:{sign}.1f} to {100 * found.high:{sign}.1f})"


def p_words(value: float) -> str:
    """Return a p-value to four decimals."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
