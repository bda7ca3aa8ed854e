"""What is wrong with an instance, as its task alone shows: an input that is not there, a place that nobody filled in, an output that breaks
off, refuses or only repeats, pieces of the prompt's template, thoughts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from studio.insight.lint.api import EXCERPT, Finding, Lint, Measured, Part, excerpt, matches, texts_of
from studio.loop.parsing import first_mark
from studio.loop.tokens import unicode_tokens
from studio.pool.stream import LintTask

_THING = (
    r"(?:texts?|sentences?|paragraphs?|passages?|articles?|stor(?:y|ies)|poems?|e-?mails?|letters?|messages?|lists?|tables?|data|dataset"
    r"|code|functions?|words?|phrases?|numbers?|reviews?|tweets?|questions?|statements?|dialogues?|conversations?|documents?|essays?|inputs?"
    r"|equations?|expressions?|strings?|arrays?|sequences?|recipes?|headlines?|titles?|topics?|products?|claims?|premises?|scenarios?"
    r"|descriptions?|information|options|items|snippets?|lines|excerpts?|quotes?|problems?|facts|pairs?)"
)
_CUE = re.compile(
    rf"\b(?:(?:following|given|provided|above)\s+(?:\w+[\s-]+){{0,2}}?{_THING}\b"
    rf"|given\s+(?:an?|the|some|two|three|these|this)\s+(?:\w+[\s-]+){{0,2}}?{_THING}\b"
    rf"|(?:this|these)\s+(?:\w+\s+)?{_THING}\b"
    rf"|{_THING}\s+(?:below|above|provided)\b)",
    re.IGNORECASE,
)
# Bounded: a text of opening quotes alone must not take the square of its length.
_QUOTED = re.compile(r"[\"“«].{0,300}?[\"”»]|(?<!\w)['‘].{0,300}?['’](?!\w)", re.DOTALL)
_CARRIED = re.compile(
    r"[:：]\s*\S|\n[^\S\n]*\S|[\"“«「`].{1,300}?[\"”»」`]|(?<!\w)['‘].{1,300}?['’](?!\w)|\d",
    re.DOTALL,
)


def _missing_input(task: LintTask) -> Iterator[Finding]:
    if all(instance.input.strip() for instance in task.instances):
        return
    # What is quoted is spoken about, not referred to.
    found = _CUE.search(_QUOTED.sub(lambda quoted: " " * len(quoted[0]), task.instruction))
    # What is referred to may stand in the instruction itself: behind a colon, in quotes, or as figures.
    if found is None or _CARRIED.search(task.instruction, found.start()):
        return
    for instance in task.instances:
        if not instance.input.strip():
            yield Finding(task.id, instance.id, Part.INSTRUCTION, excerpt(task.instruction, found))


MISSING_INPUT = Lint(
    code="missing-input",
    title="the instruction needs an input that is not there",
    help=(
        "The instruction speaks of “the following text”, “the given list”, “this sentence”, “the table below” and the like, and the "
        "instance has an empty input. It is passed over when the thing stands in the instruction itself: behind a colon, in quotes, on a "
        "line of its own, or as figures."
    ),
    note=(
        "English only. “This question” may mean the instruction, and is reported; a need in other words (“Summarise it.”) is not found; "
        "a number in the instruction that is not the input hides one."
    ),
    measured=Measured(7, 9, 1, 9),
    faulty=("Summarise the following text. | (empty) → The text is about bees.",),
    sound=("Translate the following sentence: I like tea. | (empty) → J'aime le thé.", "Summarise the following text. | Bees ... → ..."),
    check=_missing_input,
)


_SLOT = (
    r"(?:your|my|insert|enter|add|name|(?:first|last|full|company|customer|client|recipient|sender|product|business|event)(?:['’]s)? ?name"
    r"|company|recipient|sender|date|address|phone(?: number)?|e-?mail(?: address)?|city|signature|title|topic|placeholder|text here)"
)
_PLACEHOLDER = re.compile(
    rf"\[{_SLOT}\b[^\]\n]{{0,40}}\]|<{_SLOT}\b[^>\n=/]{{0,40}}>|\{{{{?\s*{_SLOT}\b[^}}\n]{{0,40}}\}}"
    r"|\(insert [^)\n]{1,60}\)|\blorem ipsum\b|\bX{4,}\b|(?-i:(?<![A-Z\w])XXX(?![A-Z\w]))"
    r"|(?-i:\b(?:TODO|TBD|FIXME)\b)|\b(?:your|some) text here\b",
    re.IGNORECASE,
)
_PLACEHOLDER_MEANT = re.compile(
    r"\b(?:templates?|placeholders?|blanks?|forms?|mail merge|roman|numerals?|date format|regex|markup)\b", re.IGNORECASE
)


def _placeholder(task: LintTask) -> Iterator[Finding]:
    if not _PLACEHOLDER_MEANT.search(task.instruction):
        yield from matches(task, _PLACEHOLDER, Part.INPUT, Part.OUTPUT)


PLACEHOLDER = Lint(
    code="placeholder",
    title="placeholder text that nobody filled in",
    help=(
        "An input or output has “[Your name]”, “<insert date>”, “{name}”, “Lorem ipsum”, “XXX”, “TODO”, “your text here” and the like. "
        "Passed over where the instruction asks for a template, a form, placeholders, blanks or Roman numerals."
    ),
    note=(
        "“{name}” in program code, and XXX for thirty, are reported. Placeholders of other words (“[the boss]”) are not found. English "
        "words."
    ),
    measured=Measured(8, 9, 1, 8),
    faulty=("Write a thank-you note. → Dear [Recipient], thank you for the gift. Yours, [Your Name]",),
    sound=("Write a letter template with placeholders. → Dear [Recipient], ...", "→ The list is [1, 2, 3]."),
    check=_placeholder,
)


_LEAST_WORDS = 6
_OPEN_END = re.compile(
    r"\b(?:a|an|the|of|and|or|but|with|for|from|into|because|although|which|whose|their|its|your|our|is|are|was|were|such as|as well as"
    r"|including|between|than|by|at|if|while|when|very)$",
    re.IGNORECASE,
)
_MARKS = (",", ";", "(", "[", "{", "-", "–", "—", "&", "/")
_TRUNCATED_MEANT = re.compile(
    r"\b(?:complete|continue|finish|fill in|blank|next word|prefix|first (?:words?|lines?|half)|beginning of|stop ?words?|prepositions?"
    r"|conjunctions?|articles?|poem|lyrics|haiku|code|program|function|regex)\b",
    re.IGNORECASE,
)


def _truncated(task: LintTask) -> Iterator[Finding]:
    if task.is_classification or _TRUNCATED_MEANT.search(task.instruction):
        return
    for instance in task.instances:
        text = instance.output.rstrip()
        if _breaks_off(text):
            yield Finding(task.id, instance.id, Part.OUTPUT, text[-EXCERPT // 2 :])


def _breaks_off(text: str) -> bool:
    if text.count("```") % 2:
        return True
    if text.endswith("```") or len(text.split(None, _LEAST_WORDS)) < _LEAST_WORDS:
        return False
    return text.endswith(_MARKS) or _OPEN_END.search(text[-20:]) is not None


TRUNCATED = Lint(
    code="truncated",
    title="the output breaks off",
    help=(
        "An output of six words or more ends with a comma, an opening bracket, a dash or a word that wants another behind it (“the”, “of”, "
        "“because”), or a code block in it is not closed. Classification tasks, poems, code, and instructions that ask to complete or "
        "continue something are passed over."
    ),
    note=(
        "English words. An output that breaks off after any other word is not found: a missing full stop alone says little, lists and "
        "titles have none. “What is it made of” at the end of a sound output is reported."
    ),
    measured=Measured(6, 8, 1, 8),
    faulty=("Explain how bees make honey. → Bees collect nectar from flowers and carry it to the",),
    sound=("List three fruits. → apples, pears, plums",),
    check=_truncated,
)


_DOING = (
    r"(?:help|assist|provide|answer|do|complete|fulfil|generate|create|write|access|see|open|browse|process|comply|perform|determine|give"
    r"|offer|translate|summari[sz]e|identify|engage|support|discuss|recommend|predict|view|read|hear|tell|say|feel|have|make|find)"
)
_UNABLE = (
    r"(?:can(?:not|['’]?t| not)|am (?:unable|not able) to|['’]m (?:unable|not able) to|won['’]t|will not|(?:am|['’]m) not programmed to)"
)
_SAYS_AI = re.compile(
    r"\b(?:as|I['’]?m(?: just| only)?|I am(?: just| only)?) an? (?:AI\b|artificial intelligence|(?:large )?language model|virtual assistant"
    r"|computer program|chat ?bot|text-based)",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    rf"(?:(?:I['’]m|I am) (?:very |so |terribly )?(?:sorry|afraid)\b[,.]?|sorry\b[,.]?|unfortunately\b,?|(?:my )?apologies\b[,.]?"
    rf"|I apologi[sz]e\b[,.]?)?\s{{0,4}}(?:but |that )?(?:I ?{_UNABLE} (?:\w+ )?{_DOING}\b"
    rf"|I (?:do not|don['’]t) have (?:access|enough information|the ability|personal|feelings|opinions|real-time)"
    rf"|(?:this|that|your) (?:request|question|task) (?:cannot|can['’]t|can not) be)",
    re.IGNORECASE,
)
_REFUSAL_MEANT = re.compile(
    r"\b(?:apolog|declin|refus|excuse|e-?mail|letter|dialog|conversation|reply|repl(?:y|ies)\b|respond|response|translat|rewrite|paraphras"
    r"|chat ?bot|language model|AI\b)",
    re.IGNORECASE,
)


def refusal_in(instruction: str, output: str) -> str:
    """Return where an output declines what the instruction asks for, or speaks as an AI; empty where it does neither."""
    output = output.lstrip()
    found = _DECLINES.match(output) or _SAYS_AI.search(output)
    if not found or _REFUSAL_MEANT.search(instruction):
        return ""
    return output[found.start() : found.start() + EXCERPT].rstrip()


def _refusal(task: LintTask) -> Iterator[Finding]:
    for instance in task.instances:
        if excerpt := refusal_in(task.instruction, instance.output):
            yield Finding(task.id, instance.id, Part.OUTPUT, excerpt)


REFUSAL = Lint(
    code="refusal",
    title="the output refuses, or speaks as an AI",
    help=(
        "The output begins with “I cannot …”, “I'm sorry, but I am unable to …”, “I don't have access …” and the like, or says anywhere "
        "“as an AI”, “I am a language model”. Passed over where the instruction asks for an apology, a letter, a reply, a dialogue or a "
        "translation, or is about AI."
    ),
    note=(
        "English only. A first-person text that truly begins so (a diary, a quotation) is reported; a refusal in the third person, or one "
        "that answers a letter or a reply, is not found."
    ),
    measured=Measured(8, 10, 1, 8),
    faulty=("What will the weather be tomorrow? → As an AI language model, I cannot know the weather.",),
    sound=("Decline an invitation politely by e-mail. → I'm sorry, but I can't make it on Friday.", "→ I can't believe how good it was."),
    check=_refusal,
)


_LEAST = 4
"""Tokens: an answer shorter than this may well be a word or two of the input."""
_SHARE = 0.9
_REPEATS_MEANT = re.compile(
    r"\b(?:repeat|copy|echo|verbatim|unchanged|as it is|as is|again|punctuat\w*|capitali[sz]\w*"
    r"|capital letters?|(?:upper|lower|title|sentence)[ -]?case|commas?|quotation marks?"
    r"|(?:re)?format\w*|line breaks?|spac(?:es?|ing)|hyphens?)\b",
    re.IGNORECASE,
)


def _repeats(task: LintTask) -> Iterator[Finding]:
    if _REPEATS_MEANT.search(task.instruction):
        return
    instruction = unicode_tokens(task.instruction)
    for instance in task.instances:
        output = unicode_tokens(instance.output)
        if len(output) < _LEAST:
            continue
        given = unicode_tokens(instance.input)
        if any(_is_said_again(output, source) for source in (given, instruction, instruction + given)):
            yield Finding(task.id, instance.id, Part.OUTPUT, instance.output[:EXCERPT])


def _is_said_again(output: Sequence[str], source: Sequence[str]) -> bool:
    """Whether `output` is `source`, or the beginning or end of it that is nearly all of it."""
    if not _SHARE * len(source) <= len(output) <= len(source):
        return False
    return output in (source[: len(output)], source[len(source) - len(output) :])


REPEATS = Lint(
    code="repeats",
    title="the output only repeats the input or the instruction",
    help=(
        "The words of the output, of four or more, are those of the input, of the instruction, or of both one after the other, in their "
        "order: all of them, or the first or last nine tenths. Case, punctuation and white space do not count. Instructions that ask to "
        "repeat or copy, or that are about punctuation, case or layout, are passed over."
    ),
    note=(
        "An input that needed no correction is repeated rightly, and reported. A repetition with other words woven in, or of three words, "
        "is not found."
    ),
    measured=Measured(5, 6, 1, 8),
    faulty=("Simplify the sentence. | The cat sat on the mat. → the cat sat on the mat",),
    sound=("Simplify the sentence. | The feline reposed upon the rug. → The cat lay on the rug.",),
    check=_repeats,
)


_CONTROL = r"<\|[a-z_]{2,20}\|>|</?s>|\[/?INST\]|<</?SYS>>|<noinput>|###\s*(?:Instruction|Input|Response|Output)\b"
_IN_INSTANCE = re.compile(
    rf"^[ \t]*(?:Example \d+\b[ \t]*(?:[:.]|$)|Task \d+[ \t]*:|Task:|(?:Input|Output)(?: \d+)?:|Instructions?(?: \d+)?:)|\bClass label:"
    rf"|Is it classification\?|{_CONTROL}",
    re.MULTILINE | re.IGNORECASE,
)
_IN_INSTRUCTION = re.compile(
    rf"\bClass label:|\bIs it classification\?|\b(?:Example|Task) \d+\s*(?::|$)|(?:^|\s)(?:Input|Output)(?: \d+)?:|{_CONTROL}",
    re.IGNORECASE,
)
_TEMPLATE_MEANT = re.compile(r"\b(?:(?:examples?|test cases?) with|program|function|script|prompt|template)\b", re.IGNORECASE)


def _template(task: LintTask) -> Iterator[Finding]:
    yield from matches(task, _IN_INSTRUCTION, Part.INSTRUCTION)
    if not _TEMPLATE_MEANT.search(task.instruction):
        yield from matches(task, _IN_INSTANCE, Part.INPUT, Part.OUTPUT)
    yield from _thoughts(task)


def _thoughts(task: LintTask) -> Iterator[Finding]:
    """Thoughts in a text, closed or not, unless the instruction itself asks for them by their mark."""
    if first_mark(task.instruction, spoken_of=True) and not first_mark(task.instruction):
        return
    for part, instance_id, text in texts_of(task):
        if found := first_mark(text):
            yield Finding(task.id, instance_id, part, excerpt(text, found))


TEMPLATE = Lint(
    code="template",
    title="a piece of the prompt's template, or a model's thoughts, leaked into the data",
    help=(
        "A line of an input or output begins with “Example 2”, “Task 9:”, “Task:”, “Input:”, “Output:”, “Instruction:”, or “Class label:” "
        "stands anywhere, or a chat format's control words; in an instruction, the same anywhere. Instances of instructions that are about "
        "programs, functions, prompts or templates are passed over. Marks of what a reasoning model thinks (<think>, </think>, [THINK], "
        "<reasoning>, gpt-oss's channels) are found everywhere, one of a pair alone as well, unless they stand in quotation marks."
    ),
    note=(
        "A document that truly numbers its examples is reported, and so is an instruction that ends in “Example 3”. Templates in other "
        "words or languages are not found."
    ),
    measured=Measured(15, 16, 1, 8),
    faulty=("Classify the review. | Good phone.\nClass label: positive → positive", "Name a fruit. → Apple\n\nTask 9: Name a colour."),
    sound=("Give an example of a simile. → For example, as brave as a lion.",),
    check=_template,
)
