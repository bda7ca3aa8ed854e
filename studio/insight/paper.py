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

WITH_VERB_AND_OBJECT = 26_559
"""Instructions in which the authors' parser found a root verb with a direct-object noun."""
VERB_AND_OBJECT_SHARE = WITH_VERB_AND_OBJECT / INSTRUCTIONS
COMMONEST_PAIRS_SHARE = 0.14
"""Share of the instructions that the 20 most common verbs with their 4 most common objects cover."""
QUALITY = {"instruction_valid": 0.92, "input_appropriate": 0.79, "output_acceptable": 0.58, "all_fields_valid": 0.54}
"""Table 2: the share of yes for 200 sampled instructions with one instance each, rated by an author."""
QUALITY_TASKS = 200

GRADED_TASKS = 252
"""User-oriented tasks whose answers were graded A, B, C or D (section 4.4)."""
GRADES = {"GPT-3": (1, 0, 64, 187), "GPT-3 + Self-Instruct": (112, 49, 66, 25), "InstructGPT-001": (128, 45, 61, 18)}
"""How many answers of each model were graded A, B, C and D."""
