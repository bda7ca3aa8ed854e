"""ShareGPT's conversations, with its own names for roles."""

from __future__ import annotations

from studio.pool.formats.api import Format, Record, by_instance, question
from studio.records import Instance


def _record(instruction: str, instance: Instance) -> Record:
    return {
        "conversations": [
            {"from": "human", "value": question(instruction, instance)},
            {"from": "gpt", "value": instance.output},
        ]
    }


FORMAT: Format = by_instance("sharegpt", "conversations with from and value", _record)
