"""Is it good? What the text alone tells of an instruction that is no request, and of an answer that is none.

Each rule is a reason code that settings switch on and off; what each is worth on rated samples stands in the guide. Those that go by words
know English alone: a text in another language passes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from studio.loop.tokens import unicode_tokens
from studio.records import Instance

_ENGLISH = re.compile(
    r"\b(?:(?-i:I)|the|an?|of|to|and|in|is|are|for|you|my|i'm|with|on|it|that|what|how|some|me|this|your|about|from)\b", re.IGNORECASE
)
_FOREIGN = re.compile(
    r"\b(?:der|das|und|eine?|einen|einem|einer|eines|nicht|mit|von|zu|auf|den|dem|des|ist|sind|wie|im|zum|zur|diese[mnrs]?|mir|dir|ich|du|es|"
    r"les?|la|une?|et|est|de|dans|pour|sur|que|qui|quoi|en|aux?|avec|cette|je|vous|el|los|las|una|para|por|con|del|mi|su|il|gli|di|che|"
    r"della|questi|queste|os|uma?|da|dos|het|een|voor|niet|naar|op|ik|og|och|att|det|som|av|til|om|ikke|na|nie|jest|az|egy|hogy|nem|ja|ei|"
    r"ve|bir|bu|ile)\b|[^\W\d_a-z]+",
    re.IGNORECASE,
)
"""Words that many a text has in another language, none of them common in English, and runs of letters that English lacks."""
_ENGLISH_ALONE = re.compile(r"\b(?:the|and|with|that|what|how|some|this|your?|about|from|it|i'm)\b", re.IGNORECASE)
_ENGLISH_TOGETHER = (re.compile(r"\ba\b", re.IGNORECASE), re.compile(r"\b(?:to|of|for)\b", re.IGNORECASE))
"""What hardly any other language has; "a", "an", "in", "is", "me", "on" and "to" are words of many, some with no word in the list above."""
_STATEMENT = re.compile(
    r"(?:the|an?|this|that|these|those|it|it's|its|he|she|they|we|you|you're|i|i'm|i've|i'd|my|your|his|her|our|their|there|here|one|some|"
    r"many|most|all|every|everyone|nobody|no|if|when|while|although|because|as|another|both|people|life|sometimes|never|always)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"[?？]|\b(?:please|help me|tell me|give me|show me|i want to (?:know|learn|hear)|(?:i|we)(?: would|'d) like|i need|we need|"
    r"(?:i am|i'm) (?:looking for|wondering|curious)|(?:you are|you're) (?:a|an|the)|let's|"
    r"you (?:must|should|have to|need to|will|are to))\b"
    r"|[.!:,;]\s+(?:what|who|which|when|where|why|how|explain|describe|give|list|suggest|write|compare|name|create|make|find|classify|"
    r"judge|decide|pick|choose|say|tell|show|turn|rewrite|translate|draft|work out|calculate|label|answer|report|triage|from|using)\b",
    re.IGNORECASE,
)
_LETTER = re.compile(r"(?:hi|hey|hello|dear|good (?:morning|afternoon|evening))\b[^.?!\n]{0,40}[,!]?\s*\n", re.IGNORECASE)
_SUBJECT = re.compile(r"\s*subject:", re.IGNORECASE)
_TEXTS = (
    r"texts?|passages?|articles?|paragraphs?|sentences?|e-?mails?|letters?|snippets?|story|stories|document|dataset|table|statements?|"
    r"conversation|dialogue|message|poem|essay|reviews?|tweets?|excerpt|abstract|phrases?|equations?|input"
)
_MORE_TEXTS = r"words?|numbers?|code|data|list|options?|items?|questions?|problem|function|values?"
_ABSENT = re.compile(
    rf"\b(?:this|these|those|each|following|given|attached|provided|enclosed)\s+(?:\w+\s+){{0,2}}?(?:{_TEXTS}|{_MORE_TEXTS})\b"
    rf"|\bthe\s+(?:{_TEXTS})\b(?!\s+(?:of|in|from|by|about|called|titled)\b)|\bfollowing\b[^.?!]{{0,40}}[:.]?\s*$|\b(?:above|below)\b[.:]?\s*$",
    re.IGNORECASE,
)
_HOLDS_TEXT = re.compile(r"\n|[\"“”«»`]|:\s+\S")
_END = re.compile(r"[.!?…。！？．:：)\]\"'”’»`*|]\s*\Z")
_COLON_END = re.compile(r"[:：]\s*\Z")
_ANSWER_END = re.compile(r"[.!…。！．)\]\"'”’»`*|]\s*\Z")
_ITEM = re.compile(r"\s*(?:\d+[.)]|[-*•|])\s")
_FENCE = "```"
_ASKING = ("?", "？")
_REFUSAL = re.compile(
    r"\b(?:i'm sorry|i am sorry|i apologi[sz]e|sorry for|as an ai|as a (?:text|language|helpful|digital)|i'm (?:just )?an ai|"
    r"i (?:can't|cannot)|i'm (?:unable|not able|not equipped|designed)|i don't have|i am unable)\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\[[A-Za-z][A-Za-z' ]{0,40}\]|https?:|www\.|<\|")
_FEW_WORDS = 6
_RUN = 4
_MOST_IN_LOOPS = 0.05
_MOST_SAID_AGAIN = 0.5
_MOST_COPIED = 0.9


def no_request(text: str) -> bool:
    """Whether an instruction asks for nothing: a statement, an aphorism, a text of something else.

    It begins as statements do, not as orders and questions do, and nothing later in it asks.
    """
    straight = _straight(text)
    return _STATEMENT.match(straight) is not None and _REQUEST.search(straight) is None and not _is_foreign(text)


def is_letter(text: str) -> bool:
    """Whether an instruction is a letter or a chat message to somebody."""
    return _LETTER.match(text) is not None or _SUBJECT.match(text) is not None


def is_unended(text: str) -> bool:
    """Whether a text breaks off: it has no mark of an end where its words have spaces between them."""
    return _is_english(text) and _END.search(text) is None


def points_at_absent(text: str) -> bool:
    """Whether an instruction speaks of a text that it does not hold itself, so that it needs an input."""
    return _ABSENT.search(text) is not None and _HOLDS_TEXT.search(text.strip()) is None


def _is_english(text: str) -> bool:
    """Whether a text has words, or two together, that English alone has, and more words of English than of other languages."""
    own = _ENGLISH_ALONE.search(text) or all(word.search(text) for word in _ENGLISH_TOGETHER)
    return bool(own) and len(_ENGLISH.findall(text)) > len(_FOREIGN.findall(text))


def _is_foreign(text: str) -> bool:
    return _FOREIGN.search(text) is not None and not _is_english(text)


def _straight(text: str) -> str:
    return text.replace("’", "'")


def _is_piece(_: str, instance: Instance) -> bool:
    """It is the first item of a list alone, or code that does not end: a model that was stopped, or lost its thread, leaves these."""
    output = instance.output
    if output.count(_FENCE) % 2 == 1:
        return True
    return _ITEM.match(output) is not None and sum(1 for line in output.splitlines() if _ITEM.match(line)) == 1


def _breaks_off(_: str, instance: Instance) -> bool:
    """Its last sentence has no mark of an end; a colon ends no answer. A list, a form and a name under a letter need none."""
    output = instance.output
    if not _is_english(output) or _ANSWER_END.search(output) is not None or output.endswith(_ASKING):
        return False
    lines = [line for line in output.splitlines() if line.strip()]
    if len(lines) < 2 or _COLON_END.search(output):
        return True
    named = len(unicode_tokens(lines[-1])) < _FEW_WORDS
    form = sum(1 for line in lines if _END.search(line) is None) * 2 > len(lines)
    return not (named or form or _ITEM.match(lines[-1]))


def _loops(_: str, instance: Instance) -> bool:
    """Runs of four words come again, twice or more, and are a twentieth of it: a long text, a proof and code say some things twice."""
    found = runs(unicode_tokens(instance.output), _RUN)
    again = len(found) - len(set(found))
    return again > 1 and again > len(found) * _MOST_IN_LOOPS


def _repeats_instruction(instruction: str, instance: Instance) -> bool:
    """Most of what it says, by runs of three words, the instruction says already, or nearly all the instruction or the input.

    A text that was to be corrected or shortened is for the greater part the input.
    """
    said = set(runs(unicode_tokens(instance.output), 3))
    asked, given = set(runs(unicode_tokens(instruction), 3)), set(runs(unicode_tokens(f"{instruction} {instance.input}"), 3))
    return bool(said) and (len(said & asked) > len(said) * _MOST_SAID_AGAIN or len(said & given) > len(said) * _MOST_COPIED)


def runs(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    """Return all runs of `length` words, in their order."""
    return [tuple(words[place : place + length]) for place in range(len(words) - length + 1)]


ANSWER_RULES: Mapping[str, tuple[Callable[[str, Instance], bool], str]] = {
    "answer_list": (_is_piece, "Its output is the first item of a list alone, or code that does not end."),
    "asks_back": (lambda _, each: each.output.endswith(_ASKING), "Its output ends with a question."),
    "breaks_off": (_breaks_off, "Its output has no end."),
    "refuses": (
        lambda _, each: _REFUSAL.search(_straight(each.output)) is not None,
        "Its output refuses, pities, or speaks of itself as a program.",
    ),
    # Models of text make addresses up.
    "placeholder": (
        lambda _, each: _PLACEHOLDER.search(each.output) is not None,
        "Its output has a place to fill in, or an address of the web.",
    ),
    "says_little": (lambda _, each: len(unicode_tokens(each.output)) < _FEW_WORDS, "Its output has hardly any words."),
    "loops": (_loops, "Its output says the same again and again."),
    "repeats_instruction": (_repeats_instruction, "Its output says little but what the instruction or the input says."),
}
"""All rules for answers by the name that settings use, which is their reason code: whether an answer to an instruction has to go, and what
that means."""

OF_SENTENCES = frozenset({"breaks_off", "says_little", "repeats_instruction"})
"""Rules that do not hold for the label of a classification task, which the instruction names as a rule."""


def answer_fault(instruction: str, instance: Instance, rules: Sequence[str], *, is_label: bool = False) -> str:
    """Return the first of `rules` that an answer breaks, or an empty string; `is_label` says that it answers a classification task."""
    return next((name for name in rules if not (is_label and name in OF_SENTENCES) and ANSWER_RULES[name][0](instruction, instance)), "")
