"""`bert-keras convert`: a checkpoint of any format, written in another."""

from __future__ import annotations

import dataclasses
from typing import Any

from absl import flags

from bert_keras import checkpoints
from bert_keras.checkpoints import google_tf1, names
from bert_keras.config import BertConfig

# What a checkpoint is called by the heads that it has; the first row that fits decides.
_ARCHITECTURES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("masked_lm", "next_sentence"), "BertForPreTraining"),
    (("masked_lm",), "BertForMaskedLM"),
    (("classifier",), "BertForSequenceClassification"),
    (("question_answering",), "BertForQuestionAnswering"),
    ((), "BertModel"),
)
# Fields of config.json beyond the encoder's that say what the heads' outputs mean.
_KEPT_SETTINGS = ("id2label", "label2id", "problem_type", "bert_keras")


def run(values: flags.FlagValues) -> int:
    """Converts `--from` to `--output` and prints one line about what was written."""
    source = values["from"].value  # `values.from` is not Python: the name is a keyword
    print(convert(source, values.to, values.output, values.hidden_act))
    return 0


def convert(source: str, to: str, output: str, hidden_act: str | None = None) -> str:
    """Writes a checkpoint in another format, with every head that both formats have.

    Args:
        source: as for `checkpoints.open_checkpoint`.
        to: "huggingface" or "google_tf1".
        output: the directory to write.
        hidden_act: an activation instead of the source's.

    Returns one line that says what was written.

    Raises:
        UserError: the source cannot be read, or the target format cannot hold it.
    """
    checkpoint = checkpoints.open_checkpoint(source)
    config = checkpoint.config
    if hidden_act is not None:
        config = dataclasses.replace(config, hidden_act=hidden_act)
    tokenizer = checkpoint.tokenizer()
    encoder = checkpoint.encoder()
    heads = {
        head: checkpoint.head(head)
        for head in names.HEADS
        if checkpoint.has_head(head) and names.head_entries(head, to)
    }
    if to == "google_tf1":
        google_tf1.save_checkpoint(output, config, encoder, heads, tokenizer)
        kind = "google_tf1"
    else:
        kind = _architecture(checkpoint, heads)
        extra = {k: v for k, v in checkpoint.settings.items() if k in _KEPT_SETTINGS}
        checkpoints.save_pretrained(output, config, kind, encoder, heads, extra, tokenizer)
    return _report(output, kind, config, encoder.count_params(), heads)


def _architecture(checkpoint: checkpoints.Checkpoint, heads: dict[str, Any]) -> str:
    """transformers' class: what the source says, else what its heads make it."""
    stated = checkpoint.settings.get("architectures") or []
    if len(stated) == 1:
        return stated[0]
    return next(name for needed, name in _ARCHITECTURES if set(needed) <= set(heads))


def _report(output: str, kind: str, config: BertConfig, count: int, heads: dict[str, Any]) -> str:
    return (
        f"{output}: {kind}, {config.num_hidden_layers} layers, {config.hidden_size} wide, "
        f"{count:,} weights in the encoder, hidden_act {config.hidden_act}, "
        f"heads: {', '.join(heads) or 'none'}"
    )
