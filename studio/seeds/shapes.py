"""What records of tasks look like, and how a task is taken out of one: the one table of it, for files of every kind.

Whatever a record holds beside what its shape takes is reported, key by key. To add a shape, write what takes it and name it in `SHAPES`.
Those of conversations are in `studio.seeds.conversations`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from studio.records import Instance, SeedTask
from studio.seeds.conversations import (
    SYSTEM,
    THOUGHTS,
    TURNS,
    Taken,
    are_texts,
    are_turns,
    conversation,
    in_context,
    preference,
    prompt_messages,
    thoughts_in,
    turns_in,
    unfolded,
    worse_answers,
)
from studio.seeds.fields import INPUT, INSTRUCTION, OUTPUT, Fields, JsonObject, NotANumber, Number, holds, kind_of, plain
from studio.seeds.inputs import FileFault, ParsedTask

_MACHINE = {"most_similar", "avg_similarity_score", "most_similar_instructions", "raw_instances", "request_idx", "instruction_metadata"}
_DESCRIBING = """
metadata meta instance_metadata category source lang language topic domain tags tag difficulty level model score rating date url author
annotator status split type task_type cluster origin license licence idx index created created_at timestamp uuid hash motivation_app
title system system_prompt history round parents neighbours request decided_by id name key input context inputs
"""
_ABOUT = _MACHINE - {"raw_instances"} | set(_DESCRIBING.split())
"""Keys that are no answer, whatever they hold."""
_PROVENANCE, _FURTHER = "provenance", "turns"
"""Where a raw record has what an earlier pool knew of the task, and an instance what was said after it."""
_CONTENT = {"input", "output", THOUGHTS, SYSTEM[0], _FURTHER}
_CUE = "\n\nOutput:"
"""What the studio's own prompt-completion export ends its prompts with."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a record may look like. `take` returns instruction and instances, and notes in the fields what it found wrong."""

    name: str
    fits: Callable[[Fields], bool]
    take: Callable[[Fields], Taken]


def is_record(values: JsonObject) -> bool:
    """Return whether an object is a record of a task, and not something around a list of them."""
    if isinstance(values.get("instruction"), str):
        return True
    fields = Fields(values)
    names = (*INSTRUCTION[:-1], "input")
    if any(isinstance(fields.get(name), str) for name in names if name in fields.names):
        return True
    return "instances" in fields.names or any(name in fields.names and are_turns(fields.get(name)) for name in (*TURNS, "prompt", "chosen"))


def parsed_task(values: JsonObject, line: int, index: int | None, shape: Shape | None, raw: object = None) -> ParsedTask:
    """Return the task of a record that stands at `line`, as the first of `SHAPES` that fits has it, or as `shape` has it."""
    fields = Fields(unfolded(values))
    chosen = shape or next(each for each in SHAPES if each.fits(fields))
    # The number that a task had in a pool is no name of it.
    key = _label(fields, "key") or ("" if chosen is RAW else _label(fields, "id"))
    name = _label(fields, "name")
    flag = fields.flag("is_classification")
    instruction, instances = chosen.take(fields)
    provenance = _provenance(fields) if chosen is RAW else ""
    pairs = worse_answers(fields, instruction, instances) if chosen is PREFERENCE else ()
    untaken = [name for name, value in values.items() if name not in fields.taken and holds(value)]
    suspects = [] if instances else [each for each in untaken if each.strip().lower() not in _ABOUT and not _is_plain(values[each])]

    def faults(found: list[tuple[str, str]]) -> tuple[FileFault, ...]:
        return tuple(FileFault(line, name, text, index) for name, text in found) if found else ()

    task = None if fields.faults else SeedTask(key, name, instruction, instances, flag, provenance, pairs)
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
        tuple(dict.fromkeys(re.sub(r"\[\d+\]", "[]", name) for name in fields.mended)) if fields.mended else (),
        raw,
        tuple(name for name in values if name in fields.taken),
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
    return in_context(fields, instruction, Instance(source, output))


def _instruction(fields: Fields, name: str | None) -> str:
    if name is None and "instruction" not in fields.names:
        if turns := next((each for each in TURNS if type(fields.get(each)) is str and holds(fields.get(each))), None):
            fields.fault(turns, "text where a list of turns is needed, or JSON of one")
            return ""
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
            system = nested.text(SYSTEM[0]) if type(nested.get(SYSTEM[0])) is str else ""
            turns = tuple(turns_in(nested, _FURTHER)) if are_turns(nested.get(_FURTHER)) else ()
            found.append(Instance(given, output, thoughts_in(nested, THOUGHTS), system, turns))
        elif not fields.faults:
            fields.hollow.append((f"{inner}.output", "empty"))
        fields.lost += [f"instances[].{each}" for each, held in item.items() if each not in nested.taken and holds(held)]
    return instruction, tuple(found)


def _provenance(fields: Fields) -> str:
    """Take what a raw record says of its task beside the content, as JSON: all that is left of it, and of its instances.

    What the pool before this one was told already comes first: of itself that one knows then no more than a number, unless it did something
    with the task.
    """
    known: dict[str, object] = {}
    for name, value in fields.values.items():
        if name not in fields.taken and name != _PROVENANCE and holds(value):
            with suppress(ValueError):
                known[name] = plain(value)
                fields.taken.add(name)
    instances = fields.get("instances")
    # A column of Parquet has null where a line has nothing.
    scores = [
        {name: value for name, value in each.items() if name not in _CONTENT and holds(value)}
        for each in (instances if isinstance(instances, list) else ())
        if isinstance(each, Mapping)
    ]
    if any(scores):
        with suppress(ValueError):
            known["instances"] = plain(scores)
            taken = {f"instances[].{name}" for each in scores for name in each}
            fields.lost[:] = [name for name in fields.lost if name not in taken]
    before = fields.get(_PROVENANCE)
    if type(before) is str:
        # As a column of Parquet has it.
        with suppress(ValueError, RecursionError):
            before = json.loads(before, parse_float=Number, parse_int=Number, parse_constant=NotANumber)
    if isinstance(before, Mapping) and before:
        with suppress(ValueError):
            told = plain(before)
            fields.taken.add(_PROVENANCE)
            known = {**known, _PROVENANCE: told} if known.keys() - {"id", "origin"} else told
    return fields.storable(_PROVENANCE, json.dumps(known, ensure_ascii=False)) if known else ""


def _is_machine_generated(fields: Fields) -> bool:
    return bool(_MACHINE & fields.names.keys()) and fields.holding(OUTPUT) is None and "instruction" in fields.names


def _is_pair(fields: Fields) -> bool:
    """Whether there is a better answer, or a worse one where the better one should be."""
    lacks = "chosen" in fields.names and fields.holding(("rejected",)) and fields.holding(OUTPUT) is None
    return fields.holding(("chosen",)) is not None or bool(lacks)


RAW = Shape("raw", lambda fields: {"instances", "origin", "decided_by"} <= fields.names.keys(), _instances)
"""What the studio's raw export writes: the seed schema, and all that the pool knew of a task."""

PREFERENCE = Shape("preference", _is_pair, preference)

SHAPES: Sequence[Shape] = (
    PREFERENCE,
    Shape("chat", lambda fields: are_turns(fields.get("messages")), conversation),
    Shape("sharegpt", lambda fields: any(are_turns(fields.get(name)) or are_texts(fields.get(name)) for name in TURNS), conversation),
    Shape("prompt-completion", lambda fields: are_turns(fields.get("prompt")), prompt_messages),
    RAW,
    Shape("self-instruct", lambda fields: "instances" in fields.names, _instances),
    # The original's machine_generated_instructions.jsonl has instructions only.
    Shape("machine-generated", _is_machine_generated, _flat),
    Shape("alpaca", lambda fields: "instruction" in fields.names and not fields.names.keys().isdisjoint((*INPUT, *OUTPUT)), _flat),
    Shape("prompt-completion", lambda fields: bool(fields.holding(("prompt",)) and fields.holding(("completion",))), _flat),
    Shape("instructions", lambda _fields: True, _flat),
)
"""In the order in which they are tried: the last one fits everything, and names what is missing."""


instruction_alone = Shape("machine-generated", lambda _fields: True, lambda fields: (_instruction(fields, None), ()))
"""The instruction of each object, and nothing else of it."""
