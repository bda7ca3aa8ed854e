"""Taking the first exchange out of a conversation: messages, ShareGPT, preference pairs and their relatives.

A task holds one exchange. What else a conversation has, system turns and later turns, is reported as lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from studio.records import Instance
from studio.seeds.fields import INSTRUCTION, OUTPUT, Fields, holds, kind_of

TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat", "contents")
"""Fields that hold a conversation."""

Taken = tuple[str, tuple[Instance, ...]]
"""An instruction and its instances."""

USERS = {"user", "human", "prompter", "customer", "question", "q", "instruction", "input"}
ASSISTANTS = {"assistant", "gpt", "chatgpt", "model", "bot", "bing", "bard", "ai", "answer", "a", "output", "response"}
_ROLES = ("role", "from", "speaker")
_MARKED = re.compile(r"(?:^|\n\n)(Human|Assistant):")
"""What begins the turns of a conversation that is one text, as Anthropic's preference pairs have them."""
_CONTENTS = ("content", "value", "text", "message", "parts")


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


def conversation(fields: Fields) -> Taken:
    """Take the first exchange of a conversation; system turns, later turns and turns before the user's first are reported as lost."""
    name = next((each for each in TURNS if are_turns(fields.get(each))), None) or fields.holding(TURNS)
    if name is None:
        fields.fault("messages", "missing")
        return "", ()
    return _exchange(fields, name, list(_turns(fields, name)))


def preference(fields: Fields) -> Taken:
    """Take the prompt and the chosen answer of a pair; the rejected answer has no place in a task."""
    chosen = fields.get("chosen")
    before = next((each for each in ("prompt", *TURNS) if are_turns(fields.get(each))), None)
    if isinstance(chosen, str) and before is None and fields.holding(INSTRUCTION) is None and _MARKED.match(chosen):
        fields.take("chosen")
        words = _MARKED.split(fields.storable("chosen", chosen))[1:]
        return _exchange(fields, "chosen", [(_role(role), text.strip()) for role, text in zip(words[::2], words[1::2], strict=True)])
    if isinstance(chosen, str) and before is None:
        asked = fields.holding((*INSTRUCTION, "input")) or "prompt"
        instruction, output = fields.text(asked, required=True), fields.text("chosen", numbers=True)
        return instruction, (Instance("", output),) if output.strip() else ()
    if isinstance(chosen, str):
        return _exchange(fields, "chosen", [*_turns(fields, before or "prompt"), ("assistant", fields.text("chosen"))])
    answered = list(_turns(fields, "chosen"))
    if before is None and not any(role == "user" for role, _ in answered):
        answered = [("user", fields.text(fields.holding(INSTRUCTION) or "prompt", required=True)), *answered]
    elif ("user", fields.get("prompt")) in answered:
        fields.take("prompt")
    elif before is not None and not any(role == "user" for role, _ in answered):
        answered = [*_turns(fields, before), *answered]
    return _exchange(fields, "chosen", answered)


def prompt_messages(fields: Fields) -> Taken:
    """Take a prompt that is a list of messages, and the completion that is one, or text."""
    turns = list(_turns(fields, "prompt"))
    answered = fields.holding(OUTPUT) or "completion"
    if are_turns(fields.get(answered)):
        turns += _turns(fields, answered)
    else:
        turns.append(("assistant", fields.text(answered, numbers=True)))
    return _exchange(fields, "prompt", turns)


def _exchange(fields: Fields, name: str, turns: list[tuple[str, str]]) -> Taken:
    if fields.faults:
        return "", ()
    users = [place for place, (role, content) in enumerate(turns) if role == "user" and content.strip()]
    answers = [place for place, (role, content) in enumerate(turns) if role == "assistant" and content.strip()]
    if not users:
        fields.fault(name, "no turn of a user" if all(role != "user" for role, _ in turns) else "the turns of the user are empty")
        return "", ()
    first = next((place for place in users if place + 1 in answers), users[0])
    answer = first + 1 if first + 1 in answers else None
    if answer is None and answers and answers[-1] > first:
        fields.fault(name, "no answer stands right behind a turn of the user")
        return "", ()
    for place, (role, content) in enumerate(turns):
        if place not in (first, answer) and content.strip():
            lost = "system turn" if role == "system" else "later turns" if place > first else "earlier turns"
            fields.lost.append(lost)
    return turns[first][1], () if answer is None else (Instance("", turns[answer][1]),)


def _turns(fields: Fields, name: str) -> Iterator[tuple[str, str]]:
    """Yield (role, text) of the turns in a field; the role is `system`, `user`, `assistant` or another word."""
    value = fields.take(name)
    items = [value] if isinstance(value, Mapping) else value
    if not isinstance(items, list):
        fields.fault(name, f"{kind_of(value)} where a list of turns is needed")
        return
    if all(type(item) is str for item in items):
        yield from ((("user", "assistant")[place % 2], fields.storable(name, str(item))) for place, item in enumerate(items))
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
            yield _role(nested.text(role)), _content(nested)
        fields.lost += [f"{name}[].{each}" for each, held in item.items() if each not in nested.taken and holds(held)]


def _pair(nested: Fields, fields: Fields) -> Iterator[tuple[str, str]]:
    """Yield the turns of an object that holds a user's words and an assistant's."""
    found = [(role, name) for role, words in (("system", {"system"}), ("user", USERS), ("assistant", ASSISTANTS)) for name in words]
    pairs = [(role, name) for role, name in found if name in nested.names and holds(nested.get(name))]
    if not pairs:
        fields.fault(nested.prefix.removesuffix("."), "no role: the keys are " + ", ".join(nested.values))
    yield from ((role, nested.text(name, numbers=True)) for role, name in pairs)


def _role(word: str) -> str:
    word = word.strip().lower()
    return "user" if word in USERS else "assistant" if word in ASSISTANTS else "system" if word in ("system", "developer") else word


def _content(nested: Fields) -> str:
    name = nested.holding(_CONTENTS) or _CONTENTS[0]
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
