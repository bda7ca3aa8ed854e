"""How records become rows and rows records: the column lists, and the parts that are stored once and pointed at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from studio.engine.api import Completion, FinishReason, SamplingParams
from studio.pool.core.database import Database
from studio.records import ModelIdentity
from studio.text import storable

_MODEL_FIELDS = ("sha256", "name", "quantisation", "licence", "architecture", "parameters", "context_length", "file_size")

MODEL_COLUMNS = ", ".join(f"models.{name}" for name in _MODEL_FIELDS)
COMPLETION_FIELDS = (
    "text",
    "finish_reason",
    "detail",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "seconds",
    "probability",
)
COMPLETION_COLUMNS = ", ".join(f"completions.{name}" for name in COMPLETION_FIELDS)


def model_id(database: Database, model: ModelIdentity) -> int:
    """Return the id of `model`'s row, made when there is none; within a transaction."""
    values = [storable(value) if isinstance(value := getattr(model, name), str) else value for name in _MODEL_FIELDS]
    row = database.execute("SELECT id FROM models WHERE sha256 = ? AND name = ?", values[:2]).fetchone()
    if row is None:
        places = ", ".join("?" * len(values))
        row = database.execute(f"INSERT INTO models ({', '.join(_MODEL_FIELDS)}) VALUES ({places}) RETURNING id", values).fetchone()
    return int(row[0])


def model_of(values: Sequence[Any]) -> ModelIdentity:
    """Return the model from the values of MODEL_COLUMNS."""
    return ModelIdentity(**dict(zip(_MODEL_FIELDS, values, strict=True)))


def prompt_id(database: Database, text: str) -> int:
    """Return the id of the prompt prefix `text`, stored when it is new; within a transaction."""
    text = storable(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    row = database.execute("SELECT id FROM prompts WHERE sha256 = ?", (digest,)).fetchone()
    if row is None:
        row = database.execute("INSERT INTO prompts (sha256, text) VALUES (?, ?) RETURNING id", (digest, text)).fetchone()
    return int(row[0])


def sampling_id(database: Database, params: SamplingParams) -> int:
    """Return the id of these sampling parameters, stored when they are new; within a transaction."""
    text = storable(json.dumps(asdict(params), sort_keys=True, ensure_ascii=False))
    row = database.execute("SELECT id FROM sampling WHERE params = ?", (text,)).fetchone()
    if row is None:
        row = database.execute("INSERT INTO sampling (params) VALUES (?) RETURNING id", (text,)).fetchone()
    return int(row[0])


def sampling_of(text: str) -> SamplingParams:
    """Return the sampling parameters from their JSON."""
    values = json.loads(text)
    # What older pools do not have keeps its default.
    return SamplingParams(**{**values, "stop": tuple(values["stop"]), "choices": tuple(values.get("choices", ()))})


def completion_values(completion: Completion) -> tuple[Any, ...]:
    """Return the values of COMPLETION_FIELDS."""
    return (
        storable(completion.text),
        completion.finish_reason.value,
        storable(completion.detail),
        completion.prompt_tokens,
        completion.cached_tokens,
        completion.completion_tokens,
        completion.seconds,
        completion.probability,
    )


def completion_of(values: Sequence[Any]) -> Completion:
    """Return the completion from the values of COMPLETION_COLUMNS."""
    text, finish_reason, detail, prompt_tokens, cached_tokens, completion_tokens, seconds, probability = values
    return Completion(
        text=text,
        finish_reason=FinishReason(finish_reason),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cached_tokens=cached_tokens,
        seconds=seconds,
        detail=detail,
        probability=probability,
    )


def storable_or_none(text: str | None) -> str | None:
    """Return `text` as SQLite takes it; None stays None."""
    return None if text is None else storable(text)
