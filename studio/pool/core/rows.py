"""What is stored once and pointed at: models, prompt prefixes, sampling parameters; how completions become rows, how texts are searched.

What the user types into a search is words to find, never FTS5 syntax.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, fields

from studio.engine.api import Chat, Completion, SamplingParams
from studio.pool.core.database import Database, Row
from studio.records import ModelIdentity
from studio.text import storable

# Where a model's file lies is of this machine, not of the pool.
_MODEL_FIELDS = tuple(each.name for each in fields(ModelIdentity) if each.name != "path")
MODEL_COLUMNS = ", ".join(f"models.{name} AS model_{name}" for name in _MODEL_FIELDS)
COMPLETION_COLUMNS = ", ".join(f"completions.{each.name}" for each in fields(Completion))


def model_id(database: Database, model: ModelIdentity) -> int:
    """Return the id of `model`'s row, made when there is none; within a transaction."""
    values = {name: getattr(model, name) for name in _MODEL_FIELDS}
    key = {name: values.pop(name) for name in ("sha256", "name")}
    return database.lookup("models", key, values)


def model_of(row: Row) -> ModelIdentity:
    """Return the model from a row with MODEL_COLUMNS."""
    return ModelIdentity(**{name: row[f"model_{name}"] for name in _MODEL_FIELDS})


def prompt_id(database: Database, text: str) -> int:
    """Return the id of the prompt prefix `text`, stored when it is new; within a transaction."""
    text = storable(text)
    return database.lookup("prompts", {"sha256": hashlib.sha256(text.encode()).hexdigest()}, {"text": text})


def sampling_id(database: Database, params: SamplingParams) -> int:
    """Return the id of these sampling parameters, stored when they are new; within a transaction."""
    return database.lookup("sampling", {"params": json.dumps(asdict(params), sort_keys=True, ensure_ascii=False)})


def sampling_of(text: str) -> SamplingParams:
    """Return the sampling parameters from their JSON."""
    values = json.loads(text)
    return SamplingParams(**{**values, "stop": tuple(values["stop"]), "choices": tuple(values["choices"])})


def chat_id(database: Database, chat: Chat | None) -> int | None:
    """Return the id of what stands around a prompt, stored when it is new; None for a raw prompt. Within a transaction."""
    if chat is None:
        return None
    return database.lookup("chats", {"chat": json.dumps(asdict(chat), sort_keys=True, ensure_ascii=False)})


def chat_of(text: str | None) -> Chat | None:
    """Return what stands around a prompt from its JSON; None for a raw prompt."""
    return None if text is None else Chat(**json.loads(text))


# Scripts written without spaces: the index sees a whole run of them as one word, so they are looked for character by character.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def match_expression(text: str) -> str:
    """Return the FTS5 expression that finds all words of `text`, the last as a beginning.

    It is empty where the index cannot find them: when there is no word, or one of a script without spaces.
    """
    if _UNSPACED.search(text):
        return ""
    # A NUL would end the expression early; a word without letter or digit would match nothing.
    terms = [term for term in text.replace("\x00", " ").split() if any(character.isalnum() for character in term)]
    quoted = ['"' + term.replace('"', '""') + '"' for term in terms]
    return " ".join(quoted) + " *" if quoted else ""


def text_condition(table: str, column: str, text: str) -> tuple[str, str]:
    """Return the SQL condition, with its one value, that holds for the rows of `table` whose `column` has all words of `text`.

    Text without words, and scripts without spaces, are looked for as they stand.
    """
    if expression := match_expression(text):
        return f"{table}.id IN (SELECT rowid FROM {table}_fts WHERE {table}_fts MATCH ?)", expression
    return f"instr({table}.{column}, ?)", text.strip()
