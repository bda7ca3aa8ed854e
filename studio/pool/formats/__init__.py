"""The export formats: to add one, write a module with a FORMAT and name it here."""

from __future__ import annotations

from collections.abc import Mapping

from studio.errors import UsageError, nearest_name
from studio.pool.formats import alpaca, chat, prompt_completion, raw, self_instruct, sharegpt
from studio.pool.formats.api import Format

FORMATS: Mapping[str, Format] = {
    module.FORMAT.name: module.FORMAT for module in (alpaca, chat, sharegpt, prompt_completion, self_instruct, raw)
}


def find_format(name: str) -> Format:
    """Return the format called `name`. Raises UsageError with the nearest name."""
    if name not in FORMATS:
        raise UsageError(f"unknown export format {name!r}", nearest_name(name, FORMATS))
    return FORMATS[name]
