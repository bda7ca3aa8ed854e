"""All keys of the studio in one table: a key means one thing, wherever it means something, and a verb has the same key everywhere.

`bind` makes the bindings of it, F1 and the line of keys show what of it applies, the guide prints it, and a file of the user's gives other
keys to its verbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding, Keymap
from textual.keys import Keys, key_to_character

from studio.config import read_toml, require_known
from studio.errors import UsageError, nearest_name
from studio.paths import app_folder


@dataclass(frozen=True, slots=True)
class Verb:
    """Something one does with a key. `name` is the id of every binding for it, `keys` are Textual's names with commas between them."""

    name: str
    keys: str
    words: str
    """What it does, for the guide."""


TABLE: Mapping[str, tuple[Verb, ...]] = {
    "Everywhere": (
        Verb("studio", "1", "the studio: watch and step the round"),
        Verb("pool", "2", "the pool: find, read and judge its tasks"),
        Verb("insight", "3", "insight: figures, what if, diversity, opinions, evaluation"),
        Verb("help", "f1,?", "explains the part that has the focus, and lists its keys"),
        Verb("settings", "f2", "every parameter, explained; of a run for one round, of a new pool for all"),
        Verb("log", "f3", "what has happened since the start"),
        Verb("models", "f4", "choose the model: of a new pool, or another one to go on with"),
        Verb("pools", "ctrl+o", "back to the picker: another pool, or a new one"),
        Verb("export", "x", "write the pool as a dataset"),
        Verb("review", "v", "rate a sample of the pool"),
        Verb("compare", "V", "grade two models' answers, blind"),
        Verb("commands", "ctrl+p", "find every command by its name"),
        Verb("quit", "q", "quit; asks first where a stage under way or a change would be lost"),
        Verb("quit-now", "ctrl+q", "the same, also while one types and over a window; twice: at once"),
    ),
    "In every window and list": (
        Verb("open", "enter", "open or read what is under the cursor; in a field: done with it"),
        Verb("back", "escape", "stop the stage, close the window, leave the field, back to the list: one step out"),
        Verb("accept", "ctrl+s", "let hold what stands here: keep, set, create, choose, begin, export, apply"),
        Verb("copy", "ctrl+c,super+c", "send what is selected to the clipboard, else what is under the cursor"),
        Verb("find", "/", "find words; enter goes on to the next"),
        Verb("up", "up,k", "up"),
        Verb("down", "down,j", "down"),
        Verb("page-up", "pageup,ctrl+u", "a page up"),
        Verb("page-down", "pagedown,ctrl+d", "a page down"),
        Verb("first", "home,g", "to the beginning"),
        Verb("last", "end,G", "to the end"),
        Verb("left", "left", "lower; of a sample: the task before"),
        Verb("right", "right", "higher; of a sample: the next task"),
        Verb("far-left", "shift+left", "much lower"),
        Verb("far-right", "shift+right", "much higher"),
        Verb("next-part", "tab", "the next part: pane, field, question"),
        Verb("part-before", "shift+tab", "the part before"),
        Verb("previous", "[", "the one before: prompt of the round, page of insight"),
        Verb("next", "]", "the next one"),
    ),
    "The round": (
        Verb("step", "s", "the next stage, then stop"),
        Verb("round", "r", "the rest of the round, then stop"),
        Verb("run-on", "R", "on and on: until the target, the number of rounds, the stop rule, or esc"),
        Verb("goal", "T", "set target and rounds"),
        Verb("parameters", "p", "temperature, threshold and others, for this round alone"),
        Verb("brief", "B", "the brief and the system turns that the model gets, for this round alone"),
        Verb("draw", "D", "after *sample*: draw other in-context tasks"),
        Verb("swap", "w", "after *sample*: put another task in the place of the one under the cursor"),
        Verb("prompt", "P", "the prompt that is shown, as the model gets it"),
        Verb("rewrite", "W", "after *instructions*: write the round anew"),
        Verb("retry", "ctrl+r", "open the pool and load the model again, after a failure"),
    ),
    "What you decide": (
        Verb("overrule", "t", "accept what was rejected, or the reverse"),
        Verb("edit", "e", "change the text; a setting, an instance"),
        Verb("editor", "ctrl+e", "change the text in `$EDITOR`"),
        Verb("instances", "i", "the instances of the task"),
        Verb("more", "+", "let the model write more of them"),
        Verb("drop", "delete,backspace", "take out, or back in: retire a task, drop an instance, set a parameter as the profile has it"),
        Verb("mark", "m", "mark the task for review, or no longer"),
        Verb("note", "N", "tags and a note on the task"),
        Verb("undo", "u", "take back the newest action"),
        Verb("redo", "U,ctrl+y", "do it again"),
    ),
    "The pool": (
        Verb("import", "I", "bring in the tasks of a file; in the picker: as the seeds of the new pool"),
        Verb("filter", "f", "narrow the list"),
        Verb("sort", "o", "sort by something else"),
        Verb("reverse", "O", "turn the order round"),
        Verb("lineage", "l", "where the task came from, and what came of it"),
        Verb("open-all", "*", "open all generations of the lineage"),
        Verb("new", "ctrl+n", "in the picker: the form for a new pool"),
    ),
    "Answers": (
        Verb("yes", "y", "yes"),
        Verb("no", "n", "no"),
        Verb("grade-a", "a", "the answer is correct and satisfying"),
        Verb("grade-b", "b", "acceptable, with minor faults"),
        Verb("grade-c", "c", "relevant, with major faults"),
        Verb("grade-d", "d", "irrelevant or invalid"),
        Verb("skip", "-", "no answer: skip the task, or no longer"),
        Verb("next-open", ">", "the next task that is not settled"),
    ),
}
"""Every verb, by what it is for. No key stands twice."""

VERBS: Mapping[str, Verb] = {verb.name: verb for verbs in TABLE.values() for verb in verbs}


def bind(verb: str, action: str, word: str = "", tooltip: str = "", *, show: bool = True, priority: bool = False) -> Binding:
    """Return the binding of an action to the keys of a verb; `word` is for the line of keys, `tooltip` a sentence for the help."""
    found = VERBS[verb]
    sentence = tooltip or f"{found.words[:1].upper()}{found.words[1:]}."
    return Binding(found.keys, action, word or verb.capitalize(), show=show, priority=priority, tooltip=sentence, id=verb)


def key_of(verb: str) -> str:
    """Return the first key of a verb, for a text that names it."""
    return VERBS[verb].keys.partition(",")[0]


def keys_file() -> Path:
    """Where a user's own keys are looked for."""
    return app_folder("config") / "keys.toml"


def read_keymap(file: Path) -> Keymap:
    """Return the user's own keys by verb, as Textual takes them; none where there is no such file.

    Raises UsageError for a file that cannot be read, a verb or a key that does not exist, and a key that would have two meanings.
    """
    if not file.is_file():
        return {}
    own = read_toml(file)
    require_known(own, VERBS, str(file), "verb")
    keymap = {verb: _keys_of(verb, value, file) for verb, value in own.items()}
    meanings: dict[str, str] = {}
    for verb in VERBS.values():
        for key in keys_of(keymap.get(verb.name, verb.keys)):
            if (other := meanings.setdefault(key, verb.name)) != verb.name:
                raise UsageError(f"{file}: the key {key!r} would mean both {other!r} and {verb.name!r}", "give one of them another key")
    return keymap


def keys_of(keys: str) -> tuple[str, ...]:
    """Return the keys of a list with commas, each by Textual's name: `?` is `question_mark`."""
    return tuple(binding.key for binding in Binding.make_bindings([Binding(keys, "")]))


def _keys_of(verb: str, value: object, file: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{file}: {verb} = {value!r} names no key", f'for example {verb} = "f9", or several: "f9,ctrl+g"')
    keys = ",".join(key.strip() for key in value.split(",") if key.strip())
    for key in keys_of(keys):
        *modifiers, name = key.split("+")
        if wrong := next((each for each in modifiers if each not in _MODIFIERS), None):
            raise UsageError(f"{file}: {verb} = {value!r}: there is no key {key!r}", nearest_name(wrong, _MODIFIERS))
        if len(name) > 1 and name not in _NAMES and key_to_character(name) is None:
            raise UsageError(f"{file}: {verb} = {value!r}: there is no key {key!r}", nearest_name(name, _NAMES))
    return keys


_MODIFIERS = ("ctrl", "shift", "alt", "super", "meta", "hyper")
_NAMES = frozenset(key.value.rpartition("+")[2] for key in Keys)
