"""Which model a file holds: its header's names and figures, and the sha256 of its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path

from studio.engine.gguf import Gguf
from studio.engine.model_file import read_model, shard_of
from studio.engine.places import ollama_name_of
from studio.errors import ModelError
from studio.paths import app_folder
from studio.records import ModelIdentity

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
    return ModelIdentity(
        name=name,
        sha256=sha256,
        quantisation=header.quantisation,
        licence=header.text("general.license"),
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


def is_model(identity: ModelIdentity, sha256: str) -> bool:
    """Whether `sha256`, as a pool has it, is of this model: earlier versions took that of the first shard for a split model's."""
    if identity.sha256 == sha256:
        return True
    path = Path(identity.path)
    if not sha256 or shard_of(path)[2] < 2 or not path.is_file():
        return False
    return file_sha256(path) == sha256


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
