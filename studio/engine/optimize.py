"""Makes a copy of a model in a quantisation that this machine is fast with, and measures the two side by side."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.engine.catalog import models_folders
from studio.engine.gguf import Gguf, read_gguf
from studio.engine.model_file import read_model, shard_of
from studio.engine.options import usable_cores
from studio.engine.process.client import Ask, llama_jobs
from studio.engine.pull.download import write_origin_of_copy
from studio.errors import ModelError, UsageError
from studio.text import display_line

BITS = {"Q4_0": 4.5, "Q8_0": 8.5}
"""Quantisation -> bits a weight. llama.cpp repacks both for the CPU's wide registers when it loads them."""
ROUNDS = 3
"""How often speed is measured: original and copy in turn, medians count."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """One model file: its size in bytes, tokens a second (medians), and perplexity."""

    path: Path
    quantisation: str
    size: int
    prompt_tok_s: float
    decode_tok_s: float
    perplexity: float


@dataclass(frozen=True, slots=True)
class Optimized:
    """The original beside its copy. `perplexity_error` is the standard error of the perplexity's change, in per cent, token by token."""

    original: Figures
    copy: Figures
    scored_tokens: int
    perplexity_error: float

    def change(self, name: str) -> float:
        """The copy's figure over the original's, as a change in per cent."""
        return float(getattr(self.copy, name) / getattr(self.original, name) - 1.0) * 100


def default_target(source: Path, to: str, quantisation: str) -> Path:
    """Return where the copy goes: the user's models folder, the quantisation in the name replaced by the new one."""
    stem = shard_of(source)[0]
    stem = re.sub(rf"[.\-_]{re.escape(quantisation)}$", "", stem, flags=re.IGNORECASE) if quantisation else stem
    return models_folders()[-1] / f"{stem}.{to}.gguf"


def optimize(source: Path, to: str, target: Path | None, text: str, say: Say, *, force: bool = False, threads: int = 0) -> Optimized:
    """Write a copy of `source` in the quantisation `to` (a key of BITS) to `target` and measure both on `text`.

    The copy stands beside its place under another name until all is measured; then it is renamed. `say` is told what is done. `threads` 0
    means the physical cores. Raises UsageError for a target that is there (unless `force`), is a folder, or the model itself; ModelError
    when the model is that way already, there is no room, or llama.cpp fails.
    """
    header = read_model(source)
    source = header.path
    if header.quantisation == to:
        raise ModelError(f"{source}: this model is {to} already", "nothing to do; or choose another quantisation with --to")
    target = target or default_target(source, to, header.quantisation)
    _check(source, target, header, to, force=force)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    cores = threads or usable_cores()
    try:
        with llama_jobs() as ask:
            say(f"quantising {display_line(source.name)} from {header.quantisation or 'its format'} to {to} ...")
            ask("quantise", source=str(source), target=str(beside), to=to, threads=cores)
            made = read_gguf(beside)
            found = _measure(ask, (source, beside), text, cores, say)
        beside.replace(target)
        write_origin_of_copy(source, target)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror or error}", "name another file with -o") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return _compare((source, target), (header, made), found)


def _check(source: Path, target: Path, header: Gguf, to: str, *, force: bool) -> None:
    if target.is_dir():
        raise UsageError(f"{target}: a folder", "name a file in it with -o")
    if target.exists() and target.samefile(source):
        raise UsageError(f"{target}: the model itself", "name another file with -o")
    if target.exists() and not force:
        raise UsageError(f"{target}: there is a file already", "use it as it is, replace it with --force, or name another with -o")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
    except OSError as error:
        raise ModelError(f"{target.parent}: cannot be written to: {error.strerror or error}", "name another file with -o") from error
    needed = int(header.parameters * BITS[to] / 8)
    if free < needed:
        raise ModelError(
            f"{target.parent}: no room for the copy: {needed / 1e6:,.0f} MB or more are needed, {free / 1e6:,.0f} MB are free",
            "make room, or name a file elsewhere with -o",
        )


def _measure(ask: Ask, paths: tuple[Path, Path], text: str, threads: int, say: Say) -> list[dict[str, Any]]:
    """Return the raw figures of both files: `prompt` and `decode`, each once a round, and `surprises`."""
    found: list[dict[str, Any]] = [{"prompt": [], "decode": []} for _ in paths]
    jobs = [{"path": str(path), "text": text, "threads": threads} for path in paths]
    for number in range(1, ROUNDS + 1):
        for job, figures, name in zip(jobs, found, ("original", "copy"), strict=True):
            say(f"speed of the {name}, {number} of {ROUNDS} ...")
            for kind, speed in ask("speeds", **job).items():
                figures[kind].append(speed)
    for job, figures, name in zip(jobs, found, ("original", "copy"), strict=True):
        say(f"perplexity of the {name} ...")
        figures["surprises"] = ask("surprises", **job)
    return found


def _compare(paths: tuple[Path, Path], headers: tuple[Gguf, Gguf], found: list[dict[str, Any]]) -> Optimized:
    original, copy = (
        Figures(
            path=path,
            quantisation=header.quantisation,
            size=header.file_size,
            prompt_tok_s=statistics.median(figures["prompt"]),
            decode_tok_s=statistics.median(figures["decode"]),
            perplexity=math.exp(statistics.fmean(figures["surprises"])),
        )
        for path, header, figures in zip(paths, headers, found, strict=True)
    )
    gaps = [after - before for before, after in zip(found[0]["surprises"], found[1]["surprises"], strict=True)]
    error = statistics.stdev(gaps) / math.sqrt(len(gaps)) * copy.perplexity / original.perplexity * 100
    return Optimized(original, copy, len(gaps), error)
