"""The export formats. To add one, write what makes records of a task and name the format in `FORMATS`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from studio.errors import UsageError, nearest_name
from studio.pool.browse import ALL, Keep
from studio.pool.exchange.parts import Lacks, Part, nothing, parts_of, without
from studio.pool.preferences import Evidence
from studio.pool.stream import Exchange, ExportTask, Scores
from studio.records import Instance, Origin, Turn

Record = Mapping[str, object]
"""One line of an exported file, before it is JSON. Equal pools give equal records: nothing in them tells when or how fast."""


class TaskStream(Protocol):
    """What an export asks of a pool; `studio.pool.stream.Stream` is one."""

    def export_tasks(self, include_seeds: bool, keep: Keep = ALL, *, made: bool = False, paired: bool = False) -> Iterator[ExportTask]: ...


@dataclass(frozen=True, slots=True)
class Format:
    """An export format.

    `files` names the files of a format that fills a folder and is empty for one that writes a single file. `records` yields the lines of a
    task, each with the file it belongs to (empty text for the single file). `made`: they need to know how the task was written; `paired`:
    which answers are worse. `kind` says of which kind a record is, where they are counted apart. `lacks` says what an instance has that
    they leave out, which is told. Of the columns `free`, no two records need to have the same kind of value.
    """

    name: str
    summary: str
    records: Callable[[ExportTask], Iterable[tuple[str, Record]]]
    files: tuple[str, ...] = ()
    made: bool = False
    paired: bool = False
    kind: Callable[[Record], str] | None = None
    lacks: Lacks = nothing
    free: tuple[str, ...] = ()


def by_instance(name: str, summary: str, record: Callable[[str, Instance], Record], lacks: Lacks) -> Format:
    """Return a single-file format with one line for each instance, made from the instruction and that instance."""

    def records(task: ExportTask) -> Iterator[tuple[str, Record]]:
        for instance in task.instances:
            yield "", record(task.instruction, instance)

    return Format(name, summary, records, lacks=lacks)


def question(instruction: str, instance: Instance) -> str:
    """Return what a user would say: the instruction, then a blank line and the input where there is one."""
    return f"{instruction}\n\n{instance.input}" if instance.input.strip() else instruction


def _alpaca_record(instruction: str, instance: Instance) -> Record:
    """The format of Stanford Alpaca's data, which nearly every trainer knows.

    An instance with a system turn or further turns has LLaMA-Factory's `system` and `history`: the last exchange stands in the usual
    fields, those before it in the history, as pairs of question and answer.
    """
    system = {"system": instance.system} if instance.system else {}
    further = exchanges(instance.turns)
    if not further:
        return {"instruction": instruction, "input": instance.input, "output": instance.output, **system}
    history = [[question(instruction, instance), instance.output], *further]
    last, output = history.pop()
    return {"instruction": last, "input": "", "output": output, **system, "history": history}


def exchanges(turns: Sequence[Turn]) -> list[list[str]]:
    """Return question and answer of the turns from the first on, for as long as these two take turns and say something."""
    found = []
    for asked, answered in zip(turns[::2], turns[1::2], strict=False):
        if (asked.role, answered.role) != ("user", "assistant") or not asked.text.strip() or not answered.text.strip():
            break
        found.append([asked.text, answered.text])
    return found


def _alpaca_lacks(instance: Instance) -> frozenset[Part]:
    whole = 2 * len(exchanges(instance.turns)) == len(instance.turns)
    return parts_of(instance) - {Part.SYSTEM} - ({Part.TURNS} if whole else set())


ALPACA: Format = by_instance("alpaca", "instruction, input, output", _alpaca_record, _alpaca_lacks)


def _chat_record(instruction: str, instance: Instance) -> Record:
    """Messages with roles, as chat models and their templates take them; what a model thought before its answer where that is kept."""
    return {"messages": list(map(_message, conversation(instruction, instance)))}


def conversation(instruction: str, instance: Instance) -> list[Turn]:
    """Return everything that is said in an instance, in its order."""
    system = [Turn("system", instance.system)] if instance.system else []
    first = (Turn("user", question(instruction, instance)), Turn("assistant", instance.output, instance.thoughts))
    return [*system, *first, *instance.turns]


def _message(turn: Turn) -> Record:
    return {"role": turn.role, "content": turn.text, **({"reasoning_content": turn.thoughts} if turn.thoughts else {})}


CHAT: Format = by_instance("chat", "messages with role and content", _chat_record, nothing)


def _sharegpt_record(instruction: str, instance: Instance) -> Record:
    """ShareGPT's conversations, with its own names for roles."""
    said = conversation(instruction, instance)
    return {"conversations": [{"from": _SHAREGPT_ROLES.get(turn.role, turn.role), "value": turn.text} for turn in said]}


_SHAREGPT_ROLES = {"user": "human", "assistant": "gpt"}

SHAREGPT: Format = by_instance("sharegpt", "conversations with from and value", _sharegpt_record, without(Part.THOUGHTS))


def _completion_record(instruction: str, instance: Instance) -> Record:
    """Prompt and completion as plain text, for base models: one fixed template of the method's thirteen.

    The prompt ends with a cue and the completion begins with a space. A tokenizer then cuts exactly between the two, so that a trainer
    which tokenises the prompt alone to mask it finds it again at the head of the whole; a prompt that ends in newlines does not survive the
    byte-level tokenizers of GPT-2's kind. The trainer adds the end token.
    """
    prompt = question(instruction.strip(), Instance(instance.input.strip(), ""))
    return {"prompt": f"{prompt}\n\nOutput:", "completion": f" {instance.output.strip()}"}


PROMPT_COMPLETION: Format = by_instance("prompt-completion", "prompt and completion as plain text", _completion_record, without(*Part))


EVIDENCE = "evidence"

Written = Callable[[str, Instance, str], Record]
"""Makes prompt, chosen and rejected of an instruction, the instance that ends with the better answer, and the worse answer."""


def paired(written: Written) -> Callable[[ExportTask], Iterator[tuple[str, Record]]]:
    """Return what makes the lines of a task: one for each pair whose better answer is exported, and said last."""

    def records(task: ExportTask) -> Iterator[tuple[str, Record]]:
        instances = dict(zip(task.instance_ids, task.instances, strict=True))
        for pair in task.pairs:
            if (instance := instances.get(pair.instance_id)) is not None:
                if not pair.last:
                    instance = replace(instance, turns=())
                yield "", {**written(task.instruction, instance, pair.rejected), EVIDENCE: _evidence(pair.evidence)}

    return records


def _evidence(evidence: Evidence) -> Record:
    """The same keys and kinds of values in each line: readers of tables decide by the first ones what a column holds."""
    return {
        "because": str(evidence.because),
        "reason": evidence.reason,
        "chosen": float(evidence.chosen),
        "rejected": float(evidence.rejected),
        "raters": evidence.raters,
    }


def because(record: Record) -> str:
    """Return which kind of evidence a line tells."""
    found: Any = record[EVIDENCE]
    return str(found["because"])


def _preference_record(instruction: str, instance: Instance, rejected: str) -> Record:
    """Three lists of messages: TRL's form, and one that Axolotl takes. Without thoughts: those of the worse answer are not kept."""
    *before, last = (_message(replace(turn, thoughts="")) for turn in conversation(instruction, instance))
    return {"prompt": before, "chosen": [last], "rejected": [{**last, "content": rejected}]}


PREFERENCE: Format = Format(
    "preference",
    "prompt, chosen and rejected as messages, with the evidence",
    paired(_preference_record),
    paired=True,
    kind=because,
    lacks=without(Part.THOUGHTS),
)


def _preference_text_record(instruction: str, instance: Instance, rejected: str) -> Record:
    """Three texts, for trainers that put them into a template of their own, such as LLaMA-Factory, with its `system` and `history`."""
    system = {"system": instance.system} if instance.system else {}
    *history, (asked, chosen) = [[question(instruction, instance), instance.output], *exchanges(instance.turns)]
    return {"prompt": asked, "chosen": chosen, "rejected": rejected, **system, **({"history": history} if history else {})}


PREFERENCE_TEXT: Format = Format(
    "preference-text",
    "prompt, chosen and rejected as plain text, with the evidence",
    paired(_preference_text_record),
    paired=True,
    kind=because,
    lacks=_alpaca_lacks,
)


INSTRUCTIONS = "machine_generated_instructions.jsonl"
INSTANCES = "machine_generated_instances.jsonl"
SEEDS = "seed_tasks.jsonl"


def _self_instruct_records(task: ExportTask) -> Iterator[tuple[str, Record]]:
    """The files of the original's pipeline, in a folder.

    `machine_generated_instructions.jsonl`, as its instruction stage writes it: `instruction`, `most_similar` (instruction to ROUGE-L, best
    first), `avg_similarity_score`, `metadata` (`prompt` and `response` in the form of OpenAI's completions), `request_idx` (the round).

    `machine_generated_instances.jsonl`, as its instance stage writes it: `instruction`, `raw_instances` (what the model wrote),
    `instance_metadata`, `instruction_metadata`, `most_similar`, `avg_similarity_score`; and two keys of our own, `is_classification` and
    `instances`. The last is the list to trust: it holds the accepted instances, the raw text those that fell as well.

    With seeds there is a third file, `seed_tasks.jsonl`, in the original's seed schema; `is_classification` is null where nobody has said
    it. Times are left out.
    """
    if task.origin is Origin.SEED:
        yield SEEDS, _seed(task)
        return
    asked, written, mean, texts = None, None, 0.0, {}
    if task.made is not None:
        asked, written, mean, texts = task.made.asked, task.made.written, task.made.mean_score, task.made.near
    metadata = _response(asked, with_prompt=True) if asked else {}
    similarity = {
        "most_similar": {texts[neighbour.task_id]: neighbour.score for neighbour in task.neighbours},
        "avg_similarity_score": mean,
    }
    yield (
        INSTRUCTIONS,
        {"instruction": task.instruction, **similarity, "metadata": metadata, "request_idx": task.round or 0},
    )
    raw = written.text if written and written.text is not None else render_instances(task.instances, bool(task.is_classification))
    yield (
        INSTANCES,
        {
            "instruction": task.instruction,
            "raw_instances": raw,
            "instance_metadata": _response(written, with_prompt=False) if written else _choices(raw, "stop"),
            "instruction_metadata": metadata,
            **similarity,
            "is_classification": task.is_classification,
            "instances": list(map(_instance, task.instances)),
        },
    )


def render_instances(instances: Sequence[Instance], is_classification: bool) -> str:
    """Return `instances` as the model would have written them, for tasks that no instance request wrote (imports, one-shot triples)."""
    if is_classification:
        return "\n\n".join(f"Class label: {instance.output}\n{instance.input}".rstrip() for instance in instances)
    parts = []
    for number, instance in enumerate(instances, 1):
        given = f"{instance.input}\n" if instance.input.strip() else ""
        parts.append(f"Example {number}\n{given}Output: {instance.output}")
    return "\n\n".join(parts)


def _response(found: Exchange, *, with_prompt: bool) -> Record:
    answer = {"response": None} if found.text is None else _choices(found.text, found.finish_reason or "")
    return {"prompt": found.prompt, **answer} if with_prompt else answer


def _choices(text: str, finish_reason: str) -> Record:
    return {"response": {"choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}]}}


def _instance(instance: Instance) -> Record:
    """An instance of the original, and keys of our own for what it does not have."""
    thoughts = {"thoughts": instance.thoughts} if instance.thoughts else {}
    system = {"system": instance.system} if instance.system else {}
    turns = {"turns": list(map(_message, instance.turns))} if instance.turns else {}
    return {"input": instance.input, "output": instance.output, **thoughts, **system, **turns}


def _seed(task: ExportTask) -> Record:
    return {
        "id": task.key or f"seed_task_{task.id}",
        "name": task.name,
        "instruction": task.instruction,
        "instances": list(map(_instance, task.instances)),
        "is_classification": task.is_classification,
    }


SELF_INSTRUCT: Format = Format(
    "self-instruct", "the original's files, in a folder", _self_instruct_records, (INSTRUCTIONS, INSTANCES, SEEDS), made=True
)


_KNOWN = tuple(each.name for each in fields(ExportTask) if each.compare)
"""What the pool knows of a task, in the order in which it is told: the other fields stand in its instances, or in other formats alone."""


def _raw_records(task: ExportTask) -> Iterator[tuple[str, Record]]:
    """Everything the pool knows of a task, one line a task. No times and no durations: equal runs give equal bytes."""
    known: dict[str, object] = {name: getattr(task, name) for name in _KNOWN} | {
        "instances": [_raw_instance(instance, scores) for instance, scores in zip(task.instances, task.scores, strict=True)],
        "neighbours": [{"id": neighbour.task_id, "score": neighbour.score} for neighbour in task.neighbours],
        "document": task.document and task.document._asdict(),
        "provenance": task.provenance and json.loads(task.provenance),
    }
    yield "", {name: value for name, value in known.items() if name not in _OPTIONAL or getattr(task, name)}


_OPTIONAL = frozenset({"answer_model", "document", "provenance"})
"""What a line is without where there is nothing to tell."""


def _raw_instance(instance: Instance, scores: Scores) -> Record:
    known = {name: score for name, score in scores._asdict().items() if score is not None}
    return {**_instance(instance), **known}


RAW: Format = Format("raw", "everything, with parents, scores, model and request", _raw_records, free=("provenance",))


FORMATS: Mapping[str, Format] = {
    each.name: each for each in (ALPACA, CHAT, SHAREGPT, PROMPT_COMPLETION, PREFERENCE, PREFERENCE_TEXT, SELF_INSTRUCT, RAW)
}


def find_format(name: str) -> Format:
    """Return the format called `name`. Raises UsageError with the nearest name."""
    if name not in FORMATS:
        raise UsageError(f"unknown export format {name!r}", nearest_name(name, FORMATS))
    return FORMATS[name]
