"""What a run was asked to be: options and overrides from file, environment and flags, on top of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo

from studio.config import keys_of, merged, read_assignment, read_environment, read_text, read_toml, require_known, validated, value_of
from studio.engine.options import MAX_PARALLEL_SERVER, PARALLEL_HELP
from studio.errors import UsageError
from studio.loop.filters import FILTERS
from studio.loop.instance_rules import INSTANCE_RULES
from studio.loop.profiles import DEFAULT_PROFILE, profile
from studio.loop.prompts import Template
from studio.loop.settings import Method, Parameters


class RunOptions(Parameters):
    """What a run needs beside the method: none of it decides which candidates are accepted.

    Where the number of requests a round is left open, it is settled by `parallel` and `target` when the run begins.
    """

    profile: str | None = Field(None, description="studio, paper, code or alpaca")
    model: str = Field("", description="name or path of a GGUF model; empty is the bundled one")
    adapter: str = Field("", description="path of a LoRA adapter for the model, a GGUF file; none is without")
    seed: str | None = Field(None, description="any text; equal seeds give equal runs")
    hold_out: float = Field(
        0.0, ge=0.0, description="seeds of a new pool kept apart for evaluation: a number, or a share below 1; 0 is none"
    )
    target: int | None = Field(None, ge=1, description="stop when the pool has this many generated tasks")
    rounds: int | None = Field(None, ge=1, description="stop after this many rounds")
    gpu_layers: int = Field(-1, ge=-1, description="layers to offload to the GPU; -1 is all")
    context: int = Field(0, ge=0, description="context tokens over all sequences; 0 chooses")
    threads: int = Field(0, ge=0, description="CPU threads; 0 is the physical cores that are there")
    parallel: int = Field(0, ge=0, le=MAX_PARALLEL_SERVER, description=PARALLEL_HELP)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The run's options, and the parameters of the method that were asked for, still without a profile under them."""

    options: RunOptions
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def method(self, stored: Method | None = None) -> Method:
        """The parameters asked for: overrides on top of the profile, or on top of `stored` where that is the profile.

        `stored` are the pool's: a pool goes on with its own parameters when nothing else is asked for.
        Raises UsageError for an unknown profile, filter or rule, a prompt without its placeholder, or a value that does not fit.
        """
        name = self.options.profile
        base = stored if stored is not None and name in (None, stored.profile) else profile(name or DEFAULT_PROFILE)
        return overridden(base, self.overrides)


def overridden(base: Method, overrides: Mapping[str, Any]) -> Method:
    """Return `base` with the dotted values `overrides` in their places.

    Raises UsageError for an unknown filter or rule, a prompt without its placeholder, or a value that does not fit.
    """
    method = validated(Method, merged(base.model_dump(), overrides), "setting")
    require_known(method.filters, FILTERS, "filters")
    require_known(method.instance_rules, INSTANCE_RULES, "instance_rules")
    for prompt, text in method.prompts.model_dump().items():
        Template.parse(prompt, text)
    return method


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
    options = {key: value for key, value in values.items() if key in RunOptions.model_fields}
    return Configuration(validated(RunOptions, options, "option"), {key: value for key, value in values.items() if key not in options})


def typed_value(key: str, text: str) -> Any:
    """Return what `text` says for the parameter `key` of the method, as `--set` would take it. Raises UsageError for a prompt's path."""
    return _with_prompt_texts({key: value_of(text, dict(keys_of(Method))[key])}, Path())[key]


def _with_prompt_texts(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Paths of prompt files, relative to `folder`, become the texts in them: the pool keeps the text, not the path."""
    return {key: _prompt_text(key, value, folder) if key.startswith("prompts.") else value for key, value in values.items()}


def _prompt_text(key: str, value: Any, folder: Path) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key} must be the path of a text file, not {value!r}")
    return read_text(Path(value) if value.startswith("~") else folder / value, f"the prompt of {key},")
