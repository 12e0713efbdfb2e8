"""Checkpoints of google-research/bert (TensorFlow 1): bert_config.json, *.ckpt, vocab.txt."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bert_keras.checkpoints import names, stores
from bert_keras.checkpoints.checkpoint import Checkpoint
from bert_keras.checkpoints.vocabulary import check_vocabulary
from bert_keras.config import BertConfig, read_json
from bert_keras.errors import UserError

if TYPE_CHECKING:
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

# What a training run leaves beside the weights: step counters, loss scales, optimizer slots.
_OF_TRAINING = re.compile(
    r"^(global_step|good_steps|loss_scale|signal_early_stopping.*|beta[12]_power)$"
    r"|/(Adam|LAMB|adam_[mv]|lamb_[mv]|[mv])(_\d+)?$"
)


def find_prefix(path: pathlib.Path) -> pathlib.Path | None:
    """The prefix of the TF1 checkpoint in a folder, or that a path names; None for no such.

    Raises:
        UserError: the folder has several checkpoints.
    """
    if path.name.endswith(".index"):
        path = path.with_name(path.name.removesuffix(".index"))
    if path.with_name(f"{path.name}.index").is_file() and not path.is_dir():
        return path
    if not (path / "bert_config.json").is_file():
        return None
    found = sorted(path.glob("*.ckpt*.index"))
    if len(found) > 1:
        listed = ", ".join(index.name.removesuffix(".index") for index in found)
        raise UserError(f"{path}: has several checkpoints, name one of {listed}")
    if not found:
        raise UserError(f"{path}: has bert_config.json but no *.ckpt.index")
    return found[0].with_name(found[0].name.removesuffix(".index"))


class Tf1Store(stores.TensorStore):
    """The variables of a TensorFlow checkpoint.

    Raises:
        UserError: the index or a data file is missing or damaged.
    """

    def __init__(self, prefix: pathlib.Path) -> None:
        import tensorflow as tf

        self.source = str(prefix)
        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
            self._shapes = {
                name: tuple(shape)
                for name, shape in self._reader.get_variable_to_shape_map().items()
            }
        except (tf.errors.OpError, ValueError) as error:
            raise UserError(f"{prefix}: cannot be read ({_first_line(error)})") from None

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def read(self, name: str) -> np.ndarray:
        import tensorflow as tf

        try:
            return np.asarray(self._reader.get_tensor(name), np.float32)
        except (tf.errors.OpError, ValueError) as error:
            raise UserError(
                f"{self.describe(name)} cannot be read ({_first_line(error)})"
            ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


class GoogleCheckpoint(Checkpoint):
    """A checkpoint of google-research/bert; its "gelu" is read as the tanh form.

    Args:
        prefix: the path of its files up to `.index` and `.data-…`.

    Raises:
        UserError: `bert_config.json` beside it is missing or not valid.
    """

    format = "google_tf1"

    def __init__(self, prefix: pathlib.Path) -> None:
        self.prefix = prefix
        self.source = str(prefix)
        path = prefix.parent / "bert_config.json"
        self.settings = read_json(path)
        self.config = BertConfig.from_google_dict(self.settings, str(path))
        self._store: Tf1Store | None = None

    def store(self) -> Tf1Store:
        if self._store is None:
            self._store = Tf1Store(self.prefix)
        return self._store

    def unexpected(self) -> list[str]:
        entries = names.encoder_entries(self.config, True, self.format)
        for head in names.HEADS:
            entries = entries + names.head_entries(head, self.format)
        known = {name for entry in entries for name in entry.names}
        return [
            name
            for name in self.store().shapes()
            if name not in known and not _OF_TRAINING.search(name)
        ]

    def tokenizer(self, lowercase: bool | None = None) -> BertTokenizer:
        from bert_keras.tokenization.bert_tokenizer import BertTokenizer

        path = self.prefix.parent / "vocab.txt"
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        if lowercase is None:
            lowercase = not _has_capitals(path)
        tokenizer = BertTokenizer(path, lowercase=lowercase)
        check_vocabulary(tokenizer.vocab_size, self.config.vocab_size, str(path))
        return tokenizer


def _has_capitals(path: pathlib.Path) -> bool:
    """Whether a vocabulary has capital letters outside its special tokens, thus is cased.

    Google's checkpoints say so in the name of their folder only.
    """
    words = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return any(word != word.lower() for word in words if not word.startswith("["))
