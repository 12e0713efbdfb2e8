"""Model Garden: a step of BertPretrainerV2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sides.books import Batches, Rows, tokens
from benchmarks.sides.model_garden import (
    assign,
    create_encoder,
    create_optimizer,
    models,
    read,
    tf,
    tf_keras,
)
from benchmarks.sides.protocol import Side


def _create_model(work: Mapping[str, Any]) -> tf_keras.Model:
    """Masked words, and next sentences by the head that its own recipe has: with a pooler."""
    from official.nlp.modeling.layers import ClassificationHead

    values, weights = read(work["weights"])
    head = ClassificationHead(
        values["hidden_size"], num_classes=2, dropout_rate=0.1, name="next_sentence"
    )
    model = models.BertPretrainerV2(
        create_encoder(work),
        mlm_activation=lambda x: tf_keras.activations.gelu(x, approximate=True),
        classification_heads=[head],
    )
    model(model.inputs)
    assign(model, weights)
    return model


class Pretraining(Side):
    """The step in a `tf.function`."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._batches = Batches(work)
        self._model = _create_model(work)
        # The encoder's own pooler is not used beside the head's, and has no gradient.
        self._variables = [
            variable
            for variable in self._model.trainable_variables
            if "pooler_transform" not in variable.name
        ]
        self._optimizer = create_optimizer()
        jit = bool(work.get("jit_compile"))
        self._step = tf.function(self._train, jit_compile=jit)
        self.settings = (
            "mixed_bfloat16, tf.function with static shapes, masked words and next sentences, "
            "masked positions gathered, AdamWeightDecay, clipped to norm 1, "
            f"jit_compile={jit}"
        )

    def _losses(self, batch: dict[str, tf.Tensor], training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean losses of the masked words and of the next sentences."""
        names = {
            "input_word_ids": "token_ids",
            "input_mask": "padding_mask",
            "input_type_ids": "segment_ids",
            "masked_lm_positions": "mask_positions",
        }
        inputs = {theirs: batch[name] for theirs, name in names.items()}
        outputs = self._model(inputs, training=training)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
        weights = batch["mask_weights"]
        words = cross_entropy(batch["mask_ids"], tf.cast(outputs["mlm_logits"], tf.float32))
        sentences = cross_entropy(
            batch["next_sentence_labels"], tf.cast(outputs["next_sentence"], tf.float32)
        )
        mean = tf.reduce_sum(words * weights) / tf.reduce_sum(weights)
        return mean, tf.reduce_mean(sentences)

    def _train(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.add_n(self._losses(batch, training=True))
        gradients = tape.gradient(loss, self._variables)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        return loss

    def evidence(self) -> list[float]:
        return [float(x) for x in self._losses(_tensors(self._batches.first()), training=False)]

    def run(self, case: str) -> float:
        batch = self._batches.next()
        self._step(_tensors(batch)).numpy()
        return tokens(batch)


def _tensors(batch: Rows) -> dict[str, tf.Tensor]:
    return {name: tf.constant(array) for name, array in batch.items()}
