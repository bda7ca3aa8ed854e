"""Which answer is better than which, as far as the pool knows: pairs of answers to one instruction and input, each with its evidence.

Nothing is inferred: the two answers of a pair were compared, by a person, by a file that was imported, or by a rule. The better one is
always an accepted instance, as it stands now; what is known of an older text of it is not said of the new one. What people said outranks
what rules found: of two texts the evidence that comes first in `Because` counts, and a text that a person has rejected or replaced is
better than no other. Evaluations give no pairs: what is measured on is not trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from studio.pool.database import Database
from studio.pool.instances import INSTANCE, InstanceRecord, stored_instance
from studio.records import Decider, Verdict


class Because(StrEnum):
    """Why an answer is better than another, the strongest evidence first."""

    EDITED = "edited"
    """A person wrote it in the place of the other."""
    RATED = "rated"
    """Raters find it acceptable, and the other not; by majority, each as they saw it."""
    IMPORTED = "imported"
    """The file that both came from says so."""
    CHECKED = "checked"
    """It breaks no rule for answers, and the other does."""
    AGREEMENT = "agreement"
    """Of the answers drawn for one question it agrees most with the others, and the other least."""


WORDS: Mapping[Because, str] = {
    Because.EDITED: "a person's edit over what it replaced",
    Because.RATED: "raters' yes over their no",
    Because.IMPORTED: "brought as a pair",
    Because.CHECKED: "over an answer that broke a rule",
    Because.AGREEMENT: "of several drawn the one that agrees most over the one that agrees least",
}
"""What each kind of evidence is, in a few words."""

NO_PAIRS = (
    "draw several answers (studio run --set best_of=4), edit answers in the studio, rate them (studio review), "
    "or import pairs of chosen and rejected"
)
"""What would make pairs."""


def told(kinds: Mapping[str, int]) -> str:
    """Return in words how many pairs there are of each kind of evidence, the surest first."""
    return "; ".join(f"{kinds[each]:,} {each} ({WORDS[each]})" for each in Because if kinds.get(each))


class Evidence(NamedTuple):
    """Why one answer is better than another.

    `chosen` and `rejected` say how good each is by it, 0 to 1: the mean ROUGE-L F1 with the others drawn for `agreement`, the share of yes
    for `rated`, else 1 and 0. `reason` is the code of the broken rule, `raters` how many people said something of either; else empty and 0.
    """

    because: Because
    reason: str = ""
    chosen: float = 1.0
    rejected: float = 0.0
    raters: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """An accepted instance, and a worse answer to the same instruction, input and system turn.

    Where the instance goes on after its first exchange, `last` says that the pair is about its last turn, and not about its output.
    """

    instance_id: int
    rejected: str
    evidence: Evidence
    last: bool = False


DISPREFERRED = "dispreferred"
"""The reason code of an instance that was brought as the worse one of a pair."""

ABOUT_ANSWER = frozenset(
    {
        *("truncated", "same_as_input", "ends_with_colon", "disagreement", "unlikely_answer", "answer_list", "asks_back", "breaks_off"),
        *("refuses", "placeholder", "says_little", "loops", "repeats_instruction", "ungrounded"),
    }
)
"""Reason codes that say something against an answer, whatever it answers. Marks of thoughts are none: who reads them in as a worse
answer would learn not to think."""

_INSTANCES = f"{INSTANCE} WHERE task_id BETWEEN ? AND ? ORDER BY task_id, position"
# The text before the first change that still holds is what the model wrote: an action that was undone has put it back.
_EDITED = """
SELECT task_id, instances.id, coalesce(json_extract(changes, '$[0].before.input'), input),
    coalesce(json_extract(changes, '$[0].before.output'), output)
FROM instances CROSS JOIN action_targets ON target = 'instances' AND target_id = instances.id JOIN actions ON actions.id = action_id
WHERE task_id BETWEEN ? AND ? AND +reason = 'edited' AND kind = 'edit instance' AND state IN ('done', 'settled') ORDER BY action_id"""
_DRAWN = """
SELECT task_id, instance_id, drawn_answers.agreement, fault, coalesce(drawn_answers.output, text)
FROM instances CROSS JOIN drawn_answers ON instance_id = instances.id JOIN completions ON completions.request_id = drawn_answers.request_id
WHERE task_id BETWEEN ? AND ? ORDER BY instance_id, drawn_answers.request_id"""
_RATED = """
SELECT review_items.task_id, coalesce(system, ''), review_items.input, review_items.output, rater_id, output_acceptable
FROM tasks CROSS JOIN review_items ON review_items.task_id = tasks.id AND tasks.instruction = review_items.instruction
    JOIN instances ON instances.id = instance_id
    JOIN ratings ON ratings.review_id = review_items.review_id AND ratings.position = review_items.position
WHERE tasks.id BETWEEN ? AND ? AND NOT skipped AND output_acceptable IS NOT NULL
ORDER BY review_items.review_id, review_items.position, rater_id"""
# Other tasks have answers to what they ask now.
_REWRITTEN = """
SELECT tasks.id FROM tasks JOIN candidates ON candidates.id = candidate_id
WHERE tasks.id BETWEEN ? AND ? AND candidates.text <> instruction"""


Answered = tuple[str, str, str]
"""A system turn, an input and an output, each without the white space around it."""


class _Drawn(NamedTuple):
    agreement: float
    fault: str
    text: str


@dataclass(slots=True)
class _Opinion:
    """What raters said of one text."""

    yes: int = 0
    no: int = 0
    raters: set[int] = field(default_factory=set)

    @property
    def share(self) -> float:
        return self.yes / (self.yes + self.no)


@dataclass(slots=True)
class _Known:
    """What is known of the answers of one task."""

    instances: list[InstanceRecord] = field(default_factory=list)
    replaced: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Input and output of instances before a person changed them, by id."""
    drawn: defaultdict[int, list[_Drawn]] = field(default_factory=lambda: defaultdict(list))
    opinions: defaultdict[Answered, _Opinion] = field(default_factory=lambda: defaultdict(_Opinion))
    rewritten: bool = False
    """A person changed the instruction after the model had written for it."""


def pairs_of(database: Database, first: int, last: int) -> dict[int, list[Pair]]:
    """Return the pairs of the tasks with ids from `first` to `last`, by task; by the positions of their instances, the surest first.

    One query for each kind of evidence, however many tasks they are.
    """
    known: defaultdict[int, _Known] = defaultdict(_Known)
    where = (first, last)
    for row in database.rows(_INSTANCES, where):
        known[row["task_id"]].instances.append(stored_instance(row))
    for task_id, instance_id, given, output in database.rows(_EDITED, where):
        known[task_id].replaced.setdefault(instance_id, (given, output))
    for task_id, instance_id, agreement, fault, text in database.rows(_DRAWN, where):
        known[task_id].drawn[instance_id].append(_Drawn(agreement, fault, text.strip()))
    for task_id, system, given, output, rater, yes in database.rows(_RATED, where):
        said = known[task_id].opinions[_key(system, given, output)]
        said.yes, said.no = said.yes + yes, said.no + (1 - yes)
        said.raters.add(rater)
    for (task_id,) in database.rows(_REWRITTEN, where):
        known[task_id].rewritten = True
    return {task_id: list(_pairs(each)) for task_id, each in known.items()}


def _key(system: str, given: str, output: str) -> Answered:
    return system.strip(), given.strip(), output.strip()


def _key_of(instance: InstanceRecord) -> Answered:
    return _key(instance.system, instance.input, instance.output)


def _said_last(instance: InstanceRecord) -> str:
    return instance.turns[-1].text if instance.turns else instance.output


def _pairs(known: _Known) -> Iterator[Pair]:
    """Yield the pairs of a task: each two texts once, by the surest evidence, and not at all where that speaks for both of them."""
    accepted = [each for each in known.instances if each.verdict is Verdict.ACCEPTED]
    disowned = _disowned(known)
    # What is data itself, or good in the eyes of people, is not worse by a rule.
    kept = {_key_of(each) for each in accepted} | {text for text, said in known.opinions.items() if said.yes > said.no}
    found: defaultdict[object, list[tuple[Pair, str]]] = defaultdict(list)
    for instance in accepted:
        for pair in _worse(known, instance, kept) if _key_of(instance) not in disowned else ():
            better, worse = (_said_last(instance) if pair.last else instance.output).strip(), pair.rejected.strip()
            if worse and worse != better:
                # In another conversation the same two answers are another pair.
                before = instance.turns[:-1] if pair.last else ()
                found[_key_of(instance)[:2], before, frozenset((better, worse))].append((pair, better))
    left: list[Pair] = []
    for each in found.values():
        surest = min(_rank(pair) for pair, _ in each)
        pairs = {better: pair for pair, better in reversed(each) if _rank(pair) == surest}
        if len(pairs) == 1:
            left += pairs.values()
    places = {each.id: each.position for each in accepted}
    yield from sorted(left, key=lambda pair: (places[pair.instance_id], _rank(pair)))


def _rank(pair: Pair) -> int:
    return tuple(Because).index(pair.evidence.because)


def _disowned(known: _Known) -> set[Answered]:
    """The answers that a person has rejected, replaced by others, or most raters have found wanting."""
    by_hand = (each for each in known.instances if each.verdict is Verdict.REJECTED and each.decided_by is Decider.HUMAN)
    replaced = {_key(each.system, *known.replaced[each.id]) for each in known.instances if each.id in known.replaced}
    return {_key_of(each) for each in by_hand} | replaced | {text for text, said in known.opinions.items() if said.no > said.yes}


def _worse(known: _Known, instance: InstanceRecord, kept: set[Answered]) -> Iterator[Pair]:
    """Yield the pairs of an instance's answer with those that are worse; by a rule none of `kept` is."""
    edited = instance.reason == "edited"
    if edited and not known.rewritten:
        given, output = known.replaced.get(instance.id, ("", ""))
        if given == instance.input:
            yield Pair(instance.id, output, Evidence(Because.EDITED))
    yield from _rated_worse(known, instance)
    if edited:
        return
    for each in known.instances:
        if each.reason == DISPREFERRED and each.lost_to == instance.position and _key_of(each)[:2] == _key_of(instance)[:2]:
            yield Pair(instance.id, _said_last(each), Evidence(Because.IMPORTED), last=bool(instance.turns))
    if not known.rewritten:
        for pair in (*_broken(known, instance), *_least_agreed(known.drawn[instance.id], instance)):
            if _key(instance.system, instance.input, pair.rejected) not in kept:
                yield pair


def _rated_worse(known: _Known, instance: InstanceRecord) -> Iterator[Pair]:
    own = known.opinions.get(_key_of(instance))
    if own is None or own.yes <= own.no:
        return
    for text, said in known.opinions.items():
        if text[:2] == _key_of(instance)[:2] and said.no > said.yes:
            yield Pair(instance.id, text[2], Evidence(Because.RATED, "", own.share, said.share, len(own.raters | said.raters)))


def _broken(known: _Known, instance: InstanceRecord) -> Iterator[Pair]:
    """What was rejected for a rule about answers: other instances of that input, and what was drawn for this one."""
    for other in known.instances:
        if other.verdict is Verdict.REJECTED and other.reason in ABOUT_ANSWER and _key_of(other)[:2] == _key_of(instance)[:2]:
            yield Pair(instance.id, other.output, Evidence(Because.CHECKED, other.reason))
    if _is_sound(known.drawn[instance.id], instance):
        for each in known.drawn[instance.id]:
            if each.fault in ABOUT_ANSWER:
                yield Pair(instance.id, each.text, Evidence(Because.CHECKED, each.fault))


def _least_agreed(drawn: Sequence[_Drawn], instance: InstanceRecord) -> Iterator[Pair]:
    """The answer that agrees least with the others drawn, among those that break no rule, where the instance's agrees more."""
    if _is_sound(drawn, instance):
        sound = [each for each in drawn if not each.fault]
        own = next(each for each in sound if each.text == instance.output.strip())
        worst = min(sound, key=lambda each: each.agreement)
        if worst.agreement < own.agreement:
            yield Pair(instance.id, worst.text, Evidence(Because.AGREEMENT, "", own.agreement, worst.agreement))


def _is_sound(drawn: Sequence[_Drawn], instance: InstanceRecord) -> bool:
    """Whether the instance's answer is one of those drawn that break no rule: neither a person's nor an exception that one made."""
    return any(each.text == instance.output.strip() and not each.fault for each in drawn)
