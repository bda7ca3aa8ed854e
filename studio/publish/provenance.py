"""Where a pool's data comes from: its runs with their settings, seeds and models, and what people decided by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from studio.pool.pool import Queries
from studio.pool.records import PoolCounts, RunRecord
from studio.records import ModelIdentity

_OF_THE_MACHINE = frozenset({"engine.model", "engine.notices"})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, what came of it, and its settings by dotted key; of prompt texts the sha256 only."""

    run: RunRecord
    counts: PoolCounts
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Runs in their order, models without repetition, and until when the pool was written to, an ISO 8601 time in UTC or empty.

    `by_hand` counts the candidates that a person has the last word on.
    """

    runs: tuple[RunFacts, ...]
    models: tuple[ModelIdentity, ...]
    written_until: str
    by_hand: int


def provenance(pool: Queries) -> Provenance:
    """Read where the data of `pool` comes from. Raises PoolError."""
    runs = tuple(RunFacts(run, pool.counts(run.id), readable(run.settings)) for run in pool.runs())
    models = {(each.run.model.sha256, each.run.model.name): each.run.model for each in runs}
    return Provenance(runs, tuple(models.values()), pool.written_until(), pool.decided_by_hand())


def readable(settings: str) -> dict[str, str]:
    """Return settings, canonical JSON, as words by dotted key, fit to be shown to others.

    Texts of prompts stand there by their sha256. Where a model lies and what an engine said is of one machine alone and left out; any other
    absolute path is cut to its last name.
    """
    return {key: words for key, words in _flat(json.loads(settings), "") if key not in _OF_THE_MACHINE}


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, str):
        is_prompt = "prompts" in key.split(".")[:-1]
        yield key, f"sha256 {sha256(value.encode()).hexdigest()}" if is_prompt else public(value)
    else:
        yield key, json.dumps(value, ensure_ascii=False)


def public(path: str) -> str:
    """Return the last name of an absolute path, and any other text as it is: folders tell of their owner."""
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(path).is_absolute():
            return kind(path).name
    return path
