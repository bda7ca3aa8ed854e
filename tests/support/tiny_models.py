"""Whole GGUF models of a few thousand numbers, with random weights: real to llama.cpp and to transformers, and quick."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np

WIDTH, INNER, LAYERS, HEADS, KV_HEADS = 64, 96, 2, 4, 2
_HEAD = {"llama": 16, "gemma3": 256, "jamba": 16}
"""Numbers a head has. Gemma's scale of attention belongs to 256."""
_CONVOLUTION, _STATE, _STEP = 4, 16, 4
"""Of Mamba: tokens that are convolved, numbers a channel keeps, rank of the time step."""
CONTEXT = 512
END = 256
"""The token that ends a text; those before it are the bytes."""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tiny_model(
    path: Path,
    architecture: str = "llama",
    *,
    width: int = WIDTH,
    context: int = CONTEXT,
    window: int = CONTEXT,
    template: str = CHAT_TEMPLATE,
    tensors_each: int = 0,
    words: Sequence[str] = (),
    controls: int = 0,
    experts: int = 0,
    rotary: Any = None,
) -> Path:
    """Write a model of this architecture (`llama`, `gemma3`, `mamba` or `jamba`) with weights drawn from a fixed seed, and return its path.

    It says that it was trained on `context` tokens, and Gemma's blocks see `window` of them. `words` are tokens of their own, wherever they
    stand; the first `controls` of them are control words. With `experts`, of which two work on a token, it is a mixture of them, of the
    architecture `llama`. `rotary` are factors of the rotary embedding.
    With `tensors_each` it is split into shards of so many, named after `path`; the first is returned.
    """
    rng = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=tensors_each)
    writer.add_name(path.stem)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(context)
    _add_shape(writer, architecture, width, len(words), window)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
    _add_vocabulary(writer, template, words, controls)
    for name, shape in _shapes(architecture, width, len(words), experts):
        values = 1 + 0.1 * rng.standard_normal(shape) if "norm" in name else rng.standard_normal(shape) / np.sqrt(shape[-1])
        if name.endswith("ssm_a"):
            values = -1 - np.abs(values)  # What is kept of a token decays.
        # Gemma scales its embeddings itself. Larger ones would drown what the blocks say.
        larger = 4 if name == "token_embd.weight" and architecture == "llama" else 1
        writer.add_tensor(name, (values * larger).astype(np.float32))
    if rotary is not None:
        writer.add_tensor("rope_freqs.weight", rotary)
    _finish(writer)
    return path if not tensors_each else min(path.parent.glob(f"{path.stem}-00001-of-*.gguf"))


def header_only(path: Path, architecture: str, tensors: Iterable[str] = ("token_embd.weight",), **keys: str | bool | int) -> Path:
    """Write a GGUF file with these metadata, two underscores for a dot, a vocabulary's kind, and tensors of one number; return its path."""
    writer = gguf.GGUFWriter(path, architecture)
    for name, value in {"tokenizer__ggml__model": "gpt2", **keys}.items():
        writer.add_key_value(name.replace("__", "."), value, gguf.GGUFValueType.get_type(value))
    for name in tensors:
        writer.add_tensor(name, np.ones(1, dtype=np.float32))
    _finish(writer)
    return path


def tiny_adapter(path: Path, architecture: str = "llama", **changes: Any) -> Path:
    """Write a LoRA adapter of rank 2 for Q of the first block of the tiny model.

    `changes`: `kind` and `method` of the file, `width` of the model, `names` of the weights, `drop` a matrix (`lora_a` or `lora_b`),
    `rank_b` of B.
    """
    rng = np.random.default_rng(3)
    width, names = changes.get("width", WIDTH), changes.get("names", ("blk.0.attn_q.weight",))
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(changes.get("kind", "adapter"))
    writer.add_string("adapter.type", changes.get("method", "lora"))
    writer.add_float32("adapter.lora.alpha", 8.0)
    for name in names:
        for matrix, shape in (("lora_a", (2, width)), ("lora_b", (HEADS * _HEAD[architecture], changes.get("rank_b", 2)))):
            if matrix != changes.get("drop"):
                writer.add_tensor(f"{name}.{matrix}", rng.standard_normal(shape).astype(np.float32))
    _finish(writer)
    return path


def _add_shape(writer: Any, architecture: str, width: int, words: int, window: int) -> None:
    writer.add_embedding_length(width)
    writer.add_block_count(LAYERS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(END + 1 + words)
    if architecture in ("mamba", "jamba"):
        writer.add_ssm_conv_kernel(_CONVOLUTION)
        writer.add_ssm_inner_size(2 * width)
        writer.add_ssm_state_size(_STATE)
        writer.add_ssm_time_step_rank(_STEP)
    if architecture == "mamba":
        return
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv([0, KV_HEADS] if architecture == "jamba" else KV_HEADS)
    writer.add_rope_freq_base(10_000.0)
    if architecture == "jamba":
        return
    if architecture == "llama":
        writer.add_rope_dimension_count(_HEAD[architecture])
    else:
        writer.add_key_length(_HEAD[architecture])
        writer.add_value_length(_HEAD[architecture])
        writer.add_sliding_window(window)


def _add_vocabulary(writer: Any, template: str, words: Sequence[str] = (), controls: int = 0) -> None:
    """Byte-level BPE in the manner of GPT-2: a token for each byte, one merge, one token that ends the text, and `words`."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    letters = [chr(byte if byte in printable else next(others)) for byte in range(256)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*letters, "<|end|>", *words])
    kinds = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * (1 + controls)
    writer.add_token_types(kinds + [gguf.TokenType.USER_DEFINED] * (len(words) - controls))
    writer.add_token_merges([f"{letters[0]} {letters[1]}"])
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)
    if template:
        writer.add_chat_template(template)


def _shapes(architecture: str, width: int, words: int, experts: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "token_embd.weight", (END + 1 + words, width)
    yield "output_norm.weight", (width,)
    for block in range(LAYERS):
        if architecture == "mamba":
            yield from ((f"blk.{block}.{name}", shape) for name, shape in _mamba_block(width).items())
            continue
        shapes = _block(architecture, width)
        if architecture == "jamba" and block == 0:  # which keeps a state, those after it attend
            mamba = _mamba_block(width) | {"ssm_dt_norm.weight": (_STEP,), "ssm_b_norm.weight": (_STATE,), "ssm_c_norm.weight": (_STATE,)}
            yield from ((f"blk.{block}.{name}", shape) for name, shape in mamba.items())
            shapes = {name: shape for name, shape in shapes.items() if name.startswith("ffn")}
        for name, shape in shapes.items():
            if experts and name in ("ffn_gate", "ffn_up", "ffn_down"):
                yield f"blk.{block}.{name}_exps.weight", (experts, *shape)
            else:
                yield f"blk.{block}.{name}.weight", shape
        if experts:
            yield f"blk.{block}.ffn_gate_inp.weight", (experts, width)


def _block(architecture: str, width: int) -> dict[str, tuple[int, ...]]:
    head = _HEAD[architecture]
    shapes: dict[str, tuple[int, ...]] = {
        "attn_norm": (width,),
        "attn_q": (HEADS * head, width),
        "attn_k": (KV_HEADS * head, width),
        "attn_v": (KV_HEADS * head, width),
        "attn_output": (width, HEADS * head),
        "ffn_norm": (width,),
        "ffn_gate": (INNER, width),
        "ffn_up": (INNER, width),
        "ffn_down": (width, INNER),
    }
    if architecture == "gemma3":
        shapes |= {"attn_q_norm": (head,), "attn_k_norm": (head,), "post_attention_norm": (width,), "post_ffw_norm": (width,)}
    return shapes


def _mamba_block(width: int) -> dict[str, tuple[int, ...]]:
    inner = 2 * width
    return {
        "attn_norm.weight": (width,),
        "ssm_in.weight": (2 * inner, width),
        "ssm_conv1d.weight": (inner, _CONVOLUTION),
        "ssm_conv1d.bias": (inner,),
        "ssm_x.weight": (_STEP + 2 * _STATE, inner),
        "ssm_dt.weight": (inner, _STEP),
        "ssm_dt.bias": (inner,),
        "ssm_a": (inner, _STATE),
        "ssm_d": (inner,),
        "ssm_out.weight": (width, inner),
    }


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
