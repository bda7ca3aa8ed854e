"""The figures of Wang et al. 2022 (arXiv 2212.10560), table 1 and section 3, to compare a pool with."""

from __future__ import annotations

INSTRUCTIONS = 52_445
CLASSIFICATION_SHARE = 11_584 / 52_445
INSTANCES = 82_439
INSTANCES_PER_TASK = INSTANCES / INSTRUCTIONS
EMPTY_INPUT_SHARE = 35_878 / INSTANCES
MEAN_INSTRUCTION_WORDS = 15.9
MEAN_INPUT_WORDS = 12.7
"""Of the inputs that are not empty."""
MEAN_OUTPUT_WORDS = 18.9
