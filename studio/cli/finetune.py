"""`studio finetune`: train a LoRA adapter on a pool's data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.arguments import INPUT, OUTPUT, POOL
from studio.cli.printing import print_json
from studio.text import display_line

if TYPE_CHECKING:
    from studio.tuning.events import Finished


@click.command(
    epilog="Needs the extra: pip install 'self-instruct-studio[train]'. Exit codes: 0 done, 2 usage, 3 model, 4 pool, 130 interrupted."
)
@click.argument("pool", type=POOL)
@click.option("-m", "--model", default="", metavar="MODEL", help="Name or path of a GGUF model: llama or gemma3. [the bundled one]")
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
@click.option("--precision", metavar="TYPE", help="float32, bfloat16 or auto: bfloat16 on a GPU. [auto]")
@click.option("--device", metavar="NAME", help="cpu, cuda, mps or auto. [auto]")
@click.option("--seed", metavar="TEXT", help="Decides split, formats, order and first weights. [0]")
@click.option("--threads", type=click.IntRange(min=0), default=0, metavar="N", help="CPU threads; 0 leaves it to PyTorch. [0]")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
def command(pool: Path, as_json: bool, **options: Any) -> None:
    """Train a LoRA adapter of a model on the data of POOL: instruction and input in, output out.

    The loss counts outputs only. A part of the instructions is kept back; training stops when the loss there gets no better, and the
    adapter has the best weights seen. It ends as adapter.gguf, for `studio run --adapter`, and in peft's format. Interrupted or killed, the
    same command goes on from the last checkpoint. Other settings begin another training.
    """
    from rich.console import Console

    from studio.engine.api import CancelToken
    from studio.errors import Interrupted
    from studio.headless import cancelled_by_signals
    from studio.tuning.events import Ended, Finished
    from studio.tuning.finetune import Wish, check, finetune
    from studio.tuning.progress import TrainingProgress
    from studio.tuning.settings import training_settings

    place = {key: options.pop(key) for key in ("model", "weights", "name", "output", "threads")}
    settings = training_settings({key: value for key, value in options.items() if value is not None})
    asked = check(Wish(pool, settings, **place))
    console, cancel = Console(stderr=True), CancelToken()
    with cancelled_by_signals(cancel, console), TrainingProgress(console) as progress:
        for event in finetune(asked, cancel):
            progress.show(event)
    if isinstance(event, Ended):
        raise Interrupted(f"stopped after step {event.step}", "the same command goes on where it was")
    assert isinstance(event, Finished)
    if as_json:
        print_json(_as_dict(pool, event))
    else:
        click.echo(f"next: studio run {display_line(str(pool))} --force --adapter {display_line(event.adapter)}", err=True)


def _as_dict(pool: Path, event: Finished) -> dict[str, Any]:
    return {"pool": str(pool), **asdict(event)}
