"""The import formats: to add one, write a module with an IMPORTER and name it here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from studio.errors import UsageError, nearest_name
from studio.pool.importers import alpaca, jsonl, machine_generated
from studio.pool.importers.api import Importer
from studio.seeds.csv_file import parse_csv
from studio.seeds.jsonl_file import parse_jsonl
from studio.seeds.lines import read_lines
from studio.seeds.reading import detect_format
from studio.seeds.text_file import parse_text

IMPORTERS: Mapping[str, Importer] = {
    importer.name: importer
    for importer in (
        Importer("self-instruct", "the seed schema: instruction, instances, is_classification", parse_jsonl),
        machine_generated.IMPORTER,
        alpaca.IMPORTER,
        Importer("csv", "a header with instruction, and perhaps input, output, is_classification, name, id", parse_csv),
        Importer("text", "one instruction a line", parse_text),
        jsonl.IMPORTER,
    )
}

_MACHINE_GENERATED = {"most_similar", "avg_similarity_score", "metadata", "raw_instances", "request_idx"}


def find_importer(name: str) -> Importer:
    """Return the import format called `name`. Raises UsageError with the nearest name."""
    if name not in IMPORTERS:
        raise UsageError(f"unknown import format {name!r}", nearest_name(name, [*IMPORTERS, "auto"]))
    return IMPORTERS[name]


def detect_importer(path: Path) -> Importer:
    """Return the import format that fits `path`: by its suffix, and for JSON by the keys of its first object. Raises OSError."""
    kind = detect_format(path)
    if kind != "jsonl":
        return IMPORTERS[kind]
    first = next((line.text.strip() for line in read_lines(path) if line.text.strip()), "")
    return IMPORTERS["alpaca" if first.startswith("[") else _by_keys(first)]


def _by_keys(line: str) -> str:
    try:
        keys = set(json.loads(line))
    except (ValueError, TypeError, RecursionError):
        # Whatever is wrong with the line, the reader will say.
        return "jsonl"
    if keys & _MACHINE_GENERATED:
        return "machine-generated"
    if "instances" in keys:
        return "self-instruct"
    return "alpaca" if "output" in keys else "jsonl"
