"""The files of the original's pipeline, in a folder.

`machine_generated_instructions.jsonl`, as its instruction stage writes it: `instruction`, `most_similar` (instruction to ROUGE-L, best
first), `avg_similarity_score`, `metadata` (`prompt` and `response` in the form of OpenAI's completions), `request_idx` (the round).

`machine_generated_instances.jsonl`, as its instance stage writes it: `instruction`, `raw_instances` (what the model wrote),
`instance_metadata`, `instruction_metadata`, `most_similar`, `avg_similarity_score`; and two keys of our own, `is_classification` and
`instances`. The last is the list to trust: it holds the accepted instances, the raw text those that fell as well.

With seeds there is a third file, `seed_tasks.jsonl`, in the original's seed schema; `is_classification` is null
where nobody has said it. Times are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studio.pool.formats.api import Format, Record
from studio.pool.records import Exchange, ExportTask
from studio.records import Instance, Origin

INSTRUCTIONS = "machine_generated_instructions.jsonl"
INSTANCES = "machine_generated_instances.jsonl"
SEEDS = "seed_tasks.jsonl"


def _records(task: ExportTask) -> Iterator[tuple[str, Record]]:
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
            "instances": _instances(task.instances),
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


def _instances(instances: Sequence[Instance]) -> list[Record]:
    return [{"input": instance.input, "output": instance.output} for instance in instances]


def _seed(task: ExportTask) -> Record:
    return {
        "id": task.key or f"seed_task_{task.id}",
        "name": task.name,
        "instruction": task.instruction,
        "instances": _instances(task.instances),
        "is_classification": task.is_classification,
    }


FORMAT: Format = Format("self-instruct", "the original's files, in a folder", _records, (INSTRUCTIONS, INSTANCES, SEEDS), made=True)
