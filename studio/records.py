"""The records that every part of the studio shares: frozen, plain, with no behaviour of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Origin(StrEnum):
    """Where a task came from."""

    SEED = "seed"
    GENERATED = "generated"
    IMPORTED = "imported"


class TaskState(StrEnum):
    """A task's life: a draft joins the pool when its round commits; a retired one is kept but never sampled or exported."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class Source(StrEnum):
    """Where the instructions of a completion come from."""

    IN_CONTEXT = "in_context"
    """A list of tasks that the model goes on with. Source: Self-Instruct, section 2.2."""
    TEMPLATE = "template"
    """The user's turn of the model's chat template, left to the model. Source: Magpie, arXiv 2406.08464."""
    BACKTRANSLATION = "backtranslation"
    """A passage of a document that is the answer: the model writes the request. Source: Li et al. 2023, arXiv 2308.06259."""
    QUESTION = "question"
    """A passage of a document that is the input: the model writes a question about it."""


SOURCE_WORDS: Mapping[Source, tuple[str, str]] = {
    Source.IN_CONTEXT: ("from the list shown", "lists that the model goes on with, from tasks of the pool"),
    Source.TEMPLATE: ("the model's own user's turn", "user's turns of the chat template that the model writes itself"),
    Source.BACKTRANSLATION: ("for the passage as its answer", "passages of documents as answers, whose requests the model writes"),
    Source.QUESTION: ("about the passage", "passages of documents as inputs, about which the model writes questions"),
}
"""What people are told of each: in a few words beside one that came of it, and in full, of all."""

OF_PASSAGES = frozenset({Source.BACKTRANSLATION, Source.QUESTION})
"""The sources whose instructions are written for passages of documents."""


class Stage(StrEnum):
    """The stages of a round, in their order; `answer` is played only where the model is asked in chat."""

    SAMPLE = "sample"
    INSTRUCTIONS = "instructions"
    FILTER = "filter"
    CLASSIFY = "classify"
    INSTANCES = "instances"
    ANSWER = "answer"
    COMMIT = "commit"


STAGES: tuple[Stage, ...] = tuple(Stage)


class Verdict(StrEnum):
    """What was decided of a candidate or an instance."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Decider(StrEnum):
    """Who decided."""

    RULE = "rule"
    HUMAN = "human"


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said by whom: `system`, `user`, `assistant` or another word, in small letters; and what was thought before it was said."""

    role: str
    text: str
    thoughts: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One (input, output) pair of a task; the input may be empty. `thoughts` is what came before the output, where that is kept.

    An instance that was a conversation is its first exchange: `system` is the system turn before it, `turns` are those behind it.
    """

    input: str
    output: str
    thoughts: str = ""
    system: str = ""
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class SeedTask:
    """A task as seed files and imports hold it, not yet in a pool.

    `key` is the file's own id; `is_classification` is None where it is unknown. `provenance` is a JSON object of what a pool that the task
    was exported from knew of it beside its content; empty where nothing is known. `pairs` are preferences: one of the instances and a
    worse one, which differs from it in the output or, where the conversation goes on, in the last turn.
    """

    key: str
    name: str
    instruction: str
    instances: tuple[Instance, ...]
    is_classification: bool | None
    provenance: str = ""
    pairs: tuple[tuple[Instance, Instance], ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document's text: `text` stands in it from the character `start` (from 0) up to `stop`."""

    start: int
    stop: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A file whose passages instructions are written for; `sha256` is of its bytes.

    `name` is its own, with the folders from the one that was named on.

    `licence` is what the user said of it, empty where he said nothing.
    """

    name: str
    sha256: str
    licence: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Cutting:
    """How texts are cut into passages, in characters: the most a passage has, the most of it that the next one says again, the fewest."""

    size: int
    overlap: int
    least: int


@dataclass(frozen=True, slots=True)
class HoldOut:
    """Seeds to keep apart, by their places among the seeds of a new pool, and how they were drawn: what was asked for, and the seed."""

    asked: str
    seed: str
    places: frozenset[int]


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the pool. `is_classification` is None while nobody has decided it.

    A task that is `held_out` is for evaluation alone: never sampled, exported or trained on. One that is `marked` a person wants to review.
    """

    id: int
    origin: Origin
    state: TaskState
    name: str
    instruction: str
    is_classification: bool | None
    instances: tuple[Instance, ...] = ()
    round: int | None = None
    held_out: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A task of the pool and its ROUGE-L F1 (0 to 1) to the instruction in question."""

    task_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Novelty:
    """How an instruction compares with the whole pool at the moment it was decided.

    `neighbours` are the most similar tasks, best first, ties in pool order (ten of them, fewer in a small pool); `mean` is the mean ROUGE-L
    over the pool, `seed_score` the highest ROUGE-L to a seed task. Against an empty pool: no neighbours and zeros.
    """

    neighbours: tuple[Neighbour, ...] = ()
    mean: float = 0.0
    seed_score: float = 0.0

    @property
    def score(self) -> float:
        """The highest ROUGE-L F1 over the pool."""
        return self.neighbours[0].score if self.neighbours else 0.0

    @property
    def nearest(self) -> int | None:
        """The id of the most similar task."""
        return self.neighbours[0].task_id if self.neighbours else None


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model wrote something. Sizes in bytes; empty text and zeros where the file does not say."""

    name: str
    sha256: str
    quantisation: str = ""
    licence: str = ""
    architecture: str = ""
    parameters: int = 0
    context_length: int = 0
    file_size: int = 0
    path: str = field(default="", compare=False)
