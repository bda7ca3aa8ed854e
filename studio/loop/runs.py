"""Starting a run in a pool, or going on with the one that is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from studio import __version__
from studio.engine.api import EngineInfo
from studio.engine.identity import is_model
from studio.errors import PoolError, UsageError
from studio.loop.configuration import Configuration
from studio.loop.settings import Method
from studio.pool.pool import Pool
from studio.pool.records import RunRecord
from studio.text import display_line

DEFAULT_SEED = "0"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the pool, ready to generate."""

    id: int
    method: Method
    seed: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """What was asked for, resolved against the pool: `stored` is the pool's run, `differences` where the two contradict.

    `target` is the number of generated tasks to end with, None for no end.
    """

    method: Method
    seed: str
    stored: RunRecord | None
    differences: tuple[str, ...]
    target: int | None = None


def stored_method(run: RunRecord) -> Method:
    """The parameters a run was made with. Raises PoolError when this version cannot read them."""
    try:
        return Method.model_validate_json(json.dumps(json.loads(run.settings)["method"]))
    except (ValidationError, KeyError, ValueError) as error:
        raise PoolError("the pool's settings cannot be read by this version", "use --force to start a new run in it") from error


def stored_engine(run: RunRecord) -> dict[str, Any]:
    """How the engine of a run was set up: model, adapter, backend, context_tokens, threads, parallel, layers; empty when not on record.

    `model` is what opened it: a file's absolute path, an address, or a name.
    """
    engine = json.loads(run.settings).get("engine", {})
    return engine if isinstance(engine, dict) else {}


def intent(pool: Pool | None, configuration: Configuration, *, force: bool) -> Intent:
    """Resolve the configuration against the pool (None: still to be made).

    Raises UsageError, unless `force`, when what was asked for contradicts what the pool was made with.
    """
    stored = pool.reader.latest_run() if pool is not None else None
    if stored is None:
        return Intent(configuration.method(), configuration.options.seed or DEFAULT_SEED, None, (), configuration.options.target)
    before = _readable_method(stored, force=force)
    method = configuration.method(before)
    if before is not None and not method.requests_per_round and method.profile == before.profile and not force:
        # What follows from the engine was worked out when the run began.
        method = method.model_copy(update={"requests_per_round": before.requests_per_round})
    seed = configuration.options.seed if configuration.options.seed is not None else stored.seed
    differences = tuple(_differences(before.model_dump() if before else {}, method.model_dump()))
    if seed != stored.seed:
        differences = (f"seed: {stored.seed!r} in the pool, {seed!r} asked for", *differences)
    if differences and not force:
        raise UsageError(
            f"the settings contradict the pool's: {'; '.join(differences[:3])}{' ...' if len(differences) > 3 else ''}",
            "leave them out to go on with the pool's, or use --force to start a new run in this pool",
        )
    return Intent(method, seed, stored, differences, configuration.options.target)


def begin(pool: Pool, wanted: Intent, engine: EngineInfo, *, force: bool) -> Run:
    """Start the run, or resume the stored one when settings, seed and model are the same.

    A pool goes on where the model cannot be set up as before, or was asked to be otherwise. What it writes then may differ, so that it
    is a run of its own, unless a round is to be finished first. Raises UsageError, unless `force`, when the pool was made with another
    model or another adapter.
    """
    stored = wanted.stored
    adapter = str(stored_engine(stored).get("adapter_sha256", "")) if stored is not None else ""
    same_model = stored is not None and is_model(engine.model, stored.model.sha256)
    same = same_model and adapter == engine.adapter_sha256
    resumed = stored is not None and not wanted.differences and same
    unfinished = pool.reader.open_round()
    if stored is not None and resumed and (unfinished is not None or _same_setup(stored_engine(stored), engine)):
        return Run(stored.id, wanted.method, wanted.seed, resumed=True)
    if stored is not None and not same_model and not force:
        raise UsageError(
            f"the pool was made with the model {stored.model.name} ({stored.model.sha256[:12]}), "
            f"not with {engine.model.name} ({engine.model.sha256[:12]})",
            "name the pool's model with --model, or use --force to start a new run in this pool",
        )
    if stored is not None and adapter != engine.adapter_sha256 and not force:
        raise UsageError(
            f"the pool was made {_with_adapter(adapter)}, not {_with_adapter(engine.adapter_sha256)}",
            "name the pool's adapter with --adapter, or use --force to start a new run in this pool",
        )
    if unfinished is not None:
        pool.abandon_round(unfinished.id)
    method = wanted.method.resolved(engine.parallel, wanted.target)
    settings = {"method": method.model_dump(mode="json"), "engine": _engine_settings(engine)}
    text = json.dumps(settings, ensure_ascii=False, sort_keys=True)
    return Run(pool.start_run(text, wanted.seed, __version__, engine.model), method, wanted.seed, resumed)


def _same_setup(before: dict[str, Any], engine: EngineInfo) -> bool:
    """Whether llama.cpp runs as it did for the run on record, in all that completions depend on; other engines have no set-up here."""
    now = {"parallel": engine.parallel, "context_tokens": engine.context_tokens, "contexts": engine.contexts}
    return not engine.backend.startswith("llama.cpp") or all(before.get(name, number) == number for name, number in now.items())


def _readable_method(stored: RunRecord, *, force: bool) -> Method | None:
    try:
        return stored_method(stored)
    except PoolError:
        if force:
            return None
        raise


def _with_adapter(sha256: str) -> str:
    return f"with the adapter {sha256[:12]}" if sha256 else "without an adapter"


def _engine_settings(engine: EngineInfo) -> dict[str, Any]:
    path = engine.model.path
    return asdict(engine) | {"model": str(Path(path).absolute()) if path and Path(path).is_file() else path or engine.model.name}


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in now.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            yield from _differences(old, value, f"{prefix}{key}.")
        elif value != old:
            yield f"{prefix}{key}: {display_line(str(old), 40)} in the pool, {display_line(str(value), 40)} asked for"
