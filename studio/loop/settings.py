"""The parameters of the method, all that decides which tasks a run yields besides its seed and its model, and their named sets.

Figures of `paper`, `code` and `alpaca`: Wang et al. 2022 and the two released repositories. Where these differ from the released code all
the same, each tested beside it: a model's thoughts are cut off and have tokens of their own, unless `thinking` is `keep`;
`classification_only` compares with all seeds, the released code with classification seeds only, and draws generated classification tasks
only; `alpaca` keeps no empty output, unless `instance_rules` is empty; and generated tasks fill up a prompt for which there are too few
seeds, with which the released code fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Literal

from pydantic import Field

from studio.config import Parameters
from studio.engine.api import Asking, EngineInfo, SamplingParams
from studio.errors import ModelError, UsageError, nearest_name
from studio.loop.prompts import PLACEHOLDERS, Prompts, builtin_prompt
from studio.records import Cutting, Source, Stage

LEAST_REQUESTS, MOST_REQUESTS = 5, 64
_TASKS_OF_A_REQUEST = 4
"""About as many new tasks as a completion of seven brings."""
TEMPLATE_SHARE, TEMPLATE_PER_LIST = 4, 32
"""Requests that the model writes itself, for each that runs at once (they are short, and some fall), and for each list of tasks."""


Share = Annotated[float, Field(ge=0.0, le=1.0)]


Penalty = Annotated[float, Field(ge=-2.0, le=2.0)]


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


class Method(Parameters):
    """One complete set of parameters; the profiles are its named instances."""

    profile: str
    asking: Literal["completion", "chat", "auto"] = Field(
        "completion", description="chat: the model is asked in its own chat template; auto: where it has one"
    )
    answers: Literal["auto", "chat", "instances"] = Field(
        "auto", description="chat: a stage of its own asks for outputs, in chat; auto: where the run asks in chat or names models.answer"
    )
    brief: str = Field("", description="a domain, audience, language or constraint that all new tasks are to keep to")
    variant: Literal["self-instruct", "alpaca"] = Field("self-instruct", description="alpaca: whole tasks from one completion")
    in_context_tasks: int = Field(8, ge=1, le=64, description="tasks in each instruction prompt")
    generated_in_context: int = Field(2, ge=0, le=64, description="of these, how many are generated ones once there are any")
    new_tasks: int = Field(7, ge=1, le=256, description="tasks a completion may add to its list; the number after them ends it")
    requests_per_round: int = Field(
        5, ge=0, le=1024, description="prompts with in-context tasks a round; 0: as many as run at once and --target needs, 5 to 64"
    )
    template_requests: int = Field(
        0, ge=-1, le=4096, description="requests a round that the model writes itself as its template's user turn; -1: as many as suit"
    )
    template_tasks: int = Field(
        0, ge=0, le=64, description="in-context tasks in the system turn of each of these; larger models may follow them"
    )
    opening_share: Share = Field(0.0, description="share of these that begin with one of the openings, where there is no brief")
    classification_only: bool = Field(
        False, description="ask for classification tasks only, from tasks that are; of unknown ones where those do not fill a prompt"
    )
    keep_complete: bool = Field(description="a truncated list loses its last item only, not all of them")
    capitalize: bool = Field(description="upper-case the first letter and lower-case the rest, as the released code does")
    filters: tuple[str, ...] = Field(description="heuristic filters, in order")
    request_filters: tuple[str, ...] = Field((), description="filters besides these where the model is asked in chat")
    min_words: int = Field(4, ge=0, description="words an instruction must have")
    max_words: int = Field(150, ge=1, description="words an instruction may have")
    likely_share: Share = Field(
        1.0, description="share of the instructions kept, those likeliest as a user's turn of the model's chat template; 1 keeps all"
    )
    blocked_words: tuple[Annotated[str, Field(min_length=1)], ...] = Field(description="words no instruction may have")
    tokenizer: Literal["ascii", "unicode"] = Field(description="the words of ROUGE-L")
    threshold: Share = Field(0.7, description="ROUGE-L F1 from which on an instruction is not novel")
    accept_at_threshold: bool = Field(description="a score equal to the threshold still counts as novel")
    instance_rules: tuple[str, ...] = Field(description="rules for instances, in order")
    answer_rules: tuple[str, ...] = Field((), description="rules for answers in chat, in order")
    tolerant: bool = Field(False, description="other forms count, too: 10), **10.** and 10、 in lists, Output：, **Output:** and Yes.")
    line_markers: bool = Field(description="Example, Input and Output part instances only where they begin a line")
    max_instances: int = Field(5, ge=1, le=100, description="accepted instances a task has at most")
    likely_answers: Share = Field(1.0, description="share of the answers kept, those that the model itself finds likeliest; 1 keeps all")
    answer_again: bool = Field(False, description="where all answers break a rule, ask for one more in other words")
    best_of: int = Field(1, ge=1, le=16, description="answers drawn for an instance; the one that agrees most with the others is taken")
    min_agreement: Share = Field(0.0, description="mean ROUGE-L F1 that an answer must have with the others drawn")
    thinking: Literal["off", "strip", "keep"] = Field(
        "strip",
        description="off: a reasoning model is asked in chat not to think; strip: its thoughts are cut off; keep: those before an "
        "answer in chat are kept beside it, those in raw completions stay in the texts",
    )
    thinking_tokens: int = Field(1024, ge=0, le=65_536, description="tokens for thoughts beside max_tokens; 0: they count among these")
    triples_grammar: bool = Field(False, description="alpaca: the model keeps to a grammar in which each task parses, if its engine can")
    early_stop: bool = Field(description="end a completion that only repeats itself or the in-context tasks")
    classify_from_logits: bool = Field(False, description="read yes or no from the logits of the answer's first token, not from text")
    document_requests: int = Field(
        0, ge=-1, le=4096, description="requests a round that are written for passages of documents; -1: as many as suit"
    )
    document_way: Literal["backtranslation", "question", "both"] = Field(
        "both", description="backtranslation: the passage is the answer to the request; question: it is the input of a question about it"
    )
    passage_size: int = Field(1000, ge=100, le=100_000, description="characters of a document that a passage has at most")
    passage_overlap: int = Field(100, ge=0, le=50_000, description="of these, how many stand in the one before it, too; at most half")
    passage_least: int = Field(150, ge=1, le=50_000, description="characters that a passage has at least; what is shorter is left out")
    passage_tries: int = Field(3, ge=1, le=16, description="requests that are written for a passage in each way")
    passage_words: Share = Field(
        0.5, description="share of the longer words of an instruction that stand in its passage, too, by their beginnings; 0: any will do"
    )
    passage_gain: float = Field(
        1.3, ge=0.0, le=20.0, description="nats a token by which its passage makes a request likelier; with less it does not fit; 0: all do"
    )
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

        `{list_end}` is the number at which a list of tasks is to end, `{list_length}` the one before, `{new_tasks}` how many it gets until
        then, `{instances_end}` the number of the first example too many.
        """
        numbers = {
            "{list_end}": self.in_context_tasks + self.new_tasks + 1,
            "{list_length}": self.in_context_tasks + self.new_tasks,
            "{new_tasks}": self.new_tasks,
            "{instances_end}": self.max_instances + 1,
        }
        for name, number in numbers.items():
            text = text.replace(name, str(number))
        return text

    def settled_as(self, run: Method) -> Method:
        """The same, where it was left open, with what a run settled from its engine."""
        names = [name for name, left_open in _LEFT_OPEN.items() if getattr(self, name) == left_open]
        settled = self.model_copy(update={name: getattr(run, name) for name in names})
        return settled.model_copy(update={"filters": settled.filters_asked()})

    def filters_asked(self) -> tuple[str, ...]:
        """The filters, with those for requests where the model is asked in chat."""
        more = [name for name in self.request_filters if name not in self.filters] if self.asking == "chat" else []
        return (*self.filters, *more)

    @property
    def leaves_thoughts(self) -> bool:
        """Whether thoughts are part of the texts that completions are parsed from; answers in chat have a place for theirs."""
        return self.thinking == "keep" and self.asking != "chat" and not self.answers_apart

    @property
    def answers_apart(self) -> bool:
        """Whether outputs are asked for in chat, in a stage of their own."""
        return self.answers == "chat" or (self.answers == "auto" and self.asking == "chat")

    @property
    def document_sources(self) -> tuple[Source, ...]:
        """The ways in which instructions are written for passages."""
        both = (Source.BACKTRANSLATION, Source.QUESTION)
        return both if self.document_way == "both" else (Source(self.document_way),)

    @property
    def documents_alone(self) -> bool:
        """Whether passages are all that instructions are written for."""
        return self.document_requests > 0 and not self.requests_per_round and not self.template_requests

    @property
    def cutting(self) -> Cutting:
        """How documents are cut into passages."""
        return Cutting(self.passage_size, min(self.passage_overlap, self.passage_size // 2), min(self.passage_least, self.passage_size))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of a round, in their order."""
        return tuple(stage for stage in Stage if stage is not Stage.ANSWER or self.answers_apart)

    def after(self, stage: Stage) -> Stage | None:
        """The stage that follows `stage`; None after the last."""
        stages = self.stages
        return next(iter(stages[stages.index(stage) + 1 :]), None)

    def resolved(self, engine: EngineInfo, target: int | None = None, answering: EngineInfo | None = None) -> Method:
        """The same with what follows from the engine where it was left open: how it is asked, and the numbers of requests a round.

        `answering` is the engine of the model that is to answer, None where that is no other than the one that writes.
        As many as the engine runs at once: never fewer than the method's five, and no more than 64, nor than bring the `target` of tasks in
        about one round: a round is played to its end, so a larger one would only overshoot. Where the model writes requests of its own as
        well, most of a round are those. Raises ModelError where a model cannot be asked as it should.
        """
        asking: Asking = engine.asking if self.asking == "auto" else self.asking
        if asking not in engine.askings:
            raise _cannot_be_asked(engine, asking)
        method = self.model_copy(update={"asking": asking})
        apart = method.answers_apart or (self.answers == "auto" and answering is not None)
        if apart and "chat" not in (answering or engine).askings:
            words = f"{(answering or engine).model.name}: the model has no chat template to answer in"
            raise ModelError(words, "name an instruct model with --answer-model, or none")
        if answering is not None and not apart:
            raise UsageError("answers = instances leaves nothing to do for the model of --answer-model", "leave one of the two out")
        alone = asking != "chat" or not engine.writes_requests
        enough = MOST_REQUESTS if target is None else -(-target // _TASKS_OF_A_REQUEST)
        most = max(LEAST_REQUESTS, min(engine.parallel, MOST_REQUESTS, enough))
        template = 0 if alone else most * TEMPLATE_SHARE if self.template_requests < 0 else self.template_requests
        # As many passages in all ways as take so many requests.
        each = self.passage_tries * len(self.document_sources)
        documents = self.document_requests if self.document_requests >= 0 else -(-most * TEMPLATE_SHARE // each) * each
        lists = self.requests_per_round or (max(1, template // TEMPLATE_PER_LIST) if template else 0 if documents else most)
        numbers = {"template_requests": template, "requests_per_round": lists, "document_requests": documents}
        settled = {"answers": "chat" if apart else "instances", **numbers}
        return method.model_copy(update={**settled, "filters": method.filters_asked()})


_LEFT_OPEN = {"asking": "auto", "answers": "auto", "requests_per_round": 0, "template_requests": -1, "document_requests": -1}

BLOCKED_WORDS = ("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot", "go to")
"""What a text model cannot work with, by the released code."""

ALPACA_BLOCKED_WORDS = (*BLOCKED_WORDS, "video", "audio", "music", "flowchart", "diagram")

CODE_FILTERS = ("empty", "length", "blocked_words", "write_a_program", "ascii_punctuation", "non_ascii")
ALPACA_FILTERS = ("empty", "length", "blocked_words", "write_a_program_exact", "ascii_punctuation", "non_ascii")
STUDIO_FILTERS = ("empty", "length", "blocked_words", "write_a_program", "unicode_punctuation")
"""Without `non_ascii`: an instruction may begin in any script."""

STUDIO_REQUEST_FILTERS = ("no_request", "letter", "unended")
STUDIO_ANSWER_RULES = ("answer_list", "asks_back", "breaks_off", "refuses", "placeholder", "says_little", "loops", "repeats_instruction")

_CLASSIFICATION = Decoding(max_tokens=3, stop=("\n", "Task"))
_INPUT_FIRST = Decoding(presence_penalty=1.5, max_tokens=350, stop=("Example {instances_end}", "Task:"))
_PASSAGE = Decoding(temperature=0.7, min_p=0.1, max_tokens=60, stop=("\n",))
_OUTPUT_FIRST = _INPUT_FIRST.model_copy(update={"max_tokens": 300})


def _prompts() -> Prompts:
    return Prompts(**{name: builtin_prompt(name) for name in PLACEHOLDERS})


def _instructions(*stop: str) -> Decoding:
    return Decoding(temperature=0.7, top_p=0.5, presence_penalty=2.0, max_tokens=1024, stop=stop)


def _sampling(instructions: Decoding) -> Sampling:
    return Sampling(
        instructions=instructions, classification=_CLASSIFICATION, input_first=_INPUT_FIRST, output_first=_OUTPUT_FIRST, passage=_PASSAGE
    )


def _line_stops() -> Sampling:
    """Stops that no text within an item or an instance has: a list's next number begins a line, another task comes after a blank line."""
    marks = ("{list_end}.", "{list_end} .", "{list_end})", "**{list_end}", "({list_end})", "{list_end}、", "{list_end}．")
    numbers = [f"\n{mark}" for mark in marks]
    return Sampling(
        instructions=_instructions("\n\n", *numbers),
        list_chat=Decoding(temperature=1.0, min_p=0.1, max_tokens=1024, stop=tuple(numbers)),
        classification=_CLASSIFICATION.model_copy(update={"stop": ("\n",)}),
        input_first=_INPUT_FIRST.model_copy(update={"stop": ("\n\nTask:", "\nExample {instances_end}\n")}),
        output_first=_OUTPUT_FIRST.model_copy(update={"stop": ("\n\nTask:",)}),
        template=Decoding(temperature=1.0, min_p=0.1, max_tokens=80),
        answer=Decoding(presence_penalty=0.5, max_tokens=120, stop=("\n\n",)),
        passage=_PASSAGE,
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
            "asking": "auto",
            "template_requests": -1,
            "request_filters": STUDIO_REQUEST_FILTERS,
            "likely_share": 0.7,
            "likely_answers": 0.8,
            "answer_again": True,
            "opening_share": 0.95,
            "answer_rules": STUDIO_ANSWER_RULES,
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


def _cannot_be_asked(engine: EngineInfo, asking: Asking) -> ModelError:
    if asking == "chat":
        return ModelError(f"{engine.model.name}: the model has no chat template", "leave --asking out, or set it to completion")
    hint = "leave --asking out, or set it to chat; --profile studio asks in chat"
    return ModelError(f"{engine.model.name}: the server speaks chat only", hint)


PROFILES: dict[str, Callable[[], Method]] = {"studio": _studio, "paper": _paper, "code": _code, "alpaca": _alpaca}
DEFAULT_PROFILE = "studio"


@cache
def profile(name: str) -> Method:
    """Return the parameters of the profile `name`. Raises UsageError for an unknown one, naming the nearest."""
    if name not in PROFILES:
        raise UsageError(f"there is no profile {name!r}", nearest_name(name, PROFILES))
    return PROFILES[name]()
