"""The parameters of the method: everything that decides which tasks a run yields, besides its seed and its model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from studio.engine.api import SamplingParams

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
    classification_only: bool = Field(False, description="ask for classification tasks only, from classification seeds")
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
