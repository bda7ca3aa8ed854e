"""The weights that are trained on: out of the GGUF file itself, or from a Hugging Face folder of the same model.

Taking them out takes 20 s and more, so a copy is kept in the user's cache folder, named by the file's hash. A cache: whatever goes wrong
there costs time, never a training.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.engine.gguf import Gguf
from studio.errors import ModelError
from studio.paths import app_folder

BUDGET_BYTES = 4 << 30
_WHOLE = "whole"
"""A file that is written last: a folder without it is half a copy."""
_MODEL_TYPES = {"llama": ("llama", "mistral"), "gemma3": ("gemma3_text", "gemma3")}
_BYTES_OF_F32 = 4


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


def is_cached(sha256: str) -> bool:
    """Whether a whole copy of that file's weights is there."""
    return (cache_folder() / sha256[:32] / _WHOLE).exists()


def load_weights(path: Path, sha256: str, folder: str, dtype: Any) -> Any:
    """Return the transformers model in `folder`, or of the GGUF file at `path` where that is empty.

    Raises ModelError when transformers cannot read it.
    """
    from transformers import AutoModelForCausalLM

    if folder:
        with _explained(folder):
            return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
    copy = cache_folder() / sha256[:32]
    if is_cached(sha256):
        with contextlib.suppress(Exception):
            model = AutoModelForCausalLM.from_pretrained(str(copy), dtype=dtype, local_files_only=True)
            os.utime(copy / _WHOLE)
            return model
    model = _out_of_gguf(path)
    _keep(model, copy)
    return model.to(dtype)


def _out_of_gguf(path: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    with _explained(str(path)):
        # Without `dequantize` the model counts as quantised and refuses to be trained or saved.
        return AutoModelForCausalLM.from_pretrained(
            str(path.parent),
            gguf_file=path.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            local_files_only=True,
        )


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        # Whatever is wrong with a stranger's files, each library below has errors of its own for it.
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{what}: transformers cannot read these weights: {first}", "name a Hugging Face folder with --weights") from error


def _keep(model: Any, copy: Path) -> None:
    size = model.num_parameters() * _BYTES_OF_F32
    with contextlib.suppress(OSError):
        copy.parent.mkdir(parents=True, exist_ok=True)
        if size > BUDGET_BYTES or shutil.disk_usage(copy.parent).free < 2 * size:
            return
        _make_room(copy.parent, size)
        beside = copy.with_name(f"{copy.name}.{os.getpid()}.part")
        try:
            model.save_pretrained(beside)
            (beside / _WHOLE).touch()
            shutil.rmtree(copy, ignore_errors=True)
            beside.rename(copy)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _make_room(folder: Path, size: int) -> None:
    """Remove the copies used longest ago, until `size` more bytes are within the budget."""
    copies = [each for each in folder.iterdir() if (each / _WHOLE).exists()]
    sizes = {each: sum(file.stat().st_size for file in each.iterdir()) for each in copies}
    held = size + sum(sizes.values())
    for each in sorted(copies, key=lambda each: (each / _WHOLE).stat().st_mtime):
        if held > BUDGET_BYTES:
            shutil.rmtree(each, ignore_errors=True)
            held -= sizes[each]
