"""Freezing of an encoder's lower part."""

from __future__ import annotations

from bert_keras.errors import UserError
from bert_keras.models.encoder import BertEncoder


def freeze(encoder: BertEncoder, what: str) -> None:
    """Makes a part of the encoder's weights untrainable, before the model is compiled.

    Args:
        encoder: of a task model.
        what: `none`; `embeddings`; `layers:N`, the embeddings and the N lowest layers; or
            `encoder`, all of it, pooler included.

    Raises:
        UserError: it is none of these, or the encoder has fewer layers.
    """
    kind, _, count = what.partition(":")
    layers = len(encoder.blocks)
    if kind == "encoder":
        encoder.trainable = False
    elif what == "embeddings" or (kind == "layers" and count.isdecimal()):
        if int(count or 0) > layers:
            raise UserError(f"--freeze={what}: the encoder has {layers} layers")
        for part in (encoder.embeddings, *encoder.blocks[: int(count or 0)]):
            part.trainable = False
    elif what != "none":
        raise UserError(f"--freeze={what}: expected none, embeddings, layers:N or encoder")
