"""The whole page: one HTML file that loads nothing and runs no script, for screens light and dark, and for paper.

What it says stands in `page.html`, its pieces in `parts.html`; here are the rows and charts that these ask for. Any text that comes into a
template is cleaned of control characters and escaped where it is put in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from studio import __version__
from studio.insight import paper
from studio.insight.diversity import phrase_rows, word_rows
from studio.insight.phrases import sunburst_chart, sunburst_style, sunburst_words
from studio.insight.statistics import Statistics
from studio.insight.statistics_report import (
    SOURCE_HEADINGS,
    file_rows,
    quality_headings,
    quality_rows,
    saturation_line,
    scorecard_rows,
    source_meanings,
    source_rows,
)
from studio.insight.story import Story
from studio.insight.story_report import Line, answer_line, story_sections
from studio.insight.studies.comparison import MEANING, GradingReport
from studio.insight.studies.judge import JudgeFigures
from studio.insight.studies.raters import Agreement
from studio.insight.studies.review import ReviewReport, sample_words
from studio.insight.tables import bin_edges
from studio.insight.texts import Distribution
from studio.loop.filters import REASONS
from studio.pool.evaluations import GRADES
from studio.pool.trainings import Side, TrainingRecord, TrainingState
from studio.publish.charts import HEADING, WIDTH, Bar, Chart, Series, Stack, bars, columns, curves, stacks
from studio.publish.publication import Publication, TrainingFacts, licence, public, readable, templates
from studio.text import display, display_line, spoken
from studio.tuning.results import EvaluationResult, PairFigures, difference_words, estimate_words, exact_words

if TYPE_CHECKING:
    from jinja2 import Template

SECTIONS: Mapping[str, str] = {
    "scorecard": "Scorecard",
    "decisions": "Candidates and decisions",
    "diversity": "Diversity",
    "quality": "Quality",
    "training": "Training",
    "evaluation": "Evaluation",
    "examples": "Examples",
    "provenance": "Provenance",
}
"""Name and heading of each section, in their order. A section that has nothing says which command would bring something."""
POINTS = 200
"""Of a curve at most, or about as many."""
LONGEST = 1500
"""Characters of an example that are shown."""
_TITLE = 120

Row = tuple[str, ...]


def page(found: Publication) -> str:
    """Return the page. Equal pools give equal pages: it does not tell when it was made."""
    return template("page.html").render(found=found, title=display_line(found.title, _TITLE))


@cache
def template(name: str) -> Template:
    """Return a template of this folder. Whatever is put into it is text, unless a template says `safe` or made it."""
    environment = templates(lambda value: value if hasattr(value, "__html__") else display(str(value)), escaped=True)
    environment.filters |= {"comma": "{:,}".format, "shortened": shortened}
    environment.globals |= {each.__name__: each for each in _ASKED_FOR}
    environment.globals |= {
        "sections": SECTIONS,
        "paper": paper,
        "grades": GRADES,
        "meaning": MEANING,
        "chart_width": WIDTH,
        "version": __version__,
        "source_headings": SOURCE_HEADINGS,
    }
    return environment.get_template(name)


def shortened(words: str) -> str:
    """Return an example's text, cut with a mark where it is very long."""
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}… ({len(words) - LONGEST:,} more characters)"


def length_chart(words: Distribution, name: str) -> Chart:
    return columns(f"Words of an {name}", [each.label for each in words.bins], [each.count for each in words.bins])


def decision_chart(figures: Statistics) -> Chart:
    rows = [("accepted", figures.accepted, "good"), *((reason, count, "bar") for reason, count in figures.rejected.items())]
    total = figures.candidates
    return bars(
        "Candidates by decision",
        [Bar(spoken(name), count / total, f"{count:,} ({count / total:.1%})", kind=kind) for name, count, kind in rows],
    )


def reason_rows(figures: Statistics) -> list[Row]:
    """Why candidates were rejected, and what that means."""
    return [(spoken(name), REASONS.get(name, "")) for name in figures.rejected]


def rounds_chart(figures: Statistics) -> Chart:
    """Accepted tasks over candidates, round by round."""
    candidates = accepted = 0
    points = [(0.0, 0.0)]
    for row in figures.rounds:
        candidates, accepted = candidates + row.candidates, accepted + row.accepted
        points.append((float(candidates), float(accepted)))
    shown = Series("accepted", _thinned(points), "curve0")
    return curves("Accepted tasks by candidates", [shown], "candidates", figures="{:,.0f}")


def _thinned(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    return (*points[: -1 : max(len(points) // POINTS, 1)], points[-1])


def saturation(figures: Statistics) -> str:
    """How much is still new, as a sentence."""
    words = saturation_line(figures.saturation)
    return f"{words[:1].upper()}{words[1:]}."


def review_chart(review: ReviewReport) -> Chart:
    """The paper's table 2 for every rater."""
    names = _numbered(review)
    rows = []
    for row in review.table:
        rows += [Bar(row.words, kind=HEADING), Bar("Wang et al. 2022", row.paper, f"{row.paper:.0%}", kind="quiet-bar")]
        rows += [Bar(names[rater], each.share or 0.0, each.words, each.low, each.high, "good") for rater, each in row.raters.items()]
    return bars("Quality as people rated it", rows)


def _numbered(report: ReviewReport | GradingReport) -> Mapping[str, str]:
    """Return what each rater is called in public: raters have not agreed to be named."""
    return {each.rater: f"rater {place}" for place, each in enumerate(report.progress, 1)}


def _agreement(who: str, what: str, figures: Agreement) -> Row:
    return who, what, *figures.words


def rater_agreement(review: ReviewReport) -> list[Row]:
    names = _numbered(review)
    return [_agreement(" and ".join(names[rater] for rater in each.raters), spoken(each.row), each.figures) for each in review.agreement]


def judge_rows(judge: JudgeFigures) -> list[Row]:
    """What a model said of the pool's instances."""
    return [(row.words, row.share.words) for row in judge.table]


def judge_agreement(judge: JudgeFigures) -> list[Row]:
    return [_agreement("people and judge", spoken(each.row), each.figures) for each in judge.beside_people]


def training_state(training: TrainingRecord) -> str:
    if training.state is TrainingState.STARTED:
        return "not finished"
    ended = {"epochs": "all epochs were trained", "early_stop": "stopped early by the validation loss"}.get(training.ended, training.ended)
    return f"finished {training.finished_at}: {ended}"


def training_settings(training: TrainingRecord) -> Mapping[str, str]:
    """The settings of a training by dotted key."""
    return readable(json.dumps(training.plan.settings))


def training_curve(found: TrainingFacts) -> Chart:
    series = []
    for place, (side, name) in enumerate(((Side.TRAIN, "training loss"), (Side.VALIDATION, "validation loss"))):
        if points := [(float(each.step), each.loss) for each in found.losses if each.side is side]:
            series.append(Series(name, _thinned(points), f"curve{place}"))
    return curves("Training curve", series, "optimiser steps")


def contestant_rows(result: EvaluationResult) -> list[Row]:
    rows: list[Row] = []
    for each in result.contestants:
        counts = (f"{each.mean_words:.1f}", f"{each.cut:,}", f"{each.refusals:,}", f"{each.empty:,}")
        rows.append((each.label, estimate_words(each.rouge_l), exact_words(each), *counts))
    return rows


def pair_rows(pair: PairFigures) -> list[Row]:
    return [("ROUGE-L", *difference_words(pair.rouge_l)), ("ROUGE-L at equal length", *difference_words(pair.equal_length))]


def grade_stacks(report: GradingReport) -> list[Stack]:
    """The grades that people gave to each contestant, and those of the paper."""
    rows = [Stack(each.label, each.counts) for each in report.contestants]
    return rows + [Stack(f"{name} (Wang et al.)", counts) for name, counts in paper.GRADES.items()]


def stack_rows(rows: Sequence[Stack]) -> list[Row]:
    return [(each.name, *(f"{count:,}" for count in each.counts)) for each in rows]


def grade_agreement(report: GradingReport) -> list[Row]:
    names = _numbered(report)
    rows = []
    for each in report.agreement:
        who = " and ".join(names[rater] for rater in each.raters)
        rows += [_agreement(who, "grades A to D", each.grades), _agreement(who, "acceptable (A or B)", each.acceptable)]
    return rows


def told(story: Story) -> tuple[str, str, list[str]]:
    """Return whether an example is in the data, what it is, and what was edited in it and done with it, by whom and when."""
    sections = {each.title: each.lines for each in story_sections(story, most=LONGEST)}
    (what, _, *hung), lines = sections[""], [*sections.get("Instances", ()), *sections.get("History", ())]
    return _plain(answer_line(story)), _plain(what), [_plain(each) for each in (*hung, *lines)]


def _plain(line: Line) -> str:
    return "".join(words for words, _ in line)


_ASKED_FOR: tuple[Any, ...] = (
    bin_edges, columns, stacks, length_chart, decision_chart, reason_rows, rounds_chart, saturation, scorecard_rows, word_rows,
    phrase_rows, sunburst_chart, sunburst_style, sunburst_words, review_chart, rater_agreement, sample_words, judge_rows,
    judge_agreement, training_state, training_settings, training_curve, public, licence, contestant_rows, pair_rows, grade_stacks,
    stack_rows, grade_agreement, told, source_rows, file_rows, quality_headings, quality_rows, source_meanings,
)  # fmt: skip
"""What the templates ask for by name."""
