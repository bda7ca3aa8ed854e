"""Messages with roles, as chat models and their templates take them."""

from __future__ import annotations

from studio.pool.formats.api import Format, Record, by_instance, question
from studio.records import Instance


def _record(instruction: str, instance: Instance) -> Record:
    return {
        "messages": [
            {"role": "user", "content": question(instruction, instance)},
            {"role": "assistant", "content": instance.output},
        ]
    }


FORMAT: Format = by_instance("chat", "messages with role and content", _record)
