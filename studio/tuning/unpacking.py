"""The weights of a GGUF file as a Hugging Face folder, written part by part: what is held at a time is a few million numbers.

What lies in the file differs from what transformers expects in three ways: the names; in `llama` models the order of the rows of Q and K,
see `lora`; and in `gemma3` models the norms, which are larger by one there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from studio.engine.gguf import TENSOR_TYPES, Gguf
from studio.errors import ModelError

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
        _write_header(file, header)
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


def _write_header(file: BinaryIO, header: dict[str, Any]) -> None:
    """Begin a safetensors file: the length of the header in 8 bytes, and the header, filled up with spaces."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNED)
    file.write(len(text).to_bytes(8, "little") + text)


def _tensors_of(base: Gguf, shapes: dict[str, tuple[int, ...]], *, tied: bool) -> dict[str, str]:
    """Return the file's name for each of the model's tensors. Raises ModelError for one that is not there in its shape."""
    import gguf

    numbers = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(numbers[base.architecture], base.number(f"{base.architecture}.block_count"))
    found = {}
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
