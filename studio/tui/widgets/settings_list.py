"""Every parameter of a method in rows: its name, its value, and whether the profile has another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from studio.config import ENVIRONMENT_PREFIX, keys_of
from studio.loop.profiles import PROFILES, profile
from studio.loop.settings import LEAST_REQUESTS, MOST_REQUESTS, Method


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter by its dotted key; `standard` is the value of the profile it is named after, None where there is none of that name."""

    key: str
    value: Any
    description: str
    standard: Any
    bounds: str

    @property
    def changed(self) -> bool:
        return self.standard is not None and self.value != self.standard

    @property
    def is_prompt(self) -> bool:
        """Whether it is a text that is set by the path of a file."""
        return self.key.startswith("prompts.")

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + self.key.upper().replace(".", "__")


def settings_of(method: Method, run: Method | None = None) -> list[Setting]:
    """All parameters of `method`, in the order of the settings file; what follows from the engine of its `run` is as in the profile."""
    standard = profile(method.profile) if method.profile in PROFILES else None
    if standard is not None and run is not None and run.requests_per_round in range(LEAST_REQUESTS, MOST_REQUESTS + 1):
        standard = standard.resolved(run.requests_per_round)
    found = []
    for key, info in keys_of(Method):
        bounds = " · ".join(_bound(each) for each in info.metadata if _bound(each))
        value = _value(method, key)
        found.append(
            Setting(
                key,
                value,
                info.description or (_PROMPT if key.startswith("prompts.") else _PROFILE),
                None if standard is None else _value(standard, key),
                bounds,
            )
        )
    return found


_PROMPT = "the text of a prompt; a file's path where it is set"
_PROFILE = "the set of parameters that the others start from"
_SIGNS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def _bound(metadata: object) -> str:
    return " · ".join(
        f"{words} {getattr(metadata, name):g}" for name, words in _SIGNS if isinstance(getattr(metadata, name, None), int | float)
    )


def _value(method: Method, key: str) -> Any:
    value: Any = method
    for part in key.split("."):
        value = getattr(value, part)
    return value


def typed_text(setting: Setting) -> str:
    """The value as one types it into a field: a list as JSON, which is TOML, too; nothing for a prompt, whose text is no line."""
    if setting.is_prompt:
        return ""
    if isinstance(setting.value, tuple):
        return json.dumps(setting.value, ensure_ascii=False)
    return value_text(setting.value)


def value_text(value: Any) -> str:
    """A value as a settings file would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(repr(each) for each in value) or "(none)"
    return str(value)
