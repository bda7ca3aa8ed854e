"""What rejects a candidate or an instance: the filters of instructions, the rules for instances, and every reason code in words.

Both judge what a model wrote, never seeds. Settings name filters and rules; the order in which they do decides which reason is given.
"""

from __future__ import annotations

import random
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from studio.errors import UsageError, nearest_name
from studio.loop.checks import ANSWER_RULES, is_letter, is_unended, no_request, points_at_absent
from studio.loop.parsing import THINKING, first_mark
from studio.loop.settings import Method
from studio.loop.tokens import unicode_tokens
from studio.pool.preferences import DISPREFERRED
from studio.records import OF_PASSAGES, Instance, Source, Verdict

VALID = "valid"
UNLIKELY = "unlikely"
UNANSWERED = "unanswered"
DISAGREEMENT = "disagreement"
UNLIKELY_ANSWER = "unlikely_answer"
INPUT_MISSING = "input_missing"
TRUNCATED = "truncated"
UNGROUNDED = "ungrounded"
COPIED, NEEDS_PASSAGE, OFF_PASSAGE, LESS_FITTING = PASSAGE_REASONS = ("copied", "needs_passage", "off_passage", "less_fitting")
EMPTY_OUTPUT = "empty_output"

_PROGRAM = "Write a program"
_OPENING_MARKS = "¿¡"


Filter = Callable[[str, Method], str]
"""Returns the reason code where the instruction has to go, or an empty string."""


def _length(text: str, method: Method) -> str:
    """Where the tokeniser knows other scripts, so does the count of words."""
    count = len(unicode_tokens(text) if method.tokenizer == "unicode" else text.split())
    if count < method.min_words:
        return "too_short"
    return "too_long" if count > method.max_words else ""


@lru_cache(maxsize=16)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    # As the released `\b(word)\b`, but a user's word may begin or end with a sign, as in `C++`.
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)


def _blocked_words(text: str, method: Method) -> str:
    return "blocked_word" if method.blocked_words and _any_of(method.blocked_words).search(text) else ""


def _ascii_punctuation(text: str, _: Method) -> str:
    return "starts_with_punctuation" if text and text[0] in string.punctuation else ""


def _unicode_punctuation(text: str, method: Method) -> str:
    """Punctuation and symbols of every script, except the Spanish opening marks: ordinary sentences begin with them."""
    if text and unicodedata.category(text[0])[0] in "PS" and text[0] not in _OPENING_MARKS:
        return "starts_with_punctuation"
    return _ascii_punctuation(text, method)


FILTERS: dict[str, Filter] = {
    "empty": lambda text, _: "" if text else "empty",
    "length": _length,
    "blocked_words": _blocked_words,
    # On capitalised text, which is what the released code looks at, ignoring case decides as an exact comparison does.
    "write_a_program": lambda text, _: "write_a_program" if text[: len(_PROGRAM)].lower() == _PROGRAM.lower() else "",
    # Alpaca's variant, which does not capitalise.
    "write_a_program_exact": lambda text, _: "write_a_program" if text.startswith(_PROGRAM) else "",
    "ascii_punctuation": _ascii_punctuation,
    "unicode_punctuation": _unicode_punctuation,
    "non_ascii": lambda text, _: "" if text[:1].isascii() else "starts_with_non_ascii",
    "no_request": lambda text, _: "no_request" if no_request(text) else "",
    "letter": lambda text, _: "letter" if is_letter(text) else "",
    "unended": lambda text, _: "unended" if is_unended(text) else "",
    "points_at_absent": lambda text, _: "points_at_absent" if points_at_absent(text) else "",
}
"""All filters by the name that settings use. The order in which a profile names them decides which reason a candidate is given."""


_NOT_OF_PASSAGES = frozenset({"blocked_words", "write_a_program", "write_a_program_exact"})
"""Filters that do not hold for instructions about a passage: they are there against tasks whose material is not there."""


def first_failure(text: str, method: Method, source: Source | None = None) -> str:
    """Return the reason code of the first of the method's filters that `text` fails, or an empty string when it passes them all.

    `source` is where the instruction comes from. Raises UsageError for a name that is no filter.
    """
    for name in method.filters:
        if name not in FILTERS:
            raise UsageError(f"there is no filter {name!r}", nearest_name(name, FILTERS))
        if source in OF_PASSAGES and name in _NOT_OF_PASSAGES:
            continue
        if reason := FILTERS[name](text, method):
            return reason
    return ""


def rule_reason(text: str, score: float, method: Method, *, unlikely: bool = False, source: Source | None = None) -> str:
    """Return the reason code with which the rule decides an instruction: `novel` accepts it. `score` is its highest ROUGE-L F1.

    `unlikely` says that it is not among the likeliest; see `likelihood`.
    """
    return first_failure(text, method, source) or (UNLIKELY if unlikely else "novel" if method.is_novel(score) else "not_novel")


DecidedPair = tuple[Instance, Verdict, str]
"""An instance, what was decided of it, and the reason code."""


_SINGLE: dict[str, Callable[[Instance], bool]] = {
    "same_as_input": lambda each: each.input == each.output,
    EMPTY_OUTPUT: lambda each: not each.output,
    "ends_with_colon": lambda each: each.input.endswith(":") or each.output.endswith(":"),
}
"""Rules about one instance; True where it has to go."""

UNPARSED = "unparsed"
CONTRADICTORY = "contradictory"
DUPLICATE = "duplicate"

INSTANCE_RULES: tuple[str, ...] = (*_SINGLE, CONTRADICTORY, DUPLICATE)
"""All rules by the name that settings use, which is their reason code, in the released code's order."""


def decide_instances(
    parsed: Sequence[Instance], method: Method, *, truncated: bool, rng: random.Random, raw_text: str = "", unparsed: str = UNPARSED
) -> list[DecidedPair]:
    """Decide about all instances that one completion yielded for a task; the result has them in their order.

    Of a `truncated` completion the last instance goes. Then come the method's rules about single instances; then, if one non-empty input is
    left with two different outputs, all that is left goes as `contradictory`; then exact duplicates, of which the first stays. More than
    `max_instances` are sampled with `rng`, which is drawn from only in that case. When nothing was parsed, the result is one rejected
    instance with `raw_text` as its output and `unparsed` as its reason. Instances with a mark of a model's thoughts go first of all, unless
    the method leaves thoughts in its texts. Inputs and outputs are taken to be stripped, as the parsers give them.
    Raises UsageError for the name of a rule that is none.
    """
    rules, max_instances = method.instance_rules, method.max_instances
    for name in rules:
        if name not in INSTANCE_RULES:
            raise UsageError(f"there is no instance rule {name!r}", nearest_name(name, INSTANCE_RULES))
    if not parsed:
        return [(Instance("", raw_text.strip()), Verdict.REJECTED, unparsed)]
    reasons = [_own_fault(each, method) for each in parsed]
    if truncated:
        reasons[-1] = TRUNCATED
    if CONTRADICTORY in rules and _contradict(instance for instance, reason in zip(parsed, reasons, strict=True) if not reason):
        reasons = [reason or CONTRADICTORY for reason in reasons]
    if DUPLICATE in rules:
        seen: set[Instance] = set()
        for place, instance in enumerate(parsed):
            if not reasons[place]:
                reasons[place] = DUPLICATE if instance in seen else ""
                seen.add(instance)
    left = [place for place, reason in enumerate(reasons) if not reason]
    kept = set(left if len(left) <= max_instances else rng.sample(left, max_instances))
    for place in left:
        reasons[place] = VALID if place in kept else "over_limit"
    verdicts = [Verdict.ACCEPTED if place in kept else Verdict.REJECTED for place in range(len(parsed))]
    return list(zip(parsed, verdicts, reasons, strict=True))


def _own_fault(instance: Instance, method: Method) -> str:
    """Return the first rule about single instances that this one breaks, or an empty string."""
    if not method.leaves_thoughts and (first_mark(instance.input) or first_mark(instance.output)):
        return THINKING
    return next((name for name in method.instance_rules if name in _SINGLE and _SINGLE[name](instance)), "")


def _contradict(instances: Iterable[Instance]) -> bool:
    outputs: dict[str, str] = {}
    return any(outputs.setdefault(instance.input, instance.output) != instance.output for instance in instances if instance.input)


def is_unlikely(nats: float | None, limit: float | None) -> bool:
    """Whether a text is less likely than `limit`, both in nats a token; what nobody measured is not, nor is anything without a limit."""
    return limit is not None and nats is not None and nats > limit


def disagrees(agreement: float | None, least: float) -> bool:
    """Whether an answer agrees less than `least` with the others drawn, both ROUGE-L F1, 0 to 1; one that has no others does not."""
    return agreement is not None and agreement < least


_THINKING = "It is a model's thoughts, or has a mark of them in it."
_TRUNCATED = "The completion was cut before its end, so this may be incomplete."

BY_HAND = "by_hand"
EDITED = "edited"
OTHER_RULES = "other_rules"

_BY_HAND = {
    BY_HAND: "A person decided so, whatever the rule had decided.",
    EDITED: "A person changed the text.",
}

INSTRUCTION_REASONS: dict[str, str] = {
    "novel": "It passed every filter and is unlike the pool's instructions.",
    "not_novel": "It is too similar to an instruction that the pool already has.",
    TRUNCATED: _TRUNCATED,
    "thinking": _THINKING,
    "preamble": "It is no item of the list, but what introduces it.",
    "unmarked": "Its lines have neither numbers nor bullets, so it cannot be told where one instruction ends.",
    "malformed_item": "It does not have the expected number and all three fields.",
    "empty": "The item has no text.",
    "too_short": "It has fewer words than the filter asks for.",
    "too_long": "It has more words than the filter allows.",
    "blocked_word": "It contains a word of tasks that a model of text cannot do.",
    "write_a_program": 'It starts with "Write a program", which models put in front of all kinds of tasks.',
    "starts_with_punctuation": "It starts with a punctuation mark.",
    "no_request": "It asks for nothing: it is a statement, or a text of something else.",
    "letter": "It is a letter or a message to somebody.",
    "unended": "It breaks off before its end.",
    "points_at_absent": "It speaks of a text that is not there.",
    COPIED: "It is little more than a part of the passage it was written for.",
    NEEDS_PASSAGE: "It speaks of the passage that answers it, which nobody sees who asks.",
    OFF_PASSAGE: "The passage it was written for makes it hardly likelier: it does not fit, or fits any.",
    LESS_FITTING: "Another request that the same passage answers fits it better.",
    UNLIKELY: "As a user's turn of its chat template the model itself finds it less likely than most that it writes.",
    "starts_with_non_ascii": "It starts with a character outside ASCII.",
    OTHER_RULES: "A person had it decided again under other rules, which it passed.",
    **_BY_HAND,
}
"""Why a candidate was accepted (`novel`, `edited`, `other_rules`), rejected, or either of them (`by_hand`)."""

INSTANCE_REASONS: dict[str, str] = {
    VALID: "It passed every rule.",
    "unparsed": "The completion has none of the expected markers, so no instance was found in it.",
    TRUNCATED: _TRUNCATED,
    "thinking": _THINKING,
    "same_as_input": "Its output equals its input.",
    EMPTY_OUTPUT: "Its output has no text.",
    "ends_with_colon": "Its input or output ends with a colon, which is usually an incomplete text.",
    "contradictory": "The task has one input with two different outputs, so none of its instances can be trusted.",
    "duplicate": "The task already has the same instance.",
    "over_limit": "The task has more instances than the limit, and this one was not drawn.",
    UNANSWERED: "Its output has still to be written.",
    INPUT_MISSING: "The instruction points at a text that is not there.",
    DISAGREEMENT: "The answers drawn for it differ too much for any of them to be trusted.",
    DISPREFERRED: "It was imported as the worse answer of a pair.",
    UNGROUNDED: "It says what the passage does not: fewer of its longer words stand there than `passage_words` asks for.",
    UNLIKELY_ANSWER: "The model is less sure of it than of most that it answers.",
    **{name: meaning for name, (_, meaning) in ANSWER_RULES.items()},
    OTHER_RULES: "A person had it decided again under other rules, which it passed.",
    "undone": "A person asked for it and then took that back.",
    **_BY_HAND,
}
"""Why an instance was accepted (`valid`, `edited`, `other_rules`), rejected, or either of them (`by_hand`)."""

REASONS: dict[str, str] = INSTRUCTION_REASONS | INSTANCE_REASONS

OF_FORM = frozenset({"empty", "preamble", "unmarked", "malformed_item"})
"""Reasons of candidates that are not what was asked for in form; nothing is said of what they ask."""


def stall_hint(rejected: Mapping[str, int]) -> str:
    """What to try where no candidate was accepted, by what most of them were rejected for: counts by reason code."""
    half = sum(rejected.values()) / 2
    if rejected.get("thinking", 0) > half:
        return (
            "the completions end inside the model's thoughts; give them room with --force --set thinking_tokens=4096, "
            "ask it not to think with --set thinking=off, or name a --model that does not think"
        )
    if sum(count for reason, count in rejected.items() if reason in OF_FORM) > half:
        return (
            "the form is the trouble, not the temperature: the completions are not the numbered list that the prompt begins; "
            "look at them with `studio show POOL --rejected`, and try a base model, or --force --profile studio, which knows more forms"
        )
    return "try another --seed with --force, a higher temperature (--set sampling.instructions.temperature=1.0), or a larger --model"
