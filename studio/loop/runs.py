"""What a run was asked to be, by file, environment and flags on top of a profile; and starting it in a pool, or going on with it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo

from studio import __version__
from studio.config import (
    Parameters,
    flat,
    keys_of,
    merged,
    read_assignment,
    read_environment,
    read_text,
    read_toml,
    require_known,
    validated,
    value_of,
)
from studio.engine.api import EngineInfo
from studio.engine.options import FLAGS, EngineOptions, FlashAttention
from studio.errors import PoolError, UsageError
from studio.loop.checks import ANSWER_RULES
from studio.loop.filters import FILTERS, INSTANCE_RULES
from studio.loop.prompts import Template
from studio.loop.settings import DEFAULT_PROFILE, PROFILES, Method, profile
from studio.pool.pool import Pool
from studio.pool.rounds import RunRecord
from studio.records import ModelIdentity, Stage
from studio.text import display_line

NO_MODEL = "none"
"""What a user says to have no model of its own for a stage."""


class Models(Parameters):
    """The models of stages that are to have one of their own."""

    answer: str = Field("", description="name, path or address of the model that answers the tasks, in chat; none is the one of --model")


def _of_engine(name: str, **more: Any) -> Any:
    """The field for an option of the engine."""
    flag = FLAGS[name]
    bounds = {"ge": flag.least, "le": flag.most} if flag.is_number else {}
    return Field(**{"default": getattr(EngineOptions(), name), "description": f"{flag.help} [{flag.usual}]", **bounds, **more})


class RunOptions(Parameters):
    """What a run needs beside the method: none of it decides which candidates are accepted.

    Where the number of requests a round is left open, it is settled by `parallel` and `target` when the run begins.
    """

    profile: str | None = Field(None, description="studio, paper, code or alpaca")
    model: str = Field("", description="name or path of a GGUF model; empty is the bundled one")
    adapter: str = Field("", description="path of a LoRA adapter for the model, a GGUF file; none is without")
    models: Models = Field(default_factory=Models)
    seed: str | None = Field(None, description="any text; equal seeds give equal runs")
    hold_out: float = Field(
        0.0, ge=0.0, description="seeds of a new pool kept apart for evaluation: a number, or a share below 1; 0 is none"
    )
    target: int | None = Field(None, ge=1, description="stop when the pool has this many generated tasks")
    rounds: int | None = Field(None, ge=1, description="stop after this many rounds")
    gpu_layers: int = _of_engine("gpu_layers")
    context: int = _of_engine("context")
    threads: int = _of_engine("threads")
    parallel: int = _of_engine("parallel")
    flash_attention: FlashAttention = _of_engine("flash_attention")
    kv_type: Literal["", "f16", "q8_0", "q4_0"] = _of_engine("kv_type", default="")
    kv_cells: Literal["", "unified", "separate"] = _of_engine("kv_cells", default="")
    split_mode: Literal["layer", "row", "none"] = _of_engine("split_mode")
    tensor_split: str = _of_engine("tensor_split", pattern=r"^([\d.]+(,[\d.]+)*)?$")
    main_gpu: int = _of_engine("main_gpu")
    cpu_moe: int = _of_engine("cpu_moe")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The run's options, and the parameters of the method that were asked for, still without a profile under them."""

    options: RunOptions
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def with_documents(self) -> Configuration:
        """The same for a run whose instructions are written for passages, and for those alone unless other sources are asked for."""
        alone = {"document_requests": -1, "requests_per_round": 0, "template_requests": 0}
        return replace(self, overrides={**alone, **self.overrides})

    def method(self, stored: Method | None = None) -> Method:
        """The parameters asked for: overrides on top of the profile, or on top of `stored` where that is the profile.

        `stored` are the pool's: a pool goes on with its own parameters when nothing else is asked for.
        Raises UsageError for an unknown profile, filter or rule, a prompt without its placeholder, or a value that does not fit or has no
        effect.
        """
        name = self.options.profile
        base = stored if stored is not None and name in (None, stored.profile) else profile(name or DEFAULT_PROFILE)
        method = overridden(base, self.overrides)
        require_effect(method, self.overrides)
        return method


def overridden(base: Method, overrides: Mapping[str, Any]) -> Method:
    """Return `base` with the dotted values `overrides` in their places.

    Raises UsageError for an unknown filter or rule, a prompt without its placeholder, or a value that does not fit.
    """
    method = validated(Method, merged(base.model_dump(), overrides), "setting")
    require_known(method.filters, FILTERS, "filters")
    require_known(method.request_filters, FILTERS, "request_filters")
    require_known(method.instance_rules, INSTANCE_RULES, "instance_rules")
    require_known(method.answer_rules, ANSWER_RULES, "answer_rules")
    for prompt, text in method.prompts.model_dump().items():
        Template.parse(prompt, text)
    return method


def require_effect(method: Method, asked: Collection[str]) -> None:
    """Raise UsageError where one of the parameters `asked` for has no effect beside the others of `method`."""
    if method.best_of == 1 and method.min_agreement > 0 and not {"best_of", "min_agreement"}.isdisjoint(asked):
        raise UsageError(
            "min_agreement compares an answer with the others drawn for it, and with best_of 1 there are none",
            "set best_of to 2 or more first, or min_agreement to 0",
        )


def known_keys() -> dict[str, FieldInfo]:
    """Every dotted key that can be set, with its field."""
    return dict(keys_of(RunOptions)) | {key: info for key, info in keys_of(Method) if key != "profile"}


def load_configuration(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any], assignments: tuple[str, ...] = ()
) -> Configuration:
    """Merge file, environment and flags, each stronger than the one before.

    `flags` are those given on the command line, by dotted key; `assignments` the values of `--set`.
    Raises UsageError that names the source and the nearest known key for anything unknown, and for values that do not fit.
    """
    keys = known_keys()
    values: dict[str, Any] = {}
    if file is not None:
        from_file = read_toml(file)
        require_known(from_file, keys, str(file))
        values |= _with_prompt_texts(from_file, file.parent)
    stronger = read_environment(environment, keys) | dict(flags) | dict(read_assignment(text, keys) for text in assignments)
    values |= _with_prompt_texts(stronger, Path())
    own = dict(keys_of(RunOptions))
    options = merged(RunOptions().model_dump(), {key: value for key, value in values.items() if key in own})
    return Configuration(validated(RunOptions, options, "option"), {key: value for key, value in values.items() if key not in own})


def typed_value(key: str, text: str) -> Any:
    """Return what `text` says for the parameter `key` of the method, as `--set` would take it. Raises UsageError for a prompt's path."""
    return _with_prompt_texts({key: value_of(text, dict(keys_of(Method))[key])}, Path())[key]


def _with_prompt_texts(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Paths of prompt files, relative to `folder`, become the texts in them: the pool keeps the text, not the path."""
    return {key: _prompt_text(key, value, folder) if key.startswith("prompts.") else value for key, value in values.items()}


def _prompt_text(key: str, value: Any, folder: Path) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key} must be the path of a text file, not {value!r}")
    if not value.strip():
        raise UsageError(f"{key} takes the path of a text file, and is empty", "leave it out for the built-in prompt")
    return read_text(Path(value) if value.startswith("~") else folder / value, f"the prompt of {key},")


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

    `target` is the number of generated tasks to end with, None for no end; `named` are the keys of the method that were asked for by name.
    """

    method: Method
    seed: str
    stored: RunRecord | None
    differences: tuple[str, ...]
    target: int | None = None
    named: frozenset[str] = frozenset()


def stored_method(run: RunRecord) -> Method:
    """The parameters a run was made with. Raises PoolError when this version cannot read them."""
    try:
        return Method.model_validate_json(json.dumps(json.loads(run.settings)["method"]))
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise PoolError("the pool's settings cannot be read by this version", "use --force to start a new run in it") from error


@lru_cache(maxsize=8)
def known_method(run: RunRecord) -> Method | None:
    """The parameters a run was made with; None where this version cannot read them."""
    try:
        return stored_method(run)
    except PoolError:
        return None


ENGINE, ANSWERING = "engine", "answering"
"""What the engines of a run are called in its settings: the run's own, and that of the model that answers, where there is one."""


def stored_engine(run: RunRecord, name: str = ENGINE) -> dict[str, Any]:
    """How an engine of a run was set up: model, adapter, backend, context_tokens, threads, parallel, layers; empty when not on record.

    `model` is what opened it: a file's absolute path, an address, or a name.
    """
    settings = json.loads(run.settings)
    engine = settings.get(name) if isinstance(settings, dict) else None
    return engine if isinstance(engine, dict) else {}


def intent(pool: Pool | None, configuration: Configuration, *, force: bool) -> Intent:
    """Resolve the configuration against the pool (None: still to be made).

    Raises UsageError, unless `force`, when what was asked for contradicts what the pool was made with.
    """
    stored = pool.runs.latest() if pool is not None else None
    if stored is None:
        return Intent(configuration.method(), configuration.options.seed or DEFAULT_SEED, None, (), configuration.options.target)
    named = frozenset(configuration.overrides)
    before = known_method(stored) if force else stored_method(stored)
    method = configuration.method(before)
    if before is not None and method.profile == before.profile and not force:
        # What follows from the engine was worked out when the run began.
        method = method.settled_as(before)
    seed = configuration.options.seed if configuration.options.seed is not None else stored.seed
    differences = tuple(_differences(before.model_dump() if before else {}, method.model_dump()))
    if seed != stored.seed:
        differences = (f"seed: {stored.seed!r} in the pool, {seed!r} asked for", *differences)
    if differences and not force:
        raise UsageError(
            f"the settings contradict the pool's: {'; '.join(differences[:3])}{' ...' if len(differences) > 3 else ''}",
            "leave them out to go on with the pool's, or use --force to start a new run in this pool",
        )
    return Intent(method, seed, stored, differences, configuration.options.target, named)


def begin(pool: Pool, wanted: Intent, engine: EngineInfo, *, force: bool, answering: EngineInfo | None = None) -> Run:
    """Start the run, or resume the stored one when settings, seed and models are the same.

    `answering` is the engine of the model that answers, where there is one of its own. A pool goes on where a model cannot be set up as
    before, or was asked to be otherwise. What it writes then may differ, so that it is a run of its own, unless a round is to be finished
    first. Raises UsageError, unless `force`, when the pool was made with another model or another adapter.
    """
    stored = wanted.stored
    contradictions = [] if stored is None else list(_other_models(stored, engine, answering))
    resumed = stored is not None and not wanted.differences and not contradictions
    unfinished = pool.rounds.unfinished()
    if stored is not None and resumed and (unfinished is not None or _same_setups(stored, engine, answering)):
        return Run(stored.id, wanted.method, wanted.seed, resumed=True)
    if contradictions and not force:
        raise contradictions[0]
    method = _left_open(wanted, engine, answering).resolved(engine, wanted.target, answering)
    if unfinished is not None:
        pool.rounds.abandon(unfinished.id)
    settings = {"method": method.model_dump(mode="json"), ENGINE: _engine_settings(engine)}
    models = {}
    if answering is not None:
        settings[ANSWERING] = _engine_settings(answering)
        models[Stage.ANSWER] = answering.model
    text = json.dumps(settings, ensure_ascii=False, sort_keys=True)
    return Run(pool.runs.start(text, wanted.seed, __version__, engine.model, models), method, wanted.seed, resumed)


def _left_open(wanted: Intent, engine: EngineInfo, answering: EngineInfo | None) -> Method:
    """The parameters asked for; how models are asked is open again where it followed from the pool's and cannot be so with these."""
    method, stored = wanted.method, wanted.stored
    if stored is None:
        return method
    again: dict[str, str] = {}
    if method.asking not in engine.askings:
        again["asking"] = profile(method.profile).asking if method.profile in PROFILES else "auto"
    if (stored.answering is None) != (answering is None) or "chat" not in (answering or engine).askings:
        again["answers"] = "auto"
    return method.model_copy(update={key: value for key, value in again.items() if key not in wanted.named})


def _other_models(stored: RunRecord, engine: EngineInfo, answering: EngineInfo | None) -> Iterator[UsageError]:
    """What of the models and the adapter is not as the stored run had it."""
    force = "use --force to start a new run in this pool"
    if engine.model.sha256 != stored.model.sha256:
        words = f"the pool was made with the model {_named(stored.model)}, not with {_named(engine.model)}"
        yield UsageError(words, f"name the pool's model with --model, or {force}")
    adapter = str(stored_engine(stored).get("adapter_sha256", ""))
    if adapter != engine.adapter_sha256:
        words = f"the pool was made {_with_adapter(adapter)}, not {_with_adapter(engine.adapter_sha256)}"
        yield UsageError(words, f"name the pool's adapter with --adapter, or {force}")
    before, now = stored.answering, None if answering is None else answering.model
    if (before and before.sha256) != (now and now.sha256):
        had, has = (_named(each) if each is not None else "the model that writes them" for each in (before, now))
        words = f"the pool's tasks were answered by {had}, not by {has}"
        yield UsageError(words, f"leave --answer-model out to go on with the pool's, or {force}")


def _named(model: ModelIdentity) -> str:
    return f"{model.name} ({model.sha256[:12]})"


def _same_setups(stored: RunRecord, engine: EngineInfo, answering: EngineInfo | None) -> bool:
    own = _same_setup(stored_engine(stored), engine)
    return own and (answering is None or _same_setup(stored_engine(stored, ANSWERING), answering))


def _same_setup(before: dict[str, Any], engine: EngineInfo) -> bool:
    """Whether llama.cpp runs as it did for the run on record, in all that completions depend on; other engines have no set-up here."""
    shaping = ("parallel", "context_tokens", "contexts", "kv_type", "streams", "flash_attention", "cpu_moe", "split")
    return not engine.is_local or all(before.get(name, getattr(engine, name)) == getattr(engine, name) for name in shaping)


def _with_adapter(sha256: str) -> str:
    return f"with the adapter {sha256[:12]}" if sha256 else "without an adapter"


def _engine_settings(engine: EngineInfo) -> dict[str, Any]:
    path = engine.model.path
    return asdict(engine) | {"model": str(Path(path).absolute()) if path and Path(path).is_file() else path or engine.model.name}


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    known = dict(flat(before))
    for key, value in flat(now):
        if value != (old := known.get(key)):
            yield f"{key}: {display_line(str(old), 40)} in the pool, {display_line(str(value), 40)} asked for"
