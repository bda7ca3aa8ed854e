"""The weights that are trained on: out of the GGUF file itself, or from a Hugging Face folder of the same model.

They are written part by part as a Hugging Face folder, which transformers maps, and takes to the device tensor by tensor. Writing it takes
20 s and more, so a copy is kept in the user's cache folder, named by the file's hash. A cache: whatever goes wrong there costs time, never
a training.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.engine.gguf import Gguf
from studio.errors import ModelError
from studio.paths import app_folder
from studio.tuning.memory import BFLOAT16, FLOAT32, FOUR_BITS
from studio.tuning.unpacking import read_config, write_folder

BUDGET_BYTES = 4 << 30
_WHOLE = "whole"
"""A file that is written last: a folder without it is half a copy."""
_MODEL_TYPES = {"llama": ("llama", "mistral"), "gemma3": ("gemma3_text", "gemma3")}
_PART = ".part"
_LEFT_FREE = 1 << 30
"""Bytes of the disk that are left to others."""
_FORGOTTEN_S = 86_400.0
"""What is still half written a day later was left behind."""


def check_folder(folder: Path, base: Gguf) -> None:
    """Raise ModelError unless `folder` holds a Hugging Face model that may be the one with the header `base`."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except OSError as error:
        hint = "name a folder with config.json and model.safetensors"
        raise ModelError(f"{folder}: not the folder of a Hugging Face model: {error.strerror or error}", hint) from error
    except ValueError as error:
        raise ModelError(f"{folder}/config.json: not JSON: {error}", "download it again") from error
    config = config.get("text_config", config) if isinstance(config, dict) else {}
    family = base.architecture
    if config.get("model_type") not in _MODEL_TYPES.get(family, ()):
        kind = f"{config.get('model_type')!r}, the model is {family!r}"
        raise ModelError(f"{folder}: weights of the architecture {kind}", "name the folder of the same model")
    shape = {
        "num_hidden_layers": base.number(f"{family}.block_count"),
        "hidden_size": base.number(f"{family}.embedding_length"),
        "intermediate_size": base.number(f"{family}.feed_forward_length"),
    }
    for key, wanted in shape.items():
        if config.get(key) != wanted:
            raise ModelError(f"{folder}: {key} is {config.get(key)}, the model has {wanted}", "name the folder of the same model")


def cache_folder() -> Path:
    """The folder of the copies."""
    return app_folder("cache") / "weights"


def copy_of(sha256: str, precision: str) -> Path:
    """Where a copy of that file's weights is kept."""
    return cache_folder() / (sha256[:32] if precision == FLOAT32 else f"{sha256[:32]}-{BFLOAT16}")


def is_cached(sha256: str, precision: str) -> bool:
    """Whether a whole copy of that file's weights is there."""
    return (copy_of(sha256, precision) / _WHOLE).exists()


def load_weights(base: Gguf, sha256: str, folder: str, precision: str, device: str) -> Any:
    """Return the transformers model in `folder`, or of the GGUF file with the header `base` where that is empty, on the device.

    It goes there tensor by tensor: the host holds little of it beside what the system keeps of files. Raises ModelError when it cannot be
    read.
    """
    options = _options(precision, device)
    if folder:
        return _read(folder, options)
    copy = copy_of(sha256, precision)
    if is_cached(sha256, precision):
        with contextlib.suppress(ModelError):
            model = _read(str(copy), options)
            with contextlib.suppress(OSError):
                os.utime(copy / _WHOLE)
            return model
        shutil.rmtree(copy, ignore_errors=True)
    draft = copy.with_name(f"{copy.name}.{os.getpid()}{_PART}")
    try:
        place = _written(base, draft, copy, FLOAT32 if precision == FLOAT32 else BFLOAT16)
        return _read(str(place), options) if place is not None else _read_whole(base, options)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _options(precision: str, device: str) -> dict[str, Any]:
    import torch

    options: dict[str, Any] = {"dtype": torch.float32 if precision == FLOAT32 else torch.bfloat16, "local_files_only": True}
    if device != "cpu":
        options["device_map"] = {"": f"{device}:0"}
    if precision == FOUR_BITS:
        import transformers

        make: Any = transformers.BitsAndBytesConfig
        options["quantization_config"] = make(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
        )
    return options


def _read(folder: str, options: dict[str, Any]) -> Any:
    from transformers import AutoModelForCausalLM

    with _explained(folder):
        return AutoModelForCausalLM.from_pretrained(folder, **options)


def _read_whole(base: Gguf, options: dict[str, Any]) -> Any:
    """Have transformers take all weights out of a GGUF file into the host's memory, which needs no place for a copy."""
    from transformers import GgufConfig

    if "quantization_config" in options:
        hint = "free some space, or name a Hugging Face folder with --weights"
        raise ModelError(f"{cache_folder()}: no room for the weights on their way to 4 bits", hint)
    # Without `dequantize` the model counts as quantised and refuses to be trained or saved.
    more = {"gguf_file": base.path.name, "quantization_config": GgufConfig(dequantize=True)}
    with _explained(str(base.path)):
        return _read(str(base.path.parent), options | more | {"config": read_config(base)})


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, ModelError):
        raise
    except Exception as error:
        # Whatever is wrong with a stranger's files, each library below has errors of its own for it.
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{what}: transformers cannot read these weights: {first}", "name a Hugging Face folder with --weights") from error


def _written(base: Gguf, draft: Path, copy: Path, precision: str) -> Path | None:
    """Write the weights as a Hugging Face folder: return the copy where it may be kept, else the draft; None when the disk refuses."""
    size = base.parameters * (4 if precision == FLOAT32 else 2)
    with _explained(str(base.path)), contextlib.suppress(OSError):
        draft.parent.mkdir(parents=True, exist_ok=True)
        _sweep(draft.parent)
        free = shutil.disk_usage(draft.parent).free
        if free < size + _LEFT_FREE:
            return None
        write_folder(base, draft, precision)
        if size > BUDGET_BYTES or free < 2 * size:
            return draft
        _make_room(copy.parent, size)
        (draft / _WHOLE).touch()
        with contextlib.suppress(OSError):
            # Another process may have been quicker, and read what it wrote.
            return draft.rename(copy)
        return draft
    return None


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed have left half written."""
    for each in folder.glob(f"*{_PART}"):
        with contextlib.suppress(OSError):
            if time.time() - each.stat().st_mtime > _FORGOTTEN_S:
                shutil.rmtree(each, ignore_errors=True)


def _make_room(folder: Path, size: int) -> None:
    """Remove the copies used longest ago, until `size` more bytes are within the budget."""
    copies = [each for each in folder.iterdir() if (each / _WHOLE).exists()]
    sizes = {each: sum(file.stat().st_size for file in each.iterdir()) for each in copies}
    held = size + sum(sizes.values())
    for each in sorted(copies, key=lambda each: (each / _WHOLE).stat().st_mtime):
        if held > BUDGET_BYTES:
            shutil.rmtree(each, ignore_errors=True)
            held -= sizes[each]
