"""Every reason code of a decision, with one sentence for people."""

from __future__ import annotations

from collections.abc import Mapping

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
    "truncated": _TRUNCATED,
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
    "starts_with_non_ascii": "It starts with a character outside ASCII.",
    OTHER_RULES: "A person had the candidates decided again under other rules, which it passed.",
    **_BY_HAND,
}
"""Why a candidate was accepted (`novel`, `edited`, `other_rules`), rejected, or either of them (`by_hand`)."""

INSTANCE_REASONS: dict[str, str] = {
    "valid": "It passed every rule.",
    "unparsed": "The completion has none of the expected markers, so no instance was found in it.",
    "truncated": _TRUNCATED,
    "thinking": _THINKING,
    "same_as_input": "Its output equals its input.",
    "empty_output": "Its output has no text.",
    "ends_with_colon": "Its input or output ends with a colon, which is usually an incomplete text.",
    "contradictory": "The task has one input with two different outputs, so none of its instances can be trusted.",
    "duplicate": "The task already has the same instance.",
    "over_limit": "The task has more instances than the limit, and this one was not drawn.",
    "undone": "A person asked for it and then took that back.",
    **_BY_HAND,
}
"""Why an instance was accepted (`valid`, `edited`), rejected, or either of them (`by_hand`)."""

REASONS: dict[str, str] = INSTRUCTION_REASONS | INSTANCE_REASONS

OF_FORM = frozenset({"empty", "preamble", "unmarked", "malformed_item"})
"""Reasons of candidates that are not what was asked for in form; nothing is said of what they ask."""


def stall_hint(rejected: Mapping[str, int]) -> str:
    """What to try where no candidate was accepted, by what most of them were rejected for: counts by reason code."""
    half = sum(rejected.values()) / 2
    if rejected.get("thinking", 0) > half:
        return (
            "the completions end inside the model's thoughts: a blank line ends a list, and thoughts have some; give them room with "
            """--force --set 'sampling.instructions.stop=["\\n{list_end}."]' --set sampling.instructions.max_tokens=4096, """
            "or name a --model that does not think"
        )
    if sum(count for reason, count in rejected.items() if reason in OF_FORM) > half:
        return (
            "the form is the trouble, not the temperature: the completions are not the numbered list that the prompt begins; "
            "look at them with `studio show POOL --rejected`, and try a base model, or --force --profile studio, which knows more forms"
        )
    return "try another --seed with --force, a higher temperature (--set sampling.instructions.temperature=1.0), or a larger --model"
