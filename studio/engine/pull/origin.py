"""Where a model's file came from, kept in a small file beside it: a GGUF header seldom says its licence, and never its repository."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

ENDING = ".origin.json"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class OriginFile:
    """One file: its path in the repository, its size in bytes and its sha256, empty where the hub told none."""

    path: str
    size: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """The repository, the commit, and what its page said when the files, several of a split model, were loaded.

    A copy in another quantisation has neither of the first two: it was made from that repository.
    """

    repo: str
    revision: str
    licence: str
    base_models: tuple[str, ...]
    files: tuple[OriginFile, ...]
    hub: str = ""

    def is_of(self, path: Path) -> bool:
        """Whether the file at `path`, the first of a split model's, still is the one that was loaded, as far as its size tells."""
        with suppress(OSError, IndexError):
            return path.stat().st_size == self.files[0].size
        return False


def origin_path(model: Path) -> Path:
    """The file beside a model, the first one of a split model, that says where it came from."""
    return model.with_name(model.name + ENDING)


def read_origin(model: Path) -> Origin | None:
    """Return where the model at this path came from; None where nothing is said, or of another file that lay there."""
    beside = origin_path(model)
    try:
        if beside.stat().st_size > _MOST_BYTES:
            return None
        told = json.loads(beside.read_bytes())
        files = tuple(OriginFile(str(each["path"]), int(each["size"]), str(each["sha256"])) for each in told["files"])
        bases = tuple(str(each) for each in told["base_models"])
        origin = Origin(str(told["repo"]), str(told["revision"]), str(told["licence"]), bases, files, str(told["hub"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return origin if origin.is_of(model) else None


def write_origin(model: Path, origin: Origin) -> None:
    """Write it beside the model. Raises OSError."""
    target = origin_path(model)
    beside = target.with_name(f".{target.name}.part")
    beside.write_text(json.dumps(asdict(origin), ensure_ascii=False, indent=1) + "\n", "utf-8")
    beside.replace(target)


def write_origin_of_copy(source: Path, copy: Path) -> None:
    """Keep beside a copy that was made of the model at `source` what is said of that: the licence is the same. Raises OSError."""
    if (origin := read_origin(source)) is not None:
        made_from = (origin.repo,) if origin.repo else origin.base_models
        files = (OriginFile(copy.name, copy.stat().st_size),)
        write_origin(copy, Origin("", "", origin.licence, made_from, files, origin.hub))
