"""Where model files lie on a machine: in a folder of the user's, and what other programs have downloaded. Nothing is asked of a network.

Programs' folders, by their documentation: https://lmstudio.ai/docs, https://github.com/ollama/ollama/blob/main/docs/faq.md,
https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables, https://github.com/ggml-org/llama.cpp (LLAMA_CACHE),
https://docs.gpt4all.io, https://jan.ai/docs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from studio.engine.model_file import shard_of
from studio.engine.pull.download import read_origin

_DEEPEST = 8
"""Folders below the one that is searched; the caches of other programs are up to five deep."""
_MOST_FOLDERS = 20_000
"""Enough for any collection of models; a whole home folder named by mistake should not keep anyone waiting."""
_SUFFIX = ".gguf"
_OLLAMA_REGISTRY, _OLLAMA_LIBRARY = "registry.ollama.ai", "library"
_OLLAMA_MODEL = "application/vnd.ollama.image.model"
_OLLAMA_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_MOST_MANIFEST_BYTES = 1 << 20
_HUB = "Hugging Face"
_HUB_FOLDER = re.compile(r"models--(.+?)--(.+)")


class FoundFile(NamedTuple):
    """A file that may be a model. `name` is what to call it unless another has that name; `aliases` are other names for it."""

    name: str
    path: Path
    source: str
    aliases: tuple[str, ...] = ()


def files_of_folder(folder: Path) -> Iterator[FoundFile]:
    """Yield the GGUF files in `folder` and below it."""
    return (_named(file, str(folder)) for file in gguf_files(folder))


def files_of_programs() -> Iterator[FoundFile]:
    """Yield what LM Studio, Ollama, the Hugging Face hub, llama.cpp, GPT4All and Jan have; nothing if `$STUDIO_OTHER_PROGRAMS` is `off`."""
    if os.environ.get("STUDIO_OTHER_PROGRAMS") == "off":
        return
    for program, folder in _folders_of_programs():
        # The hub's cache holds datasets as well, of any number of files.
        parts = sorted(folder.glob("models--*")) if program == _HUB else [folder]
        yield from (_named(file, program) for part in parts for file in gguf_files(part))
    for folder in _ollama_folders():
        yield from (FoundFile(name, blob, "Ollama", _ollama_aliases(name)) for name, blob in ollama_models(folder))


def gguf_files(folder: Path) -> list[Path]:
    """Return the GGUF files in `folder` and below it, sorted; of a split model the first file only.

    Hidden folders below it are passed over, links to folders are followed once, and what cannot be read is left out.
    """
    files = sorted(_walk(folder))
    first: dict[tuple[Path, str, int], tuple[int, Path]] = {}
    for file in files:
        stem, number, count = shard_of(file)
        key = (file.parent, stem, count) if count > 1 else (file, "", 1)
        first[key] = min(first.get(key, (number, file)), (number, file))
    return [file for _, file in first.values()]


def ollama_models(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and file of each model in an Ollama folder, by its manifests; those that run elsewhere have no file."""
    root = folder / "manifests"
    for manifest in sorted(_walk(root, suffix="")):
        name = _ollama_name(manifest.relative_to(root).parts)
        blob = _ollama_blob(folder, manifest) if name else None
        if blob is not None:
            yield name, blob


def ollama_name_of(blob: Path) -> str:
    """Return the name that Ollama's manifests have for one of its files; empty for any other file."""
    if blob.parent.name != "blobs" or not _OLLAMA_DIGEST.fullmatch(blob.name):
        return ""
    return next((name for name, file in ollama_models(blob.parent.parent) if file.name == blob.name), "")


def _named(file: Path, source: str) -> FoundFile:
    stem = shard_of(file)[0]
    aliases = [file.stem]
    aliases += [f"{match[1]}/{match[2]}" for parent in file.parents if (match := _HUB_FOLDER.fullmatch(parent.name))]
    if (origin := read_origin(file)) is not None and origin.repo:
        aliases.append(origin.repo)
    if source == "LM Studio":
        aliases.append("/".join(file.parent.parts[-2:]))
    return FoundFile(stem, file, source, tuple(aliases))


def _folders_of_programs() -> Iterator[tuple[str, Path]]:
    home = Path.home() if _has_home() else None
    env = os.environ.get
    cache = expanded(env("XDG_CACHE_HOME") or "") if env("XDG_CACHE_HOME") else home and home / ".cache"
    if hub := env("HF_HUB_CACHE") or env("HUGGINGFACE_HUB_CACHE"):
        yield _HUB, expanded(hub)
    elif hub_home := env("HF_HOME"):
        yield _HUB, expanded(hub_home) / "hub"
    elif cache:
        yield _HUB, cache / "huggingface" / "hub"
    if llama := env("LLAMA_CACHE"):
        yield "llama.cpp", expanded(llama)
    elif cache:
        yield "llama.cpp", cache / "llama.cpp"
    if home is None:
        return
    yield "LM Studio", home / ".lmstudio" / "models"
    yield "LM Studio", home / ".cache" / "lm-studio" / "models"
    support = home / "Library" / "Application Support"
    data = expanded(env("XDG_DATA_HOME") or str(home / ".local" / "share"))
    config = expanded(env("XDG_CONFIG_HOME") or str(home / ".config"))
    yield "llama.cpp", home / "Library" / "Caches" / "llama.cpp"
    for folder in (data, support):
        yield "GPT4All", folder / "nomic.ai" / "GPT4All"
    for folder in (data, config, support):
        yield "Jan", folder / "Jan" / "data"
    yield "Jan", home / "jan" / "models"


def _ollama_folders() -> Iterator[Path]:
    if named := os.environ.get("OLLAMA_MODELS"):
        yield expanded(named)
        return
    if _has_home():
        yield Path.home() / ".ollama" / "models"
    for root in ("/usr/share/ollama", "/var/lib/ollama"):
        yield Path(root) / ".ollama" / "models"


def _ollama_name(parts: tuple[str, ...]) -> str:
    """Return the name that Ollama shows for a manifest at `host/namespace/model/tag`."""
    if len(parts) < 3:
        return ""
    *before, model, tag = parts
    if before[:1] == [_OLLAMA_REGISTRY]:
        before = before[1:]
    if before[:1] == [_OLLAMA_LIBRARY]:
        before = before[1:]
    return "/".join((*before, f"{model}:{tag}"))


def _ollama_aliases(name: str) -> tuple[str, ...]:
    return (name.removesuffix(":latest"),) if name.endswith(":latest") else ()


def _ollama_blob(folder: Path, manifest: Path) -> Path | None:
    """Return the file that a manifest has for its weights. A manifest is a stranger's text: only a digest is taken from it."""
    try:
        if manifest.stat().st_size > _MOST_MANIFEST_BYTES:
            return None
        layers = json.loads(manifest.read_bytes())["layers"]
        digests = [layer["digest"] for layer in layers if layer["mediaType"] == _OLLAMA_MODEL]
        match = _OLLAMA_DIGEST.fullmatch(digests[0])
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    blob = folder / "blobs" / f"sha256-{match[1]}" if match else None
    return blob if blob is not None and _is_file(blob) else None


def _walk(folder: Path, suffix: str = _SUFFIX) -> Iterator[Path]:
    """Yield the files below `folder` whose names end in `suffix`, in any case of letters."""
    seen: set[tuple[int, int]] = set()
    for found, folders, files in os.walk(folder, followlinks=True):
        here = Path(found)
        try:
            status = here.stat()
        except OSError:
            folders.clear()
            continue
        place = (status.st_dev, status.st_ino)
        deep = len(here.parts) - len(folder.parts)
        if place in seen or len(seen) > _MOST_FOLDERS:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if deep < _DEEPEST else []
        yield from (here / name for name in files if name.lower().endswith(suffix) and _is_file(here / name))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def expanded(path: str) -> Path:
    """Return the path with a leading `~` put in full, as it stands where there is no such home."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (pathlib raises where there is no home)


def _has_home() -> bool:
    return os.path.expanduser("~") != "~"  # noqa: PTH111  (pathlib raises where there is no home)
