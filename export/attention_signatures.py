"""The signature `attention`: what the tokens of a text look at, one layer and head at a time."""

from __future__ import annotations

import tensorflow as tf

from bert_keras.export.guards import Outputs, Signatures, same_batch, text_specs
from bert_keras.tasks import (
    BertTask,
    FillMask,
    MultipleChoice,
    QuestionAnswerer,
    SentenceEmbedder,
)

Features = dict[str, tf.Tensor]


def attention(task: BertTask) -> Signatures:
    """`attention`, on the texts as one row of the model's tokens, cut where these are too many.

    Inputs: `text`, and of models of two texts `text_pair`, which is the context of a question or
    the choice of a context: strings `[batch]`; `layer` and `head`, int32 `[batch]`, from 0.

    Outputs: `tokens` `[batch, length]`, empty behind the last; `attention` float
    `[batch, length, length]`, from token to token, every row of a token adding up to 1; `layers`
    and `heads`, int32 `[batch]`, how many there are. All layers and heads together would be 144
    such matrices for a text of the base size.
    """
    names = ["text", "text_pair"] if _takes_pairs(task) else ["text"]
    vocabulary = tf.constant(task.tokenizer.vocabulary)
    config = task.encoder.config

    def show(*inputs: tf.Tensor) -> Outputs:
        texts, (layer, head) = same_batch(*inputs[:-2]), same_batch(*inputs[-2:])
        # Gathering refuses a number that no layer has.
        layer = tf.gather(tf.range(config.num_hidden_layers), layer)
        features = _features(task, texts)
        real = features["padding_mask"] > 0
        every = task.encoder(features, output_attentions=True)["attentions"]
        return {
            "tokens": tf.where(real, tf.gather(vocabulary, features["token_ids"]), ""),
            "attention": _chosen(every, layer, head, real),
            "layers": tf.fill(tf.shape(layer), config.num_hidden_layers),
            "heads": tf.fill(tf.shape(layer), config.num_attention_heads),
        }

    numbers = [tf.TensorSpec([None], tf.int32, name=name) for name in ("layer", "head")]
    return {"attention": tf.function(show, input_signature=[*text_specs(names), *numbers])}


def _takes_pairs(task: BertTask) -> bool:
    two = isinstance(task, QuestionAnswerer | MultipleChoice)
    return two or bool(getattr(task, "pairs", False))


def _features(task: BertTask, texts: tuple[tf.Tensor, ...]) -> Features:
    if isinstance(task, FillMask):
        return task.tokenizer.with_masks(texts[0], task.max_length)
    text, pair = (*texts, None)[:2]
    if isinstance(task, SentenceEmbedder):
        text = task.prompts.named(None) + text
    return task.tokenizer(text, pair, max_length=task.max_length)


def _chosen(
    every: list[tf.Tensor], layer: tf.Tensor, head: tf.Tensor, real: tf.Tensor
) -> tf.Tensor:
    """Of every layer's probabilities `[batch, heads, length, length]` those of one layer and head
    for each example; 0 from padding, where they are not defined, and to it."""
    seen = real[:, :, None] & real[:, None, :]
    chosen = tf.zeros(tf.shape(seen))
    for number, probabilities in enumerate(every):
        of_head = tf.gather(tf.cast(probabilities, tf.float32), head, batch_dims=1)
        chosen = tf.where(tf.equal(layer, number)[:, None, None] & seen, of_head, chosen)
    return chosen
