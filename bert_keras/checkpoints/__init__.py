"""Checkpoints in every format that BERT comes in, read through one interface."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bert_keras.checkpoints.checkpoint import AddPooler, Checkpoint
from bert_keras.checkpoints.detect import open_checkpoint
from bert_keras.checkpoints.huggingface import save_pretrained
from bert_keras.checkpoints.labels import are_default, label_fields, labels_of
from bert_keras.checkpoints.sentence_transformers import SentenceModules, module_files

if TYPE_CHECKING:
    from bert_keras.models.encoder import BertEncoder
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

__all__ = [
    "Checkpoint",
    "SentenceModules",
    "are_default",
    "label_fields",
    "labels_of",
    "load",
    "load_encoder",
    "module_files",
    "open_checkpoint",
    "save_pretrained",
]


def load_encoder(
    init: str | os.PathLike[str],
    add_pooler: AddPooler = "auto",
    dtype: Any = None,
    hidden_act: str | None = None,
    **arguments: Any,
) -> BertEncoder:
    """The encoder of a checkpoint.

    Args:
        init: as for `open_checkpoint`.
        add_pooler: "auto" for what the checkpoint has, True for a new pooler where it has none.
        dtype: Keras dtype policy, such as "mixed_bfloat16".
        hidden_act: an activation instead of the checkpoint's.
        arguments: more arguments of `Checkpoint.encoder`: `config`, a mapping of fields that
            differ, and BertEncoder's own.

    Raises:
        UserError: there is no such checkpoint, or it is damaged or of another shape.
    """
    if hidden_act is not None:
        arguments["config"] = {**(arguments.get("config") or {}), "hidden_act": hidden_act}
    checkpoint = open_checkpoint(init)
    encoder = checkpoint.encoder(add_pooler, dtype, announce=False, **arguments)
    checkpoint.announce()
    return encoder


def load(init: str | os.PathLike[str], **arguments: Any) -> tuple[BertEncoder, BertTokenizer]:
    """The encoder and the tokenizer of a checkpoint.

    Args:
        init: as for `open_checkpoint`.
        arguments: those of `Checkpoint.encoder`.

    Raises:
        UserError: there is no such checkpoint, it is damaged, or it has no vocabulary.

    Example:

        encoder, tokenizer = load("DIR")
        output = encoder(tokenizer(["a sentence"], ["its pair"]))
    """
    checkpoint = open_checkpoint(init)
    tokenizer = checkpoint.tokenizer()
    encoder = checkpoint.encoder(announce=False, **arguments)
    checkpoint.announce()
    return encoder, tokenizer
