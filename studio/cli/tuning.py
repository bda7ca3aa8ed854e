"""`studio finetune` and `studio evaluate`: train an adapter on a pool's data, and see what models answer to tasks they have not seen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.pull import MODEL, model_option
from studio.cli.shared import INPUT, JSON_AT_END, OUTPUT, POOL, engine_flags, print_json, print_tables, progress_bar, taken_options
from studio.errors import Interrupted, PoolError
from studio.text import display_line

_LISTED = 20
"""Tasks that overlap are told by name, at most."""

if TYPE_CHECKING:
    from rich.console import Console

    from studio.tuning.evaluating import EvaluationRequest, TasksOverlap


@click.command(
    epilog="Needs the extra: pip install 'self-instruct-studio[train]'. Exit codes: 0 done, 2 usage, 3 model, 4 pool, 130 interrupted."
)
@click.argument("pool", type=POOL)
@click.option(
    "-m", "--model", type=MODEL, default="", metavar="MODEL", help="Name or path of a GGUF model: llama or gemma3. [the bundled one]"
)
@click.option("--weights", type=INPUT, metavar="FOLDER", help="Hugging Face folder of the same model. [the weights in the GGUF file]")
@click.option("--name", default="", metavar="NAME", help="What to call the training. [the unfinished one, or tuned-N]")
@click.option("-o", "--output", type=OUTPUT, metavar="FOLDER", help="Where its files go. [POOL.adapters/NAME]")
@click.option("--data", metavar="WHICH", help="all, generated (without the seeds) or seeds (alone, to compare with). [all]")
@click.option(
    "--format",
    metavar="NAME",
    help="chat (the model's own template), varied (the method's), plain or alpaca. [chat where the model has a template, else varied]",
)
@click.option("--validation", type=float, metavar="SHARE", help="Instructions to measure by, not to train on; 0 is none. [0.1]")
@click.option("--epochs", type=int, metavar="N", help="Passes over the data. [1]")
@click.option("--learning-rate", type=float, metavar="RATE", help="The highest; it warms up and decays. [5e-4]")
@click.option("--rank", type=int, metavar="N", help="Rank of the adapter. [16]")
@click.option("--alpha", type=int, metavar="N", help="Its scale is alpha / rank. [32]")
@click.option("--dropout", type=float, metavar="SHARE", help="Dropout of the adapter. [0]")
@click.option("--batch", type=int, metavar="N", help="Examples of an optimiser step. [8]")
@click.option("--max-tokens", type=int, metavar="N", help="Longer examples are left out. [512]")
@click.option("--evaluations", type=int, metavar="N", help="Times an epoch to take the validation loss. [4]")
@click.option("--patience", type=int, metavar="N", help="Stop after N of them without a better one. [3]")
@click.option(
    "--precision",
    metavar="TYPE",
    help="Of the frozen weights: float32, bfloat16, 4bit (a GPU of CUDA, with bitsandbytes), or auto: bfloat16 on a GPU, 4bit where "
    "nothing else fits, float32 elsewhere. [auto]",
)
@click.option("--device", metavar="NAME", help="cpu, cuda, mps or auto. [auto]")
@click.option("--seed", metavar="TEXT", help="Decides split, formats, order and first weights. [0]")
@click.option("--threads", type=click.IntRange(min=0), default=0, metavar="N", help="CPU threads; 0 leaves it to PyTorch. [0]")
@click.option("--dry-run", is_flag=True, help="Say how it would run here and what memory that needs, and stop.")
@JSON_AT_END
def finetune_command(pool: Path, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Train a LoRA adapter of a model on the data of POOL: instruction and input in, output out.

    The loss counts outputs only. A part of the instructions is kept back; training stops when the loss there gets no better, and the
    adapter has the best weights seen. It ends as adapter.gguf, for `studio run --adapter`, and in peft's format. Interrupted or killed, the
    same command goes on from the last checkpoint. Other settings begin another training.
    """
    from rich.console import Console

    from studio.engine.api import CancelToken
    from studio.headless import cancelled_by_signals
    from studio.tuning.data import training_settings
    from studio.tuning.finetune import TrainingProgress, check, finetune, plan
    from studio.tuning.job import Ended, Finished

    place = {key: options.pop(key) for key in ("model", "weights", "name", "output", "threads")}
    settings = training_settings({key: value for key, value in options.items() if value is not None})
    asked = check(pool, settings, **place)
    console, cancel = Console(stderr=True), CancelToken()
    if dry_run:
        prepared, notes = plan(asked)
        progress = TrainingProgress(console)
        progress.note(*notes)
        progress.show(prepared)
        if as_json:
            print_json({"pool": str(pool), **asdict(prepared)})
        return
    with cancelled_by_signals(cancel, console), TrainingProgress(console) as progress:
        for event in finetune(asked, cancel):
            progress.show(event)
    if isinstance(event, Ended):
        raise Interrupted(f"stopped after step {event.step}", "the same command goes on where it was")
    assert isinstance(event, Finished)
    if as_json:
        print_json({"pool": str(pool), **asdict(event)})
    else:
        click.echo(f"next: studio run {display_line(str(pool))} --force --adapter {display_line(event.adapter)}", err=True)


@click.command()
@click.argument("source", type=POOL, metavar="POOL|FILE")
@model_option
@click.option("--adapter", default="", metavar="FILE", help="LoRA adapter for the model: a GGUF file, or the folder of a training.")
@click.option(
    "--format",
    "style",
    default="auto",
    show_default=True,
    help="How a task is put: plain, alpaca, chat (the model's own template), or auto: what the adapter was trained with, else chat where "
    "the model has a template, else plain.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="MODEL[,adapter=FILE][,format=NAME]",
    help="Another contestant to compare with; may be repeated. Without MODEL: the same model.",
)
@click.option(
    "--pool", type=POOL, help="With FILE: the pool that keeps the answers and whose tasks FILE must not overlap. [FILE.evaluation.db]"
)
@click.option("--max-tokens", type=click.IntRange(1, 65_536), default=256, show_default=True, help="Tokens of an answer at most.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Evaluate on N of the tasks only.")
@click.option("--seed", default="0", show_default=True, help="Decides which tasks --sample takes, and the draws of intervals and tests.")
@click.option("--without-overlap", is_flag=True, help="Leave out tasks that overlap the training data, instead of refusing.")
@click.option("--report", is_flag=True, help="Print the figures of all that is stored in POOL; no model is asked.")
@engine_flags
@JSON_AT_END
def evaluate_command(source: Path, report: bool, as_json: bool, **asked: Any) -> None:
    """Evaluate a model zero-shot and greedily on tasks that it has not seen, and compare it with others.

    With POOL these are the seeds that `studio run --hold-out` kept apart, with FILE those of any file of tasks. Tasks that
    overlap the training data are refused with a list: what lies beside the adapter as train.jsonl, else all tasks of the pool that are not
    held out, by ROUGE-L of 0.7 or eight words in a row.

    ROUGE-L is the paper's, the highest over a task's references; exact match is of classification tasks. Intervals are bootstrap intervals
    over tasks. A pair is compared task by task, and once more with both answers cut to the shorter one's length: a model that merely stops
    earlier gains nothing there. Every answer is stored as it comes; interrupted, the same command goes on, and a later one with other
    contestants on the same tasks asks only these.
    """
    if report:
        _report(source, asked["seed"], as_json)
        return
    from rich.console import Console

    from studio.tuning.evaluating import TasksOverlap

    console = Console(stderr=True)
    try:
        _evaluate(_request(source, asked), console, as_json)
    except TasksOverlap as refused:
        _list(refused, as_json)
        raise


def _request(source: Path, asked: dict[str, Any]) -> EvaluationRequest:
    from studio.tuning.contestants import ContestantSpec, parse_against
    from studio.tuning.evaluating import EvaluationRequest

    main = ContestantSpec(asked["model"], asked["adapter"], asked["style"])
    specs = (main, *(parse_against(text, main) for text in asked["against"]))
    options = taken_options(asked)
    same = {name: asked[name] for name in ("pool", "max_tokens", "sample", "seed", "without_overlap")}
    return EvaluationRequest(source, specs, options=options, **same)


def _evaluate(asked: EvaluationRequest, console: Console, as_json: bool) -> None:
    from studio.engine.api import CancelToken
    from studio.headless import cancelled_by_signals
    from studio.tuning.evaluating import evaluate, pool_of

    def tell(words: str) -> None:
        click.echo(display_line(words, 300), err=True)

    cancel = CancelToken()
    with cancelled_by_signals(cancel, console), progress_bar() as show:
        result, checked = evaluate(asked, cancel, lambda what, done, count: show(display_line(what, 60), done, count), tell)
    kept = pool_of(asked)
    if as_json:
        print_json({"pool": str(kept), **result.as_dict(), "overlap": checked.as_dict()})
        return
    _print(result)
    if checked.excluded:
        tell(f"{len(checked.excluded)} of {checked.checked} items overlap the training data and were left out")
    tell(f"all answers are kept in {kept}")


def _report(source: Path, seed: str, as_json: bool) -> None:
    from studio.pool.pool import Queries
    from studio.tuning.results import evaluation_result

    with Queries.open(source) as reader, reader.one_state():
        results = [evaluation_result(reader, each.id, seed=seed) for each in reader.evaluations.all()]
    if not results:
        raise PoolError("the pool has no evaluation yet", "studio evaluate POOL")
    if as_json:
        print_json({"pool": str(source), "evaluations": [each.as_dict() for each in results]})
        return
    for place, result in enumerate(results):
        if place:
            click.echo()
        _print(result)


def _print(result: Any) -> None:
    from studio.tuning.results import result_tables

    print_tables(result_tables(result), soft_wrap=True)


def _list(refused: TasksOverlap, as_json: bool) -> None:
    """Say which tasks overlap: all of them as JSON, the first ones in words."""
    if as_json:
        print_json({"overlaps": [each.as_dict() for each in refused.overlaps]})
        return
    for each in refused.overlaps[:_LISTED]:
        instruction = display_line(each.item.instruction, 70)
        click.echo(
            f"{display_line(each.item.key, 12):>12}  {instruction}  {display_line(each.reason, 80)} with {display_line(each.label, 40)}",
            err=True,
        )
    if len(refused.overlaps) > _LISTED:
        click.echo(f"and {len(refused.overlaps) - _LISTED} more; --json lists all", err=True)
