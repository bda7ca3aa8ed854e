"""The whole page: one HTML file that loads nothing and runs no script, for screens light and dark, and for paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files

from studio import __version__
from studio.insight.diversity.sunburst import SUNBURST_STYLE
from studio.publish.elements import Html, joined, tag, text
from studio.publish.publication import Publication
from studio.publish.section_data import decisions, scorecard
from studio.publish.section_diversity import diversity_section
from studio.publish.section_evaluation import evaluation_section
from studio.publish.section_examples import examples_section
from studio.publish.section_provenance import licence_words, provenance_section
from studio.publish.section_quality import quality_section
from studio.publish.section_training import training_section
from studio.text import display_line

Section = Callable[[Publication], Iterator[Html]]

SECTIONS: tuple[tuple[str, str, Section], ...] = (
    ("scorecard", "Scorecard", scorecard),
    ("decisions", "Candidates and decisions", decisions),
    ("diversity", "Diversity", diversity_section),
    ("quality", "Quality", quality_section),
    ("training", "Training", training_section),
    ("evaluation", "Evaluation", evaluation_section),
    ("examples", "Examples", examples_section),
    ("provenance", "Provenance", provenance_section),
)
"""Name, heading and contents of each section, in their order. A section that has nothing says which command would bring something."""

_TITLE = 120


def page(found: Publication) -> str:
    """Return the page. Equal pools give equal pages: it does not tell when it was made."""
    title = display_line(found.title, _TITLE)
    head = (
        '<meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_style()}</style>"
    )
    contents = tag("nav", *(tag("a", heading, href=f"#{name}") for name, heading, _ in SECTIONS), aria_label="Sections")
    sections = (tag("section", tag("h2", heading), *section(found), id=name) for name, heading, section in SECTIONS)
    body = joined((tag("header", tag("h1", title), *_summary(found)), contents, tag("main", *sections), _footer()))
    return f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _summary(found: Publication) -> Iterator[Html]:
    figures = found.statistics
    models = ", ".join(f"{each.name} (licence: {licence_words(each)})" for each in found.provenance.models)
    by = f" by {models}" if models else ""
    yield tag(
        "p",
        f"An instruction dataset written{by} in the Self-Instruct loop of Wang et al. 2022 (arXiv 2212.10560)"
        f" from {figures.seeds:,} seed tasks.",
    )
    tiles = [
        (f"{figures.generated:,}", "generated instructions"),
        (f"{figures.instances:,}", "instances"),
        (f"{figures.acceptance_rate:.0%}" if figures.candidates else "-", f"of {figures.candidates:,} candidates accepted"),
        (f"{figures.mean_seed_score:.2f}" if figures.generated else "-", "mean highest ROUGE-L to a seed"),
    ]
    yield tag("div", *(tag("div", tag("strong", value), tag("span", words)) for value, words in tiles), class_="tiles")
    if found.provenance.written_until:
        yield tag("p", f"State of the pool: {found.provenance.written_until}.", class_="note")


def _footer() -> Html:
    return tag(
        "footer",
        tag("p", f"Made by Self-Instruct Studio {__version__} from the pool's own records."),
    )


def _style() -> str:
    return files("studio.publish").joinpath("page.css").read_text(encoding="utf-8") + SUNBURST_STYLE
