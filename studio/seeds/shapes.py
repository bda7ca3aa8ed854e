"""What records of tasks look like, and how a task is taken out of one: the one table of it, for files of every kind.

Whatever a record holds beside what its shape takes is reported, key by key. To add a shape, write what takes it and name it in `SHAPES`.
Of a conversation (messages, ShareGPT, preference pairs and their relatives) a task holds the first exchange; system turns and later turns
are reported as lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from studio.records import Instance, SeedTask
from studio.seeds.fields import INPUT, INSTRUCTION, OUTPUT, Fields, JsonObject, NotANumber, Number, holds, kind_of
from studio.seeds.inputs import FileFault, ParsedTask

TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat", "contents")
"""Fields that hold a conversation."""

THOUGHTS, REASONING = "thoughts", "reasoning_content"
"""Where the studio's own exports have what a model thought before its answer: in an instance, and in a message."""


class Turn(NamedTuple):
    """What was said by whom: `system`, `user`, `assistant` or another word; and what was thought before it was said."""

    role: str
    text: str
    thoughts: str = ""


Taken = tuple[str, tuple[Instance, ...]]
"""An instruction and its instances."""

USERS = {"user", "human", "prompter", "customer", "question", "q", "instruction", "input"}
ASSISTANTS = {"assistant", "gpt", "chatgpt", "model", "bot", "bing", "bard", "ai", "answer", "a", "output", "response"}
_ROLES = ("role", "from", "speaker")
_MARKED = re.compile(r"(?:^|\n\n)(Human|Assistant):")
"""What begins the turns of a conversation that is one text, as Anthropic's preference pairs have them."""
_CONTENTS = ("content", "value", "text", "message", "parts")
_MACHINE = {"most_similar", "avg_similarity_score", "most_similar_instructions", "raw_instances", "request_idx", "instruction_metadata"}
_DESCRIBING = """
metadata meta instance_metadata category source lang language topic domain tags tag difficulty level model score rating date url author
annotator status split type task_type cluster origin license licence idx index created created_at timestamp uuid hash motivation_app
title system system_prompt history round parents neighbours request decided_by id name key input context inputs
"""
_ABOUT = _MACHINE - {"raw_instances"} | set(_DESCRIBING.split())
"""Keys that are no answer, whatever they hold."""
_CUE = "\n\nOutput:"
"""What the studio's own prompt-completion export ends its prompts with."""


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
        return _exchange(fields, "chosen", [Turn(_role(role), text.strip()) for role, text in zip(words[::2], words[1::2], strict=True)])
    if isinstance(chosen, str) and before is None:
        asked = fields.holding((*INSTRUCTION, "input")) or "prompt"
        instruction, output = fields.text(asked, required=True), fields.text("chosen", numbers=True)
        return instruction, (Instance("", output),) if output.strip() else ()
    if isinstance(chosen, str):
        return _exchange(fields, "chosen", [*_turns(fields, before or "prompt"), Turn("assistant", fields.text("chosen"))])
    answered = list(_turns(fields, "chosen"))
    if before is None and not any(turn.role == "user" for turn in answered):
        answered = [Turn("user", fields.text(fields.holding(INSTRUCTION) or "prompt", required=True)), *answered]
    elif any(turn[:2] == ("user", fields.get("prompt")) for turn in answered):
        fields.take("prompt")
    elif before is not None and not any(turn.role == "user" for turn in answered):
        answered = [*_turns(fields, before), *answered]
    return _exchange(fields, "chosen", answered)


def prompt_messages(fields: Fields) -> Taken:
    """Take a prompt that is a list of messages, and the completion that is one, or text."""
    turns = list(_turns(fields, "prompt"))
    answered = fields.holding(OUTPUT) or "completion"
    if are_turns(fields.get(answered)):
        turns += _turns(fields, answered)
    else:
        turns.append(Turn("assistant", fields.text(answered, numbers=True)))
    return _exchange(fields, "prompt", turns)


def _exchange(fields: Fields, name: str, turns: list[Turn]) -> Taken:
    if fields.faults:
        return "", ()
    users = [place for place, turn in enumerate(turns) if turn.role == "user" and turn.text.strip()]
    answers = [place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.text.strip()]
    if not users:
        fields.fault(name, "no turn of a user" if all(turn.role != "user" for turn in turns) else "the turns of the user are empty")
        return "", ()
    first = next((place for place in users if place + 1 in answers), users[0])
    answer = first + 1 if first + 1 in answers else None
    if answer is None and answers and answers[-1] > first:
        fields.fault(name, "no answer stands right behind a turn of the user")
        return "", ()
    for place, (role, content, _) in enumerate(turns):
        if place not in (first, answer) and content.strip():
            lost = "system turn" if role == "system" else "later turns" if place > first else "earlier turns"
            fields.lost.append(lost)
    return turns[first].text, () if answer is None else (Instance("", turns[answer].text, turns[answer].thoughts),)


def _turns(fields: Fields, name: str) -> Iterator[Turn]:
    """Yield the turns in a field."""
    value = fields.take(name)
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
            yield Turn(said_by, _content(nested), _thoughts(nested, REASONING) if said_by == "assistant" else "")
        fields.lost += [f"{name}[].{each}" for each, held in item.items() if each not in nested.taken and holds(held)]


def _pair(nested: Fields, fields: Fields) -> Iterator[Turn]:
    """Yield the turns of an object that holds a user's words and an assistant's."""
    found = [(role, name) for role, words in (("system", {"system"}), ("user", USERS), ("assistant", ASSISTANTS)) for name in words]
    pairs = [(role, name) for role, name in found if name in nested.names and holds(nested.get(name))]
    if not pairs:
        fields.fault(nested.prefix.removesuffix("."), "no role: the keys are " + ", ".join(nested.values))
    yield from (Turn(role, nested.text(name, numbers=True)) for role, name in pairs)


def _role(word: str) -> str:
    word = word.strip().lower()
    return "user" if word in USERS else "assistant" if word in ASSISTANTS else "system" if word in ("system", "developer") else word


def _thoughts(nested: Fields, name: str) -> str:
    """Take what was thought; anything but a text is left where it is."""
    value = nested.get(name)
    return nested.storable(name, str(nested.take(name))) if type(value) is str else ""


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


@dataclass(frozen=True, slots=True)
class Shape:
    """What a record may look like. `take` returns instruction and instances, and notes in the fields what it found wrong."""

    name: str
    summary: str
    fits: Callable[[Fields], bool]
    take: Callable[[Fields], Taken]


def is_record(values: JsonObject) -> bool:
    """Return whether an object is a record of a task, and not something around a list of them."""
    fields = Fields(values)
    names = (*INSTRUCTION[:-1], "input")
    if any(isinstance(fields.get(name), str) for name in names if name in fields.names):
        return True
    return "instances" in fields.names or any(name in fields.names and are_turns(fields.get(name)) for name in (*TURNS, "prompt", "chosen"))


def parsed_task(values: JsonObject, line: int, index: int | None, shape: Shape | None, raw: object = None) -> ParsedTask:
    """Return the task of a record that stands at `line`, as the first of `SHAPES` that fits has it, or as `shape` has it."""
    fields = Fields(values)
    chosen = shape or next(each for each in SHAPES if each.fits(fields))
    key = _label(fields, "key") or _label(fields, "id")
    name = _label(fields, "name")
    flag = fields.flag("is_classification")
    instruction, instances = chosen.take(fields)
    untaken = [name for name, value in values.items() if name not in fields.taken and holds(value)]
    suspects = [] if instances else [each for each in untaken if each.strip().lower() not in _ABOUT and not _is_plain(values[each])]

    def faults(found: list[tuple[str, str]]) -> tuple[FileFault, ...]:
        return tuple(FileFault(line, name, text, index) for name, text in found)

    task = None if fields.faults else SeedTask(key, name, instruction, instances, flag)
    return ParsedTask(
        line,
        task,
        faults(fields.faults),
        index,
        chosen.name,
        (*untaken, *dict.fromkeys(fields.lost)),
        tuple(suspects),
        faults(fields.hollow),
        tuple(fields.as_text),
        tuple(fields.renamed),
        tuple(dict.fromkeys(re.sub(r"\[\d+\]", "[]", name) for name in fields.mended)),
        raw,
    )


def _is_plain(value: object) -> bool:
    return not isinstance(value, str | list | Mapping) or isinstance(value, Number | NotANumber)


def _label(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or isinstance(value, NotANumber):
        return ""
    return fields.storable(name, str(fields.take(name)))


def _flat(fields: Fields) -> Taken:
    """Take `instruction`, `input` and `output`, or what stands for them."""
    asked = fields.holding(INSTRUCTION) or next((name for name in INSTRUCTION if fields.get(name) is not None), None)
    given = fields.holding(INPUT) or ("input" if "input" in fields.names else None)
    answered = fields.holding(OUTPUT)
    if asked is None and given in ("input", "inputs") and answered is not None:
        asked, given = given, fields.holding(INPUT[1:2])
    instruction = _instruction(fields, asked)
    source = fields.text(given, numbers=True) if given else ""
    output = fields.text(answered, numbers=True) if answered else ""
    for name, standard in ((asked, "instruction"), (given, "input"), (answered, "output")):
        if name and name != standard:
            fields.renamed.append(f"{standard} from {fields.names[name]}")
    if not output.strip():
        if source.strip() and given and not fields.faults:
            fields.hollow.append((fields.names.get("output", "output"), "empty, though there is an input"))
        return instruction, ()
    if asked == "prompt" and instruction.endswith(_CUE) and output.startswith(" "):
        instruction, output = instruction.removesuffix(_CUE), output[1:]
    return instruction, (Instance(source, output),)


def _instruction(fields: Fields, name: str | None) -> str:
    if name is None and "instruction" not in fields.names:
        listed = ", ".join(list(fields.values)[:12])
        fields.fault("instruction", f"missing: the keys are {listed}" if listed else "missing: an empty object")
        return ""
    return fields.text(name or "instruction", required=True)


def _instances(fields: Fields) -> Taken:
    """Take an instruction and its list of instances, as the method's seeds have them."""
    instruction = _instruction(fields, "instruction" if "instruction" in fields.names else fields.holding(INSTRUCTION))
    value = fields.take("instances")
    if not isinstance(value, list):
        what = "missing" if value is None and "instances" not in fields.names else kind_of(value)
        fields.fault("instances", what if what == "missing" else f"{what} where a list of objects with input and output is needed")
        return instruction, ()
    found = []
    if not value:
        fields.hollow.append(("instances", "empty: at least one instance is needed"))
    for place, item in enumerate(value):
        inner = f"instances[{place}]"
        if not isinstance(item, Mapping):
            fields.fault(inner, f"{kind_of(item)} where an object with input and output is needed")
            continue
        nested = Fields(item, fields, f"{inner}.")
        given = nested.text(nested.holding(INPUT) or "input", numbers=True)
        output = nested.text(nested.holding(OUTPUT) or "output", numbers=True)
        if output.strip():
            found.append(Instance(given, output, _thoughts(nested, THOUGHTS)))
        elif not fields.faults:
            fields.hollow.append((f"{inner}.output", "empty"))
        fields.lost += [f"instances[].{each}" for each, held in item.items() if each not in nested.taken and holds(held)]
    return instruction, tuple(found)


def _instruction_alone(fields: Fields) -> Taken:
    return _instruction(fields, None), ()


def _has(*names: str) -> Callable[[Fields], bool]:
    return lambda fields: all(fields.holding((name,)) for name in names)


def _is_machine_generated(fields: Fields) -> bool:
    return bool(_MACHINE & fields.names.keys()) and fields.holding(OUTPUT) is None and "instruction" in fields.names


def _is_alpaca(fields: Fields) -> bool:
    return "instruction" in fields.names and any(name in fields.names for name in (*INPUT, *OUTPUT))


SHAPES: Sequence[Shape] = (
    Shape("preference", "prompt and chosen, as text or messages", _has("chosen"), preference),
    Shape(
        "chat",
        "messages with role and content, or a user's and an assistant's words",
        lambda fields: are_turns(fields.get("messages")),
        conversation,
    ),
    Shape(
        "sharegpt",
        "conversations with from and value",
        lambda fields: any(are_turns(fields.get(name)) or are_texts(fields.get(name)) for name in fields.names.keys() & set(TURNS)),
        conversation,
    ),
    Shape("prompt-completion", "prompt and completion as messages", lambda fields: are_turns(fields.get("prompt")), prompt_messages),
    Shape(
        "self-instruct",
        "the seed schema: instruction, instances, is_classification",
        lambda fields: "instances" in fields.names,
        _instances,
    ),
    Shape("machine-generated", "the original's machine_generated_instructions.jsonl: instructions only", _is_machine_generated, _flat),
    Shape("alpaca", "instruction, input, output, or context, response, answer, target in their place", _is_alpaca, _flat),
    Shape("prompt-completion", "prompt and completion as plain text", _has("prompt", "completion"), _flat),
    Shape("instructions", "any other object with an instruction, a prompt or a question", lambda _fields: True, _flat),
)
"""In the order in which they are tried: the last one fits everything, and names what is missing."""


instruction_alone = Shape(
    "machine-generated", "the instruction of each object, and nothing else of it", lambda _fields: True, _instruction_alone
)
