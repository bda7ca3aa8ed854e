"""The page's figures of quality: what people said of a sample, and what a model said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from studio.insight import paper
from studio.insight.studies.agreement import Agreement, Share
from studio.insight.studies.judge_report import JudgeFigures
from studio.insight.studies.review_report import ReviewReport, agreement_words, sample_words, share_words
from studio.publish.charts import HEADING, Bar, bars
from studio.publish.elements import Html, figure, missing, table, tag
from studio.publish.publication import Publication
from studio.text import spoken


def quality_section(found: Publication) -> Iterator[Html]:
    """The paper's table 2 for every review that somebody has rated, and every judge. Raters are numbered, not named."""
    rated = [each for each in found.reviews if each.progress]
    if not rated:
        yield missing("Nobody has rated a sample of this pool yet:", "studio review POOL")
    for review in rated:
        yield from _review(review)
    for judge in found.judges:
        yield from _judge(judge)


def numbered(raters: list[str]) -> Mapping[str, str]:
    """Return what each rater is called in public: raters have not agreed to be named."""
    return {rater: f"rater {place}" for place, rater in enumerate(raters, 1)}


def agreement_table(pairs: list[tuple[str, str, Agreement]]) -> Html:
    """Return how far raters agree; given are who, on what, and the figures."""
    rows = ((who, what, *agreement_words(figures)) for who, what, figures in pairs)
    return table(("agreement of two raters", "", "items", "equal", "Cohen's kappa"), rows, words=(0, 1))


def _review(review: ReviewReport) -> Iterator[Html]:
    names = numbered([each.rater for each in review.progress])
    rows = []
    for row in review.table:
        rows += [Bar(row.words, kind=HEADING), Bar("Wang et al. 2022", row.paper, f"{row.paper:.0%}", kind="quiet-bar")]
        rows += [_bar(names[rater], share) for rater, share in row.raters.items()]
    caption = f"Share of yes with 95 % Wilson interval; {sample_words(review)}. Wang et al. rated {paper.QUALITY_TASKS} tasks of theirs."
    yield figure(bars("Quality as people rated it", rows), caption)
    if review.agreement:
        yield agreement_table(
            [(" and ".join(names[rater] for rater in each.raters), spoken(each.row), each.figures) for each in review.agreement]
        )


def _bar(name: str, share: Share) -> Bar:
    return Bar(name, share.share or 0.0, share_words(share), share.low, share.high, "good")


def _judge(judge: JudgeFigures) -> Iterator[Html]:
    name = judge.judge.model.name
    yield tag("h3", f"A model's opinion: {name}")
    together = judge.beside_people
    worth = (
        "how far it agrees with people stands below." if together else "nobody has rated these instances, so nothing is known of its worth."
    )
    yield tag("p", f"{judge.instances:,} instances judged with prompts {judge.judge.prompt_version}; {worth}")
    yield table(("share of yes, with 95 % Wilson interval", "judge"), ((row.words, share_words(row.share)) for row in judge.table))
    if together:
        yield agreement_table([("people and judge", spoken(each.row), each.figures) for each in together])
