"""The dependency parser: spaCy, an extra of its own, and the one place that imports it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from studio.errors import UsageError
from studio.insight.phrases import Phrase, phrase_of
from studio.text import display_line

PIPELINE = "en_core_web_sm"
"""spaCy's small English pipeline."""

CHARACTERS = 2000
"""Of an instruction that are parsed: its first sentence is asked for, and a model may write without an end."""

_NOT_NEEDED = ("ner", "entity_linker", "entity_ruler", "textcat", "textcat_multilabel", "spancat", "span_ruler", "senter", "sentencizer")
_BATCH = 256


class Parser:
    """A loaded spaCy pipeline that finds the root verb and its object."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        meta = pipeline.meta
        self.name = f"{meta.get('lang', '')}_{meta.get('name', '')} {meta.get('version', '')}".strip()

    def phrases(self, instructions: Iterable[str]) -> Iterator[Phrase | None]:
        """Yield the phrase of each instruction's first sentence in order, None where it has no verb; `_BATCH` are read at a time."""
        for document in self._pipeline.pipe((_readable(text) for text in instructions), batch_size=_BATCH):
            sentence = next(document.sents, None)
            yield None if sentence is None else phrase_of(sentence.root)


def load_parser(pipeline: str = PIPELINE) -> Parser:
    """Load a spaCy pipeline by its package's name or its folder, without the parts that have no say in a parse.

    Raises UsageError when spaCy is not installed, the pipeline is not there or of another version, or it has no parser or tagger.
    """
    try:
        import spacy
    except ImportError as error:
        raise UsageError(
            "root verbs and their objects need the parser spaCy, which is not installed",
            "install it with: pip install 'self-instruct-studio[diversity]'; --words measures the words alone and needs nothing",
        ) from error
    name = display_line(pipeline, 200)
    try:
        loaded = spacy.load(pipeline, exclude=list(_NOT_NEEDED))
    except Exception as error:  # spaCy raises OSError, ValueError, ImportError and its dependencies' own kinds for files it cannot use.
        # Only the small English one is known to be had by this name; a path is the user's own.
        hint = f"get it with: python -m spacy download {PIPELINE}" if pipeline == PIPELINE else "name an installed package or a folder"
        raise UsageError(
            f"cannot load the spaCy pipeline {name}: {display_line(str(error), 120)}",
            f"{hint}; --words measures the words alone and needs no pipeline",
        ) from error
    if "parser" not in loaded.pipe_names or not {"tagger", "morphologizer"} & set(loaded.pipe_names):
        raise UsageError(f"the spaCy pipeline {name} has no dependency parser and tagger", f"{PIPELINE} has both")
    return Parser(loaded)


def _readable(text: str) -> str:
    # Spaces and line breaks are tokens to spaCy, and pull the root astray.
    return " ".join(text[:CHARACTERS].split())
