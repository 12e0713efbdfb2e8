"""KerasHub: `predict` on a list of strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.sides.kerashub import create_classifier, how, keras_hub, np
from benchmarks.sides.protocol import Side
from benchmarks.sides.sentences import for_inference


class Inference(Side):
    """BertTextClassifier with its preprocessor, on every so many-th sentence."""

    def __init__(self, work: Mapping[str, Any]) -> None:
        super().__init__(work)
        self._texts = for_inference(work)[:: work["every"]]
        preprocessor = keras_hub.models.BertTextClassifierPreprocessor.from_preset(
            work["weights"], sequence_length=work["max_length"]
        )
        self._model = create_classifier(work, preprocessor=preprocessor)
        self._model.compile(jit_compile=bool(work.get("jit_compile")))
        self.settings = (
            f"mixed_bfloat16, `predict` at length {work['max_length']}, batches of "
            f"{work['batch']}, {how(work)}; {len(self._texts)} of the sentences"
        )

    def _labels(self) -> list[float]:
        logits = self._model.predict(self._texts, batch_size=self.work["batch"], verbose=0)
        return np.argmax(logits, axis=-1).astype(float).tolist()

    def evidence(self) -> list[float]:
        return self._labels()

    def run(self, case: str) -> float:
        return len(self._labels())
