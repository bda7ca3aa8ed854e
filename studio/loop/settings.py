"""The parameters of the method, all that decides which tasks a run yields besides its seed and its model, and their named sets.

Figures of `paper`, `code` and `alpaca`: Wang et al. 2022 and the two released repositories. Where these differ from the released code all
the same, each tested beside it: a model's thoughts are cut off, unless `keep_thoughts`; `classification_only` compares with all seeds, the
released code with classification seeds only, and draws generated classification tasks only; `alpaca` keeps no empty output, unless
`instance_rules` is empty; and generated tasks fill up a prompt for which there are too few seeds, with which the released code fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio.engine.api import SamplingParams
from studio.errors import UsageError, nearest_name
from studio.loop.prompts import PLACEHOLDERS, builtin_prompt

LEAST_REQUESTS, MOST_REQUESTS = 5, 64
_TASKS_OF_A_REQUEST = 4
"""About as many new tasks as a completion of seven brings."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Penalty = Annotated[float, Field(ge=-2.0, le=2.0)]


class Parameters(BaseModel):
    """A group of parameters: immutable, no unknown names, no silent conversion of text to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Decoding(Parameters):
    """How one stage draws tokens."""

    temperature: float = Field(0.0, ge=0.0, le=5.0, description="0 is greedy decoding")
    top_p: float = Field(1.0, gt=0.0, le=1.0, description="nucleus: the smallest set of tokens with this much probability")
    top_k: int = Field(0, ge=0, description="most likely tokens kept; 0 keeps all")
    min_p: Share = Field(0.0, description="least probability kept, relative to the likeliest token")
    frequency_penalty: Penalty = Field(0.0, description="for each time a token stands in the completion already")
    presence_penalty: Penalty = Field(0.0, description="once for a token that stands in the completion already")
    repeat_penalty: float = Field(1.0, gt=0.0, le=3.0, description="llama.cpp's multiplicative penalty; 1 is none")
    max_tokens: int = Field(256, ge=1, le=65_536, description="completion tokens at most")
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="strings that end the completion; {list_end} and {instances_end} follow from the other parameters"
    )

    def params(self) -> SamplingParams:
        """The same values as the engine takes them."""
        return SamplingParams(**self.model_dump())


class Sampling(Parameters):
    """The decoding of each kind of request."""

    instructions: Decoding
    classification: Decoding
    input_first: Decoding
    output_first: Decoding


class Prompts(Parameters):
    """The prompt texts themselves, so that a pool can go on without the files they came from."""

    instructions: str
    instructions_classification: str
    classification: str
    input_first: str
    output_first: str
    triples: str


class Method(Parameters):
    """One complete set of parameters; the profiles are its named instances."""

    profile: str
    variant: Literal["self-instruct", "alpaca"] = Field("self-instruct", description="alpaca: whole tasks from one completion")
    in_context_tasks: int = Field(8, ge=1, le=64, description="tasks in each instruction prompt")
    generated_in_context: int = Field(2, ge=0, le=64, description="of these, how many are generated ones once there are any")
    new_tasks: int = Field(7, ge=1, le=256, description="tasks a completion may add to its list; the number after them ends it")
    requests_per_round: int = Field(
        5, ge=0, le=1024, description="instruction requests a round; 0: as many as run at once and --target needs, 5 to 64"
    )
    classification_only: bool = Field(
        False, description="ask for classification tasks only, from tasks that are; of unknown ones where those do not fill a prompt"
    )
    keep_complete: bool = Field(description="a truncated list loses its last item only, not all of them")
    capitalize: bool = Field(description="upper-case the first letter and lower-case the rest, as the released code does")
    filters: tuple[str, ...] = Field(description="heuristic filters, in order")
    min_words: int = Field(4, ge=0, description="words an instruction must have")
    max_words: int = Field(150, ge=1, description="words an instruction may have")
    blocked_words: tuple[Annotated[str, Field(min_length=1)], ...] = Field(description="words no instruction may have")
    tokenizer: Literal["ascii", "unicode"] = Field(description="the words of ROUGE-L")
    threshold: Share = Field(0.7, description="ROUGE-L F1 from which on an instruction is not novel")
    accept_at_threshold: bool = Field(description="a score equal to the threshold still counts as novel")
    instance_rules: tuple[str, ...] = Field(description="rules for instances, in order")
    tolerant: bool = Field(False, description="other forms count, too: 10), **10.** and 10、 in lists, Output：, **Output:** and Yes.")
    line_markers: bool = Field(description="Example, Input and Output part instances only where they begin a line")
    max_instances: int = Field(5, ge=1, le=100, description="accepted instances a task has at most")
    keep_thoughts: bool = Field(False, description="what a reasoning model writes in <think> and the like stays in its texts")
    early_stop: bool = Field(description="end a completion that only repeats itself or the in-context tasks")
    classify_from_logits: bool = Field(False, description="read yes or no from the logits of the answer's first token, not from text")
    stall_rounds: int = Field(5, ge=1, description="the run ends after this many rounds in a row without a new task")
    sampling: Sampling
    prompts: Prompts

    def is_novel(self, score: float) -> bool:
        """Return whether an instruction whose highest ROUGE-L F1 over the pool is `score` may join it.

        With `accept_at_threshold` a score equal to the threshold passes, as in the released code, which rejects only above 0.7; without,
        the score must be below it, as the paper says. Floats are compared: many pairs that are 0.7 in mathematics are
        0.7000000000000001 here as in `rouge_score`.
        """
        return score <= self.threshold if self.accept_at_threshold else score < self.threshold

    def filled(self, text: str) -> str:
        """A stop string or a prompt with what follows from other parameters in it.

        `{list_end}` is the number at which a list of tasks is to end, `{instances_end}` that of the first example too many.
        """
        list_end = self.in_context_tasks + self.new_tasks + 1
        return text.replace("{list_end}", str(list_end)).replace("{instances_end}", str(self.max_instances + 1))

    def resolved(self, parallel: int, target: int | None = None) -> Method:
        """The same with a number of requests a round where none was chosen: as many as the engine runs at once.

        Never fewer than the method's five, and no more than 64, nor than bring the `target` of tasks in about one round: a round is played
        to its end, so a larger one would only overshoot.
        """
        if self.requests_per_round:
            return self
        enough = MOST_REQUESTS if target is None else -(-target // _TASKS_OF_A_REQUEST)
        return self.model_copy(update={"requests_per_round": max(LEAST_REQUESTS, min(parallel, MOST_REQUESTS, enough))})


BLOCKED_WORDS = ("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot", "go to")
"""What a text model cannot work with, by the released code."""

ALPACA_BLOCKED_WORDS = (*BLOCKED_WORDS, "video", "audio", "music", "flowchart", "diagram")

CODE_FILTERS = ("empty", "length", "blocked_words", "write_a_program", "ascii_punctuation", "non_ascii")
ALPACA_FILTERS = ("empty", "length", "blocked_words", "write_a_program_exact", "ascii_punctuation", "non_ascii")
STUDIO_FILTERS = ("empty", "length", "blocked_words", "write_a_program", "unicode_punctuation")
"""Without `non_ascii`: an instruction may begin in any script."""

_CLASSIFICATION = Decoding(max_tokens=3, stop=("\n", "Task"))
_INPUT_FIRST = Decoding(presence_penalty=1.5, max_tokens=350, stop=("Example {instances_end}", "Task:"))
_OUTPUT_FIRST = _INPUT_FIRST.model_copy(update={"max_tokens": 300})


def _prompts() -> Prompts:
    return Prompts(**{name: builtin_prompt(name) for name in PLACEHOLDERS})


def _instructions(*stop: str) -> Decoding:
    return Decoding(temperature=0.7, top_p=0.5, presence_penalty=2.0, max_tokens=1024, stop=stop)


def _sampling(instructions: Decoding) -> Sampling:
    return Sampling(instructions=instructions, classification=_CLASSIFICATION, input_first=_INPUT_FIRST, output_first=_OUTPUT_FIRST)


def _line_stops() -> Sampling:
    """Stops that no text within an item or an instance has: a list's next number begins a line, another task comes after a blank line."""
    numbers = (
        f"\n{mark}"
        for mark in ("{list_end}.", "{list_end} .", "{list_end})", "**{list_end}", "({list_end})", "{list_end}、", "{list_end}．")
    )
    return Sampling(
        instructions=_instructions("\n\n", *numbers),
        classification=_CLASSIFICATION.model_copy(update={"stop": ("\n",)}),
        input_first=_INPUT_FIRST.model_copy(update={"stop": ("\n\nTask:", "\nExample {instances_end}\n")}),
        output_first=_OUTPUT_FIRST.model_copy(update={"stop": ("\n\nTask:",)}),
    )


def _code() -> Method:
    return Method(
        profile="code",
        keep_complete=False,
        capitalize=True,
        filters=CODE_FILTERS,
        blocked_words=BLOCKED_WORDS,
        tokenizer="ascii",
        accept_at_threshold=True,
        instance_rules=("same_as_input", "empty_output", "ends_with_colon", "contradictory", "duplicate"),
        line_markers=False,
        early_stop=False,
        stall_rounds=10,
        sampling=_sampling(_instructions("\n\n", "\n{list_end}", "{list_end}.", "{list_end} .")),
        prompts=_prompts(),
    )


def _paper() -> Method:
    return _code().model_copy(update={"profile": "paper", "capitalize": False, "accept_at_threshold": False})


def _studio() -> Method:
    return _paper().model_copy(
        update={
            "profile": "studio",
            "keep_complete": True,
            "filters": STUDIO_FILTERS,
            "line_markers": True,
            "tolerant": True,
            "requests_per_round": 0,
            "tokenizer": "unicode",
            "early_stop": True,
            "classify_from_logits": True,
            "stall_rounds": 5,
            "sampling": _line_stops(),
        }
    )


def _alpaca() -> Method:
    triples = Decoding(temperature=1.0, max_tokens=3072, stop=("\n{list_end}", "{list_end}."))
    return _code().model_copy(
        update={
            "profile": "alpaca",
            "variant": "alpaca",
            "in_context_tasks": 3,
            "generated_in_context": 0,
            "new_tasks": 16,
            "keep_complete": True,
            "capitalize": False,
            "filters": ALPACA_FILTERS,
            "blocked_words": ALPACA_BLOCKED_WORDS,
            "instance_rules": ("empty_output",),
            "max_instances": 1,
            "sampling": _sampling(triples),
        }
    )


PROFILES: dict[str, Callable[[], Method]] = {"studio": _studio, "paper": _paper, "code": _code, "alpaca": _alpaca}
DEFAULT_PROFILE = "studio"


@cache
def profile(name: str) -> Method:
    """Return the parameters of the profile `name`. Raises UsageError for an unknown one, naming the nearest."""
    if name not in PROFILES:
        raise UsageError(f"there is no profile {name!r}", nearest_name(name, PROFILES))
    return PROFILES[name]()
