"""Reading parameters from a TOML file, the environment and `KEY=VALUE` flags, whatever the parameters are.

A parameter is named by a dotted key: `threshold`, `sampling.instructions.temperature`. In the environment it is upper-case with two
underscores for each dot: `STUDIO_SAMPLING__INSTRUCTIONS__TEMPERATURE`. Which keys exist is told by pydantic models.
"""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from studio.errors import UsageError, nearest_name
from studio.paths import user_path
from studio.text import utf16_of

ENVIRONMENT_PREFIX = "STUDIO_"

Keys = Mapping[str, FieldInfo]
Model = TypeVar("Model", bound=BaseModel)

_LONGEST_FILE = 1 << 26
"""Bytes of a file that a person wrote, at the most: a device has no end."""


class Parameters(BaseModel):
    """A group of parameters: immutable, no unknown names, no silent conversion of text to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every dotted key of `model`, nested models included, with its field."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from keys_of(info.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, info


def read_text(file: Path, what: str) -> str:
    """Return the text of a file that a person wrote, `what` in messages: UTF-8, with any line ends, a byte order mark not part of it.

    Raises UsageError when it cannot be read, or is in another encoding, with the way to change that.
    """
    try:
        with user_path(file).open("rb") as stream:
            content = stream.read(_LONGEST_FILE + 1)
    except UsageError as error:
        raise UsageError(f"{what} {error.message}", error.hint) from error
    except IsADirectoryError as error:
        raise UsageError(f"{what} {file} is a folder, not a text file", "name the file in it") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot read {what} {file}: {reason}", "check the path, and that this user may read it") from error
    if len(content) > _LONGEST_FILE:
        raise UsageError(f"{what} {file} is longer than {_LONGEST_FILE >> 20} MiB", "is it the right file? a person writes less")
    content = content.removeprefix(codecs.BOM_UTF8)
    if (wide := utf16_of(content)) is not None:
        raise UsageError(f"{what} {file} is UTF-16, not UTF-8", f"save it as UTF-8: iconv -f {wide} -t UTF-8 {file}")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{what} {file} is not UTF-8: byte 0x{content[error.start]:02X} on line {line}",
            f"save it as UTF-8; a file of an older Windows program: iconv -f WINDOWS-1252 -t UTF-8 {file}",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_toml(file: Path) -> dict[str, Any]:
    """Return the file's values by dotted key. Raises UsageError when it cannot be read or is no TOML."""
    text = read_text(file, "the configuration")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not a TOML file: {error}") from error
    return dict(flat(tables))


def read_environment(environment: Mapping[str, str], keys: Keys) -> dict[str, Any]:
    """Return the values of the `STUDIO_*` variables that name a key; others may be anyone's and are passed over."""
    names = {ENVIRONMENT_PREFIX + key.upper().replace(".", "__"): key for key in keys}
    return {names[name]: value_of(text, keys[names[name]]) for name, text in environment.items() if name in names and text}


def read_assignment(text: str, keys: Keys) -> tuple[str, Any]:
    """Split `KEY=VALUE`. Raises UsageError for another form or an unknown key."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text!r} is not of the form KEY=VALUE", "for example --set threshold=0.6")
    require_known([key.strip()], keys, "--set")
    return key.strip(), value_of(value.strip(), keys[key.strip()])


def value_of(text: str, info: FieldInfo) -> Any:
    """Read `text` as TOML where it is TOML and the field is not text itself; as plain text elsewhere."""
    if info.annotation in (str, str | None):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def require_known(given: Iterable[str], keys: Collection[str], source: str, what: str = "setting") -> None:
    """Raise UsageError, with the nearest known key, when `given` has a key, a `what`, that does not exist."""
    for key in given:
        if key not in keys:
            raise UsageError(f"{source}: there is no {what} {key!r}", nearest_name(key, keys))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested values `base` with the dotted values `over` put in their places."""
    result: dict[str, Any] = {key: merged(value, {}) if isinstance(value, dict) else value for key, value in base.items()}
    for dotted, value in over.items():
        *groups, name = dotted.split(".")
        node = result
        for group in groups:
            node = node[group]
        node[name] = value
    return result


def validated(model: type[Model], values: Mapping[str, Any], word: str) -> Model:
    """Return the model of `values`. Raises UsageError naming the first key and value that do not fit."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        fault = first["msg"][:1].lower() + first["msg"][1:]
        raise UsageError(f"{word} {key} = {first['input']!r}: {fault}") from error


def flat(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested tables by its dotted key."""
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
