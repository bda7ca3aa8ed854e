"""The weights that are trained on: out of the GGUF file itself, or from a Hugging Face folder of the same model.

They are written part by part, a few million numbers at a time, as a Hugging Face folder, which transformers maps, and takes to the device
tensor by tensor. Writing it takes 20 s and more, so a copy is kept in the user's cache folder, named by the file's hash. A cache: whatever
goes wrong there costs time, never a training.

What lies in the file differs from what transformers expects in three ways: the names; in `llama` models the order of the rows of Q and K,
see `lora`; and in `gemma3` models the norms, which are larger by one there.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock

from studio.engine.gguf import TENSOR_TYPES, Gguf
from studio.errors import ModelError
from studio.paths import app_folder
from studio.tuning.memory import BFLOAT16, FLOAT32, FOUR_BITS

_AT_ONCE = 1 << 24
"""Numbers that are unpacked at a time, where rows may be parted."""
_NAMES = {"float32": "F32", "bfloat16": "BF16"}
"""What safetensors calls the types."""
_ALIGNED = 8
_ROTARY = "rope_freqs.weight"
_LLAMA_3 = (1.0, 4.0, 8192)
"""Turns in the context before, below which a frequency is slowed down by the whole factor, and above which not at all; that context."""


def write_folder(base: Gguf, folder: Path, precision: str) -> None:
    """Write the weights of the model with the header `base`, a whole GGUF file, into `folder`, each rounded from 32 bits to `precision`.

    Raises OSError for a full disk, ModelError for tensors that do not make the model, and whatever transformers raises for a header that it
    cannot read.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = read_config(base)
    make: Any = AutoModelForCausalLM.from_config
    with torch.device("meta"):
        model = make(config)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    tensors = _tensors_of(base, shapes, tied=bool(config.tie_word_embeddings))
    size = getattr(torch, precision).itemsize
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in tensors:
        start, end = end, end + size * math.prod(shapes[name])
        header[name] = {"dtype": _NAMES[precision], "shape": shapes[name], "data_offsets": (start, end)}
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    with (folder / "model.safetensors").open("wb") as file:
        # It begins with the length of the header in 8 bytes, and the header, filled up with spaces.
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % _ALIGNED)
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            for values in unpacked(base, tensor, config):
                rounded = torch.from_numpy(values).to(getattr(torch, precision)).contiguous()
                file.write(rounded.view(torch.uint8).numpy().data)


def read_config(base: Gguf) -> Any:
    """Return transformers' configuration of the model in a GGUF file.

    What that does not read are the factors of the rotary embedding, a tensor by which Llama 3.1 and its successors reach further. Raises
    ModelError for factors that are none of these.
    """
    import numpy as np
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(base.path.parent), gguf_file=base.path.name, local_files_only=True)
    if _ROTARY not in base.tensors:
        return config
    [factors] = unpacked(base, _ROTARY, config)
    theta, longest = float(base.metadata.get("llama.rope.freq_base", 10_000.0)), float(np.max(factors))
    low, high, before = _LLAMA_3
    turns = before * theta ** -(np.arange(factors.size) / factors.size) / math.tau
    share = np.clip((turns - low) / (high - low), 0, 1)
    if not np.allclose(factors.ravel(), 1 / ((1 - share) / longest + share), rtol=1e-3):
        raise ModelError(f"{base.path}: its rotary embedding is none that is known", "name a Hugging Face folder with --weights")
    reach = {"factor": longest, "low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": before}
    config.rope_parameters = {"rope_type": "llama3", "rope_theta": theta, **reach}
    return config


def tensor_names(base: Gguf) -> Any:
    """Return what finds the names of a model's tensors in its GGUF file, by those that transformers has."""
    import gguf

    numbers = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    return gguf.get_tensor_name_map(numbers[base.architecture], base.number(f"{base.architecture}.block_count"))


def _tensors_of(base: Gguf, shapes: dict[str, tuple[int, ...]], *, tied: bool) -> dict[str, str]:
    """Return the file's name for each of the model's tensors. Raises ModelError for one that is not there in its shape."""
    names, found = tensor_names(base), {}
    for key, shape in shapes.items():
        name = names.get_name(key, try_suffixes=(".weight",))
        there = base.tensors.get(str(name))
        if there is None and tied and key == "lm_head.weight":
            continue
        if name is None or there is None or there[::-1] != shape:
            raise ModelError(f"{base.path}: no tensor {name or key} of {shape}", "name a Hugging Face folder with --weights")
        found[key] = name
    return found


def unpacked(base: Gguf, name: str, config: Any) -> Iterator[Any]:
    """Yield a tensor of the file as arrays of 32 bits, which follow one another, as transformers expects them."""
    import gguf
    import numpy as np

    kind, start = base.places[name]
    block, size = TENSOR_TYPES[kind]
    *lead, width = base.tensors[name][::-1]
    rows = math.prod(lead)
    packed = np.memmap(base.path, np.uint8, "r", start, (rows, width // block * size))
    heads = 0
    if base.architecture == "llama" and name.endswith(("attn_q.weight", "attn_k.weight")):
        heads = config.num_attention_heads if name.endswith("attn_q.weight") else config.num_key_value_heads
    step = rows if heads else max(1, _AT_ONCE // width)
    for first in range(0, rows, step):
        values = gguf.dequantize(np.array(packed[first : first + step]), gguf.GGMLQuantizationType(kind))
        if heads:
            values = values.reshape(heads, rows // heads // 2, 2, width).swapaxes(1, 2).reshape(rows, width)
        if base.architecture == "gemma3" and "norm.weight" in name:
            values = values - 1
        yield values


BUDGET_BYTES = 4 << 30
_WHOLE = "whole"
"""A file that is written last: a folder without it is half a copy."""
_MODEL_TYPES = {"llama": ("llama", "mistral"), "gemma3": ("gemma3_text", "gemma3")}
_PART, _LOCK = ".part", ".lock"
_LEFT_FREE = 1 << 30
"""Bytes of the disk that are left to others."""


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
        try:
            model = _read(str(copy), options)
        except _NoMemory:
            raise
        except ModelError:
            shutil.rmtree(copy, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                os.utime(copy / _WHOLE)
            return model
    draft = copy.with_name(f"{copy.name}.{secrets.token_hex(6)}{_PART}")
    lock = FileLock(draft.with_suffix(_LOCK), timeout=0)
    try:
        place = _written(base, draft, lock, copy, FLOAT32 if precision == FLOAT32 else BFLOAT16)
        return _read(str(place), options) if place is not None else _read_whole(base, options)
    finally:
        _remove(draft, lock)


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


class _NoMemory(ModelError):
    """The device has no memory for weights that are as they should be."""


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, ModelError):
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # PyTorch's, which is not imported here
            raise _NoMemory(
                f"{what}: the GPU has no memory left for these weights", "close other programs that use it, then again"
            ) from error
        # Whatever is wrong with a stranger's files, each library below has errors of its own for it.
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{what}: transformers cannot read these weights: {first}", "name a Hugging Face folder with --weights") from error


def _written(base: Gguf, draft: Path, lock: BaseFileLock, copy: Path, precision: str) -> Path | None:
    """Write the weights as a Hugging Face folder: return the copy where it may be kept, else the draft; None when the disk refuses."""
    size = base.parameters * (4 if precision == FLOAT32 else 2)
    with _explained(str(base.path)), contextlib.suppress(OSError, NotImplementedError):
        draft.parent.mkdir(parents=True, exist_ok=True)
        _sweep(draft.parent)
        lock.acquire()
        if shutil.disk_usage(draft.parent).free < size + _LEFT_FREE:
            _make_room(copy.parent, size)
        free = shutil.disk_usage(draft.parent).free
        if free < size + _LEFT_FREE:
            return None
        write_folder(base, draft, precision)
        if size > BUDGET_BYTES or free < 2 * size:
            return draft
        with contextlib.suppress(OSError):
            _make_room(copy.parent, size)
            if not (copy / _WHOLE).exists():
                shutil.rmtree(copy, ignore_errors=True)  # one that was being removed
            (draft / _WHOLE).touch()
            # Another process may have been quicker, and read what it wrote.
            return draft.rename(copy)
        return draft
    return None


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed have left half written: of one that lives the lock is held since before there was a draft."""
    for draft in {each.with_suffix(_PART) for suffix in (_PART, _LOCK) for each in folder.glob(f"*{suffix}")}:
        lock = FileLock(draft.with_suffix(_LOCK), timeout=0)
        with contextlib.suppress(OSError, NotImplementedError):  # the latter where a file system has no locks
            lock.acquire()
            _remove(draft, lock)


def _remove(draft: Path, lock: BaseFileLock) -> None:
    shutil.rmtree(draft, ignore_errors=True)
    with contextlib.suppress(OSError):
        lock.release()
        draft.with_suffix(_LOCK).unlink(missing_ok=True)


def _make_room(folder: Path, size: int) -> None:
    """Remove the copies used longest ago, until `size` more bytes are within the budget."""
    copies = [each for each in folder.iterdir() if (each / _WHOLE).exists()]
    sizes = {each: sum(file.stat().st_size for file in each.iterdir()) for each in copies}
    held = size + sum(sizes.values())
    for each in sorted(copies, key=lambda each: (each / _WHOLE).stat().st_mtime):
        if held > BUDGET_BYTES:
            shutil.rmtree(each, ignore_errors=True)
            held -= sizes[each]
