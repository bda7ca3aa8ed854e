"""The page's figures of diversity: words, and root verbs with their objects."""

from __future__ import annotations

from collections.abc import Iterator

from studio.insight.diversity.figures import phrase_rows, word_rows
from studio.insight.diversity.sunburst import sunburst_chart, sunburst_words
from studio.publish.elements import Html, missing, table, tag
from studio.publish.publication import Publication


def diversity_section(found: Publication) -> Iterator[Html]:
    """What the words are like; with a parser, the paper's figure of verbs and objects, too."""
    figures = found.diversity
    if not figures.words.instructions:
        yield missing("There are no generated tasks to measure yet:", "studio run POOL --headless --target 500")
        return
    yield table(("words of generated instructions", "this pool"), word_rows(figures.words))
    if figures.phrases is None:
        yield missing(
            "Root verbs and their objects need a dependency parser, which was not at hand when this page was made:",
            "pip install 'self-instruct-studio[diversity]' && python -m spacy download en_core_web_sm",
        )
        return
    yield table(("root verbs and direct objects", "this pool", "Wang et al. 2022"), phrase_rows(figures.phrases))
    if figures.phrases.branches:
        yield Html(sunburst_chart(figures.phrases, "Root verbs and their objects"))
    yield tag("p", sunburst_words(figures.phrases), f" Parsed by {figures.pipeline}.", class_="note")
