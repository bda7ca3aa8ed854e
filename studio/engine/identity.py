"""Which model a file holds: its header's names and figures, and the sha256 of its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from studio.engine.gguf import Gguf, read_gguf
from studio.paths import app_folder
from studio.records import ModelIdentity


def identify(path: Path) -> ModelIdentity:
    """Return the identity of the GGUF file at `path`. Raises ModelError when it is missing, no GGUF, or truncated."""
    header = read_gguf(path)
    return describe(header, file_sha256(path))


def describe(header: Gguf, sha256: str) -> ModelIdentity:
    """Return the identity that `header` gives; the name is the file's stem, by which users call the model."""
    return ModelIdentity(
        name=header.path.stem,
        sha256=sha256,
        quantisation=header.quantisation,
        licence=header.text("general.license"),
        architecture=header.architecture,
        parameters=header.parameters,
        context_length=header.context_length,
        file_size=header.file_size,
        path=str(header.path),
    )


def hash_cache_path() -> Path:
    """The file that remembers hashes of model files between runs."""
    return app_folder("cache") / "model-sha256.json"


def file_sha256(path: Path) -> str:
    """Return the sha256 of the file, remembered by path, size and modification time. A cache that cannot be used is no error."""
    status = path.stat()
    key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
    known = _load_cache()
    if key in known:
        return known[key]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _store_cache({**known, key: digest})
    return digest


def _load_cache() -> dict[str, str]:
    try:
        data = json.loads(hash_cache_path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str) and len(value) == 64}


def _store_cache(entries: dict[str, str]) -> None:
    target = hash_cache_path()
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    # A read-only home only costs the next run a second of hashing.
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(entries, indent=0), "utf-8")
        beside.replace(target)
