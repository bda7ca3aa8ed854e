"""The model with its adapter, as PyTorch sees them, and the adapter as the GGUF file that llama.cpp loads.

That file has the layout of llama.cpp's `convert_lora_to_gguf.py`: for a weight W of (out, in) under its GGUF name, `lora_a` is peft's A of
(r, in) and `lora_b` its B of (out, r). The rows of B follow those of W, so where the base file has the rows of Q and K in another order, so
must B. That order is checked for the architectures in `ARCHITECTURES` only; others are refused.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.engine.gguf import Gguf
from studio.errors import ModelError
from studio.pool.exchange.outputs import complete_file, writing
from studio.tuning.job import ADAPTER, TrainingSettings
from studio.tuning.memory import HEAD_AT_ONCE
from studio.tuning.plan import Tokens
from studio.tuning.weights import tensor_names

ARCHITECTURES = ("llama", "gemma3")
"""What the conversion is proven for, by comparing logits."""
_GEMMA_HEAD = 256
"""Another size of head comes with another scale of attention, which transformers does not read out of a GGUF file."""
_PREFIX = "base_model.model."
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PEFT = "peft"
_IGNORED = -100


def check_architecture(header: Gguf) -> None:
    """Raise ModelError unless adapters can be made for the model with this header."""
    known = ", ".join(ARCHITECTURES)
    if header.architecture not in ARCHITECTURES:
        raise ModelError(
            f"{header.path}: finetuning is not proven for the architecture {header.architecture!r}", f"choose a model of one of: {known}"
        )
    if header.number(f"{header.architecture}.expert_count"):
        raise ModelError(f"{header.path}: a mixture of experts cannot be finetuned here", f"choose a dense model of one of: {known}")
    if header.architecture == "gemma3" and header.number("gemma3.attention.key_length") != _GEMMA_HEAD:
        raise ModelError(f"{header.path}: finetuning is not proven for this size of Gemma 3", "choose a size of up to 12B")


def write_adapter(folder: Path, base: Gguf, target: Path) -> None:
    """Write the adapter that a training left in peft's `folder` to the file `target`; not atomic.

    Raises ModelError where the model with the header `base` has no weight for a matrix of it.
    """
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    tensors = load_file(folder / "adapter_model.safetensors")
    writer = gguf.GGUFWriter(target, base.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(config["lora_alpha"]))
    writer.add_name(target.parent.name)
    for name, values in _renamed(tensors, base).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _renamed(tensors: dict[str, Any], base: Gguf) -> dict[str, Any]:
    """Return peft's matrices under their GGUF names, 16 bits wide, the rows in the base file's order."""
    import numpy as np

    names, found = tensor_names(base), {}
    for key, values in tensors.items():
        module, _, matrix = key.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
        name = names.get_name(f"{module}.weight", try_suffixes=(".weight",))
        if name is None or matrix not in ("lora_A", "lora_B") or name not in base.tensors:
            raise ModelError(f"{base.path}: the model has no weight for the adapter's {key}", "the adapter is for another model")
        if matrix == "lora_B" and base.architecture == "llama":
            values = _rotary_rows(values, name, base)
        found[f"{name}.{matrix.lower()}"] = np.ascontiguousarray(values, dtype=np.float16)
    return found


def _rotary_rows(values: Any, name: str, base: Gguf) -> Any:
    """Return the rows of Q and K as llama.cpp's `llama` models have them: the halves of each head interleaved."""
    heads = base.number("llama.attention.head_count")
    if name.endswith("attn_k.weight"):
        heads = base.number("llama.attention.head_count_kv") or heads
    elif not name.endswith("attn_q.weight"):
        return values
    rows, rank = values.shape
    return values.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank)


class TunedModel:
    """A frozen model with a trainable adapter on all linear layers of its blocks."""

    def __init__(self, model: Any, settings: TrainingSettings, seed: int, device: str, *, mixed: bool, checkpointing: bool = False) -> None:
        """Put a fresh adapter, drawn from `seed`, onto the transformers model, which is on the `device`.

        `mixed`: compute in bfloat16. `checkpointing`: keep only each block's input for the way back and compute the rest once more,
        and the head's predictions in parts.
        """
        import torch
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(seed)
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=list(MODULES),
        )
        self._peft: Any = get_peft_model(model, config)
        if checkpointing:
            # Without reentrance no input has to ask for a gradient; dropout draws the same numbers again.
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self._decoder: Any = model.get_decoder()
        self._head: Any = model.get_output_embeddings()
        self._device = device
        self._mixed = mixed
        self._checkpointing = checkpointing

    def parameters(self) -> dict[str, Any]:
        """Return the trainable matrices by name."""
        return {name: each for name, each in self._peft.named_parameters() if each.requires_grad}

    def put(self, values: Mapping[str, Any]) -> None:
        """Set the trainable matrices."""
        import torch

        with torch.no_grad():
            for name, each in self.parameters().items():
                each.copy_(values[name])

    def taken(self) -> dict[str, Any]:
        """Return a copy of the trainable matrices."""
        return {name: each.detach().cpu().clone() for name, each in self.parameters().items()}

    def train(self, on: bool) -> None:
        """Switch dropout on or off."""
        self._peft.train(on)

    def loss(self, piece: Sequence[Tokens]) -> Any:
        """Return the summed cross-entropy, in nats, of the completion tokens of a piece, as a tensor.

        The head sees only the positions that count: over a vocabulary of 50,000 that is a fifth of the work.
        """
        import torch
        import torch.utils.checkpoint

        ids, targets = _padded(piece, self._device)
        mixed = torch.autocast(self._device, dtype=torch.bfloat16) if self._mixed else contextlib.nullcontext()
        with mixed:
            # Padded on the right, causal attention sees no padding before a token that counts: no mask is needed.
            hidden = self._decoder(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
            counted = targets[:, 1:] != _IGNORED
            hidden, wanted = hidden[counted], targets[:, 1:][counted]
            if not self._checkpointing:
                return self._summed(hidden, wanted)
            parts = zip(hidden.split(HEAD_AT_ONCE), wanted.split(HEAD_AT_ONCE), strict=True)
            return sum(torch.utils.checkpoint.checkpoint(self._summed, *part, use_reentrant=False) for part in parts)

    def _summed(self, hidden: Any, wanted: Any) -> Any:
        """Return the summed cross-entropy of the head's predictions from `hidden`, (labels, width)."""
        import torch

        return torch.nn.functional.cross_entropy(self._head(hidden).float(), wanted, reduction="sum")

    def save(self, folder: Path, base: Gguf, source: str) -> None:
        """Write `peft/` and `adapter.gguf` into `folder`, each complete or not at all; `source` names the base. Raises PoolError."""
        target, draft = folder / PEFT, folder / f".{PEFT}.part"
        with writing(target):
            shutil.rmtree(draft, ignore_errors=True)
            self._peft.peft_config["default"].base_model_name_or_path = source
            self._peft.save_pretrained(draft, save_embedding_layers=False)
            (draft / "README.md").unlink(missing_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            draft.rename(target)
        with complete_file(folder / ADAPTER) as file:
            # The writer opens its file itself.
            write_adapter(target, base, Path(file.name))


def _padded(piece: Sequence[Tokens], device: str) -> tuple[Any, Any]:
    """Return token ids and targets, both (examples, longest); targets of prompts and padding are ignored."""
    import torch

    longest = max(len(each.ids) for each in piece)
    ids = torch.zeros((len(piece), longest), dtype=torch.long)
    targets = torch.full((len(piece), longest), _IGNORED, dtype=torch.long)
    for row, each in enumerate(piece):
        ids[row, : len(each.ids)] = torch.tensor(each.ids)
        targets[row, each.prompt : len(each.ids)] = torch.tensor(each.ids[each.prompt :])
    return ids.to(device), targets.to(device)
