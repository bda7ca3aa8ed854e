"""Conversations in records: messages, ShareGPT, preference pairs, earlier turns beside an instruction, and their relatives.

A task has their first exchange as instruction and instance. The system turn before it and all turns behind it stay with the instance. What
has no place there is reported as lost: turns before the user's first, what a turn holds beside its text, and all that is said around a
question which nobody answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from studio.records import Instance, Turn
from studio.seeds.fields import INPUT, INSTRUCTION, OUTPUT, Fields, JsonObject, decoded, holds, kind_of

TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat", "contents")
"""Fields that hold a conversation."""

THOUGHTS, REASONING = "thoughts", "reasoning_content"
"""Where the studio's own exports have what a model thought before its answer: in an instance, and in a message."""

SYSTEM = ("system", "system_prompt", "system_message")
"""Fields that hold a system turn, beside an instruction or a conversation."""

Taken = tuple[str, tuple[Instance, ...]]
"""An instruction and its instances."""

USERS = {"user", "human", "prompter", "customer", "question", "q", "instruction", "input"}
ASSISTANTS = {"assistant", "gpt", "chatgpt", "model", "bot", "bing", "bard", "ai", "answer", "a", "output", "response"}
_ROLES = ("role", "from", "speaker")
_MARKED = re.compile(r"(?:^|\n\n)(Human|Assistant):")
"""What begins the turns of a conversation that is one text, as Anthropic's preference pairs have them."""
_CONTENTS = ("content", "value", "text", "message", "parts")


_LISTS = {*TURNS, "instances", "history"}
_MAYBE_LISTS = {"prompt", "completion", "chosen", "rejected"}
"""Fields that may hold a conversation, or a text that begins with a bracket."""


def are_turns(value: object) -> bool:
    """Return whether a value is a conversation: a list of objects with a role, or with a user's and an assistant's words."""
    if not isinstance(value, list) or not value or not isinstance(value[0], Mapping):
        return False
    names = {str(name).lower() for name in value[0]}
    if names & set(_ROLES) and names & set(_CONTENTS):
        return True
    return bool(names & USERS) and bool(names & ASSISTANTS) and names <= USERS | ASSISTANTS | {"system"}


def are_texts(value: object) -> bool:
    """Return whether a value is a conversation of plain texts, user and assistant in turn."""
    return isinstance(value, list) and len(value) > 1 and all(type(each) is str for each in value)


def unfolded(values: JsonObject) -> JsonObject:
    """Return a record in which lists that stand as JSON in a text, as tables have them in a cell, are lists."""
    texts = [(name, value) for name, value in values.items() if type(value) is str and value.lstrip()[:1] == "["]
    lists: dict[str, object] = {}
    for name, text in texts:
        asked = name.strip().lower()
        if asked in _LISTS or asked in _MAYBE_LISTS:
            with suppress(ValueError):
                value, end = decoded(text := text.strip())
                if end == len(text) and (asked in _LISTS or are_turns(value)):
                    lists[name] = value
    return {**values, **lists} if lists else values


def conversation(fields: Fields) -> Taken:
    """Take a conversation."""
    name = next((each for each in TURNS if are_turns(fields.get(each))), None) or fields.holding(TURNS)
    if name is None:
        fields.fault("messages", "missing")
        return "", ()
    return _exchange(fields, name, list(turns_in(fields, name)))


def preference(fields: Fields) -> Taken:
    """Take the prompt and the chosen answer of a pair; see `worse_answers` for the rejected one."""
    chosen = fields.get("chosen")
    if not holds(chosen):
        fields.fault("chosen", "empty, where rejected is an answer: there is no pair without the better one")
        return "", ()
    before = next((each for each in ("prompt", *TURNS) if are_turns(fields.get(each))), None)
    if isinstance(chosen, str) and before is None and fields.holding(INSTRUCTION) is None and _MARKED.match(chosen):
        fields.take("chosen")
        words = _MARKED.split(fields.storable("chosen", chosen))[1:]
        return _exchange(fields, "chosen", [Turn(_role(role), text.strip()) for role, text in zip(words[::2], words[1::2], strict=True)])
    if isinstance(chosen, str) and before is None:
        asked = fields.holding((*INSTRUCTION, "input")) or "prompt"
        instruction, output = fields.text(asked, required=True), fields.text("chosen", numbers=True)
        given = fields.holding(INPUT) if asked not in INPUT else None
        source = fields.text(given, numbers=True) if given else ""
        return in_context(fields, instruction, Instance(source, output)) if output.strip() else (instruction, ())
    if isinstance(chosen, str):
        return _exchange(fields, "chosen", [*turns_in(fields, before or "prompt"), Turn("assistant", fields.text("chosen"))])
    answered = list(turns_in(fields, "chosen"))
    if before is None and not any(turn.role == "user" for turn in answered):
        answered = [Turn("user", fields.text(fields.holding(INSTRUCTION) or "prompt", required=True)), *answered]
    elif any((turn.role, turn.text) == ("user", fields.get("prompt")) for turn in answered):
        fields.take("prompt")
    elif before is not None and not any(turn.role == "user" for turn in answered):
        answered = [*turns_in(fields, before), *answered]
    return _exchange(fields, "chosen", answered)


def worse_answers(fields: Fields, instruction: str, instances: tuple[Instance, ...]) -> tuple[tuple[Instance, Instance], ...]:
    """Take the rejected answer of a pair whose chosen one has been taken; both are read alike, so that what was asked can be compared.

    A rejected answer that equals the chosen one, or ends another conversation than that, is reported as lost.
    """
    rejected = fields.get("rejected")
    if fields.faults or not instances or not holds(rejected):
        return ()
    beside = {name: value for name, value in fields.values.items() if name not in (fields.names["chosen"], fields.names["rejected"])}
    again = Fields({**beside, "chosen": rejected})
    asked, found = preference(again)
    if again.faults or not found:
        return ()
    fields.take("rejected")
    for ours, theirs in ((fields.mended, again.mended), (fields.lost, again.lost)):
        ours += [name.replace("chosen", "rejected", 1) for name in theirs if name.startswith("chosen")]
    if (asked, found) == (instruction, instances):
        fields.lost.append("rejected, the same as chosen")
    elif asked == instruction and _differ_at_the_end(instances[0], found[0]):
        return ((instances[0], found[0]),)
    else:
        fields.lost.append("rejected, of another conversation than chosen")
    return ()


def _differ_at_the_end(one: Instance, other: Instance) -> bool:
    """Whether two conversations differ in what the assistant said last, and in nothing else; what was thought before that aside."""
    if (one.input, one.system, len(one.turns)) != (other.input, other.system, len(other.turns)):
        return False
    if not one.turns:
        return one.output != other.output
    *before, last = one.turns
    *before_other, last_other = other.turns
    return (
        (one.output, before) == (other.output, before_other)
        and last.role == last_other.role == "assistant"
        and last.text != last_other.text
    )


def prompt_messages(fields: Fields) -> Taken:
    """Take a prompt that is a list of messages, and the completion that is one, or text."""
    turns = list(turns_in(fields, "prompt"))
    answered = fields.holding(OUTPUT) or "completion"
    if are_turns(fields.get(answered)):
        turns += turns_in(fields, answered)
    else:
        turns.append(Turn("assistant", fields.text(answered, numbers=True)))
    return _exchange(fields, "prompt", turns)


def in_context(fields: Fields, instruction: str, instance: Instance) -> Taken:
    """Take what stands around an instruction and its answer: a system turn, and a `history` of exchanges before it, as LLaMA-Factory reads
    them. With a history its first exchange is the task's, and the instruction is the last turn of a user."""
    history = fields.get("history")
    pairs = history if isinstance(history, list) else []
    if not pairs or not all(isinstance(pair, list) and len(pair) == 2 and all(type(text) is str for text in pair) for pair in pairs):
        return instruction, (Instance(instance.input, instance.output, instance.thoughts, _system(fields, [])),)
    fields.take("history")
    said = [Turn(role, fields.storable("history", text)) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)]
    asked = f"{instruction}\n\n{instance.input}" if instance.input.strip() else instruction
    return _exchange(fields, "history", [*said, Turn("user", asked), Turn("assistant", instance.output, instance.thoughts)])


def _exchange(fields: Fields, name: str, turns: list[Turn]) -> Taken:
    """Return the first exchange of a conversation, with what stands around it."""
    if fields.faults:
        return "", ()
    users = [place for place, turn in enumerate(turns) if turn.role == "user" and turn.text.strip()]
    answers = [place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.text.strip()]
    if not users:
        fields.fault(name, "no turn of a user" if all(turn.role != "user" for turn in turns) else "the turns of the user are empty")
        return "", ()
    first = next((place for place in users if place + 1 in answers), users[0])
    if first + 1 not in answers and answers and answers[-1] > first:
        fields.fault(name, "no answer stands right behind a turn of the user")
        return "", ()
    before = list(filter(_says_something, turns[:first]))
    if any(turn.role != "system" for turn in before):
        fields.lost.append("earlier turns")
    system = [turn.text for turn in before if turn.role == "system"]
    if first + 1 not in answers:
        behind = ["later turns" for _ in filter(_says_something, turns[first + 1 :])]
        fields.lost += ["system turn" for _ in system] + behind
        return turns[first].text, ()
    answer = turns[first + 1]
    return turns[first].text, (Instance("", answer.text, answer.thoughts, _system(fields, system), tuple(turns[first + 2 :])),)


def _says_something(turn: Turn) -> bool:
    return bool(turn.text.strip() or turn.thoughts.strip())


def _system(fields: Fields, turns: list[str]) -> str:
    """Return the system turn of a record, taken from its own field too; of several, which no format has, one text."""
    name = fields.holding(SYSTEM)
    if name is not None and type(fields.get(name)) is str:
        text = fields.text(name)
        turns = turns if text in turns else [text, *turns]
        if name != SYSTEM[0]:
            fields.renamed.append(f"system from {fields.names[name]}")
    if len(turns) > 1:
        fields.renamed.append(f"system from {len(turns)} system turns")
    return "\n\n".join(turns)


def turns_in(fields: Fields, name: str) -> Iterator[Turn]:
    """Yield the turns in a field; what is no conversation is a fault."""
    value = fields.take(name)
    where = re.sub(r"\[\d+\]", "[]", fields.prefix) + name
    items = [value] if isinstance(value, Mapping) else value
    if not isinstance(items, list):
        fields.fault(name, f"{kind_of(value)} where a list of turns is needed")
        return
    if all(type(item) is str for item in items):
        yield from (Turn(("user", "assistant")[place % 2], fields.storable(name, str(item))) for place, item in enumerate(items))
        return
    for place, item in enumerate(items):
        inner = f"{name}[{place}]"
        if not isinstance(item, Mapping):
            fields.fault(inner, f"{kind_of(item)} where an object with a role is needed")
            continue
        nested = Fields(item, fields, f"{inner}.")
        role = nested.holding(_ROLES)
        if role is None:
            yield from _pair(nested, fields)
        else:
            said_by = _role(nested.text(role))
            yield Turn(said_by, _content(nested), thoughts_in(nested, REASONING) if said_by == "assistant" else "")
        fields.lost += [f"{where}[].{each}" for each, held in item.items() if each not in nested.taken and holds(held)]


def _pair(nested: Fields, fields: Fields) -> Iterator[Turn]:
    """Yield the turns of an object that holds a user's words and an assistant's."""
    # In the record's own order, which its names stand in backwards: that of a set differs from run to run.
    names = [name for name in reversed(nested.names) if holds(nested.get(name))]
    roles = (("system", {"system"}), ("user", USERS), ("assistant", ASSISTANTS))
    pairs = [(role, name) for role, words in roles for name in names if name in words]
    if not pairs:
        fields.fault(nested.prefix.removesuffix("."), "no role: the keys are " + ", ".join(nested.values))
    yield from (Turn(role, nested.text(name, numbers=True)) for role, name in pairs)


def _role(word: str) -> str:
    word = word.strip().lower()
    return "user" if word in USERS else "assistant" if word in ASSISTANTS else "system" if word in ("system", "developer") else word


def thoughts_in(nested: Fields, name: str) -> str:
    """Take what was thought; anything but a text is left where it is."""
    value = nested.get(name)
    return nested.storable(name, str(nested.take(name))) if type(value) is str else ""


def _content(nested: Fields) -> str:
    # A turn of nothing but blanks is one, too.
    name = nested.holding(_CONTENTS) or next((each for each in _CONTENTS if nested.get(each) is not None), _CONTENTS[0])
    value = nested.get(name)
    if not isinstance(value, list):
        return nested.text(name, numbers=True)
    texts = []
    for part in value:
        words = part if type(part) is str else part.get("text") if isinstance(part, Mapping) else None
        if isinstance(words, str):
            texts.append(nested.storable(name, words))
        else:
            kind = part.get("type") if isinstance(part, Mapping) else None
            nested.fault(name, f"a part that is no text ({kind or kind_of(part)}), which a task cannot hold")
    nested.take(name)
    return "\n".join(texts)
