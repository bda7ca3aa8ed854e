"""`studio doctor` and `studio bench`: what is installed here, whether model and GPU work, and how fast, beside the plain way."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from studio.cli.pull import MODEL
from studio.cli.shared import JSON, engine_flags, print_json, taken_options
from studio.errors import ModelError, UsageError
from studio.text import counted, display_line

if TYPE_CHECKING:
    from studio.bench.worker import Machine


_TOLD = (
    *("adapter", "adapter_sha256", "backend", "layers", "layers_offloaded", "context_tokens", "parallel", "contexts", "threads"),
    *("flash_attention", "kv_type", "streams", "cpu_moe", "split"),
    *("asking", "askings", "thinks"),
)
"""What is told of the engine."""


@click.command()
@click.option("--model", type=MODEL, default="", help="Model to load: a name or a path; the bundled one by default.")
@click.option("--adapter", default="", metavar="FILE", help="LoRA adapter to load with it.")
@engine_flags
@JSON
def doctor_command(model: str, adapter: str, as_json: bool, **flags: Any) -> None:
    """Check the installation: versions, the model, the GPU, paths.

    Loads the model for real. Ends with exit code 3 when that fails.
    """
    report, fault = _examine(model, adapter, flags)
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report["warning"]:
        click.echo(f"warning: {report['warning']}", err=True)
    if fault is not None:
        raise fault


def _examine(model: str, adapter: str, flags: dict[str, Any]) -> tuple[dict[str, Any], ModelError | None]:
    """Return every figure, and the error that kept the model from loading."""
    from studio.engine.catalog import hash_cache_path, models_folders
    from studio.engine.llama.build import BuildFacts, gpu_warning, machine_gpus
    from studio.engine.options import usable_cores
    from studio.engine.process.client import llama_jobs
    from studio.engine.process.pipe import log_folder

    report: dict[str, Any] = {"versions": _versions(), "threads": usable_cores(), "gpus": machine_gpus(), "warning": ""}
    fault: ModelError | None = None
    try:
        with llama_jobs() as ask:
            build = ask("list devices")
        facts = BuildFacts(**build["facts"])
        known = {"features": list(facts.features), "backends": list(facts.backends)}
        report["llama_cpp"] = {"ggml": facts.ggml, "gpu_support": facts.gpu, **known}
        report["warning"] = gpu_warning(report["gpus"], facts)
        report["devices"] = build["devices"]
        report["model"] = _load(model, adapter, flags)
    except ModelError as error:
        fault = error
        report["fault"] = error.message
    report["prefix_cache"] = _prefix_cache()
    report["paths"] = {
        "models": [str(folder.absolute()) for folder in models_folders()],
        "hashes": str(hash_cache_path()),
        "logs": str(log_folder()),
    }
    return report, fault


def _versions() -> dict[str, str]:
    import platform
    import sqlite3

    from studio import __version__
    from studio.bench.worker import versions

    own = {"studio": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    return own | versions(("llama-cpp-python", "textual", "rapidfuzz", "sqlite-utils"))


def _prefix_cache() -> dict[str, Any]:
    from studio.engine.llama.prefixes import BUDGET_BYTES, PrefixStore, open_store, store_folder

    usage = PrefixStore(store_folder()).usage()
    on = open_store() is not None
    return {"folder": str(store_folder()), "on": on, "files": usage.files, "bytes": usage.bytes, "budget": BUDGET_BYTES}


def _load(model: str, adapter: str, flags: dict[str, Any]) -> dict[str, Any]:
    from studio.engine.opening import open_engine
    from studio.engine.process.client import ProcessEngine
    from studio.paths import user_path

    found = str(user_path(adapter, ModelError)) if adapter else ""
    with closing(open_engine(model, taken_options(flags, adapter=found))) as engine:
        info = engine.info
        memory = engine.memory() if isinstance(engine, ProcessEngine) else {}
    model_facts = {name: getattr(info.model, name) for name in ("name", "path", "sha256", "quantisation", "licence")}
    return model_facts | {name: getattr(info, name) for name in _TOLD} | {"notices": list(info.notices), "memory": memory}


def _print(report: dict[str, Any]) -> None:
    from studio.engine.api import SERVER

    lines = {f"{name} version": value for name, value in report["versions"].items()}
    build = report.get("llama_cpp")
    if build:
        lines |= {"ggml (llama.cpp) version": build["ggml"], "GPU support built in": _gpu_support(build)}
        lines["CPU features used"] = " ".join(build["features"])
    lines |= {"GPUs seen": ", ".join(report["gpus"]) or "none", "cores usable": report["threads"]}
    if report.get("devices"):
        lines["devices of llama.cpp"] = ", ".join(_device(device) for device in report["devices"])
    model = report.get("model")
    if model:
        lines["model"] = f"{model['name']} ({', '.join(filter(None, (model['quantisation'], model['licence'] or 'licence unknown')))})"
        lines |= {
            "server" if model["backend"] == SERVER else "model file": model["path"],
            **({"adapter": f"{model['adapter']} ({model['adapter_sha256'][:12]})"} if model["adapter"] else {}),
            "model loaded on": model["backend"],
        }
        if model["layers"]:
            lines["layers on the GPU"] = _offloaded(model)
        tokens = f"{model['context_tokens']:,} tokens" if model["context_tokens"] else "unknown"
        if model["backend"] == SERVER:
            lines |= {"context of a request": tokens, "requests at once": model["parallel"]}
        else:
            divided = f" in {model['contexts']} contexts" if model["contexts"] > 1 else ""
            lines["context"] = f"{tokens} for {model['parallel']} sequences{divided}"
            if model["kv_type"]:
                lines["keys and values"] = f"{model['kv_type']}, {'with' if model['flash_attention'] else 'without'} flash attention"
                lines["keys and values"] += ", each sequence's apart" if model["streams"] else ""
        if model["memory"]:
            lines |= {f"memory {name}": _amounts(amounts) for name, amounts in model["memory"].items()}
        lines["answers"] = _answers(model)
    else:
        lines["model"] = "cannot be loaded"
    paths, cache = report["paths"], report["prefix_cache"]
    held = f"{counted(cache['files'], 'file')}, {cache['bytes'] / 1e6:,.0f} MB of at most {cache['budget'] / 1e6:,.0f}"
    lines["prefix cache"] = f"{cache['folder']} ({held if cache['on'] else 'off, ' + held})"
    lines |= {"models folders": ", ".join(paths["models"]), "hash cache": paths["hashes"], "logs": paths["logs"]}
    for name, value in lines.items():
        click.echo(f"{name:<26} {display_line(str(value))}")
    for notice in (model or {}).get("notices", ()):
        click.echo(f"note: {display_line(notice)}")


def _offloaded(model: dict[str, Any]) -> str:
    experts = f", the experts of {model['cpu_moe'] if model['cpu_moe'] > 0 else 'all'} on the CPU" if model["cpu_moe"] else ""
    split = f", split: {model['split']}" if model["split"] else ""
    return f"{model['layers_offloaded']} of {model['layers']}{experts}{split}"


def _gpu_support(build: dict[str, Any]) -> str:
    names = ", ".join(build["backends"])
    if build["gpu_support"] or not names:
        return names or ("yes" if build["gpu_support"] else "no")
    return f"{names}, which finds no device"


def _amounts(amounts: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {amount / 1e6:,.0f} MB" for name, amount in amounts.items())


def _answers(model: dict[str, Any]) -> str:
    """How the model can be asked, that which it is asked by itself first."""
    words = {"chat": "chat", "completion": "raw text"}
    return ", ".join(words[asking] for asking in model["askings"]) + ("; the model thinks first" if model["thinks"] else "")


def _device(device: dict[str, Any]) -> str:
    from studio.engine.llama.setup import gigabytes

    words = f"{device['name']} ({device['description']}, {device['kind']}"
    if not device["memory_total"]:
        return f"{words})"
    return f"{words}, {gigabytes(device['memory_free'])} free of {gigabytes(device['memory_total'])})"


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
    if value is None:
        return None
    named = (each.partition("=") for each in value.split(",") if each)
    return {name.strip(): place.strip() for name, _, place in named}


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
    from studio.bench.pools import measure_novelty, print_novelty

    run_bench(lambda machine, say: measure_novelty(sizes, batch, machine, say), print_novelty, as_json)


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

    Then play whole rounds with the studio and with a straight port of the method. On 2 cores all of it takes about 15 minutes. Flash
    attention, the kind of keys and values and the places of weights are chosen for the studio's engine alone.
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
    from studio.bench.pools import measure_start, print_start

    run_bench(lambda machine, say: measure_start(tasks, machine, say), print_start, as_json)


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
    # What was started is stopped, as after Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        figures = measure(machine, lambda text: click.echo(text, err=True))
    finally:
        signal.signal(signal.SIGTERM, before)
    if machine.busy and not machine.busy_before:
        click.echo(f"warning: other programs took up to {max(machine.others):.0%} of the machine meanwhile: measure again", err=True)
    if as_json:
        print_json({**figures, "busy": machine.busy, "machine": machine.facts()})
    else:
        show(Console(), figures)
