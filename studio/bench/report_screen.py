"""What `studio bench screen` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_screen(console: Console, figures: dict[str, Any]) -> None:
    """The two ways to play a round, and the keys."""
    console.print(f"the same round of {figures['tokens']:,} tokens, in turn", highlight=False)
    table = Table()
    for name in ("", "tokens/s", "all rounds"):
        table.add_column(name, justify="left" if not name else "right")
    for name, label in (("headless", "headless"), ("screen", "terminal studio, 120x40")):
        table.add_row(label, f"{figures[f'{name}_tok_s']:.1f}", "  ".join(f"{each:.1f}" for each in figures["tok_s"][name]))
    console.print(table)
    share = sum(figures["screen_cpu_s"]) / sum(figures["seconds"]["screen"])
    error = figures["screen_vs_headless_error"]
    ratio = f"{figures['screen_vs_headless']:.3f}" + (f" ± {error:.3f}" if error is not None else "")
    console.print(f"terminal studio / headless: {ratio}; it took {share:.1%} of one core", highlight=False)
    if not figures["keys_ms"]:
        return
    keys = Table(title="from key to paint, in ms", title_justify="left")
    for name in ("", "median", "95 %", "worst"):
        keys.add_column(name, justify="left" if not name else "right")
    for name, times in figures["keys_ms"].items():
        keys.add_row(name, f"{times['median']:.1f}", f"{times['p95']:.1f}", f"{times['worst']:.1f}")
    console.print(keys)
