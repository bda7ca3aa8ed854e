"""Figures of a model in a few characters."""

from __future__ import annotations

_UNITS = ((10**9, "B"), (10**6, "M"), (10**3, "K"))


def count_text(number: int) -> str:
    """A number of parameters with three digits: `135M`."""
    for unit, name in _UNITS:
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return str(number)


def size_text(size: int) -> str:
    """A number of bytes in megabytes, or gigabytes from one on, as disks are sold."""
    return f"{size / 10**9:.2f} GB" if size >= 10**9 else f"{size / 10**6:.1f} MB"
