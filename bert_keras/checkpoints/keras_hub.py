"""KerasHub presets of BERT: local directories made by `save_to_preset`, or names when online."""

from __future__ import annotations

import os
import pathlib
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_keras.checkpoints import names, stores
from bert_keras.checkpoints.checkpoint import Checkpoint
from bert_keras.checkpoints.vocabulary import check_vocabulary
from bert_keras.config import BertConfig, check_not_pointer, read_json
from bert_keras.errors import UserError

if TYPE_CHECKING:
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

# The tasks that a preset may hold and the head of ours that each has. BertClassifier is the
# name of BertTextClassifier in presets of before KerasHub 0.17.
_TASK_HEADS = {
    "BertMaskedLM": "masked_lm",
    "BertTextClassifier": "classifier",
    "BertClassifier": "classifier",
}

# Fields of BertConfig and where a BertBackbone's config has them.
_FIELDS = {
    "vocab_size": "vocabulary_size",
    "hidden_size": "hidden_dim",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_dim",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "dropout",
    "max_position_embeddings": "max_sequence_length",
    "type_vocab_size": "num_segments",
}


def is_preset(path: pathlib.Path) -> bool:
    """Whether a folder is a preset: its `config.json` names a class of KerasHub."""
    config = path / "config.json"
    return config.is_file() and "registered_name" in read_json(config)


class KerasHubStore(stores.TensorStore):
    """The variables of a KerasHub model by their path, attention's heads joined to one axis."""

    def __init__(self, source: str, model: Any) -> None:
        self.source = source
        self._variables = {variable.path: variable for variable in model.weights}
        self._shapes = {
            path: _joined_shape(path, tuple(variable.shape))
            for path, variable in self._variables.items()
        }

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def read(self, name: str) -> np.ndarray:
        from keras import ops

        value = ops.convert_to_numpy(self._variables[name].value)
        return np.asarray(value, np.float32).reshape(self._shapes[name])


def _joined_shape(path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """`[hidden, heads, size]` and `[heads, size]` become `[hidden, hidden]` and `[hidden]`.

    The attention's output kernel is `[heads, size, hidden]`.
    """
    if "/self_attention_layer/" not in path:
        return shape
    if path.endswith("attention_output/kernel"):
        return (shape[0] * shape[1], shape[2])
    if path.endswith("/kernel"):
        return (shape[0], shape[1] * shape[2])
    return (int(np.prod(shape)),)


class KerasHubCheckpoint(Checkpoint):
    """A preset of KerasHub's BertBackbone, BertMaskedLM or BertTextClassifier.

    KerasHub's encoder uses GELU's tanh form, so `hidden_act` is "gelu_new". Its masked-LM
    head uses the exact form and an epsilon of 1e-5 in its layer normalisation, unlike
    published BERT; read here, that head is computed as published.

    Args:
        preset: a preset directory, or a preset's name, which KerasHub downloads.

    Raises:
        UserError: the preset is not a BERT, cannot be read, or cannot be downloaded.
    """

    format = "keras_hub"

    def __init__(self, preset: str) -> None:
        self.preset = preset
        self.is_local = os.path.isdir(preset)
        self.source = preset if self.is_local else f"kerashub:{preset}"
        self.settings: Mapping[str, Any] = {}
        self._store: KerasHubStore | None = None
        self.task = "BertBackbone"
        if self.is_local:
            for path in pathlib.Path(preset).glob("*.weights.h5"):
                check_not_pointer(path)
            self.config, saved = _read_preset(pathlib.Path(preset))
            if saved in _TASK_HEADS:
                self.task = saved
            elif saved != self.task:
                self.report.notes.append(f"of the {saved} its backbone is read")
        else:
            model = self._load(self.task)
            self.config = _config(model.get_config(), self.source)
            self._store = KerasHubStore(self.source, model)

    def _load(self, class_name: str) -> Any:
        """The preset as a model of KerasHub."""
        import keras_hub

        # Their layers draw the seeds of their initial weights from Python's generator.
        state = random.getstate()
        # A failed read or download can raise nearly anything; all of it means one thing here.
        try:
            return getattr(keras_hub.models, class_name).from_preset(self.preset)
        except Exception as error:
            hint = "" if self.is_local else ", by name it needs a network"
            raise UserError(
                f"{self.source}: KerasHub cannot load this preset{hint}: {_reason(error)}"
            ) from None
        finally:
            random.setstate(state)

    def store(self) -> KerasHubStore:
        if self._store is None:
            self._store = KerasHubStore(self.source, self._load(self.task))
        return self._store

    def unexpected(self) -> list[str]:
        entries = names.encoder_entries(self.config, True, self.format)
        if self.task in _TASK_HEADS:
            entries = entries + names.head_entries(_TASK_HEADS[self.task], self.format)
        known = {name for entry in entries for name in entry.names}
        return [name for name in self.store().shapes() if name not in known]

    def tokenizer(self, lowercase: bool | None = None) -> BertTokenizer:
        import keras_hub

        from bert_keras.tokenization.bert_tokenizer import BertTokenizer

        try:
            theirs = keras_hub.models.BertTokenizer.from_preset(self.preset)
        except Exception as error:
            raise UserError(f"{self.source}: has no tokenizer ({_reason(error)})") from None
        if lowercase is None:
            lowercase = theirs.lowercase
        tokenizer = BertTokenizer(
            theirs.get_vocabulary(),
            lowercase=lowercase,
            max_length=self.config.max_position_embeddings,
        )
        check_vocabulary(tokenizer.vocab_size, self.config.vocab_size, self.source)
        return tokenizer


def _reason(error: Exception) -> str:
    """The first line of an error, or its kind when it says nothing."""
    return str(error).strip().split("\n")[0] or type(error).__name__


def _read_preset(folder: pathlib.Path) -> tuple[BertConfig, str]:
    """Returns the config of a local preset, and the class that it was saved as.

    That class is a task's, or the backbone's where there is no task.
    """
    backbone = read_json(folder / "config.json")
    name = backbone.get("class_name")
    if name != "BertBackbone":
        raise UserError(f"{folder}: a preset of {name}, expected BertBackbone")
    config = _config(backbone.get("config", {}), str(folder / "config.json"))
    if not ((folder / "task.json").is_file() and (folder / "task.weights.h5").is_file()):
        return config, name
    return config, str(read_json(folder / "task.json").get("class_name"))


def _config(values: Mapping[str, Any], source: str) -> BertConfig:
    """Our config of a BertBackbone's."""
    missing = [name for name in _FIELDS.values() if name not in values]
    if missing:
        raise UserError(f"{source}: missing {', '.join(missing)}")
    return BertConfig(
        **{ours: values[theirs] for ours, theirs in _FIELDS.items()}, hidden_act="gelu_new"
    )
