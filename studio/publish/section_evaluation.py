"""The page's account of evaluation: the figures of base and tuned, what they answered, and what people thought of it."""

from __future__ import annotations

from collections.abc import Iterator

from studio.insight import paper
from studio.insight.studies.comparison import MEANING
from studio.insight.studies.comparison_report import GradingReport
from studio.pool.studies.comparisons import GRADES
from studio.publish.charts import Stack, stacks
from studio.publish.elements import Html, facts, figure, joined, missing, table, tag
from studio.publish.publication import AnsweredExample, EvaluationFacts, Publication
from studio.publish.section_examples import quoted, shortened
from studio.publish.section_quality import agreement_table, numbered
from studio.tuning.results import EvaluationResult, estimate_words, p_words


def evaluation_section(found: Publication) -> Iterator[Html]:
    """Every evaluation of the pool, the newest first."""
    if not found.evaluations:
        yield missing("Nothing has been evaluated with this pool yet:", "studio evaluate POOL")
    for each in found.evaluations:
        yield from _evaluation(each)


def _evaluation(found: EvaluationFacts) -> Iterator[Html]:
    record = found.evaluation
    yield tag("h3", f"{record.name}: {record.items:,} items")
    yield facts(
        [
            ("items", joined(("sha256 ", tag("code", record.fingerprint)))),
            ("decoding", f"greedy, at most {record.max_tokens:,} tokens"),
            *((f"contestant {place}", each.contestant.label) for place, each in enumerate(found.contestants, 1)),
        ]
    )
    yield from _figures(found.result)
    for comparison in found.comparisons:
        yield from _grades(comparison)
    if found.examples:
        yield tag("h4", "Answers")
        yield tag("p", f"{len(found.examples)} of {record.items:,} items, drawn at random.", class_="note")
        yield from (_answers(found, each) for each in found.examples)


def _figures(result: EvaluationResult) -> Iterator[Html]:
    headings = ("zero-shot, times 100 with 95 % interval", "ROUGE-L", "exact match", "words", "cut", "refusals", "empty")
    rows = []
    for each in result.contestants:
        exact = "-" if each.exact_match is None else f"{estimate_words(each.exact_match)} of {each.exact_items}"
        counts = (f"{each.mean_words:.1f}", f"{each.cut:,}", f"{each.refusals:,}", f"{each.empty:,}")
        rows.append((each.label, estimate_words(each.rouge_l), exact, *counts))
    if rows:
        yield table(headings, rows)
    for pair in result.pairs:
        what = (("ROUGE-L", pair.rouge_l), ("ROUGE-L at equal length", pair.equal_length))
        lines = [
            (name, f"{100 * each.first:.1f}", f"{100 * each.second:.1f}", estimate_words(each.difference, "+"), p_words(each.p))
            for name, each in what
        ]
        yield tag(
            "p", f"{pair.first} and {pair.second}, paired on {pair.items:,} items: higher ROUGE-L on {pair.wins:,} and {pair.losses:,}."
        )
        yield table(("paired", "first", "second", "difference (95 % interval)", "p"), lines)


def _grades(report: GradingReport) -> Iterator[Html]:
    if not report.progress:
        return
    yield tag("h4", "Graded by people, blind")
    if report.blind:
        yield tag("p", "The raters are not done yet, so the grades stay blind.", class_="note")
        return
    rows = [Stack(each.label, each.counts) for each in report.contestants]
    rows += [Stack(f"{name} (Wang et al.)", counts) for name, counts in paper.GRADES.items()]
    meaning = "; ".join(f"{grade} {words}" for grade, words in MEANING.items())
    raters = f"{len(report.progress)} rater{'s' if len(report.progress) > 1 else ''}, {report.items:,} items"
    yield figure(
        stacks("Grades of answers", GRADES, rows), f"{meaning}. {raters}; Wang et al. 2022 graded {paper.GRADED_TASKS} tasks of theirs."
    )
    headings = ("grades", *GRADES)
    yield table(headings, ((each.name, *(f"{count:,}" for count in each.counts)) for each in rows))
    if report.agreement:
        names = numbered([each.rater for each in report.progress])
        pairs = []
        for each in report.agreement:
            who = " and ".join(names[rater] for rater in each.raters)
            pairs += [(who, "grades A to D", each.grades), (who, "acceptable (A or B)", each.acceptable)]
        yield agreement_table(pairs)


def _answers(found: EvaluationFacts, example: AnsweredExample) -> Html:
    item = example.item
    parts = [tag("h4", shortened(item.instruction))]
    if item.input:
        parts += [tag("p", "Input", class_="field"), quoted(item.input)]
    parts += [tag("p", "Reference", class_="field"), quoted(item.outputs[0] if item.outputs else "")]
    for record, answer in zip(found.contestants, example.answers, strict=True):
        shown = tag("p", "(no answer yet)", class_="note") if answer is None else quoted(answer)
        parts += [tag("p", record.contestant.label, class_="field"), shown]
    return tag("article", *parts)
