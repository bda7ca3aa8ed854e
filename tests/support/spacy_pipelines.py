"""Pipelines to parse with: one that knows the trees drawn by hand and needs no spaCy, and a real one, trained on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from support.instruction_trees import TREES, Tree, Word

_ROUNDS = 40
"""Times the trees are shown: enough to know them by heart, which is all that is wanted."""


@dataclass(frozen=True)
class Sentence:
    """As spaCy's spans: a sentence knows its root."""

    root: Word


class KnownTrees:
    """Stands in for a spaCy pipeline. A text that is none of the trees is one unknown word."""

    pipe_names = ("tagger", "parser")
    meta = {"lang": "en", "name": "known_trees", "version": "1.0"}  # noqa: RUF012

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._trees = {tree.text: tree for tree in TREES}

    def pipe(self, texts: Iterable[str], batch_size: int) -> Iterator[Any]:
        """Yield one document a text, as `Language.pipe` does."""
        assert batch_size > 1
        for text in texts:
            self.seen.append(text)
            known = self._trees.get(text)
            root = known.root if known else Word(text, text, "X", 0, "ROOT")
            yield type("Document", (), {"sents": iter([Sentence(root)] if text else [])})


def put_spacy(patch: pytest.MonkeyPatch, load: Any, installed: Collection[str] = ()) -> None:
    """Let `import spacy` give a module whose `load` is `load` and that knows the packages `installed`, for the length of a test."""
    module = ModuleType("spacy")
    module.load = load  # type: ignore[attr-defined]
    module.util = SimpleNamespace(is_package=installed.__contains__)  # type: ignore[attr-defined]
    patch.setitem(__import__("sys").modules, "spacy", module)


def train_pipeline(folder: Path, spacy: Any) -> Path:
    """Train a small spaCy pipeline on `TREES` and write it to `folder`. It knows these sentences and no English: takes ten seconds."""
    from spacy.training import Example

    spacy.util.fix_random_seed(0)
    pipeline = spacy.blank("en")
    for name in ("morphologizer", "parser"):
        pipeline.add_pipe(name)
    pipeline.add_pipe("trainable_lemmatizer", config={"min_tree_freq": 1})
    # The loader is to leave it out.
    pipeline.add_pipe("sentencizer", last=True)
    examples = [Example(pipeline.make_doc(tree.text), _document(tree, pipeline.vocab)) for tree in TREES]
    optimizer = pipeline.initialize(lambda: examples)
    for _ in range(_ROUNDS):
        pipeline.update(examples, sgd=optimizer)
    pipeline.to_disk(folder)
    return folder


def _document(tree: Tree, vocab: Any) -> Any:
    from spacy.tokens import Doc

    words = [word.text for word in tree.words]
    return Doc(
        vocab,
        words=words,
        spaces=[place + 1 < len(words) and words[place + 1] not in ".,?" for place in range(len(words))],
        pos=[word.pos_ for word in tree.words],
        lemmas=[word.lemma_ for word in tree.words],
        heads=[word.head - 1 if word.head else place for place, word in enumerate(tree.words)],
        deps=[word.dep_ for word in tree.words],
    )
