"""Pretrains KerasHub's BertMaskedLM by pretrain_recipe.py: one of the sides to compare with.

Its head gathers the masked positions itself. The step is a `tf.function` of its own, without the
callbacks and metrics of `fit`; XLA (`--jit_compile`) is slower on a CPU. Needs `keras-hub`.

    python benchmarks/pretrain_kerashub.py --rows=rows --results=kerashub.jsonl
"""

from __future__ import annotations

import argparse

import keras
import keras_hub
import pretrain_recipe
import tensorflow as tf
from pretrain_keras_side import KerasSide


def create_model(recipe: pretrain_recipe.Recipe) -> keras.Model:
    """BertMaskedLM with random weights."""
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=recipe.vocabulary,
        num_layers=recipe.layers,
        num_heads=recipe.heads,
        hidden_dim=recipe.hidden,
        intermediate_dim=recipe.intermediate,
        dropout=recipe.dropout,
        dtype="mixed_bfloat16",
    )
    return keras_hub.models.BertMaskedLM(backbone=backbone)


class KerasHub(KerasSide):
    """The model and its optimizer, as the loop drives them."""

    name = "KerasHub"

    def __init__(self, recipe: pretrain_recipe.Recipe, jit_compile: bool) -> None:
        self._model = create_model(recipe)
        self._optimizer = keras.optimizers.AdamW(
            learning_rate=0.0,
            weight_decay=recipe.weight_decay,
            beta_1=recipe.beta_1,
            beta_2=recipe.beta_2,
            epsilon=recipe.epsilon,
            global_clipnorm=recipe.clip_norm,
        )
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._optimizer.build(self._model.trainable_variables)
        self._step = tf.function(self._train, jit_compile=jit_compile)
        self._sums = tf.function(self._evaluate)

    def _loss(
        self, batch: dict[str, tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Summed loss, number of masked tokens, number of correct predictions."""
        inputs = {
            "token_ids": batch["token_ids"],
            "segment_ids": tf.zeros_like(batch["token_ids"]),
            "padding_mask": tf.ones_like(batch["token_ids"]),
            "mask_positions": batch["mask_positions"],
        }
        logits = tf.cast(self._model(inputs, training=training), tf.float32)
        labels, weights = batch["mask_ids"], batch["mask_weights"]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        total, weight = tf.reduce_sum(losses * weights), tf.reduce_sum(weights)
        if training:
            return total, weight, tf.zeros(())
        hits = tf.argmax(logits, axis=-1, output_type=tf.int32) == labels
        return total, weight, tf.reduce_sum(tf.cast(hits, tf.float32) * weights)

    def _train(self, batch: dict[str, tf.Tensor], learning_rate: tf.Tensor) -> None:
        self._optimizer.learning_rate.assign(learning_rate)
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            total, weight, _ = self._loss(batch, training=True)
            loss = total / weight
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)

    def _evaluate(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return self._loss(batch, training=False)


def main() -> None:
    """Runs this side."""
    parser = pretrain_recipe.parser(__doc__)
    parser.add_argument("--jit_compile", action=argparse.BooleanOptionalAction, default=False)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(arguments.seed)
    recipe = pretrain_recipe.recipe_of(arguments)
    pretrain_recipe.race(KerasHub(recipe, arguments.jit_compile), arguments, recipe)


if __name__ == "__main__":
    main()
