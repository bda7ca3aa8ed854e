"""Who is evaluated: a model, perhaps with an adapter, asked in one format. Everything is looked up before a model is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from studio.engine.adapter import adapter_label, check_adapter
from studio.engine.api import EngineInfo
from studio.engine.catalog import describe, file_sha256, find_model, sha256_of
from studio.engine.chat_template import around_the_prompt, has_chat_template
from studio.engine.gguf import Gguf
from studio.engine.model_file import read_model
from studio.engine.options import EngineOptions
from studio.engine.remote.address import is_address
from studio.engine.scripted import SCRIPTED_MODEL, ScriptedEngine
from studio.errors import UsageError, nearest_name
from studio.paths import user_path
from studio.records import ModelIdentity
from studio.tuning.data import VARIED
from studio.tuning.job import ADAPTER, RECORD
from studio.tuning.prompt_format import AUTO, CHAT, FIXED, NAMES, PLAIN, SERVED_CHAT, PromptFormat, chat_format

_KEYS = ("adapter", "format")


@dataclass(frozen=True, slots=True)
class ContestantSpec:
    """A contestant as it was asked for; empty texts where nothing was said."""

    model: str = ""
    adapter: str = ""
    format: str = AUTO


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contestant that can be asked.

    `identity` is None for a server, which tells it when it is opened. `adapter` is None without one; its file is there.
    """

    spec: ContestantSpec
    identity: ModelIdentity | None
    format: PromptFormat
    adapter: Path | None = None
    adapter_sha256: str = ""

    @property
    def adapter_name(self) -> str:
        """What the adapter is called, empty for none."""
        return adapter_label(str(self.adapter.resolve())) if self.adapter else ""

    def options(self, options: EngineOptions) -> EngineOptions:
        """Return `options` with this contestant's adapter; for a server without what only llama.cpp knows."""
        if is_address(self.spec.model):
            options = options.elsewhere()
        return replace(options, adapter=str(self.adapter) if self.adapter else "")


def parse_against(text: str, main: ContestantSpec) -> ContestantSpec:
    """Return the contestant that `MODEL[,adapter=FILE][,format=NAME]` names; without a model it is that of `main`.

    Raises UsageError for an unknown key, one given twice, or an empty text.
    """
    first, *rest = text.split(",")
    values: dict[str, str] = {}
    if first.partition("=")[0] in _KEYS or not first:
        rest = [first, *rest] if first else rest
        first = main.model
    for part in rest:
        key, equals, value = part.partition("=")
        if key not in _KEYS:
            raise UsageError(f"--against {text}: {key!r} is neither adapter nor format", nearest_name(key, _KEYS))
        if not equals or not value or key in values:
            raise UsageError(f"--against {text}: {key} is {'given twice' if key in values else 'empty'}", "write it as key=value, once")
        values[key] = value
    if not text.strip():
        raise UsageError("--against is empty", "name a model: --against MODEL,format=chat")
    return ContestantSpec(first, values.get("adapter", ""), values.get("format", AUTO))


_SERVED = {**FIXED, CHAT: SERVED_CHAT}
_LEFT_OPEN = replace(PLAIN, name=AUTO)
"""A server's, until it is opened."""


def settled(entrant: Entrant, engine: EngineInfo) -> Entrant:
    """The contestant with the format that its server is to be asked in, where that was left open: chat where the server wants it."""
    if entrant.format != _LEFT_OPEN:
        return entrant
    return replace(entrant, format=SERVED_CHAT if engine.asking == "chat" else PLAIN)


def look_up(spec: ContestantSpec) -> Entrant:
    """Find a contestant's files and settle its format.

    Raises ModelError when the model or its chat template is missing or broken or the adapter does not fit, UsageError for an unknown format
    or a missing adapter.
    """
    if spec.format not in NAMES:
        raise UsageError(f"unknown format {spec.format!r}", nearest_name(spec.format, NAMES))
    if is_address(spec.model) or spec.model == SCRIPTED_MODEL:
        return _without_file(spec)
    header = read_model(find_model(spec.model))
    identity = describe(header, sha256_of(header))
    adapter = _adapter(spec.adapter, header) if spec.adapter else None
    return Entrant(spec, identity, _format(spec, header, adapter), adapter, file_sha256(adapter) if adapter else "")


def _without_file(spec: ContestantSpec) -> Entrant:
    if spec.adapter:
        raise UsageError("an adapter needs a model file", "name a GGUF model with --model")
    if spec.model == SCRIPTED_MODEL:
        return Entrant(spec, ScriptedEngine().info.model, _SERVED.get(spec.format, PLAIN))
    return Entrant(spec, None, _SERVED.get(spec.format, _LEFT_OPEN))


def _adapter(name: str, base: Gguf) -> Path:
    path = user_path(name)
    if path.is_dir():
        path = path / ADAPTER
    if not path.is_file():
        raise UsageError(f"there is no adapter at {path}", "name the adapter's GGUF file, or the folder that `studio finetune` filled")
    check_adapter(path, base)
    return path


def _format(spec: ContestantSpec, header: Gguf, adapter: Path | None) -> PromptFormat:
    name = spec.format
    if name == AUTO and adapter is not None:
        name = _trained_format(adapter)
    if name == AUTO:
        name = CHAT if has_chat_template(header) else PLAIN.name
    return chat_format(*around_the_prompt(header)) if name == CHAT else FIXED[name]


def _trained_format(adapter: Path) -> str:
    """Return the format that the adapter was trained with; AUTO where nothing beside it says so."""
    try:
        trained = json.loads((adapter.parent / RECORD).read_text("utf-8"))["prompt_format"]
    except (OSError, ValueError, LookupError, TypeError):
        return AUTO
    # The varied formats are the method's thirteen, and plain is one of them.
    return {VARIED: PLAIN.name, **{name: name for name in (*FIXED, CHAT)}}.get(str(trained), AUTO)
