"""The groups of parameters that a method is made of: how tokens are drawn for each kind of request, and the prompt texts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from studio.engine.api import SamplingParams

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
    list_chat: Decoding = Field(default_factory=Decoding)
    template: Decoding = Field(default_factory=Decoding)
    answer: Decoding = Field(default_factory=Decoding)
    passage: Decoding = Field(default_factory=Decoding)


class Prompts(Parameters):
    """The prompt texts themselves, so that a pool can go on without the files they came from."""

    instructions: str
    instructions_classification: str
    classification: str
    input_first: str
    output_first: str
    triples: str
    list_chat: str = Field("", description="the user's turn that asks to go on with a list of tasks")
    list_begun: str = Field("", description="the same where the model's turn can be begun with that list")
    template_system: str = Field("", description="the system turn before the user's turn that the model writes; empty is none")
    template_tasks: str = Field("", description="what that system turn says of the in-context tasks in it")
    openings: str = Field("", description="how the user's turn may begin that the model writes, one a line")
    answer_system: str = Field("", description="the system turn before a task that is to be answered; empty is none")
    answer_again: str = Field("", description="the user's turn that has a task answered whose first answer broke a rule")
    brief: str = Field("", description="what a prompt says of the brief")
    backtranslation: str = Field("", description="examples of texts, each with the request that it answers, and a passage")
    backtranslation_chat: str = Field("", description="the user's turn that asks for the request that a passage answers")
    backtranslation_begun: str = Field("", description="the same where the user's turn is left to the model behind the passage")
    backtranslation_openings: str = Field("", description="how that request may begin, one a line")
    question: str = Field("", description="examples of texts, each with a question about it, and a passage")
    question_chat: str = Field("", description="the user's turn that asks for a question about a passage")
    question_begun: str = Field("", description="the same where the user's turn is left to the model behind the passage")
    question_openings: str = Field("", description="how that question may begin, one a line")
    passage_system: str = Field("", description="the system turn before a question about a passage that is to be answered")
