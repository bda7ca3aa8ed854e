"""What is known of a model's file beside its header: the quantisation its name tells, and in a small file beside it where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

_LABEL = re.compile(
    r"(?<![A-Za-z0-9])(?P<label>(UD[-_])?"
    r"(Q\d_\d(_\d_\d)?|I?Q\d_(K_)?(XXS|XS|S|M|L|XL|NL|K)|Q\d|BF16|FP?16|FP?32|TQ\d_\d|MXFP4(_MOE)?|NVFP4))(?![A-Za-z0-9])(?!_\d)",
    re.IGNORECASE,
)
_SUFFIX = ".gguf"
_EXTRA = {
    "0": 0.5,
    "1": 1.0,
    "K_S": 0.5,
    "K": 0.85,
    "K_M": 0.85,
    "K_L": 1.0,
    "K_XL": 1.1,
    "XXS": 0.06,
    "XS": 0.3,
    "S": 0.5,
    "M": 0.7,
    "NL": 0.5,
}
_WHOLE = {"F32": 32.0, "F16": 16.0, "BF16": 16.0, "MXFP4": 4.25, "MXFP4_MOE": 4.25, "NVFP4": 4.5}


def quantisation_of(path: str) -> str:
    """Return the quantisation that a file's name, else its folder's, ends with, as llama.cpp writes it; empty where neither says one.

    >>> quantisation_of("Tiny-1.2B-q4_k_m.gguf"), quantisation_of("UD-Q4_K_XL/a-00001-of-00002.gguf"), quantisation_of("tiny.gguf")
    ('Q4_K_M', 'UD-Q4_K_XL', '')
    """
    file = PurePosixPath(path)
    for text in (file.name[: -len(_SUFFIX)] if file.name.lower().endswith(_SUFFIX) else file.name, file.parent.name):
        if found := list(_LABEL.finditer(text)):
            return re.sub(r"^FP(?=16|32)", "F", re.sub(r"^UD_", "UD-", found[-1]["label"].upper()))
    return ""


def bits_of(quantisation: str) -> float:
    """About how many bits a weight takes, 0.0 for a name that is not known: to tell which is larger, not how large."""
    plain = quantisation.removeprefix("UD-")
    if plain in _WHOLE:
        return _WHOLE[plain]
    found = re.fullmatch(r"(?:I|T)?Q(\d)(?:_(\w+))?", plain)
    return int(found[1]) + _EXTRA.get((found[2] or "0")[:4].rstrip("_"), 0.5) if found else 0.0


def is_part(wanted: str, paths: Sequence[str]) -> bool:
    """Whether what a user wrote after the colon means these files, one model: their quantisation, or the name of one of them."""
    folded = wanted.casefold().replace("_", "-")
    if folded == quantisation_of(paths[0]).casefold().replace("_", "-"):
        return True
    names = [name for path in paths for name in (path, PurePosixPath(path).name)]
    names += [name[: -len(_SUFFIX)] for name in names if name.lower().endswith(_SUFFIX)]
    return wanted.casefold() in (name.casefold() for name in names)


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
