"""PretrainingNetwork: BERT's encoder with the two heads that it is pretrained with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from bert_keras.layers import kernels
from bert_keras.layers.kernels import Tensor
from bert_keras.layers.masked_lm_head import MaskedLMHead
from bert_keras.layers.next_sentence_head import NextSentenceHead
from bert_keras.models.encoder import BertEncoder

INPUTS = (
    "token_ids",
    "segment_ids",
    "padding_mask",
    "position_ids",
    "sequence_ids",
    "cls_positions",
)
TARGETS = (
    "mask_positions",
    "mask_ids",
    "mask_weights",
    "next_sentence_labels",
    "next_sentence_weights",
)

# Keeps a batch whose weights are all zero from dividing zero by zero.
_SMALLEST_WEIGHT = 1e-5


@dataclasses.dataclass(frozen=True)
class PretrainingLoss:
    """One loss of a batch as three float32 scalars, so that batches and replicas add up.

    Attributes:
        total: cross-entropy in nats, summed with the weights.
        weight: sum of the weights.
        correct: weight of the predictions whose likeliest answer is the right one.
    """

    total: Tensor
    weight: Tensor
    correct: Tensor


def _weighted(losses: Tensor, hits: Tensor, weights: Tensor) -> PretrainingLoss:
    """Sums of losses `[n]` and hits `[n]` under weights `[n]` or of any shape of n elements."""
    flat = ops.reshape(ops.cast(weights, "float32"), (-1,))
    return PretrainingLoss(
        ops.sum(losses * flat), ops.sum(flat), ops.sum(ops.cast(hits, "float32") * flat)
    )


def _next_sentence_loss(logits: Tensor, features: Mapping[str, Tensor]) -> PretrainingLoss:
    labels = ops.reshape(ops.cast(features["next_sentence_labels"], "int32"), (-1,))
    weights = features.get("next_sentence_weights")
    if weights is None:
        weights = ops.ones_like(labels)
    return _weighted(*kernels.cross_entropy(logits, labels), weights)


def pretraining_losses(
    outputs: Mapping[str, Tensor], features: Mapping[str, Tensor]
) -> dict[str, PretrainingLoss]:
    """The losses of a batch from the logits of a `PretrainingNetwork`.

    Args:
        outputs: `mlm_logits` `[batch * predictions, vocabulary]` and, with next sentence
            prediction, `nsp_logits` `[examples, 2]`.
        features: `mask_ids` and `mask_weights` `[batch, predictions]`; `next_sentence_labels`
            and, optionally, `next_sentence_weights` `[batch]` or `[batch, per_row]`.

    Returns the losses "mlm" and, with next sentence prediction, "nsp".
    """
    words = ops.reshape(ops.cast(features["mask_ids"], "int32"), (-1,))
    found = kernels.cross_entropy(outputs["mlm_logits"], words)
    losses = {"mlm": _weighted(*found, features["mask_weights"])}
    if "nsp_logits" in outputs:
        losses["nsp"] = _next_sentence_loss(outputs["nsp_logits"], features)
    return losses


@keras.saving.register_keras_serializable(package="bert_keras")
class PretrainingNetwork(keras.Model):
    """Masked language model and next sentence prediction (Devlin et al. 2018, section 3.1).

    The masked language model runs on the gathered positions only, and its output table is the
    encoder's word-embedding table. All variables exist as soon as it is constructed.

    Args:
        encoder: the BertEncoder; it needs a pooler for next sentence prediction.
        next_sentence: whether there is a head for next sentence prediction.

    Call arguments:
        features: those of the encoder, and `mask_positions` int `[batch, predictions]`, the
            tokens to predict; unused places hold 0 and have a weight of 0 in the loss.
        training: whether dropout is applied.

    Returns a dict of float32 logits: `mlm_logits` `[batch * predictions, vocabulary]`, row by
    row, and with next sentence prediction `nsp_logits` `[batch, 2]`, or `[batch * per_row, 2]`
    when packed; class 0 is "follows", 1 is "random".
    """

    def __init__(self, encoder: BertEncoder, next_sentence: bool = True, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", encoder.dtype_policy)
        kwargs.setdefault("name", "pretraining_network")
        super().__init__(**kwargs)
        if next_sentence and encoder.pooler is None:
            raise ValueError("next sentence prediction needs an encoder with a pooler")
        self.encoder = encoder
        self.masked_lm = MaskedLMHead(encoder.config, name="masked_lm", dtype=self.dtype_policy)
        self.next_sentence: NextSentenceHead | None = None
        if next_sentence:
            self.next_sentence = NextSentenceHead(
                encoder.config, name="next_sentence", dtype=self.dtype_policy
            )
        self.build()

    def build(self, input_shape: Any = None) -> None:
        self.masked_lm.build()
        if self.next_sentence is not None:
            self.next_sentence.build()

    def _encode(
        self, features: Mapping[str, Tensor], training: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Rows to predict `[batch * predictions, hidden]`, and the next sentence's logits."""
        names = (*INPUTS, "dropout_seed")
        inputs = {name: features[name] for name in names if name in features}
        positions = features["mask_positions"]
        encoded = self.encoder(inputs, training=training, output_positions=positions)
        width = self.encoder.config.hidden_size
        logits = None
        if self.next_sentence is not None:
            pooled = ops.reshape(encoded["pooled_output"], (-1, width))
            logits = self.next_sentence(pooled, training=training)
        return ops.reshape(encoded["position_output"], (-1, width)), logits

    def call(self, features: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        rows, nsp_logits = self._encode(features, training)
        table = self.encoder.embeddings.word_embeddings
        outputs = {"mlm_logits": self.masked_lm(rows, table, training=training)}
        if nsp_logits is not None:
            outputs["nsp_logits"] = nsp_logits
        return outputs

    def losses_of(
        self, features: Mapping[str, Tensor], training: bool = False
    ) -> dict[str, PretrainingLoss]:
        """What `pretraining_losses(self(features), features)` gives, without keeping logits.

        The logits are by far the largest tensor of a step; here no float32 copy of them
        outlives the loss, and the gradient goes back in the compute dtype.
        """
        rows, nsp_logits = self._encode(features, training)
        words = ops.reshape(ops.cast(features["mask_ids"], "int32"), (-1,))
        table = self.encoder.embeddings.word_embeddings
        found = self.masked_lm.cross_entropy(rows, table, words, training)
        losses = {"mlm": _weighted(*found, features["mask_weights"])}
        if nsp_logits is not None:
            losses["nsp"] = _next_sentence_loss(nsp_logits, features)
        return losses

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """What `fit` minimises, on every backend: the sum of the losses, each a mean over `x`.

        `BertPretrainer` is faster on TensorFlow and right under distribution strategies.
        """
        losses = pretraining_losses(y_pred, x).values()
        return sum(one.total / ops.maximum(one.weight, _SMALLEST_WEIGHT) for one in losses)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "next_sentence": self.next_sentence is not None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> PretrainingNetwork:
        values = dict(config)
        values["encoder"] = keras.saving.deserialize_keras_object(values["encoder"], custom_objects)
        return cls(**values)
