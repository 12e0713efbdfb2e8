"""Pretrains with bert_keras by pretrain_recipe.py: our side of the comparison.

BertPretrainer with the train step of `bert-keras pretrain`, fed by the comparison's own rows.

    python benchmarks/pretrain_ours.py --rows=rows --results=ours.jsonl
"""

from __future__ import annotations

import pathlib

import keras
import pretrain_recipe
import tensorflow as tf
from pretrain_keras_side import KerasSide

import bert_keras as bk
from bert_keras.models.pretrainer import pretraining_losses
from bert_keras.optimization import AdamW


def create_model(
    recipe: pretrain_recipe.Recipe, rows: pathlib.Path, seed: int
) -> bk.tasks.BertPretrainer:
    """BERT with a head for masked words alone, random weights."""
    config = bk.BertConfig(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=recipe.intermediate,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
        initializer_range=recipe.initializer_range,
    )
    encoder = bk.BertEncoder(config, add_pooler=False, dtype="mixed_bfloat16")
    tokenizer = bk.BertTokenizer.from_pretrained(rows)
    return bk.tasks.BertPretrainer(encoder, tokenizer, next_sentence=False, seed=seed)


class BertKeras(KerasSide):
    """The model and its optimizer, as the loop drives them."""

    name = "bert_keras"

    def __init__(self, recipe: pretrain_recipe.Recipe, rows: pathlib.Path, seed: int) -> None:
        self._model = create_model(recipe, rows, seed)
        self._optimizer = AdamW(
            learning_rate=0.0,
            weight_decay=recipe.weight_decay,
            beta_1=recipe.beta_1,
            beta_2=recipe.beta_2,
            epsilon=recipe.epsilon,
            clip_norm=recipe.clip_norm,
        )
        self._model.compile(self._optimizer)
        self._optimizer.build(self._model.trainable_variables)
        self._step = tf.function(self._train)
        self._sums = tf.function(self._evaluate)

    def _train(self, batch: dict[str, tf.Tensor], learning_rate: tf.Tensor) -> None:
        self._optimizer.learning_rate.assign(learning_rate)
        self._model.update(batch)

    def _evaluate(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # From the logits themselves: the losses of training count a tie as a right prediction.
        loss = pretraining_losses(self._model(batch, training=False), batch)["mlm"]
        return loss.total, loss.weight, loss.correct


def main() -> None:
    """Runs this side."""
    arguments = pretrain_recipe.parser(__doc__).parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(arguments.seed)
    recipe = pretrain_recipe.recipe_of(arguments)
    pretrain_recipe.race(BertKeras(recipe, arguments.rows, arguments.seed), arguments, recipe)


if __name__ == "__main__":
    main()
