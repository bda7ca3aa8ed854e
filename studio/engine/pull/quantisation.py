"""The quantisation that a file's name tells, before anything of the file is here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

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
