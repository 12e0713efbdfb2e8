"""Checkpoints of google-research/bert (TensorFlow 1): bert_config.json, *.ckpt, vocab.txt."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_keras.checkpoints import names, stores
from bert_keras.checkpoints.checkpoint import Checkpoint
from bert_keras.checkpoints.replacing import replacing_files
from bert_keras.checkpoints.vocabulary import check_vocabulary
from bert_keras.config import BertConfig, check_not_pointer, read_json
from bert_keras.errors import UserError

if TYPE_CHECKING:
    from bert_keras.models.encoder import BertEncoder
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

PREFIX = "bert_model.ckpt"
# The fields of bert_config.json.
_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "initializer_range",
)
# Google's name of each activation; it has none for the exact GELU.
_ACTIVATIONS = {"gelu_tanh": "gelu", "relu": "relu"}
# The entry that every checkpoint of `tf.train.Checkpoint` has.
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# What a training run leaves beside the weights: step counters, loss scales, optimizer slots.
_OF_TRAINING = re.compile(
    r"^(global_step|good_steps|loss_scale|signal_early_stopping.*|beta[12]_power)$"
    r"|/(Adam|LAMB|adam_[mv]|lamb_[mv]|[mv])(_\d+)?$"
)


def as_prefix(path: pathlib.Path) -> pathlib.Path | None:
    """The prefix that a path names, itself or by its `.index` file; None when it names none."""
    if path.is_dir():
        return None
    prefix = path.with_name(path.name.removesuffix(".index"))
    return prefix if path.with_name(f"{prefix.name}.index").is_file() else None


def find_prefix(directory: pathlib.Path) -> pathlib.Path:
    """The prefix of the one TF1 checkpoint in a folder.

    Raises:
        UserError: the folder has no checkpoint, or several.
    """
    found = sorted(directory.glob("*.ckpt*.index"))
    if len(found) > 1:
        listed = ", ".join(index.name.removesuffix(".index") for index in found)
        raise UserError(f"{directory}: has several checkpoints, name one of {listed}")
    if not found:
        raise UserError(f"{directory}: has bert_config.json but no *.ckpt.index")
    return found[0].with_name(found[0].name.removesuffix(".index"))


class Tf1Store(stores.TensorStore):
    """The variables of a TensorFlow checkpoint.

    Raises:
        UserError: the index or a data file is missing or damaged.
    """

    def __init__(self, prefix: pathlib.Path) -> None:
        import tensorflow as tf

        self.source = str(prefix)
        for path in prefix.parent.glob(f"{glob.escape(prefix.name)}.*"):
            check_not_pointer(path)
        with _one_line(self.source):
            self._reader = tf.train.load_checkpoint(str(prefix))
            self._shapes = {
                name: tuple(shape)
                for name, shape in self._reader.get_variable_to_shape_map().items()
            }
        if _OBJECT_GRAPH in self._shapes:
            raise UserError(
                f"{prefix}: is a TensorFlow 2 object checkpoint, such as Model Garden's, which is "
                "not supported; expected variables named bert/embeddings/word_embeddings and so on"
            )

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def read(self, name: str) -> np.ndarray:
        with _one_line(self.describe(name)):
            return np.asarray(self._reader.get_tensor(name), np.float32)


@contextlib.contextmanager
def _one_line(where: str) -> Iterator[None]:
    """Turns what TensorFlow raises for a damaged file into a UserError."""
    import tensorflow as tf

    # A data file that ends too early is an IndexError to TensorFlow's Python side.
    try:
        yield
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"{where} cannot be read ({reason})") from None


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
        check_not_pointer(prefix.parent / "vocab.txt")
        self._store: Tf1Store | None = None

    def store(self) -> Tf1Store:
        if self._store is None:
            self._store = Tf1Store(self.prefix)
        return self._store

    def unexpected(self) -> list[str]:
        return [name for name in self._unknown() if name.startswith("bert/")]

    def others(self) -> list[str]:
        return [name for name in self._unknown() if not name.startswith("bert/")]

    def _unknown(self) -> list[str]:
        """Variables of neither encoder, head nor training."""
        known = self.known_names()
        shapes = self.store().shapes()
        return [name for name in shapes if name not in known and not _OF_TRAINING.search(name)]

    def tokenizer(self, lowercase: bool | None = None) -> BertTokenizer:
        from bert_keras.tokenization.bert_tokenizer import BertTokenizer

        # Only the name of Google's folders says whether to lower-case: the vocabulary decides.
        settings: dict[str, Any] = {} if lowercase is None else {"lowercase": lowercase}
        tokenizer = BertTokenizer.from_pretrained(
            self.prefix.parent, max_length=self.config.max_position_embeddings, **settings
        )
        path = self.prefix.parent / "vocab.txt"
        check_vocabulary(tokenizer.vocab_size, self.config.vocab_size, str(path))
        return tokenizer


def save_checkpoint(
    directory: str | os.PathLike[str],
    config: BertConfig,
    encoder: BertEncoder,
    heads: Mapping[str, Mapping[str, Any]] | None = None,
    tokenizer: BertTokenizer | None = None,
) -> None:
    """Writes a directory that google-research/bert loads; LoRA is merged, weights are float32.

    A save that is interrupted leaves the directory as it was.

    Args:
        directory: where to; gets `bert_config.json`, `bert_model.ckpt.*` and `vocab.txt`.
        config: the encoder's sizes and constants.
        encoder: the encoder.
        heads: weights of the heads to write, as `Checkpoint.head` gives them.
        tokenizer: the vocabulary's; None leaves it out.

    Raises:
        UserError: Google's code has no such activation or epsilon.
    """
    import tensorflow as tf

    from bert_keras.tokenization import vocabulary

    fields = _google_fields(config)
    values = encoder.merged_weights()
    tensors: dict[str, np.ndarray] = {}
    for entry in names.encoder_entries(config, encoder.add_pooler, "google_tf1"):
        tensors |= stores.split_entry(entry, values.pop(entry.path))
    for head, weights in (heads or {}).items():
        tensors |= stores.head_tensors(head, weights, "google_tf1")
    with replacing_files(directory) as folder:
        text = json.dumps(fields, indent=2, sort_keys=True)
        (folder / "bert_config.json").write_text(text + "\n", encoding="utf-8")
        tf.raw_ops.SaveV2(
            prefix=str(folder / PREFIX),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=[tf.constant(tensor) for tensor in tensors.values()],
        )
        if tokenizer is not None:
            vocabulary.write(tokenizer.vocabulary, folder / vocabulary.FILE_NAME)


def _google_fields(config: BertConfig) -> dict[str, Any]:
    """The contents of bert_config.json.

    Raises:
        UserError: the activation or the epsilon is one that Google's code cannot be told.
    """
    if config.activation not in _ACTIVATIONS:
        raise UserError(
            f"google_tf1: has no activation {config.hidden_act!r} (its 'gelu' is the tanh form); "
            "give --hidden_act=gelu_new to write the model with that one"
        )
    if config.layer_norm_eps != 1e-12:
        raise UserError(f"google_tf1: layer_norm_eps is 1e-12 there, not {config.layer_norm_eps}")
    fields = {name: getattr(config, name) for name in _FIELDS}
    return fields | {"hidden_act": _ACTIVATIONS[config.activation]}
