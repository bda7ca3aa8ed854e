"""Paths to what a record holds, as a user writes them: `answers.text[0]`, `"a.key with dots"`, `turns[-1].text`, `lines[*]`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from studio.errors import UsageError

Step = str | int | None
"""A key, a place in a list, or None for all places."""

_STEP = re.compile(r"""\[\s*(?:(?P<place>-?\d+)|(?P<all>\*))\s*\]|(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<key>[^.\[\]"']+)""")
_PLAIN = re.compile(r"""[^.\[\]"'{},=\s](?:[^.\[\]"'{},=]*[^.\[\]"'{},=\s])?""")
_DEEP, _MANY = 4, 60
"""How deep, and how many paths of a record are listed."""


class _Missing:
    """What a path leads to where there is nothing, which is not the same as null."""


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class KeyPath:
    """A way to a value: keys of objects and places in lists. `text` is how it was written."""

    text: str
    steps: tuple[Step, ...]

    def find(self, value: object) -> object:
        """Return what the path leads to in `value`, or MISSING. With `[*]` it is a list, without the elements that lack the rest."""
        for place, step in enumerate(self.steps):
            if step is None:
                if not isinstance(value, list):
                    return MISSING
                rest = KeyPath(self.text, self.steps[place + 1 :])
                found = [each for each in map(rest.find, value) if each is not MISSING]
                return found if found or not value else MISSING
            value = _step(value, step)
            if value is MISSING:
                return MISSING
        return value


def parse_path(text: str) -> KeyPath:
    """Read a path. Raises UsageError for what is none."""
    steps: list[Step] = []
    at, stripped = 0, text.strip()
    while at < len(stripped):
        found = _STEP.match(stripped, at)
        if found is None or (found["key"] is not None and not found["key"].strip()):
            break
        if found["place"]:
            steps.append(int(found["place"]))
        else:
            quoted = found["quoted"]
            steps.append(None if found["all"] else found["key"].strip() if quoted is None else _unquoted(quoted))
        at = found.end()
        if at < len(stripped) and stripped[at] == ".":
            at += 1
            if at == len(stripped):
                break
        elif at < len(stripped) and stripped[at] != "[":
            break
    if not steps or at < len(stripped) or stripped.endswith("."):
        raise UsageError(
            f"{text!r} is no path to a field", 'keys with dots between them, places in lists in brackets: answers.text[0], "a.b"[-1]'
        )
    return KeyPath(stripped, tuple(steps))


def _unquoted(quoted: str) -> str:
    if quoted.startswith("'"):
        return quoted[1:-1]
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted[1:-1]


def _step(value: object, step: Step) -> object:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and -len(value) <= step < len(value) else MISSING
    if not isinstance(value, Mapping) or step is None:
        return MISSING
    key = key_of(value, step)
    return MISSING if key is None else value[key]


def key_of(value: Mapping[str, object], name: str) -> str | None:
    """Return the key of `value` that `name` means: itself, else the first that differs by capitals and blanks around it alone."""
    if name in value:
        return name
    wanted = name.strip().lower()
    return next((key for key in value if key.strip("\ufeff \t\r\n").lower() == wanted), None)


def written_key(key: str) -> str:
    """Return a key as it is written in a path: in quotes where it holds what has a meaning there."""
    return key if _PLAIN.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def paths_in(value: object, prefix: str = "", depth: int = _DEEP) -> Iterator[str]:
    """Yield the paths to the values in a record, as they would be written; of a list that to its first element."""
    if isinstance(value, Mapping) and value and depth:
        for key, each in list(value.items())[:_MANY]:
            yield from paths_in(each, f"{prefix}.{written_key(key)}" if prefix else written_key(key), depth - 1)
    elif isinstance(value, list) and value and depth and prefix and not isinstance(value[0], Mapping):
        yield from paths_in(value[0], f"{prefix}[0]", depth - 1)
    elif isinstance(value, list) and value and depth and prefix:
        yield prefix
        yield from paths_in(value[0], f"{prefix}[0]", depth - 1)
    elif prefix:
        yield prefix
