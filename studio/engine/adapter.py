"""LoRA adapters in GGUF files: which one a file holds, and whether it fits a model.

llama.cpp checks the same, but what it refuses is only a null pointer to its callers, and decoding with one reads from nowhere. So a file
that does not fit never reaches it. The rules are those of its `llama-adapter.cpp`.
"""

from __future__ import annotations

from pathlib import Path

from studio.engine.gguf import Gguf, read_gguf
from studio.errors import ModelError, UsageError

_A, _B = ".lora_a", ".lora_b"
_AND = " + "
_PASSED_OVER = "_norm.weight"
_FLIPPED = "token_embd.weight"
_MAKES_ONE = "`studio finetune POOL` makes an adapter"

NO_ADAPTER = "none"
"""What a user says to have none."""


def check_adapter(path: Path, base: Gguf) -> None:
    """Raise ModelError unless `path` is a whole LoRA adapter for the model with the header `base`, naming what does not fit."""
    if path.is_dir():
        raise ModelError(f"{path}: a folder, not an adapter", "name the adapter.gguf in it")
    if not path.exists():
        raise ModelError(f"{path}: there is no such adapter", _MAKES_ONE)
    header = read_gguf(path)
    kind = header.text("general.type") or "model"
    if kind != "adapter":
        raise ModelError(f"{path}: a GGUF file of the type {kind!r}, not an adapter", f"{_MAKES_ONE}; a model goes with --model")
    if (method := header.text("adapter.type")) != "lora":
        raise ModelError(f"{path}: an adapter of the type {method!r}, not a LoRA", _MAKES_ONE)
    other = f"name the model it was made for with --model; this is {base.path.name}"
    if header.architecture != base.architecture:
        raise ModelError(f"{path}: an adapter for the architecture {header.architecture!r}, the model is {base.architecture!r}", other)
    pairs = _pairs(path, header)
    if not pairs:
        raise ModelError(f"{path}: the adapter has no weights", "it is damaged; make it again")
    for name, (a, b) in pairs.items():
        if name not in base.tensors:
            raise ModelError(f"{path}: the adapter changes {name}, which the model does not have", other)
        if not _fits(name, a, b, base.tensors[name]):
            shape = " x ".join(map(str, base.tensors[name]))
            raise ModelError(f"{path}: the adapter is for a model of another size: {name} is {shape} here", other)


def adapter_label(path: str) -> str:
    """Return what to call the adapter at `path`: its file's name, or that of the folder of a training."""
    file = Path(path)
    return file.parent.name if file.stem == "adapter" and file.parent.name else file.stem


def tuned_name(model: str, adapter: str) -> str:
    """Return the name of a model with the adapter at that path; without a path its own."""
    return with_adapter(model, adapter_label(adapter)) if adapter else model


def base_name(name: str) -> str:
    """Return the model's part of a `tuned_name`."""
    return parted(name)[0]


def with_adapter(model: str, adapter: str) -> str:
    """Return a model and its adapter as one text, for a field that takes one; `parted` takes it apart."""
    return f"{model}{_AND}{adapter}" if adapter else model


def parted(text: str) -> tuple[str, str]:
    """Return the model and the adapter, empty for none, that `with_adapter` put together."""
    model, _, adapter = text.partition(_AND)
    return model.strip(), adapter.strip()


def is_adapter(path: Path) -> bool:
    """Whether a file says of itself that it is an adapter. Raises ModelError for one that is no GGUF file."""
    return read_gguf(path).text("general.type") == "adapter"


def refuse_adapter(model: str, adapter: str) -> None:
    """Raise UsageError when an adapter is to go with something else than a GGUF file."""
    if adapter:
        raise UsageError(f"--adapter goes with a GGUF model here, not with {model}", "a server is told of adapters when it is started")


def _pairs(path: Path, header: Gguf) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the shapes of A and B by the name of the weight they change."""
    found: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for name, shape in header.tensors.items():
        if name.endswith(_A):
            other = header.tensors.get(name.removesuffix(_A) + _B)
            if other is None:
                raise ModelError(f"{path}: {name} has no counterpart in the adapter", "it is damaged; make it again")
            found[name.removesuffix(_A)] = (shape, other)
        elif name.endswith(_B) and name.removesuffix(_B) + _A not in header.tensors:
            raise ModelError(f"{path}: {name} has no counterpart in the adapter", "it is damaged; make it again")
        elif not name.endswith((_B, _PASSED_OVER)):
            raise ModelError(f"{path}: {name} is no part of a LoRA", "only LoRA adapters can be used")
    return found


def _fits(name: str, a: tuple[int, ...], b: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Whether A and B, as GGUF gives shapes (fastest dimension first), make a change of `weight`."""
    if not len(a) == len(b) == len(weight) == 2:
        return False
    if name.endswith(_FLIPPED):
        return (b[1], a[1]) == weight and a[0] == b[0]
    return (a[0], b[1]) == weight and a[1] == b[0]
