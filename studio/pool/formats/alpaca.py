"""The format of Stanford Alpaca's data, which nearly every trainer knows."""

from __future__ import annotations

from studio.pool.formats.api import Format, Record, by_instance
from studio.records import Instance


def _record(instruction: str, instance: Instance) -> Record:
    return {"instruction": instruction, "input": instance.input, "output": instance.output}


FORMAT: Format = by_instance("alpaca", "instruction, input, output", _record)
