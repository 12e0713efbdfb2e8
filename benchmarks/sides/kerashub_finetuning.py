"""KerasHub: `fit` of BertTextClassifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sides.kerashub import (
    create_classifier,
    create_optimizer,
    how,
    keras,
    keras_hub,
    tf,
)
from benchmarks.sides.protocol import Side
from benchmarks.sides.sentences import for_training


class Finetuning(Side):
    """Batches of one length, its preprocessor's, tokenized beforehand; fewer of them."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._model = create_classifier(work)
        self._model.compile(
            optimizer=create_optimizer(self._model),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=bool(work.get("jit_compile")),
        )
        preprocessor = keras_hub.models.BertTextClassifierPreprocessor.from_preset(
            work["weights"], sequence_length=work["max_length"]
        )
        texts, labels = for_training(work)
        self._count = work["fewer"]
        features = preprocessor(texts[: self._count])
        self._first = {name: value[:32] for name, value in features.items()}
        batches = tf.data.Dataset.from_tensor_slices((features, labels[: self._count]))
        self._batches = batches.batch(work["batch"], drop_remainder=True).cache().prefetch(2)
        self.settings = (
            f"mixed_bfloat16, `fit` at length {work['max_length']}, AdamW, clipped to norm 1, "
            f"{how(work)}; {self._count} of the examples"
        )

    def evidence(self) -> list[float]:
        logits = tf.cast(self._model(self._first, training=False), tf.float32)
        return logits.numpy().ravel().tolist()

    def run(self, case: str) -> float:
        self._model.fit(self._batches, verbose=0)
        return self._count
