"""The named sets of parameters. Figures of `paper`, `code` and `alpaca`: Wang et al. 2022 and the two released repositories.

Where these differ from the released code all the same, each tested beside it: a model's thoughts are cut off, unless `keep_thoughts`;
`classification_only` compares with all seeds, the released code with classification seeds only, and draws generated classification tasks
only; `alpaca` keeps no empty output, unless `instance_rules` is empty; and generated tasks fill up a prompt for which there are too few
seeds, with which the released code fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from studio.errors import UsageError, nearest_name
from studio.loop.instance_rules import INSTANCE_RULES
from studio.loop.prompts import PLACEHOLDERS, builtin_prompt
from studio.loop.settings import Decoding, Method, Prompts, Sampling

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
        instance_rules=INSTANCE_RULES,
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
