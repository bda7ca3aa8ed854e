"""Every figure of a GPU machine in one JSON file: tests, doctor, tokens a second, finetuning. What is worth most comes first.

`python -m gpu.figures OUT`. Each step has a time limit of its own and all of them a budget; what fails is recorded and the next step
begins. `figures.json` and `log.txt` in OUT are whole after each step and each figure. The studio is not imported here: it may fail.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, BinaryIO

PROJECT = Path(__file__).parents[2]
_LEAST_S = 10
"""A step is not begun with less left of the budget."""
_TOLD = {"llama-cpp-python", "numpy", "torch", "transformers", "peft", "gguf", "pytest", "pydantic", "textual", "rapidfuzz"}
_STUDIO = (sys.executable, "-m", "studio")
_ENDING_S = 5
_TRAINED = "200"
_LAST_BYTES = 2000
_GPU = ("memory.used", "utilization.gpu", "power.draw")


@dataclass(frozen=True, slots=True)
class Step:
    """A command and its seconds at most; each line of its output that is a JSON object is a figure. `needs` is a step made before it."""

    command: tuple[str, ...]
    limit: float
    needs: str = ""


def steps(work: Path, *, tiny: bool, lib: bool) -> dict[str, Step]:
    """Return the steps by name, in their order."""

    def model(shape: str) -> str:
        return str(work / f"{shape}.gguf")

    def module(name: str, *words: str) -> tuple[str, ...]:
        return (sys.executable, "-m", name, *words)

    small, large = ("tiny", "tiny2") if tiny else ("1b", "8b")
    seconds = "1" if tiny else "3"
    quick = ("--requests", "4", "--tokens", "8") if tiny else ("--requests", "128", "--tokens", "64")
    bundled = model(small) if tiny else ""
    bench = (*_STUDIO, "bench", "generate", "--json", "--repeats", "1", *quick)
    told = ("finetune", str(work / "lessons.db"), "--json")
    tune = (*_STUDIO, *told, "--precision", "float32" if tiny else "bfloat16")

    def short_of_memory(name: str, gigabytes: str) -> Step:
        return Step(module("gpu.crowded", gigabytes, *_STUDIO, *told, "--name", name, "--model", model(large)), 200, "make_large")

    pytest = module("pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "--durations", "5", "tests/gpu")
    return {
        **({} if lib else {"build": Step(("bash", "tests/gpu/hardware.sh", "build"), 900)}),
        "tests": Step(pytest, 120),
        "doctor": Step((*_STUDIO, "doctor", "--json"), 40),
        "make_small": Step(module("gpu.shapes", model(small), small), 40),
        "sweep_small": Step(module("gpu.measure", model(small), seconds), 70, "make_small"),
        "lessons": Step(module("gpu.lessons", str(work / "lessons.db"), _TRAINED), 20),
        "finetune_bundled": Step((*tune, "--name", "bundled"), 75, "lessons"),
        "make_large": Step(module("gpu.shapes", model(large), small if tiny else large), 60),
        "sweep_large": Step(module("gpu.measure", model(large), seconds), 90, "make_large"),
        "bench_bundled": Step((*bench, "--only", "sequential,engine,raw", "--model", bundled), 60),
        "finetune_small": Step((*tune, "--name", "small", "--model", model(small)), 120, "make_small"),
        "bench_small": Step((*bench, "--only", "engine,raw", "--model", model(small)), 60, "make_small"),
        "sweep_bundled": Step(module("gpu.measure", bundled, seconds), 60),
        "bench_large": Step((*bench, "--only", "engine,raw", "--model", model(large)), 60, "make_large"),
        "rounds_bundled": Step((*bench, "--only", "round", "--rounds", "1", "--model", bundled), 60),
        "finetune_large": Step((*tune, "--name", "large", "--model", model(large)), 200, "make_large"),
        # Where less is free: blocks computed once more on the way back, then weights in 4 bits.
        **({} if tiny else {name: short_of_memory(name, gigabytes) for name, gigabytes in (("large_24_gb", "24"), ("large_12_gb", "12"))}),
    }


class Record:
    """The JSON file: written whole after each change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values: dict[str, Any] = {"machine": {}, "steps": {}}
        with contextlib.suppress(OSError, ValueError):  # an earlier call's, of which some steps are repeated
            self.values = json.loads(path.read_text("utf-8"))

    def save(self) -> None:
        """Write the file."""
        half = self._path.with_suffix(".tmp")
        half.write_text(json.dumps(self.values, indent=1), "utf-8")
        half.replace(self._path)


def run(step: Step, limit: float, told: dict[str, Any], log: BinaryIO, save: Callable[[], None]) -> None:
    """Run a step for `limit` seconds at most and fill `told` with what came of it; its output and its errors are appended to `log`."""
    began, start = time.monotonic(), log.tell()
    with watched(told), _group(step.command, log) as process:
        alarm = threading.Timer(limit, _end, (process,))
        alarm.start()
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            log.flush()
            if line.startswith(b"{"):
                with contextlib.suppress(ValueError):
                    told.setdefault("figures", []).append(json.loads(line))
                    save()
        told["rc"] = process.wait()
        alarm.cancel()
    told["seconds"] = round(time.monotonic() - began, 2)
    told["timed_out"] = told["seconds"] >= limit
    log.seek(max(start, log.seek(0, os.SEEK_END) - _LAST_BYTES))
    words = log.read().decode("utf-8", "replace").splitlines()
    told["last_lines"] = [line for line in words if not line.startswith("{")]


@contextmanager
def _group(command: tuple[str, ...], log: BinaryIO) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in a process group of its own, which ends with it."""
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a step: asked first, since what it started in sessions of its own ends with it alone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_S)
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def watched(told: dict[str, Any]) -> Iterator[None]:
    """Look at the GPU twice a second, and tell the most and the mean of each of `_GPU`."""
    if shutil.which("nvidia-smi") is None:
        yield
        return
    query = ("nvidia-smi", f"--query-gpu={','.join(_GPU)}", "--format=csv,noheader,nounits", "-lms", "500")
    with subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as looking:
        try:
            yield
        finally:
            looking.terminate()
            assert looking.stdout is not None
            whole = [line for line in looking.stdout if line.count(",") == len(_GPU) - 1 and "[" not in line]
            rows = [[float(value) for value in line.split(",")] for line in whole]
            for name, values in zip(_GPU, zip(*rows, strict=False), strict=False):
                told[f"gpu {name}"] = {"max": max(values), "mean": round(sum(values) / len(values), 1)}


def machine() -> dict[str, Any]:
    """Return what this machine is and what is installed; libraries that the build asks for in vain."""

    def output(*command: str) -> str:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
        return ""

    packages = {each.metadata["Name"]: each.version for each in reversed(list(distributions())) if each.metadata["Name"] in _TOLD}
    libraries = sorted((Path(os.environ.get("STUDIO_GPU_SITE", "/nowhere")) / "llama_cpp" / "lib").glob("lib*.so"))
    missing = [line.strip() for each in libraries for line in output("ldd", str(each)).splitlines() if "not found" in line]
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": next((line.partition(":")[2].strip() for line in output("lscpu").splitlines() if line.startswith("Model name")), ""),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": output("nvidia-smi", "--query-gpu=name,driver_version,memory.total,compute_cap", "--format=csv,noheader"),
        "nvcc": output("nvcc", "--version").splitlines()[-1:],
        "packages": packages,
        "libraries": {each.name: each.stat().st_size for each in libraries},
        "missing_libraries": missing,
    }


def main() -> None:
    """Run the steps. Ends with exit code 1 when one failed."""
    parser = argparse.ArgumentParser(prog="gpu.figures")
    parser.add_argument("out", type=Path)
    parser.add_argument("--budget", type=float, default=480, help="seconds for everything")
    parser.add_argument("--began", type=float, default=time.time(), help="when they began, in seconds since 1970")
    parser.add_argument("--only", default="", help="these steps, separated by commas, and what they need")
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the mechanics on a CPU")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    work = Path(os.environ["STUDIO_GPU_WORK"])
    lib = any((Path(os.environ["STUDIO_GPU_SITE"]) / "llama_cpp" / "lib").glob("libllama*"))
    all_steps = steps(work, tiny=asked.tiny, lib=lib)
    only = set(filter(None, asked.only.split(",")))
    if unknown := only - set(all_steps):
        parser.error(f"no step {', '.join(sorted(unknown))}; known: {', '.join(all_steps)}")
    only |= {all_steps[name].needs for name in only} | {"lessons" for name in only if "lessons.db" in " ".join(all_steps[name].command)}
    if only and not lib:
        only.add("build")
    record = Record(asked.out / "figures.json")
    record.values["machine"] = machine()
    failed = False
    with (asked.out / "log.txt").open("a+b") as log:
        for name, step in all_steps.items():
            if only and name not in only:
                continue
            told: dict[str, Any] = {}
            record.values["steps"][name] = told
            left = asked.budget - (time.time() - asked.began)
            if left < _LEAST_S:
                told["skipped"] = f"{left:.0f} s were left"
            else:
                log.write(f"\n==== {name}: {' '.join(step.command)}\n".encode())
                log.flush()
                run(step, min(step.limit, left), told, log, record.save)
                failed = failed or told["rc"] != 0
            record.save()
            sys.stdout.write(f"{name}: {told.get('skipped') or 'rc {rc}, {seconds} s'.format(**told)}\n")
            sys.stdout.flush()
    sys.exit(failed)


if __name__ == "__main__":
    main()
