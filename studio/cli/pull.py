"""`studio models pull`: bring a model from the Hugging Face hub; and the same, offered, where a command names one that is not here."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio.cli.shared import JSON, OUTPUT, in_columns, print_json, progress_bar
from studio.errors import Interrupted, ModelError, UsageError
from studio.text import counted, display_line

if TYPE_CHECKING:
    from studio.engine.pull.offer import Choice, Offer
    from studio.engine.pull.pulling import Plan


class _Model(click.types.StringParamType):
    """A model as --model names it. One of the hub that is not here is offered where somebody can answer; else whoever opens it says so."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from studio.hub import is_hub_name

        value = super().convert(value, param, ctx)
        return offered(value) if is_hub_name(value) and _can_ask() else value


MODEL = _Model()
"""A model: a name or path, a server's address, or a name of the hub."""
model_option = click.option(
    "-m", "--model", type=MODEL, default="", metavar="MODEL", help="Name or path of a model, or a server's address. [the bundled one]"
)

_NONE = ("n", "no", "q", "none")
_OTHERS_TOLD = 6


@click.command("pull", epilog="Exit codes: 0 done, 2 usage, 3 the hub, the disk or the model, 130 stopped; what was loaded is kept.")
@click.argument("name", metavar="hf:OWNER/NAME[:QUANT|:FILE]")
@click.option("-y", "--yes", is_flag=True, help="Load without asking.")
@click.option("--dry-run", is_flag=True, help="Show what there is and what would be taken; load nothing.")
@click.option("--into", type=OUTPUT, metavar="FOLDER", help="Where it goes. [the models folder of your data folder]")
@click.option("--force", is_flag=True, help="Replace another model of that name, and load what another program has already.")
@JSON
def pull_command(name: str, yes: bool, dry_run: bool, into: Path | None, force: bool, as_json: bool) -> None:
    """Bring a model in the format GGUF from the Hugging Face hub, after showing its licence, its quantisations and their sizes.

    NAME may also be the address of its page. Loading goes on after breaks, and after being stopped or killed when called again; the sha256
    that the hub tells is checked; the model appears when it is whole. Shards are one model. $HF_ENDPOINT names another hub. Models that are
    given to accounts only need `hf auth login`, or $HF_TOKEN.
    """
    from studio.engine.catalog import name_of
    from studio.engine.pull.offer import read_offer
    from studio.engine.pull.pulling import plan
    from studio.hub import parse_hub_name

    hub_name = parse_hub_name(name)
    if not (yes or dry_run or _can_ask()):
        raise UsageError(f"{hub_name}: nobody is asked here whether to load it", "see what there is with --dry-run, load it with --yes")
    offer = read_offer(hub_name)
    planned = plan(offer, into=into)
    if dry_run:
        if as_json:
            print_json(_as_dict(planned, "dry run"))
        else:
            _show(planned, err=False)
        return
    state, path, planned = _carry_out(planned, into, yes=yes, force=force, quiet=as_json)
    if as_json:
        print_json({**_as_dict(planned, state), "path": str(path), "name": name_of(path), "chat_template": _has_template(path)})
    _say_use(path)


def offered(model: str) -> str:
    """Return how to name the model of the hub that a user named: as he did where it is here, else by the path that it has after a yes.

    Raises ModelError when it cannot be had, and Interrupted when it is not wanted.
    """
    from studio.engine.catalog import find_model
    from studio.engine.not_gguf import NotLoaded
    from studio.engine.pull.offer import read_offer
    from studio.engine.pull.pulling import plan

    try:
        find_model(model)
    except NotLoaded as missing:
        if not click.confirm(f"{display_line(model)} is not on this machine. ask the hub for it?", default=True, err=True):
            raise
        return str(_carry_out(plan(read_offer(missing.name)), None, yes=False, force=False, quiet=False)[1])
    return model


def say_use_of(path: Path) -> None:
    """Say on stderr how to use the model at this path."""
    from studio.engine.catalog import name_of

    click.echo(f"use it with: studio run POOL --model {display_line(shlex.quote(name_of(path)))}", err=True)


def _say_use(path: Path) -> None:
    from studio.engine.model_file import is_adapter

    if is_adapter(path):
        click.echo(f"use it with: --adapter {display_line(shlex.quote(str(path)))}, beside the model it was made for", err=True)
        return
    click.echo("it has a chat template" if _has_template(path) else "it has no chat template: it is asked with raw texts", err=True)
    say_use_of(path)


def _has_template(path: Path) -> bool:
    from studio.engine.chat_template import has_chat_template
    from studio.engine.model_file import is_adapter, read_model

    return not is_adapter(path) and has_chat_template(read_model(path))


def _carry_out(planned: Plan, into: Path | None, *, yes: bool, force: bool, quiet: bool) -> tuple[str, Path, Plan]:
    """Show, ask, load; return what was done, the file and what was chosen."""
    from studio.engine.pull.pulling import plan

    if not (yes and quiet):
        _show(planned, err=quiet)
    if not yes and not (planned.there or (planned.elsewhere and not force)):
        planned = plan(planned.offer, _asked_for(planned), into)
    if planned.there:
        click.echo(f"{display_line(str(planned.target))} is there already, with the same hash", err=True)
        return "there", _loaded(planned, force=force), planned
    if planned.elsewhere and not force:
        click.echo(f"{display_line(str(planned.elsewhere))} is the same file already; --force loads it all the same", err=True)
        return "elsewhere", planned.elsewhere, planned
    return "loaded", _loaded(planned, force=force), planned


def _loaded(planned: Plan, *, force: bool) -> Path:
    from studio.engine.api import CancelToken
    from studio.engine.catalog import size_text
    from studio.engine.pull.pulling import plan, pull

    if planned.kept and not planned.there:
        click.echo(f"going on after {size_text(planned.kept)} of {size_text(planned.choice.size)}", err=True)
    try:
        with progress_bar(of_bytes=True) as bar:
            path = pull(planned, lambda what, done, total: bar(display_line(what, 60), done, total), CancelToken(), force=force)
    except KeyboardInterrupt:
        kept = plan(planned.offer, planned.choice, planned.place.parent).kept
        said = f"stopped; {size_text(kept)} of {size_text(planned.choice.size)} are kept"
        raise Interrupted(said, "the same command goes on from there") from None
    if not planned.there:
        checked = "sha256 checked" if all(file.sha256 for file in planned.choice.files) else "hash checked"
        click.echo(f"{display_line(str(path))}: {size_text(planned.choice.size)}, {checked}", err=True)
    return path


def _asked_for(planned: Plan) -> Choice:
    """Return what the user chooses. Raises Interrupted when it is nothing."""
    offer, default = planned.offer, planned.choice
    if offer.name.part or len(offer.choices) == 1:
        if click.confirm(f"load {display_line(default.names[0], 80)}?", default=True, err=True):
            return default
        raise Interrupted("nothing was loaded")
    while True:
        answer = str(click.prompt("load which? a quantisation or its number, n for none", default=default.label, err=True)).strip()
        if answer.lower() in _NONE:
            raise Interrupted("nothing was loaded")
        if answer.isdigit() and 0 < int(answer) <= len(offer.choices):
            return offer.choices[int(answer) - 1]
        try:
            return offer.named(answer)
        except ModelError as error:
            click.echo(display_line(error.words()), err=True)


def _show(planned: Plan, *, err: bool) -> None:
    """Print what the repository offers, what would be taken, and the room there is."""
    from studio.engine.catalog import size_text

    offer = planned.offer
    for line in in_columns(_facts(offer)):
        click.echo(line, err=err)
    rows = [("", "", "quantisation", "size", "file")]
    for number, choice in enumerate(offer.choices, 1):
        mark = "*" if choice == planned.choice else ""
        label = display_line(choice.quantisation or "?", 20)
        rows.append((mark, str(number), label, size_text(choice.size), display_line(choice.names[0], 80) + choice.more))
    for line in in_columns(rows, right=(1, 3)):
        click.echo(line, err=err)
    for file, kind in offer.others[:_OTHERS_TOLD]:
        click.echo(f"left out: {display_line(file.path, 80)}, {kind.what}", err=err)
    if len(offer.others) > _OTHERS_TOLD:
        click.echo(f"left out: {counted(len(offer.others) - _OTHERS_TOLD, 'more file')} of other kinds", err=err)
    room = planned.room()
    last = [
        ("takes", f"{display_line(planned.choice.label, 60)}, {planned.why}"),
        ("to", display_line(str(planned.place))),
        ("disk", f"{size_text(room.to_load)} to load, {size_text(room.free)} free"),
        ("memory", f"about {size_text(room.memory)} for a short context, {size_text(room.machine)} here"),
    ]
    for line in in_columns(last):
        click.echo(line, err=err)


def _facts(offer: Offer) -> list[tuple[str, str]]:
    from studio.engine.catalog import count_text

    family = (f"{count_text(offer.parameters)}" if offer.parameters else "", offer.architecture)
    context = f"context {offer.context_length:,}" if offer.context_length else ""
    rows = [
        ("model", f"{offer.name.repo} at {offer.revision[:12]}"),
        ("licence", offer.licence or "not said: see its page before you publish what it writes"),
        ("parameters", " · ".join(filter(None, (*family, context))) or "not said"),
    ]
    if offer.base_models:
        rows.append(("made from", ", ".join(offer.base_models)))
    if offer.gated:
        rows.append(("access", "its owner gives it to accounts that ask on its page"))
    return [(name, display_line(value, 200)) for name, value in rows]


def _as_dict(planned: Plan, state: str) -> dict[str, Any]:
    offer, room = planned.offer, planned.room()
    return {
        "state": state,
        "repo": offer.name.repo,
        "revision": offer.revision,
        **{name: getattr(offer, name) or None for name in ("licence", "parameters", "architecture", "context_length")},
        "base_models": list(offer.base_models),
        "gated": offer.gated,
        "choices": [_choice_as_dict(choice) for choice in offer.choices],
        "left_out": [{"path": file.path, "what": kind.what} for file, kind in offer.others],
        "chosen": _choice_as_dict(planned.choice),
        "why": planned.why,
        "path": str(planned.target),
        "to_load": room.to_load,
        "disk_free": room.free,
        "memory": room.memory,
        "memory_of_machine": room.machine,
    }


def _choice_as_dict(choice: Choice) -> dict[str, Any]:
    files = [{"path": file.path, "size": file.size, "sha256": file.sha256 or None} for file in choice.files]
    return {"quantisation": choice.quantisation or None, "size": choice.size, "files": files}


def _can_ask() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
