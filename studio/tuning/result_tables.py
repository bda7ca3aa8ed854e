"""The result of an evaluation as tables for a terminal. ROUGE-L and exact match are shown times 100, as the paper does."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_uppercase

from rich.console import Group
from rich.table import Table
from rich.text import Text

from studio.insight.tables import plain_table
from studio.text import display_line
from studio.tuning.bootstrap import Estimate
from studio.tuning.differences import Difference, PairFigures
from studio.tuning.results import ContestantFigures, EvaluationResult


def result_tables(result: EvaluationResult) -> Group:
    """All figures: who took part, a table of them, and one of each comparison."""
    record = result.evaluation
    head = (
        f"evaluation {record.id}: {display_line(record.name)}, {record.items} items, zero-shot, greedy, at most {record.max_tokens} tokens"
    )
    letters = {each.id: _letter(place) for place, each in enumerate(result.contestants)}
    parts: list[Text | Table] = [Text(head), *_legend(result, letters), Text(), _contestants(result, letters)]
    if result.pairs:
        parts += [Text(), _pairs(result.pairs, letters)]
    if result.unscorable:
        parts.append(Text(f"{result.unscorable} items have references without Latin letters or digits: ROUGE-L gives them 0 always"))
    return Group(*parts)


def _letter(place: int) -> str:
    return ascii_uppercase[place] if place < len(ascii_uppercase) else f"#{place + 1}"


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
        table.add_row(letters[each.id], estimate_words(each.rouge_l), _exact(each), *counts)
    return table


def _exact(each: ContestantFigures) -> str:
    return "-" if each.exact_match is None else f"{estimate_words(each.exact_match)} of {each.exact_items}"


def _pairs(pairs: tuple[PairFigures, ...], letters: Mapping[int, str]) -> Table:
    table = plain_table("paired, task by task", "first", "second", "difference (95 % interval)", "p")
    for pair in pairs:
        names = f"{letters[pair.first_id]} and {letters[pair.second_id]}"
        table.add_row(f"{names}: ROUGE-L", *_difference(pair.rouge_l))
        table.add_row("  at equal length", *_difference(pair.equal_length))
        table.add_row(f"  higher on, of {pair.items}", f"{pair.wins}", f"{pair.losses}", "", "")
        if pair.exact_match is not None:
            exact = pair.exact_match
            table.add_row(f"  alone right, of {exact.items}", f"{exact.first_only}", f"{exact.second_only}", "", p_words(exact.p))
    return table


def _difference(found: Difference) -> tuple[str, ...]:
    return (f"{100 * found.first:.1f}", f"{100 * found.second:.1f}", estimate_words(found.difference, "+"), p_words(found.p))


def estimate_words(found: Estimate, sign: str = "") -> str:
    """Return a mean and its interval, times 100; `sign` is `+` for differences."""
    return f"{100 * found.value:{sign}.1f} ({100 * found.low:{sign}.1f} to {100 * found.high:{sign}.1f})"


def p_words(value: float) -> str:
    """Return a p-value to four decimals."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
