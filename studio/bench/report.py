"""The tables that `studio bench` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from studio.text import display_line

_MIB = 1 << 20


def print_novelty(console: Console, figures: Sequence[dict[str, Any]], batch: int) -> None:
    """One line a size."""
    console.print(f"ROUGE-L of a candidate over the whole pool, in batches of {batch}", highlight=False, soft_wrap=True)
    table = Table(padding=(0, 0))
    for name in ("tasks", "ms", "alone ms", "rouge_score ms", "speedup", "mismatches", "index MiB", "load s"):
        table.add_column(name, justify="right")
    for each in figures:
        scaled = "~" if each["rouge_score_sample"] < each["size"] else ""
        table.add_row(
            f"{each['size']:,}",
            f"{each['ms_per_candidate']:.3f}",
            f"{each['ms_alone']:.3f}",
            f"{scaled}{each['rouge_score_ms']:,.0f}",
            f"{scaled}{each['speedup']:,.0f}",
            f"{each['mismatches']:,}",
            f"{each['index_bytes'] / _MIB:.1f}",
            f"{each['load_s']:.2f}",
        )
    console.print(table)


def print_generate(console: Console, figures: dict[str, Any]) -> None:
    """The alternatives, and the rounds."""
    engine = figures["engine"]
    model = f"{display_line(figures['model']['name'])}, {display_line(figures['model']['quantisation'])}"
    work = f"{figures['requests']} instance requests of {figures['tokens']} tokens"
    setup = f"{engine['parallel']} sequences, {engine['threads']} threads, contexts of the engine: {engine['contexts']}"
    title = f"{work}, {setup}: {model}"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = Table()
    for name in ("", "tokens/s", "all runs"):
        table.add_column(name, justify="left" if not name else "right")
    words = {"sequential": "one after another (Llama)", "engine": "the studio's engine", "raw": "bare llama_decode loop"}
    for name, label in words.items():
        if (value := figures[f"{name}_tok_s"]) is not None:
            table.add_row(label, f"{value:.1f}", "  ".join(f"{each:.1f}" for each in figures["tok_s"][name]))
    if table.row_count:
        console.print(table)
    for name, label in (("engine_vs_sequential", "engine / one after another"), ("engine_vs_raw", "engine / bare loop")):
        if figures[name] is not None:
            console.print(f"{label}: {figures[name]:.3f}", highlight=False)
    if figures["rounds"] is not None:
        _print_rounds(console, figures["rounds"])


def _print_rounds(console: Console, rounds: dict[str, Any]) -> None:
    console.print(f"{rounds['rounds']} whole rounds from the seed tasks", highlight=False, soft_wrap=True)
    table = Table()
    for name in ("", "accepted", "seconds", "accepted a minute", "tokens/s", "instructions s", "classify s", "instances s"):
        table.add_column(name, justify="left" if not name else "right")
    for key, label in (("studio", "the studio"), ("port", "a straight port")):
        each = rounds[key]
        stages = [f"{each['stage_seconds'].get(stage, 0.0):.1f}" for stage in ("instructions", "classify", "instances")]
        speed = each["completion_tokens"] / each["seconds"]
        table.add_row(label, str(each["accepted"]), f"{each['seconds']:.1f}", f"{each['accepted_a_minute']:.2f}", f"{speed:.1f}", *stages)
    console.print(table)
    ratio = rounds["round_vs_port"]
    console.print(f"rounds / port: {f'{ratio:.2f}' if ratio is not None else 'the port accepted nothing'}", highlight=False)


def print_start(console: Console, figures: dict[str, Any]) -> None:
    """One line a figure."""
    pool = figures["pool"]
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("studio --help", f"{figures['help_cpu_s']:.3f} s of CPU, {figures['help_wall_s']:.3f} s")
    first = figures["first_frame_s"]
    table.add_row("first frame of the terminal studio", "no pseudo-terminal here" if first is None else f"{first:.3f} s")
    table.add_row(f"pool of {pool['tasks']:,} tasks, {pool['file_bytes'] / _MIB:.0f} MiB", f"made in {pool['make_s']:.1f} s")
    table.add_row("opened", f"{pool['open_s']:.3f} s")
    table.add_row("ready: novelty index filled", f"{pool['ready_s']:.2f} s, {pool['memory_bytes'] / _MIB:.0f} MiB")
    if (screen := figures["pool_screen"]) is not None:
        jumps = screen["jumps_ms"]
        table.add_row("pool screen: shown, all ids read", f"{screen['first_rows_ms']:.0f} ms, {screen['list_s']:.2f} s")
        table.add_row(
            "pool screen: to its other end", f"{jumps['median']:.0f} ms, 95 % within {jumps['p95']:.0f}, worst {jumps['worst']:.0f}"
        )
    console.print(table)
