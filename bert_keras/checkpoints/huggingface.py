"""Hugging Face model directories: config.json, safetensors, vocab.txt; read and written."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_keras.checkpoints import names, stores, wrappers
from bert_keras.checkpoints.checkpoint import Checkpoint
from bert_keras.checkpoints.pruned_heads import UnprunedStore, pruned_heads_of
from bert_keras.checkpoints.replacing import replacing_files
from bert_keras.checkpoints.sentence_transformers import SentenceModules, read_modules
from bert_keras.checkpoints.vocabulary import check_vocabulary
from bert_keras.config import BertConfig, check_not_pointer, read_json
from bert_keras.errors import UserError

if TYPE_CHECKING:
    from bert_keras.models.encoder import BertEncoder
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# Weights of other formats, and what transformers needs to be told to read them.
_OTHER_WEIGHTS = {
    "pytorch_model.bin": "",
    "pytorch_model.bin.index.json": "",
    "tf_model.h5": ", from_tf=True",
    "flax_model.msgpack": ", from_flax=True",
}
# Files that are read besides config.json and the weights.
_TOKENIZER_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json")
_FLOATS = ("F64", "F32", "F16", "BF16")
# Constant buffers that old releases stored beside the weights.
_BUFFERS = re.compile(r"(^|\.)(position_ids|token_type_ids)$")
_OF_ENCODER = re.compile(r"^(embeddings|encoder|pooler)\.")
_DECODER = "cls.predictions.decoder"


def canonical_name(name: str) -> str:
    """The name of a tensor in the table: no `bert.` in front, LayerNorm `weight` and `bias`."""
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name.removeprefix("bert."))
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def _open(path: pathlib.Path) -> Any:
    """A safetensors file, its header read and checked against the file's length."""
    import safetensors

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    check_not_pointer(path)
    try:
        return safetensors.safe_open(path, framework="np")
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{path}: truncated or not a safetensors file ({error})") from None


class SafetensorsStore(stores.TensorStore):
    """The tensors of a directory's `model.safetensors`, or of the shards that an index lists.

    Only headers are read until a tensor is asked for. Names are those of `canonical_name`,
    without what wrappers put in front; see `wrappers`.

    Raises:
        UserError: there are no weights, or a file is truncated or lacks what the index says.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.source = str(directory)
        # By the names in the files: the file, and its handle.
        self._stored: dict[str, tuple[pathlib.Path, Any]] = {}
        if (directory / WEIGHTS).exists():
            self.source = str(directory / WEIGHTS)
            self._add_file(directory / WEIGHTS)
        elif (directory / INDEX).exists():
            self._add_shards(directory / INDEX)
        else:
            raise UserError(_no_weights(directory))
        self._places = self._canonical_places()
        alias = f"{_DECODER}.bias"
        if alias in self._places:
            self._places.setdefault("cls.predictions.bias", self._places[alias])
        self._shapes = {
            name: tuple(handle.get_slice(stored).get_shape())
            for name, (_, handle, stored) in self._places.items()
        }

    def _add_file(self, path: pathlib.Path) -> set[str]:
        handle = _open(path)
        names = set(handle.keys())
        for name in names:
            if name in self._stored:
                raise UserError(f"{path}: tensor {name!r} is in {self._stored[name][0]} too")
            self._stored[name] = (path, handle)
        return names

    def _canonical_places(self) -> dict[str, tuple[pathlib.Path, Any, str]]:
        """By canonical name: the file, its handle, and the name in it."""
        inner = {name: wrappers.without_inner(name) for name in self._stored}
        wrapper = wrappers.wrapper_of(inner.values(), self.source)
        places: dict[str, tuple[pathlib.Path, Any, str]] = {}
        for name, (path, handle) in self._stored.items():
            canonical = canonical_name(wrappers.without_wrapper(inner[name], wrapper))
            if canonical in places:
                other = places[canonical]
                raise UserError(f"{path}: tensor {name!r} is {other[2]!r} of {other[0]} again")
            places[canonical] = (path, handle, name)
        return places

    def _add_shards(self, index: pathlib.Path) -> None:
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise UserError(f"{index}: expected an object 'weight_map' from tensors to files")
        for file in sorted(set(weight_map.values())):
            path = index.parent / file
            if path.parent != index.parent:
                raise UserError(f"{index}: {file!r} is not a file of the same folder")
            wanted = {name for name, where in weight_map.items() if where == file}
            missing = wanted - self._add_file(path)
            if missing:
                raise UserError(f"{path}: missing tensors of {INDEX}: {stores.listed(missing)}")

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def describe(self, name: str) -> str:
        path, _, stored = self._places[name]
        return f"{path}: tensor {stored!r}"

    def read(self, name: str) -> np.ndarray:
        _, handle, stored = self._places[name]
        dtype = handle.get_slice(stored).get_dtype()
        if dtype not in _FLOATS:
            raise UserError(f"{self.describe(name)} is {dtype}, expected {', '.join(_FLOATS)}")
        return np.asarray(handle.get_tensor(stored), np.float32)


def _no_weights(directory: pathlib.Path) -> str:
    """Returns why a directory has no weights to read, with the way out for other formats.

    Raises:
        UserError: a file in another format is a git-lfs pointer.
    """
    for name, option in _OTHER_WEIGHTS.items():
        if (directory / name).exists():
            check_not_pointer(directory / name)
            named = read_json(directory / "config.json").get("architectures") or ["BertModel"]
            return (
                f"{directory}: has {name} only, expected {WEIGHTS}; transformers 4.57 writes it: "
                f"{named[0]}.from_pretrained({str(directory)!r}{option})"
                f".save_pretrained({str(directory)!r})"
            )
    return f"{directory}: has neither {WEIGHTS} nor {INDEX}"


class HuggingFaceCheckpoint(Checkpoint):
    """A model directory in Hugging Face's layout, with or without the `bert.` prefix and heads.

    Raises:
        UserError: `config.json` is missing or does not describe a BERT.
    """

    format = "huggingface"

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = pathlib.Path(directory)
        self.source = str(self.directory)
        path = self.directory / "config.json"
        self.settings = read_json(path)
        self.config = BertConfig.from_dict(self.settings, str(path))
        self._pruned = pruned_heads_of(self.settings, self.config, str(path))
        for name in _TOKENIZER_FILES:
            check_not_pointer(self.directory / name)
        self._store: stores.TensorStore | None = None

    def store(self) -> stores.TensorStore:
        if self._store is None:
            self._store = SafetensorsStore(self.directory)
            if self._pruned:
                self._store = UnprunedStore(self._store, self._pruned, self.config)
        return self._store

    def unexpected(self) -> list[str]:
        return [name for name in self._unknown() if _OF_ENCODER.match(name)]

    def others(self) -> list[str]:
        return [name for name in self._unknown() if not _OF_ENCODER.match(name)]

    def _unknown(self) -> list[str]:
        """Tensors of neither encoder nor head, constant buffers aside."""
        known = self.known_names() | {f"{_DECODER}.weight", f"{_DECODER}.bias"}
        shapes = self.store().shapes()
        return [name for name in shapes if name not in known and not _BUFFERS.search(name)]

    def sentence_modules(self) -> SentenceModules | None:
        return read_modules(self.directory)

    def _checked_head(self, head: str) -> list[names.Entry]:
        entries = super()._checked_head(head)
        decoder = f"{_DECODER}.weight"
        if head == "masked_lm":
            if decoder in self.store().shapes():
                self._check_tied(decoder)
            elif self.settings.get("tie_word_embeddings") is False:
                raise UserError(
                    f"{self.source}: tie_word_embeddings is false, but {decoder!r} is missing; "
                    "an output table that is not tied to the word embeddings is not supported"
                )
        return entries

    def _check_tied(self, decoder: str) -> None:
        """A UserError unless the stored output table is a copy of the word embeddings."""
        table = self.store().read("embeddings.word_embeddings.weight")
        if not np.array_equal(self.store().read(decoder), table):
            raise UserError(
                f"{self.store().describe(decoder)} differs from the word embeddings; "
                "an output table that is not tied to them is not supported"
            )

    def tokenizer(self, lowercase: bool | None = None) -> BertTokenizer:
        from bert_keras.tokenization.bert_tokenizer import BertTokenizer
        from bert_keras.tokenization.pretrained_files import model_max_length, vocabulary_file

        settings: dict[str, Any] = {} if lowercase is None else {"lowercase": lowercase}
        positions = self.config.max_position_embeddings
        length = min(model_max_length(self.directory) or positions, positions)
        tokenizer = BertTokenizer.from_pretrained(self.directory, max_length=length, **settings)
        check_vocabulary(
            tokenizer.vocab_size, self.config.vocab_size, str(vocabulary_file(self.directory))
        )
        return tokenizer


def save_pretrained(
    directory: str | os.PathLike[str],
    config: BertConfig,
    architecture: str,
    encoder: BertEncoder,
    heads: Mapping[str, Mapping[str, Any]] | None = None,
    extra_config: Mapping[str, Any] | None = None,
    tokenizer: BertTokenizer | None = None,
    extra_files: Mapping[str, Any] | None = None,
) -> None:
    """Writes a model directory that transformers loads; LoRA is merged, weights are float32.

    A save that is interrupted leaves the directory as it was.

    Args:
        directory: where to; files of the same name are replaced, others stay.
        config: the encoder's sizes and constants.
        architecture: transformers' class, such as "BertForSequenceClassification"; tensors of
            every class but "BertModel" carry the prefix `bert.`.
        encoder: the encoder.
        heads: weights of the heads to write (`names.HEADS`) by the paths that
            `Checkpoint.head` lists; arrays or Keras variables.
        extra_config: more fields of config.json, such as those of `label_fields` and
            `problem_type`.
        tokenizer: writes vocab.txt and tokenizer_config.json; None leaves them out.
        extra_files: JSON values to write by relative path; None makes an empty folder.

    Raises:
        ValueError: a head is unknown, or its weights are not the ones it has.
    """
    from safetensors.numpy import save_file

    prefix = "" if architecture == "BertModel" else "bert."
    values = encoder.merged_weights()
    tensors: dict[str, np.ndarray] = {}
    for entry in names.encoder_entries(config, encoder.add_pooler, "huggingface"):
        parts = stores.split_entry(entry, values.pop(entry.path))
        tensors |= {prefix + name: part for name, part in parts.items()}
    for head, weights in (heads or {}).items():
        tensors |= stores.head_tensors(head, weights, "huggingface")
    fields = {**config.to_dict(), "architectures": [architecture], "torch_dtype": "float32"}
    with replacing_files(directory) as folder:
        text = json.dumps(fields | dict(extra_config or {}), indent=2, sort_keys=True)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")
        # transformers refuses files without this entry.
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        # The library makes it readable by its owner only, unlike every other file.
        shutil.copymode(folder / "config.json", folder / WEIGHTS)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
        for path, value in (extra_files or {}).items():
            _write_extra(folder / path, value)


def _write_extra(path: pathlib.Path, value: Any) -> None:
    """A JSON file, or an empty folder where the value is None."""
    if value is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
