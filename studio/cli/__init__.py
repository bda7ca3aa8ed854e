"""The command line. A command's module is imported only when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module

import click

from studio import __version__
from studio.cli.shared import OutputError, ReaderLeft, give_up_output, is_terminal, prepare_streams
from studio.errors import ExitCode, StudioError, nearest_name, unexpected
from studio.text import display_line

COMMANDS = {
    "run": ("run", "Generate tasks with a local model."),
    "export": ("export", "Write the pool as a dataset for finetuning."),
    "import": ("task_files", "Bring tasks into a pool."),
    "show": ("show", "Show a task or candidate and how it came about."),
    "stats": ("show", "Show figures of a pool beside the paper's."),
    "review": ("studies", "Rate a sample of the pool, as the paper did."),
    "overlap": ("task_files", "Compare two files of tasks, or check for contamination."),
    "diversity": ("show", "Show how diverse the instructions are."),
    "lint": ("show", "Look for what is wrong with a pool's data."),
    "finetune": ("tuning", "Train a LoRA adapter of a model on a pool's data."),
    "judge": ("studies", "Let a model answer the raters' questions, as one more opinion."),
    "compare": ("studies", "Grade two models' answers side by side, blind."),
    "report": ("export", "Write a page to publish beside the dataset."),
    "publish": ("export", "Publish the data on the Hugging Face hub, with card and report."),
    "evaluate": ("tuning", "Evaluate models on tasks that were held out."),
    "models": ("models", "List the models that are there."),
    "seeds": ("task_files", "Check and locate seed task files."),
    "bench": ("machine", "Measure this machine, side by side with the plain way."),
    "doctor": ("machine", "Check the installation, the model and the GPU."),
    "skill": ("help", "Print or install the guide for coding assistants."),
    "help": ("help", "Read the guide: models, settings, keys, SQL, export and more."),
}
"""Command name -> (module of this package that has it as `NAME_command`, one-line help)."""

POOL_ENDINGS = (".db", ".sqlite", ".sqlite3", ".pool")
"""Names that are taken for a new pool."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"studio.cli.{COMMANDS[cmd_name][0]}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            if _is_pool(args[0]):
                return "run", self.get_command(ctx, "run"), args
            ctx.fail(f"there is no command {args[0]!r}; {nearest_name(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _is_pool(word: str) -> bool:
    """Whether a word in a command's place is meant as a pool: `studio POOL` is `studio run POOL`."""
    return word.endswith(POOL_ENDINGS) or os.sep in word or os.path.isfile(word)  # noqa: PTH113  (pathlib costs start-up time)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, "--version", prog_name="studio")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Self-Instruct on your own machine.

    A local language model writes its own instruction-tuning data into a pool, one SQLite file, with every decision on record.
    `studio` alone opens the terminal studio, `studio pool.db` goes straight in. Without a screen: studio run pool.db --headless --target 20
    """
    if ctx.invoked_subcommand is not None:
        return
    if not is_terminal():
        raise click.exceptions.NoArgsIsHelpError(ctx)
    from studio.loop.runs import load_configuration
    from studio.tui import run_studio

    run_studio(None, load_configuration(None, os.environ, {}))


def main(command: click.Command = cli, name: str = "studio") -> None:
    """Entry point of the `studio` command: run it and turn every error a user can meet into one line and an exit code."""
    prepare_streams()
    code = _exit_code(lambda: command.main(prog_name=name, standalone_mode=False))
    finished = _exit_code(sys.stdout.flush)
    sys.exit(code or finished)


def _exit_code(work: Callable[[], int | None]) -> int:
    """Do `work` and return the exit code that its end stands for. Errors in the studio itself are raised."""
    try:
        return work() or 0
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):
            # click takes the end of anything that was read, a damaged file of a library too, for a user who closed stdin.
            raise error.__cause__ from None
        return _report("interrupted", "", ExitCode.INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        return _report(error.format_message(), f"see `{context.command_path} --help`" if context is not None else "", ExitCode.USAGE)
    except StudioError as error:
        if isinstance(error, ReaderLeft | OutputError):
            give_up_output()
        return int(error.exit_code) if isinstance(error, ReaderLeft) else _report(error.message, error.hint, error.exit_code)
    except OSError as error:
        # What the system refuses is no fault of the studio's own: the place is enough, how it came there is not asked for.
        told = unexpected(error)
        return _report(told.message, "check the working directory, its permissions and the free space", told.exit_code)


def _report(message: str, hint: str, code: ExitCode) -> int:
    print(f"error: {display_line(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {display_line(hint)}", file=sys.stderr)
    return int(code)
