"""Pretraining the demo's model through `bert-keras prepare` and `bert-keras pretrain`."""

from __future__ import annotations

import dataclasses
import pathlib

from bert_keras.config import read_json
from bert_keras.data.files import write_json
from bert_keras.demo.stages import Result
from bert_keras.demo.verbs import run_verb

# Sentences of our own.
_MASK = "[MASK]"
GAPS = (
    "Return the [MASK] of rows in the table.",
    "Write the text to a [MASK].",
    "Raise an error [MASK] the file does not exist.",
)


@dataclasses.dataclass(frozen=True)
class PretrainingRecipe:
    """The recipe, as `bert-keras pretrain` has it.

    Docstrings are short, and so are the examples; small batches give many updates in little time.
    """

    steps: int = 4000
    batch_size: int = 32
    seq_length: int = 64
    learning_rate: float = 1.5e-3
    warmup_steps: int = 400
    dropout: float = 0.0
    steps_per_loop: int = 400
    checkpoint_every: int = 400
    seed: int = 0


def write_start(folder: pathlib.Path, size: str, seed: int) -> Result:
    """Leaves `start/`: a model directory with random weights, to be named by `--init`."""
    from bert_keras.config import BertConfig
    from bert_keras.tasks import BertPretrainer
    from bert_keras.tokenization import BertTokenizer

    width = BertConfig.named(size).hidden_size
    # BERT's own deviation, 0.02, suits a width of 768 and shrinks what narrow layers pass on;
    # one over the root of the width keeps its size.
    config = {"initializer_range": round(width**-0.5, 4), "max_position_embeddings": 128}
    tokenizer = BertTokenizer(folder / "vocab.txt")
    task = BertPretrainer.from_pretrained(
        f"size:{size}", seed=seed, tokenizer=tokenizer, config=config
    )
    task.save_pretrained(folder / "start")
    return {}


def pretrain(folder: pathlib.Path, recipe: PretrainingRecipe) -> Result:
    """Leaves `store/` (the tokenized text) and `pretrain/` (the run) in the demo's folder."""
    for part in ("train", "held_out"):
        run_verb(
            "prepare",
            corpus=folder / "text" / f"{part}.txt",
            documents="blank_line",
            sentences="line",
            vocab=folder / "vocab.txt",
            output_dir=folder / "store" / part,
        )
    run_verb(
        "pretrain",
        init=folder / "start",
        corpus=folder / "store" / "train",
        eval_corpus=folder / "store" / "held_out",
        output_dir=folder / "pretrain",
        **dataclasses.asdict(recipe),
    )
    _restore_dropout(folder / "start", folder / "pretrain" / "model")
    return {}


def _restore_dropout(start: pathlib.Path, model: pathlib.Path) -> None:
    """So few passes over the text need no dropout; fine-tuning is to have it from either start."""
    before, config = (read_json(path / "config.json") for path in (start, model))
    names = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    write_json(model / "config.json", config | {name: before[name] for name in names})


def fill_masks(model: pathlib.Path, most: int = 3) -> Result:
    """The likeliest words for the mask in each of `GAPS`, with their probabilities."""
    import numpy as np
    from scipy.special import softmax

    from bert_keras.tasks import BertPretrainer

    task = BertPretrainer.from_pretrained(model)
    tokenizer = task.tokenizer
    filled = []
    for gap in GAPS:
        # A tokenizer takes text that says [MASK] as text, so the token is put in between.
        before, after = tokenizer.tokenize(gap.split(_MASK)).to_list()
        ids = [tokenizer.cls_id, *before, tokenizer.mask_id, *after, tokenizer.sep_id]
        row = np.asarray([ids], np.int32)
        features = {
            "token_ids": row,
            "segment_ids": np.zeros_like(row),
            "padding_mask": np.ones_like(row),
            "mask_positions": np.asarray([[len(before) + 1]], np.int32),
        }
        scores = softmax(np.asarray(task.network(features)["mlm_logits"])[0])
        best = np.argsort(-scores, kind="stable")[:most].tolist()
        filled.append([gap, [[tokenizer.vocabulary[i], float(scores[i])] for i in best]])
    return {"filled": filled}
