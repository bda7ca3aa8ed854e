"""Trainers load every export format with their own code, and see the texts that the pool has. Run with `-m slow`: the imports are large."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import studio.guide
from studio.pool.exchange.importing import ImportOptions, import_files
from studio.pool.pool import Pool
from support.pairs import pool_with_pairs
from support.pools import export
from support.trainers import END, model_folder, needs, tokenizer, without_sound

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("trainers")]

ASKED, ANSWERED = "Name the colour.\n\nof the sky", "Blue, on most days."
LONG = [("user", "Why?"), ("assistant", "So."), ("user", "Sure?"), ("assistant", "Grüße 中 😀.")]
TALK = {"messages": [{"role": "system", "content": "Be brief."}, *({"role": role, "content": text} for role, text in LONG)]}
WORSE = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for elsewhere."""
    # Not in the environment: the libraries read that once, and would keep it for the tests behind these.
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("DISABLE_VERSION_CHECK", "AXOLOTL_DO_NOT_TRACK"):
        monkeypatch.setenv(name, "1")


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A pool with a pair for each kind of evidence, the imported one too, and a conversation."""
    path = pool_with_pairs(tmp_path / "pool.db")
    source = tmp_path / "more.jsonl"
    source.write_text("\n".join(map(json.dumps, (TALK, WORSE))), encoding="utf-8")
    with Pool.open(path) as opened:
        import_files(opened.tasks, [source], ImportOptions())
    return path


def exported(pool: Path, name: str, target: str = "data.jsonl") -> Path:
    path = pool.parent / target
    path.parent.mkdir(exist_ok=True)
    export(pool, path, name)
    return path


def loaded(path: Path) -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(path.with_name("cache")))


def chat(*turns: tuple[str, str]) -> str:
    """What the tokenizer's template makes of turns."""
    return "".join(f"<|{role}|>{text}{END}" for role, text in turns)


FIRST = chat(("user", ASKED), ("assistant", ANSWERED))


def learned(rows: Sequence[Any], reader: Any) -> list[str]:
    """What each row teaches: the text of the tokens that the loss counts."""
    return [reader.decode([label for label in row["labels"] if label != -100]) for row in rows]


def quick(config: Any, folder: Path) -> Any:
    """A trainer's settings for one step on a CPU."""
    common = {"max_steps": 1, "per_device_train_batch_size": 2, "report_to": [], "use_cpu": True, "bf16": False}
    return config(output_dir=str(folder), save_strategy="no", disable_tqdm=True, **common)


@needs("trl", "torch")
@pytest.mark.parametrize("name", ["chat", "prompt-completion"])
def test_trl_trains_on_examples(pool: Path, tmp_path: Path, name: str) -> None:
    from trl import SFTConfig, SFTTrainer

    data, reader = loaded(exported(pool, name)), tokenizer()
    trainer = SFTTrainer(
        str(model_folder(tmp_path / "model")), quick(SFTConfig, tmp_path / "out"), train_dataset=data, processing_class=reader
    )
    first = trainer.train_dataset[0]
    whole = FIRST if name == "chat" else f"{ASKED}\n\nOutput: {ANSWERED}{END}"
    assert reader.decode(first["input_ids"]) == whole
    if name == "chat":
        assert any(reader.decode(row["input_ids"]) == chat(("system", "Be brief."), *LONG) for row in trainer.train_dataset)
    else:
        assert learned([first], reader) == [f" {ANSWERED}{END}"]
    assert trainer.train().training_loss > 0


@needs("trl", "torch")
@pytest.mark.parametrize("name", ["preference", "preference-text"])
def test_trl_trains_on_preferences(pool: Path, tmp_path: Path, name: str) -> None:
    from trl import DPOConfig, DPOTrainer
    from trl.data_utils import is_conversational

    data, reader = loaded(exported(pool, name)), tokenizer()
    assert is_conversational(data[0]) is (name == "preference")
    trainer = DPOTrainer(
        str(model_folder(tmp_path / "model")), args=quick(DPOConfig, tmp_path / "out"), train_dataset=data, processing_class=reader
    )
    found = [tuple(reader.decode(row[f"{part}_ids"]) for part in ("prompt", "chosen", "rejected")) for row in trainer.train_dataset]
    asked = f"<|user|>{ASKED}{END}<|assistant|>" if name == "preference" else ASKED
    assert found[0] == (asked, f"{ANSWERED}{END}", f"Blu{END}")
    assert len(found) == 6 and any(row[1:] == (f"So.{END}", f"No.{END}") for row in found)
    assert trainer.train().training_loss > 0


@needs("trl", "torch")
def test_trl_unpairs_preferences_for_kto_by_itself(pool: Path) -> None:
    from trl.data_utils import unpair_preference_dataset

    data = unpair_preference_dataset(loaded(exported(pool, "preference")).remove_columns("evidence"))
    assert (len(data), sum(data["label"])) == (12, 6)


@needs("mlx", "mlx_lm", "transformers")
@pytest.mark.parametrize("name", ["chat", "prompt-completion"])
def test_mlx_lm_loads_a_folder(pool: Path, name: str) -> None:
    from mlx_lm.tuner.datasets import load_local_dataset

    exported(pool, name, "mlx/train.jsonl")
    reader = tokenizer()
    train, valid, test = load_local_dataset(pool.with_name("mlx"), reader, SimpleNamespace(mask_prompt=True))
    assert (len(valid), len(test)) == (0, 0)
    tokens, offset = train.process(train[0])
    answer = f"{ANSWERED}{END}" if name == "chat" else f" {ANSWERED}{END}"
    assert reader.decode(tokens[offset:]) == answer
    if name == "chat":
        assert reader.decode(tokens) == FIRST
        assert any(reader.decode(train.process(row)[0]) == chat(("system", "Be brief."), *LONG) for row in train)


AXOLOTL: dict[str, dict[str, Any]] = {
    "alpaca": {"type": "alpaca"},
    "chat": {"type": "chat_template"},
    "sharegpt": {
        "type": "chat_template",
        "field_messages": "conversations",
        "message_property_mappings": {"role": "from", "content": "value"},
    },
}
"""The data set's part of Axolotl's configuration, as the guide gives it."""


@needs("axolotl", "torch", "colorama", "addict")
@pytest.mark.parametrize("name", AXOLOTL)
def test_axolotl_tokenizes_examples(pool: Path, name: str) -> None:
    from axolotl.prompt_strategies import load
    from axolotl.prompt_tokenizers import AlpacaPromptTokenizingStrategy
    from axolotl.prompters import AlpacaPrompter
    from axolotl.utils.dict import DictDefault

    path, reader = exported(pool, name), tokenizer()
    cfg = DictDefault({"sequence_len": 512, "train_on_inputs": False, "chat_template": "tokenizer_default"})
    if name == "alpaca":
        strategy = AlpacaPromptTokenizingStrategy(AlpacaPrompter("instruct"), reader, cfg.train_on_inputs, cfg.sequence_len)
    else:
        strategy = load(AXOLOTL[name]["type"], reader, cfg, DictDefault(AXOLOTL[name]))
    rows = [strategy.tokenize_prompt(row) for row in loaded(path)]
    texts = learned(rows, reader)
    assert texts[0] == f"{ANSWERED}{END}"
    assert "So.<|end|>Grüße 中 😀.<|end|>" in texts if name != "alpaca" else any("Grüße 中 😀." in text for text in texts)


@needs("axolotl", "torch", "colorama", "addict")
@pytest.mark.parametrize("name", ["preference", "preference-text"])
def test_axolotl_makes_preferences(pool: Path, name: str) -> None:
    from axolotl.prompt_strategies.dpo import load
    from axolotl.utils.dict import DictDefault

    dataset = {"type": "chat_template.default", "field_messages": "prompt"}
    cfg = DictDefault({"datasets": [dataset], "chat_template": "tokenizer_default"})
    made, _ = load("chat_template.default", cfg, dataset_idx=0)
    row = made(loaded(exported(pool, name))[0], tokenizer=tokenizer())
    assert (row["prompt"], row["chosen"], row["rejected"]) == (f"<|user|>{ASKED}{END}<|assistant|>", f"{ANSWERED}{END}", f"Blu{END}")


def llama_factory_entries() -> dict[str, Any]:
    """The entries of `dataset_info.json` that the guide gives, by the format that each is for."""
    text = (Path(studio.guide.__file__).parent / "export.md").read_text(encoding="utf-8")
    found = re.search(r"^```json\n(.*?)^```", text[text.index("**LLaMA-Factory**") :], re.MULTILINE | re.DOTALL)
    assert found is not None
    entries = json.loads("{" + found[1] + "}")
    return dict(zip(("alpaca", "sharegpt", "chat", "preference-text"), entries.values(), strict=True))


LLAMA_FACTORY = llama_factory_entries()


@needs("llamafactory", "torch", "omegaconf")
@pytest.mark.parametrize("name", LLAMA_FACTORY)
def test_llama_factory_loads_a_data_set(pool: Path, name: str) -> None:
    without_sound()
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    exported(pool, name, "lf/data.train.jsonl")
    info = pool.with_name("lf") / "dataset_info.json"
    info.write_text(json.dumps({"self_instruct": LLAMA_FACTORY[name]}))
    reader = tokenizer()
    data_args = DataArguments(template="default", dataset="self_instruct", dataset_dir=str(info.parent), cutoff_len=512)
    training = Seq2SeqTrainingArguments(output_dir=str(pool.with_name("out")), report_to=[], use_cpu=True)
    model_args = ModelArguments(model_name_or_path="tiny", cache_dir=str(pool.with_name("lf-cache")))
    template = get_template_and_fix_tokenizer(reader, data_args)
    stage = "rm" if name == "preference-text" else "sft"
    rows = get_dataset(template, model_args, data_args, training, stage=stage, tokenizer=reader)["train_dataset"]
    if stage == "rm":
        answers = [reader.decode([label for label in rows[0][f"{part}_labels"] if label != -100]) for part in ("chosen", "rejected")]
        assert answers == [f"{ANSWERED}{END}\n", f"Blu{END}\n"] and len(rows) == 6
    else:
        texts = learned(rows, reader)
        assert texts[0] == f"{ANSWERED}{END}\n"
        assert any("Grüße 中 😀." in text for text in texts)
