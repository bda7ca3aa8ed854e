"""Options and the defaults that follow from the machine."""

from __future__ import annotations

from typing import Any

import click
import pytest

from studio.cli import cli
from studio.engine.opening import open_engine
from studio.engine.options import MAX_PARALLEL, MAX_PARALLEL_SERVER, EngineOptions, default_context
from studio.errors import UsageError
from studio.loop.runs import RunOptions


@pytest.mark.parametrize("name", ["context", "threads", "parallel"])
def test_negative_numbers_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"--{name} -1"):
        setting: dict[str, Any] = {name: -1}
        EngineOptions(**setting)


def test_minus_one_gpu_layers_means_all() -> None:
    assert EngineOptions(gpu_layers=-1).gpu_layers == -1
    with pytest.raises(UsageError, match="--gpu-layers -2"):
        EngineOptions(gpu_layers=-2)


def test_more_sequences_than_llama_cpp_has() -> None:
    assert EngineOptions(parallel=MAX_PARALLEL_SERVER).parallel == MAX_PARALLEL_SERVER
    with pytest.raises(UsageError, match=f"--parallel {MAX_PARALLEL_SERVER + 1}"):
        EngineOptions(parallel=MAX_PARALLEL_SERVER + 1)
    with pytest.raises(UsageError, match=f"llama.cpp runs at most {MAX_PARALLEL} sequences"):
        open_engine("", EngineOptions(parallel=MAX_PARALLEL + 1))


@pytest.mark.parametrize("command", ["run", "evaluate", "bench"])
def test_one_limit_of_sequences_stands_everywhere(command: str) -> None:
    named = cli.get_command(click.Context(cli), command)
    assert named is not None
    commands = [named, *getattr(named, "commands", {}).values()]
    options = [option for each in commands for option in each.params if option.name == "parallel"]
    assert options and {option.type.max for option in options} == {MAX_PARALLEL_SERVER}
    assert all(f"{MAX_PARALLEL}, at a server {MAX_PARALLEL_SERVER}" in option.help for option in options)
    field = RunOptions.model_fields["parallel"]
    assert {limit.le for limit in field.metadata if hasattr(limit, "le")} == {MAX_PARALLEL_SERVER}
    assert str(MAX_PARALLEL) in (field.description or "")


def test_the_context_holds_a_request_for_each_sequence_and_four_templates() -> None:
    assert default_context(16) == 17_664
    assert all(default_context(n) % 256 == 0 and default_context(n) >= 600 * n + 8000 for n in range(1, 100))
