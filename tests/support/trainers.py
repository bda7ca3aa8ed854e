"""What trainers need beside data: a tokenizer of bytes with a chat template, and a model of a few hundred random weights."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
END = "<|end|>"
_WORDS = [END, "<|system|>", "<|user|>", "<|assistant|>"]


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skip where one of these packages is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def tokenizer() -> Any:
    """A tokenizer whose tokens are the bytes and the marks of `TEMPLATE`: what it decodes is what it was given."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={word: place for place, word in enumerate([*_WORDS, *alphabet])}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    marks: dict[str, Any] = {"eos_token": END, "pad_token": END, "additional_special_tokens": _WORDS[1:]}
    make: Any = PreTrainedTokenizerFast
    return make(tokenizer_object=made, chat_template=TEMPLATE, **marks)


def model_folder(folder: Path) -> Path:
    """Write a tiny Llama with random weights, as trainers load one."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape |= {
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "vocab_size": len(tokenizer()),
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    LlamaForCausalLM(LlamaConfig(**shape)).save_pretrained(folder)
    return folder


def without_sound() -> None:
    """Let LLaMA-Factory be imported where torchaudio has no build for this torch: it reads sound files with it, and nothing here."""
    if importlib.util.find_spec("torchaudio") is None:
        empty = types.ModuleType("torchaudio")
        empty.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = empty
