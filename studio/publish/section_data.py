"""The page's figures of the data itself: the scorecard, what became of candidates, how rounds went, how far tasks are from others."""

from __future__ import annotations

from collections.abc import Iterator

from studio.insight.statistics.figures import BINS, Statistics
from studio.insight.statistics.report import saturation_line, scorecard_rows
from studio.insight.statistics.texts import Distribution
from studio.insight.tables import bin_edges
from studio.loop.filters import REASONS
from studio.publish.charts import Bar, Series, bars, columns, curves
from studio.publish.elements import Html, figure, missing, table, tag
from studio.publish.publication import Publication
from studio.text import spoken

POINTS = 200
"""Of a curve at most, or about as many."""


def scorecard(found: Publication) -> Iterator[Html]:
    """The paper's table 1 for this pool, and the lengths of its texts."""
    figures = found.statistics
    if not figures.generated:
        yield missing("The pool has no generated tasks yet:", "studio run POOL --headless --target 500")
        return
    yield table(("generated data", "this pool", "Wang et al. 2022"), scorecard_rows(figures))
    lengths = (("instruction", figures.instruction_words), ("input", figures.input_words), ("output", figures.output_words))
    for name, words in lengths:
        if words.count:
            title = f"Words of an {name}"
            yield figure(
                columns(title, [each.label for each in words.bins], [each.count for each in words.bins]), _length_words(name, words)
            )


def decisions(found: Publication) -> Iterator[Html]:
    """Candidates by what was decided of them, the yield of rounds, and the tasks' highest ROUGE-L."""
    figures = found.statistics
    if not figures.candidates:
        yield missing("No candidate has been decided yet:", "studio run POOL --headless --target 500")
        return
    total = figures.candidates
    rows = [("accepted", figures.accepted, "good"), *((reason, count, "bar") for reason, count in figures.rejected.items())]
    chart = bars(
        "Candidates by decision",
        [Bar(spoken(name), count / total, f"{count:,} ({count / total:.1%})", kind=kind) for name, count, kind in rows],
    )
    by_hand = found.provenance.by_hand
    hand = f" A person has the last word on {by_hand:,} of them." if by_hand else ""
    yield figure(chart, f"What became of {total:,} candidate instructions.{hand}")
    if figures.rejected:
        yield table(("reason", "what it means"), ((spoken(name), REASONS.get(name, "")) for name in figures.rejected), words=(0, 1))
    if len(figures.rounds) > 1:
        yield _rounds(figures)
    yield tag("p", _sentence(saturation_line(figures.saturation)))
    if figures.generated:
        yield from _scores(figures)


def _length_words(name: str, words: Distribution) -> str:
    return (
        f"{name.capitalize()}s by length in words: median {words.median:,}, mean {words.mean:.1f}; nine of ten between {words.q05:,} and"
        f" {words.q95:,}; longest {words.maximum:,}."
    )


def _rounds(figures: Statistics) -> Html:
    candidates = accepted = 0
    points = []
    for row in figures.rounds:
        candidates, accepted = candidates + row.candidates, accepted + row.accepted
        points.append((float(candidates), float(accepted)))
    step = max(len(points) // POINTS, 1)
    shown = (*points[:-1:step], points[-1])
    chart = curves("Accepted tasks by candidates", [Series("accepted", shown, "curve0")], "candidates", figures="{:,.0f}")
    return figure(chart, f"Accepted tasks over candidates in {len(points):,} rounds: where the curve flattens, new ideas run out.")


def _scores(figures: Statistics) -> Iterator[Html]:
    names = bin_edges(BINS)
    shown = (
        ("to a seed task", figures.seed_score_histogram, figures.mean_seed_score),
        ("to any task of the pool", figures.nearest_score_histogram, figures.mean_nearest_score),
    )
    for what, counts, mean in shown:
        chart = columns(f"Highest ROUGE-L {what}", names, counts)
        yield figure(chart, f"Generated tasks by their highest ROUGE-L {what} when they were decided; mean {mean:.3f}.")


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
