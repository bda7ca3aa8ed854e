"""Where a user says that each field of a task stands in his records: `instruction=question,output=answers.text[0]`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from studio.errors import UsageError, nearest_name
from studio.seeds.fields import JsonObject, NotANumber, holds, kind_of
from studio.seeds.inputs import FileFault, ParsedTask
from studio.seeds.json_file import RawRecord
from studio.seeds.shapes import SHAPES, parsed_task

Step = str | int | None
"""A key, a place in a list, or None for all places."""

_STEP = re.compile(
    r"""(?:\[\s*(?:(?P<place>-?\d+)|(?P<all>\*))\s*\]|(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')|(?P<key>[^.\[\]"']+))(?:\.(?!\Z)|(?=\[)|\Z)"""
)
"""A step with what joins it to the next: a dot, nothing before a bracket or at the end."""
_PLAIN = re.compile(r"""[^.\[\]"'{},=\s](?:[^.\[\]"'{},=]*[^.\[\]"'{},=\s])?""")
_DEEP, _MANY = 4, 60
"""How deep, and how many paths of a record are listed."""


MISSING = object()
"""What a path leads to where there is nothing, which is not the same as null."""


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
    while (found := _STEP.match(stripped, at)) and (found["key"] is None or found["key"].strip()):
        if found["place"]:
            steps.append(int(found["place"]))
        else:
            quoted = found["quoted"]
            steps.append(None if found["all"] else found["key"].strip() if quoted is None else _unquoted(quoted))
        at = found.end()
    if not steps or at < len(stripped):
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
    elif isinstance(value, list) and value and depth and prefix:
        if isinstance(value[0], Mapping):
            yield prefix
        yield from paths_in(value[0], f"{prefix}[0]", depth - 1)
    elif prefix:
        yield prefix


TARGETS: Mapping[str, str] = {
    "instruction": "what is asked",
    "input": "what it is asked about",
    "output": "the answer",
    "system": "the system turn",
    "thoughts": "what was thought before the answer",
    "messages": "a conversation, in the place of the four above",
    "id": "the id in the file",
    "name": "a name",
    "is_classification": "true or false",
}
"""What a path may stand for, and what it is."""
_ALIASES = {"key": "id"}
_EXCHANGE = ("instruction", "input", "output", "thoughts")
_SPLIT = re.compile(r"""(?:"[^"]*"|'[^']*'|[^"',]|,(?!\s*\w+\s*=)|["'])+""")
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|\\n|[{}]")
_NAMED = re.compile(r"(?:instances\[\d*\]\.)?(\w+)(.*)", re.DOTALL)
_CHAT, _ONE, _FLAT = (next(shape for shape in SHAPES if shape.name == name) for name in ("chat", "self-instruct", "alpaca"))
MAPPED = "mapped"
"""What such a record is said to look like."""
_MOST_LISTED = 12


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where a field comes from: one path, whose value is taken as it is, or texts and paths that are joined."""

    text: str
    parts: tuple[str | KeyPath, ...]

    @property
    def paths(self) -> tuple[KeyPath, ...]:
        return tuple(part for part in self.parts if isinstance(part, KeyPath))

    def find(self, values: JsonObject) -> object:
        """Return what stands there, or MISSING when a path leads to nothing. Raises ValueError for what cannot be joined."""
        if len(self.parts) == 1 and isinstance(self.parts[0], KeyPath):
            path = self.parts[0]
            found = path.find(values)
            joined = None in path.steps and isinstance(found, list) and not any(isinstance(each, list | Mapping) for each in found)
            return "\n".join(map(_as_text, found)) if joined and isinstance(found, list) else found
        texts = []
        for part in self.parts:
            value = part if isinstance(part, str) else part.find(values)
            if value is MISSING:
                return MISSING
            texts.append(_as_text(value))
        # Nothing but what stands between the fields is nothing.
        filled = any(text.strip() for text, part in zip(texts, self.parts, strict=True) if not isinstance(part, str))
        return "".join(texts) if filled else ""


def _as_text(value: object) -> str:
    if isinstance(value, list | Mapping):
        raise ValueError(f"{kind_of(value)} where text is needed")
    if value is None or isinstance(value, NotANumber):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _source(text: str) -> FieldSource:
    if "{" not in text and "}" not in text:
        return FieldSource(text.strip(), (parse_path(text),))
    parts: list[str | KeyPath] = []
    at = 0
    for found in _PLACE.finditer(text):
        parts.append(text[at : found.start()])
        at = found.end()
        if found[1] is not None:
            parts.append(parse_path(found[1]))
        elif found[0] in ("{", "}"):
            raise UsageError(f"{text!r}: a brace without its other half", "write {field} for a field, {{ and }} for braces")
        else:
            parts.append("\n" if found[0] == "\\n" else found[0][0])
    parts.append(text[at:])
    if not any(isinstance(part, KeyPath) for part in parts):
        raise UsageError(f"{text!r} names no field", "write {field} for a field")
    return FieldSource(text.strip(), tuple(part for part in parts if part != ""))


class FieldMap:
    """Which field of a task comes from where. Nothing else is taken of a record."""

    def __init__(self, sources: Mapping[str, FieldSource]) -> None:
        """Raises UsageError when a task cannot be made of that."""
        self.sources = dict(sources)
        if "messages" in sources and (both := [name for name in _EXCHANGE if name in sources]):
            raise UsageError(f"messages and {both[0]} are both mapped", "a conversation has them all: leave one of the two out")
        if "messages" not in sources and "instruction" not in sources:
            raise UsageError("nothing is mapped to instruction", "name the field that it stands in: --map instruction=KEY")
        self._shape = _CHAT if "messages" in sources else _ONE if "thoughts" in sources else _FLAT
        self._renamed = tuple(f"{name} from {source.text}" for name, source in sources.items() if source.text != name)
        self._taken = tuple(source.text for source in sources.values())
        self._used = _tree(path for source in self.sources.values() for path in source.paths)
        self.columns = frozenset(step.lower() for step in self._used if isinstance(step, str))

    def __str__(self) -> str:
        return ",".join(f"{name}={source.text}" for name, source in self.sources.items())

    def fits(self, values: JsonObject) -> bool:
        """Return whether an object is a record, and not something around records or a table of columns.

        It has a key that paths begin with then, and no list of texts in the place of the one text that a task is about.
        """
        if not any(isinstance(step, str) and key_of(values, step) is not None for step in self._used):
            return False
        try:
            found = self.sources["messages" if self._shape is _CHAT else "instruction"].find(values)
        except ValueError:
            return False
        if self._shape is _CHAT:
            return not isinstance(found, Mapping) and not (isinstance(found, list) and bool(found) and isinstance(found[0], list))
        return not isinstance(found, list | Mapping)

    def lacking(self, values: JsonObject) -> tuple[str, ...]:
        """Return the paths that lead to nothing in a record."""
        found = (path for source in self.sources.values() for path in source.paths if path.find(values) is MISSING)
        return tuple(dict.fromkeys(path.text for path in found))

    def parsed(self, record: RawRecord) -> ParsedTask:
        """Return the task that the paths make of a record, or the faults of it: a path that leads to nothing is one."""
        values = record.values or {}
        standard: dict[str, object] = {}
        faults = []
        for name, source in self.sources.items():
            try:
                standard[name] = source.find(values)
            except ValueError as error:
                faults.append(FileFault(record.line, source.text, str(error), record.index))
        if MISSING in standard.values():
            words = f"missing: there are {listed_paths(values)}"
            faults += [FileFault(record.line, path, words, record.index) for path in self.lacking(values)]
        if faults:
            return ParsedTask(record.line, None, tuple(faults), record.index, MAPPED, raw=record.raw)
        if self._shape is _ONE:
            inner = {name: standard.pop(name) for name in ("input", "output", "thoughts", "system") if name in standard}
            standard["instances"] = [inner] if holds(inner.get("output")) or holds(inner.get("input")) else []
        parsed = parsed_task(standard, record.line, record.index, self._shape, record.raw)
        untaken = (*map(self._named, parsed.untaken), *_untaken(values, self._used, ""))
        return replace(
            parsed,
            shape=MAPPED,
            faults=tuple(replace(fault, field=self._named(fault.field)) for fault in parsed.faults),
            hollow=tuple(replace(fault, field=self._named(fault.field)) for fault in parsed.hollow),
            untaken=tuple(dict.fromkeys(untaken)),
            suspects=(),
            as_text=tuple(map(self._named, parsed.as_text)),
            mended=tuple(map(self._named, parsed.mended)),
            renamed=self._renamed,
            taken=self._taken,
        )

    def _named(self, field: str) -> str:
        """Return what the user calls a field of the record that the shapes were given."""
        found = _NAMED.fullmatch(field)
        source = self.sources.get(found[1]) if found else None
        return field if found is None or source is None else source.text + found[2]


def parse_map(assignments: Sequence[str]) -> FieldMap | None:
    """Read what `--map` was given, each text with commas between its fields; None for nothing. Raises UsageError."""
    sources: dict[str, FieldSource] = {}
    for text in (each for given in assignments for each in _SPLIT.findall(given)):
        name, equals, path = text.partition("=")
        name = _ALIASES.get(name.strip().lower(), name.strip().lower())
        if not equals or not path.strip():
            raise UsageError(f"--map {text!r} is no TARGET=PATH", "for example --map instruction=question,output=answers.text[0]")
        if name not in TARGETS:
            raise UsageError(f"--map: a task has no field {name!r}", nearest_name(name, TARGETS))
        if name in sources:
            raise UsageError(f"--map: {name} is mapped twice", "join fields with braces: input={title}\\n{body}")
        sources[name] = _source(path)
    return FieldMap(sources) if sources else None


def listed_paths(values: object) -> str:
    """Return the paths in a record in words."""
    paths = list(paths_in(values))
    more = f" and {len(paths) - _MOST_LISTED} more" if len(paths) > _MOST_LISTED else ""
    return ", ".join(path[:60] for path in paths[:_MOST_LISTED]) + more or "no keys"


_Tree = dict[Step, "_Tree"]
"""The steps of paths by what they begin with; an empty one is the end of a path, where all is taken."""


def _tree(paths: Iterator[KeyPath]) -> _Tree:
    root: _Tree = {}
    ends: list[_Tree] = []
    for path in paths:
        node = root
        for step in path.steps:
            node = node.setdefault(step, {})
        ends.append(node)
    for end in ends:
        end.clear()
    return root


def _untaken(value: object, used: _Tree, prefix: str) -> Iterator[str]:
    """Yield the keys that hold something and to which no path leads."""
    if isinstance(value, Mapping):
        taken = {key_of(value, step): rest for step, rest in used.items() if isinstance(step, str)}
        for key, held in value.items():
            name = f"{prefix}.{key}" if prefix else key
            if key not in taken:
                if holds(held):
                    yield name
            elif taken[key]:
                yield from _untaken(held, taken[key], name)
    elif isinstance(value, list):
        for place, held in enumerate(value):
            rest = next((used[step] for step in (place, place - len(value), None) if step in used), None)
            if rest is None and holds(held):
                yield f"{prefix}[]"
            elif rest:
                yield from _untaken(held, rest, f"{prefix}[]")
