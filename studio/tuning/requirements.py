"""Whether the optional extra that trains is installed; nothing of it is imported."""

from __future__ import annotations

from importlib.util import find_spec

from studio.errors import UsageError

PACKAGES = ("torch", "transformers", "peft", "gguf", "safetensors")
EXTRA = "self-instruct-studio[train]"


def require_extra() -> None:
    """Raise UsageError, with how to install it, when a package of the extra is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"finetuning needs packages that are not installed: {', '.join(missing)}",
            f"pip install '{EXTRA}'; in a checkout: uv sync --extra train",
        )
