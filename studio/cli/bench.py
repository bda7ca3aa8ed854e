"""`studio bench`: what this machine does, side by side with the plain way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from studio.cli.engine_flags import engine_flags, taken_options
from studio.cli.pull import MODEL
from studio.cli.shared import print_json
from studio.errors import UsageError

if TYPE_CHECKING:
    from studio.bench.worker import Machine

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def bench_command() -> None:
    """Measure this machine, side by side with the plain way.

    The alternatives run in turn within one call. Close other programs first: with another busy process beside it, llama.cpp's threads
    wait for each other.
    """


PARTS = ("sequential", "engine", "raw", "round")


def _sizes(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Read numbers of tasks, separated by commas, each at least 1."""
    try:
        sizes = tuple(int(part) for part in value.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise click.BadParameter(f"{value!r} is not a list of numbers above 0, such as 1000,10000")
    return sizes


def _parts(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Read names of `PARTS`, separated by commas."""
    parts = tuple(part.strip() for part in value.split(","))
    if unknown := [part for part in parts if part not in PARTS]:
        raise click.BadParameter(f"there is no part {unknown[0]!r}; known: {', '.join(PARTS)}")
    return parts


def _peers(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, str] | None:
    """Read names of peers, each maybe with its place, separated by commas: all that are found is an empty name."""
    return (
        None
        if value is None
        else {name.strip(): place.strip() for name, _, place in (each.partition("=") for each in value.split(",") if each)}
    )


@bench_command.command()
@click.option(
    "--sizes", callback=_sizes, metavar="N,N,...", default="1000,10000,52445,1000000", show_default=True, help="Tasks of the pools."
)
@click.option("--batch", type=click.IntRange(1, 1024), default=16, show_default=True, help="Candidates compared together.")
@JSON
def novelty(sizes: tuple[int, ...], batch: int, as_json: bool) -> None:
    """Compare candidates with pools of made-up instructions, beside rouge_score.

    Over more than 52,445 tasks rouge_score's time is scaled from that many (marked ~). Mismatches are counted bit for bit.
    """
    from studio.bench import novelty as bench

    run_bench(lambda machine, say: bench.measure(sizes, batch, machine, say), bench.print_novelty, as_json)


@bench_command.command()
@click.option("-m", "--model", type=MODEL, default="", metavar="MODEL", help="Name or path of a GGUF model. [the bundled one]")
@engine_flags
@click.option("--requests", type=click.IntRange(min=1), default=48, show_default=True, metavar="R")
@click.option(
    "--tokens", type=click.IntRange(1, 1024), default=80, show_default=True, metavar="T", help="Completion tokens of each request."
)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, metavar="K")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=3, show_default=True, metavar="N", help="Whole rounds of the loop and the port."
)
@click.option(
    "--only", "parts", callback=_parts, metavar="PART,...", default=",".join(PARTS), show_default=True, help="Measure these only."
)
@click.option(
    "--peers",
    callback=_peers,
    is_flag=False,
    flag_value="",
    metavar="[NAME[=PATH],...]",
    help="Measure the engine beside other programs in place of these parts: llama-server, llama-cpp-python (PATH is its source's "
    "examples/server/server.py), xllamacpp, distilabel (PATH is the Python of their environment). Without names: those that are found.",
)
@click.option("--quick", is_flag=True, help="A first impression: 16 requests of 32 tokens, once, no rounds unless named.")
@JSON
@click.pass_context
def generate(context: click.Context, /, quick: bool, parts: tuple[str, ...], as_json: bool, **values: Any) -> None:
    """Generate instances with the engine, one request after another with llama-cpp-python's own Llama, and in a bare loop.

    Then play whole rounds with the studio and with a straight port of the method. On 2 cores all of it takes about 15 minutes.
    """
    from studio.bench import generate as bench

    if quick:
        given = {name for name in (*values, "parts") if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
        values |= {name: small for name, small in (("requests", 16), ("tokens", 32), ("repeats", 1)) if name not in given}
        parts = parts if "parts" in given else bench.ALTERNATIVES
    parts = () if values["peers"] is not None else parts
    asked = bench.GenerateBench(options=taken_options(values), parts=parts, **values)
    if asked.model.startswith(("http://", "https://")):
        raise UsageError("--model: a server cannot be measured beside llama.cpp", "name a GGUF model; `studio models` lists them")
    run_bench(lambda machine, say: bench.measure(asked, machine, say), bench.print_generate, as_json)


@bench_command.command()
@click.option("--tasks", type=click.IntRange(min=1), default=1_000_000, show_default=True, metavar="N", help="Tasks of the pool.")
@JSON
def start(tasks: int, as_json: bool) -> None:
    """Time `studio --help`, and opening a pool of many tasks until a session could begin."""
    from studio.bench import start as bench

    run_bench(lambda machine, say: bench.measure(tasks, machine, say), bench.print_start, as_json)


def run_bench(
    measure: Callable[[Machine, Callable[[str], None]], dict[str, Any]], show: Callable[[Any, dict[str, Any]], None], as_json: bool
) -> None:
    """Look at the machine, measure, print, and warn where other programs were at work."""
    from rich.console import Console

    from studio.bench.worker import Machine

    machine = Machine.look()
    if machine.busy_before:
        click.echo(
            f"warning: the machine is busy (CPU {machine.cpu_before:.0%}, load average {machine.load_before:.2f}): figures will be too low",
            err=True,
        )
    figures = measure(machine, lambda text: click.echo(text, err=True))
    if machine.busy and not machine.busy_before:
        click.echo(f"warning: other programs took up to {max(machine.others):.0%} of the machine meanwhile: measure again", err=True)
    if as_json:
        print_json({**figures, "busy": machine.busy, "machine": machine.facts()})
    else:
        show(Console(), figures)
