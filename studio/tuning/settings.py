"""The parameters of a training: everything that decides which adapter comes of the pool's data and a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from studio.config import validated
from studio.loop.settings import Parameters
from studio.tuning.prompt_format import AUTO

Data = Literal["all", "generated", "seeds"]
Precision = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda", "mps"]


class TrainingSettings(Parameters):
    """LoRA on all seven linear layers of each block, AdamW, linear decay after a short warm-up, loss on completions only.

    `batch` counts examples of an optimiser step; how many pass through the model at once follows from the device.
    """

    format: str = Field(AUTO, description="how examples are written, see `formats.FORMATS`; auto is chat where the model has a template")
    data: Data = Field("all", description="generated and imported tasks with the seeds, without them, or the seeds alone")
    seed: str = Field("0", description="decides split, formats, order and first weights")
    validation: float = Field(0.1, ge=0.0, lt=1.0, description="share of instructions that are only measured by; 0 is none")
    epochs: int = Field(1, ge=1, le=1000, description="passes over the data at most")
    learning_rate: float = Field(5e-4, gt=0.0, le=1.0, description="highest learning rate")
    rank: int = Field(16, ge=1, le=1024, description="rank of the adapter")
    alpha: int = Field(32, ge=1, le=4096, description="scale of the adapter: alpha / rank")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="share of the adapter's inputs that are left out in training")
    batch: int = Field(8, ge=1, le=1024, description="examples of an optimiser step")
    max_tokens: int = Field(512, ge=16, le=131_072, description="longer examples are left out")
    evaluations: int = Field(4, ge=1, le=1000, description="times the validation loss is taken in an epoch")
    patience: int = Field(3, ge=1, le=1000, description="validations without a better loss before it stops")
    precision: Precision = Field("auto", description="of the frozen weights; auto is bfloat16 on a GPU and float32 elsewhere")
    device: Device = Field("auto", description="where it runs; auto is a GPU that PyTorch sees, else the CPU")


def training_settings(values: Mapping[str, Any]) -> TrainingSettings:
    """Return the settings with `values` in their places. Raises UsageError for an unknown format or a value that does not fit."""
    from studio.tuning.formats import find_format

    settings = validated(TrainingSettings, values, "setting")
    if settings.format != AUTO:
        find_format(settings.format)
    return settings
