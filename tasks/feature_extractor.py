"""FeatureExtractor: the states of BERT's layers, for each token or for each text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from bert_keras import checkpoints
from bert_keras.data.examples import Examples
from bert_keras.errors import UserError
from bert_keras.layers.token_pooling import POOLINGS, pool_tokens
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks.answering import AnsweringTask, Prepared
from bert_keras.tasks.base import Batch
from bert_keras.tasks.stored_options import own_settings
from bert_keras.tasks.text_inputs import TextInputs
from bert_keras.tokenization import BertTokenizer

# Decimals of values in JSON, as google-research/bert's extract_features.py writes them.
_DECIMALS = 6


@dataclasses.dataclass(frozen=True)
class TextFeatures:
    """The states of one text.

    Attributes:
        tokens: the text's pieces, [CLS] and [SEP] among them.
        values: float32 `[tokens, layers, hidden]`, or pooled `[layers, hidden]`.
    """

    tokens: list[str]
    values: npt.NDArray[np.float32]


@keras.saving.register_keras_serializable(package="bert_keras")
class FeatureExtractor(TextInputs, AnsweringTask):
    """BERT without a head: what its layers make of texts, or of pairs of texts.

    Args:
        encoder: a BertEncoder.
        tokenizer: the BertTokenizer of its vocabulary.
        layers: which states: 0 is the output of the embeddings, 1 that of the first layer and
            so on; -1 is that of the last layer, -2 of the one before.
        pooling: "none" for the states of every token; "cls", "mean" or "max" for one vector of
            each layer: that of [CLS], or the mean or the maximum over all tokens.
        max_length, seed: see `BertTask`.

    Example:

        extractor = FeatureExtractor.from_pretrained("DIR", layers=[-1, -2])
        found = extractor.predict(["a sentence"])[0]
        found.tokens, found.values          # [tokens], [tokens, 2, hidden]
    """

    task_name = "feature_extraction"
    architecture = "BertModel"
    head = None
    needs_pooler = False
    default_length = 512
    pairs = None

    def __init__(
        self,
        encoder: BertEncoder,
        tokenizer: BertTokenizer,
        layers: Sequence[int] = (-1,),
        pooling: str = "none",
        max_length: int = 128,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "feature_extractor")
        super().__init__(encoder, tokenizer, max_length, seed, **kwargs)
        states = encoder.config.num_hidden_layers + 1
        for layer in layers:
            if not -states <= layer < states:
                raise UserError(f"layers are {-states} to {states - 1}, received {layer}")
        if not layers or pooling not in ("none", *POOLINGS):
            expected = f"at least one layer, and none, {', '.join(POOLINGS)} as pooling"
            raise UserError(f"expected {expected}; received {list(layers)} and {pooling!r}")
        # Past Keras, to which `layers` is a model's parts.
        self.hidden_layers = tuple(layers)
        self.pooling = pooling
        self.built = True

    def call(self, features: Batch, training: bool = False) -> Any:
        """Float32 `[batch, length, layers, hidden]`, or pooled `[batch, layers, hidden]`."""
        encoded = self.encoder(features, training=training, output_hidden_states=True)
        states = [encoded["hidden_states"][layer] for layer in self.hidden_layers]
        if self.pooling == "none":
            return ops.cast(ops.stack(states, axis=2), "float32")
        mask = features["padding_mask"]
        return ops.stack([pool_tokens(state, mask, self.pooling) for state in states], axis=1)

    def compile(self, *_: Any, **__: Any) -> None:
        """Not to be trained.

        Raises:
            UserError: always.
        """
        raise UserError("FeatureExtractor has nothing to train: use a task with a head")

    # Answers.

    def prepare(self, examples: Examples) -> Prepared:
        return Prepared(examples, self.encode(examples.texts, examples.pairs), None)

    def run(self, prepared: Prepared, batch_size: int | None = None) -> Sequence[np.ndarray]:
        """The states of each text, as `TextFeatures` has them."""
        if self.pooling == "none":
            return self.token_outputs(prepared.inputs, batch_size)
        return list(self.raw_outputs(prepared.inputs, batch_size))

    def answers(self, prepared: Prepared, outputs: Sequence[np.ndarray]) -> list[TextFeatures]:
        inputs, pieces = prepared.inputs, self.tokenizer.vocabulary
        rows = np.split(inputs.token_ids, inputs.splits[1:])
        return [
            TextFeatures([pieces[token] for token in row], values)
            for row, values in zip(rows, outputs, strict=False)
        ]

    def answer_row(self, answer: TextFeatures) -> dict[str, Any]:
        """As JSON: `features` as extract_features.py writes them, a token each with its
        `layers`; pooled, the `layers` alone."""
        if self.pooling != "none":
            return {"layers": self._layer_rows(answer.values)}
        tokens = zip(answer.tokens, answer.values, strict=True)
        return {
            "features": [
                {"token": token, "layers": self._layer_rows(values)} for token, values in tokens
            ]
        }

    def _layer_rows(self, values: np.ndarray) -> list[dict[str, Any]]:
        return [
            {"index": layer, "values": [round(value, _DECIMALS) for value in row]}
            for layer, row in zip(self.hidden_layers, values.tolist(), strict=True)
        ]

    # Saving.

    def options(self) -> dict[str, Any]:
        return {"layers": list(self.hidden_layers), "pooling": self.pooling}

    @classmethod
    def recognises(cls, checkpoint: checkpoints.Checkpoint) -> bool:
        return own_settings(checkpoint).get("task") == cls.task_name
