"""The rules that decide which instances of a task are kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from studio.errors import UsageError, nearest_name
from studio.loop.thoughts import THINKING, first_mark
from studio.records import Instance, Verdict

DecidedPair = tuple[Instance, Verdict, str]
"""An instance, what was decided of it, and the reason code."""


def _same_as_input(instance: Instance) -> bool:
    return instance.input == instance.output


def _empty_output(instance: Instance) -> bool:
    return not instance.output


def _ends_with_colon(instance: Instance) -> bool:
    return instance.input.endswith(":") or instance.output.endswith(":")


_SINGLE: dict[str, Callable[[Instance], bool]] = {
    "same_as_input": _same_as_input,
    "empty_output": _empty_output,
    "ends_with_colon": _ends_with_colon,
}
"""Rules about one instance; True where it has to go."""

UNPARSED = "unparsed"
CONTRADICTORY = "contradictory"
DUPLICATE = "duplicate"

INSTANCE_RULES: tuple[str, ...] = (*_SINGLE, CONTRADICTORY, DUPLICATE)
"""All rules by the name that settings use, which is their reason code, in the released code's order."""


def decide_instances(
    parsed: Sequence[Instance],
    *,
    truncated: bool,
    max_instances: int,
    rng: random.Random,
    rules: Sequence[str] = INSTANCE_RULES,
    raw_text: str = "",
    unparsed: str = UNPARSED,
    keep_thoughts: bool = True,
) -> list[DecidedPair]:
    """Decide about all instances that one completion yielded for a task; the result has them in their order.

    Of a `truncated` completion the last instance goes. Then come the `rules` about single instances; then, if one non-empty input is left
    with two different outputs, all that is left goes as `contradictory`; then exact duplicates, of which the first stays. More than
    `max_instances` are sampled with `rng`, which is drawn from only in that case. When nothing was parsed, the result is one rejected
    instance with `raw_text` as its output and `unparsed` as its reason. Unless `keep_thoughts`, instances with a mark of a model's thoughts
    go first of all. Inputs and outputs are taken to be stripped, as the parsers give them.
    Raises UsageError for a name in `rules` that is no rule.
    """
    for name in rules:
        if name not in INSTANCE_RULES:
            raise UsageError(f"there is no instance rule {name!r}", nearest_name(name, INSTANCE_RULES))
    if not parsed:
        return [(Instance("", raw_text.strip()), Verdict.REJECTED, unparsed)]
    reasons = [THINKING if not keep_thoughts and _has_thoughts(each) else _own_fault(each, rules) for each in parsed]
    if truncated:
        reasons[-1] = "truncated"
    if CONTRADICTORY in rules and _contradict([instance for instance, reason in zip(parsed, reasons, strict=True) if not reason]):
        reasons = [reason or CONTRADICTORY for reason in reasons]
    if DUPLICATE in rules:
        _mark_duplicates(parsed, reasons)
    left = [place for place, reason in enumerate(reasons) if not reason]
    kept = set(left if len(left) <= max_instances else rng.sample(left, max_instances))
    for place in left:
        reasons[place] = "valid" if place in kept else "over_limit"
    verdicts = [Verdict.ACCEPTED if place in kept else Verdict.REJECTED for place in range(len(parsed))]
    return list(zip(parsed, verdicts, reasons, strict=True))


def _has_thoughts(instance: Instance) -> bool:
    return bool(first_mark(instance.input) or first_mark(instance.output))


def _own_fault(instance: Instance, rules: Sequence[str]) -> str:
    """Return the first rule about single instances that this one breaks, or an empty string."""
    return next((name for name in rules if name in _SINGLE and _SINGLE[name](instance)), "")


def _contradict(instances: Sequence[Instance]) -> bool:
    """Return whether one non-empty input has two different outputs."""
    outputs: dict[str, str] = {}
    return any(outputs.setdefault(instance.input, instance.output) != instance.output for instance in instances if instance.input)


def _mark_duplicates(parsed: Sequence[Instance], reasons: list[str]) -> None:
    seen: set[Instance] = set()
    for place, instance in enumerate(parsed):
        if not reasons[place]:
            reasons[place] = DUPLICATE if instance in seen else ""
            seen.add(instance)
