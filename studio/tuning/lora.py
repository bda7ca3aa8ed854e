"""The model with its adapter, as PyTorch sees them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.engine.gguf import Gguf
from studio.pool.exchange.outputs import writing
from studio.tuning.adapter_gguf import write_adapter
from studio.tuning.checkpoint import replacing
from studio.tuning.settings import TrainingSettings
from studio.tuning.tokens import Tokens

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ADAPTER = "adapter.gguf"
PEFT = "peft"
_IGNORED = -100


class TunedModel:
    """A frozen model with a trainable adapter on all linear layers of its blocks."""

    def __init__(self, model: Any, settings: TrainingSettings, seed: int, device: str, *, mixed: bool) -> None:
        """Put a fresh adapter, drawn from `seed`, onto the transformers model. `mixed`: compute in bfloat16."""
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
        self._peft: Any = get_peft_model(model, config).to(device)
        self._decoder: Any = model.get_decoder()
        self._head: Any = model.get_output_embeddings()
        self._device = device
        self._mixed = mixed

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

        ids, targets = _padded(piece, self._device)
        mixed = torch.autocast(self._device, dtype=torch.bfloat16) if self._mixed else contextlib.nullcontext()
        with mixed:
            # Padded on the right, causal attention sees no padding before a token that counts: no mask is needed.
            hidden = self._decoder(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
            counted = targets[:, 1:] != _IGNORED
            logits = self._head(hidden[counted])
        return torch.nn.functional.cross_entropy(logits.float(), targets[:, 1:][counted], reduction="sum")

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
        with writing(folder / ADAPTER), replacing(folder / ADAPTER) as file:
            write_adapter(target, base, file)


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
