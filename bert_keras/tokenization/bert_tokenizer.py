"""BertTokenizer: strings in, BERT's features out, inside any TensorFlow graph."""

from __future__ import annotations

import json
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tokenization import detokenizer, masks, pairs, vocabulary, wordpiece

CONFIG_FILE = "tokenizer_config.json"
# Stands for a lone surrogate of a Python string, which has no UTF-8: a letter as well,
# one character, and in no vocabulary.
_SURROGATE = "\ue000"

Strings: TypeAlias = str | bytes | Sequence[str] | Sequence[bytes] | np.ndarray | tf.Tensor
Size: TypeAlias = pairs.Size
Features: TypeAlias = dict[str, tf.Tensor]


class _Core:
    """What a vocabulary compiles to. Not a layer: Keras must not track its lists."""

    def __init__(self, pieces: list[str], lowercase: bool, strip: bool, chinese: bool):
        self.pieces = pieces
        ids = vocabulary.ids(pieces)
        self.ids = ids
        self.specials = pairs.Specials(
            ids[vocabulary.CLS], ids[vocabulary.SEP], ids[vocabulary.PAD]
        )
        self.wordpiece = wordpiece.WordPiece(pieces, lowercase, strip, chinese)
        self.detokenizer: detokenizer.Detokenizer | None = None
        self.compiled: dict[tuple, Callable[..., Any]] = {}


@keras.saving.register_keras_serializable(package="bert_keras")
class BertTokenizer(keras.layers.Layer):
    """WordPiece tokenization exactly as in google-research/bert's `tokenization.py`.

    Works on Python strings and on string tensors, eagerly, in `tf.function`, in
    `tf.data` and in a SavedModel; the graph holds constants only. Unicode is version 14
    and no locale matters. Text like "[SEP]" typed by a user is split like other text.

        tok = BertTokenizer("vocab.txt", lowercase=True)
        tok(["a sentence"], ["its pair"])["token_ids"]

    Args:
        vocabulary: path of a vocab.txt, or the pieces, or None when `load_assets` follows.
        lowercase: lower-case the text, as the checkpoint was trained (`do_lower_case`).
        strip_accents: drop accents; None follows `lowercase` as Google's code does.
        split_chinese: treat every ideograph as a word.
        name: the layer's name.

    Raises:
        UserError: an unreadable vocabulary, or one without [PAD], [UNK], [CLS], [SEP].
    """

    def __init__(
        self,
        vocabulary: str | os.PathLike[str] | Sequence[str] | None = None,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
        name: str | None = None,
    ):
        super().__init__(name=name, trainable=False, dtype="int32")
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.split_chinese = split_chinese
        self._core: _Core | None = None
        if vocabulary is not None:
            self._set_vocabulary(vocabulary)
        self.built = True

    def _set_vocabulary(self, source: str | os.PathLike[str] | Sequence[str]) -> None:
        pieces = vocabulary.read(source)
        _check_case(pieces, self.lowercase)
        strip = self.lowercase if self.strip_accents is None else self.strip_accents
        self._core = _Core(pieces, self.lowercase, strip, self.split_chinese)

    @property
    def _ready(self) -> _Core:
        if self._core is None:
            raise UserError(
                f"tokenizer {self.name!r} has no vocabulary yet; expected vocabulary= at "
                "construction, or load_assets"
            )
        return self._core

    def __call__(
        self,
        texts: Strings,
        pairs: Strings | None = None,
        max_length: int = 512,
        pad_to: int | None = None,
    ) -> Features:
        """Tokenizes, truncates as Google's `run_classifier.py`, frames and pads.

        Args:
            texts: strings, UTF-8: a batch of them, rank 1, or a single one.
            pairs: as many second texts, or None.
            max_length: most positions of a row, [CLS] and [SEP] among them.
            pad_to: a static number of positions for every row (and, if smaller, in place
                of `max_length`); None: those of the longest row.

        Returns:
            `token_ids`, `segment_ids`, `padding_mask` (1 for tokens), int32 [batch, length].

        Raises:
            UserError: input that is not strings of rank 1, texts and pairs of different
                number, or no room for a token.
        """
        # Layer.__call__ would cast its inputs to the layer's numeric type.
        if isinstance(texts, keras.KerasTensor):
            return super().__call__(texts, pairs=pairs, max_length=max_length, pad_to=pad_to)
        return self.call(texts, pairs, max_length, pad_to)

    def call(
        self,
        texts: Strings,
        pairs: Strings | None = None,
        max_length: int = 512,
        pad_to: int | None = None,
    ) -> Features:
        """See `__call__`."""
        inputs = [_strings(texts, "texts")]
        if pairs is not None:
            inputs.append(_strings(pairs, "pairs"))
            _check_counts(*inputs)
        limit = max_length if pad_to is None else min(max_length, pad_to)
        if limit < 2 + len(inputs):
            raise UserError(
                f"max_length={max_length}, pad_to={pad_to}: expected at least "
                f"{2 + len(inputs)}, for the special tokens and a token of text"
            )

        count = len(inputs)

        def features(*arguments: Any) -> Features:
            return self._features(arguments[:count], *arguments[count:])

        sizes = [limit] if pad_to is None else [limit, pad_to]
        return self._run(("features", count, len(sizes)), features, inputs, sizes)

    def _features(
        self, inputs: Sequence[tf.Tensor], limit: Size, pad_to: Size | None = None
    ) -> Features:
        core = self._ready
        paired = len(inputs) == 2
        texts = inputs[0]
        if paired:
            # Stacking fails where the numbers differ; one call shares the constants.
            texts = tf.reshape(tf.stack(inputs), [-1])
        pieces = core.wordpiece(texts)
        packed = pairs.pack(pieces.ids, pieces.row_splits, paired, core.specials, limit, pad_to)
        shape = [inputs[0].shape[0], pad_to if isinstance(pad_to, int) else None]
        return {name: tf.ensure_shape(value, shape) for name, value in packed.items()}

    def with_masks(self, texts: Strings, max_length: int = 512) -> Features:
        """As calling the tokenizer, but "[MASK]" in a text is the special token.

        What stands before and after it is tokenized by itself, as transformers does it.

        Args:
            texts: as for `__call__`; single texts only.
            max_length: most positions of a row, [CLS] and [SEP] among them.

        Returns:
            the features of `__call__`.

        Raises:
            UserError: as for `__call__`, or the vocabulary has no [MASK].
        """
        inputs, mask_id = [_strings(texts, "texts")], self.mask_id
        if max_length < 3:
            raise UserError(f"max_length={max_length}: expected at least 3")

        def features(texts: tf.Tensor, limit: Size) -> Features:
            core = self._ready
            ids, splits = masks.tokenize(core.wordpiece, texts, mask_id)
            return pairs.pack(ids, splits, False, core.specials, limit, None)

        return self._run(("masks",), features, inputs, [max_length])

    def tokenize(self, texts: Strings) -> tf.RaggedTensor:
        """Ids without special tokens, whole texts: ragged int32 [batch, (tokens)]."""

        def ids(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return self._ready.wordpiece(texts)[:2]

        values, splits = self._run(("ids",), ids, [_strings(texts, "texts")])
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False)

    def offsets(
        self, texts: Strings, unit: wordpiece.Unit = "char"
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Ids and where each token stands in the original text.

        `text[start:end]` is what the token was made from: from the first to the last source
        character, accents and dropped characters between them included.

        Args:
            texts: as for `tokenize`.
            unit: "char" counts Unicode characters (of the valid UTF-8), "byte" bytes.

        Returns:
            ids, starts, ends (exclusive): ragged int32 [batch, (tokens)].
        """
        if unit not in ("char", "byte"):
            raise UserError(f'unit={unit!r}: expected "char" or "byte"')

        def spans(texts: tf.Tensor) -> wordpiece.Pieces:
            return self._ready.wordpiece(texts, unit)

        ids, splits, *ends = self._run(("offsets", unit), spans, [_strings(texts, "texts")])
        ragged = tf.RaggedTensor.from_row_splits(ids, splits, validate=False)
        return ragged, ragged.with_values(ends[0]), ragged.with_values(ends[1])

    def detokenize(self, ids: Sequence | np.ndarray | tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        """Readable text from ids: pieces joined, spaces at punctuation tidied.

        Args:
            ids: [batch, tokens], dense or ragged (or a list of lists), or [tokens].

        Returns:
            string [batch], or a scalar for a single row. [PAD], [CLS], [SEP] are left out.
        """
        core = self._ready
        if core.detokenizer is None:
            core.detokenizer = detokenizer.Detokenizer(core.pieces)
        if isinstance(ids, (list, tuple)):
            ids = tf.ragged.constant(ids, tf.int32)
        if not isinstance(ids, tf.RaggedTensor):
            ids = tf.convert_to_tensor(ids)
            if ids.shape.rank == 1:
                row = tf.RaggedTensor.from_tensor(ids[tf.newaxis])
                return core.detokenizer(row)[0]
            ids = tf.RaggedTensor.from_tensor(ids)
        return core.detokenizer(tf.cast(ids, tf.int32))

    @tf.autograph.experimental.do_not_convert
    def _run(
        self,
        key: tuple,
        function: Callable[..., Any],
        inputs: list[tf.Tensor],
        sizes: Sequence[int] = (),
    ) -> Any:
        """Calls a function of string vectors and sizes: as one compiled graph when eager.

        In a graph the sizes are Python's, so that shapes are static; for eager calls they
        are tensors, so that another size needs no other graph.
        """
        core = self._ready
        with tf.device("CPU:0"):
            if not tf.executing_eagerly():
                return function(*inputs, *sizes)
            if key not in core.compiled:
                spec = [tf.TensorSpec([None], tf.string)] * len(inputs)
                spec += [tf.TensorSpec([], tf.int32)] * len(sizes)
                core.compiled[key] = tf.function(function, spec, autograph=False)
            return core.compiled[key](*inputs, *map(tf.constant, sizes))

    @property
    def vocabulary(self) -> list[str]:
        """The pieces; the index is the id."""
        return list(self._ready.pieces)

    @property
    def vocab_size(self) -> int:
        """How many pieces there are."""
        return len(self._ready.pieces)

    @property
    def cls_id(self) -> int:
        """Id of [CLS]."""
        return self._ready.specials.cls

    @property
    def sep_id(self) -> int:
        """Id of [SEP]."""
        return self._ready.specials.sep

    @property
    def pad_id(self) -> int:
        """Id of [PAD]."""
        return self._ready.specials.pad

    @property
    def unk_id(self) -> int:
        """Id of [UNK]."""
        return self._ready.ids[vocabulary.UNKNOWN]

    @property
    def mask_id(self) -> int:
        """Id of [MASK]; UserError where the vocabulary has none."""
        if vocabulary.MASK not in self._ready.ids:
            raise UserError(
                f"the vocabulary of {self.vocab_size} pieces has no {vocabulary.MASK}, "
                "which masked language modelling needs"
            )
        return self._ready.ids[vocabulary.MASK]

    def get_config(self) -> dict[str, Any]:
        """The settings. The vocabulary is not among them: `save_assets` keeps it."""
        return {
            "vocabulary": None,
            "lowercase": self.lowercase,
            "strip_accents": self.strip_accents,
            "split_chinese": self.split_chinese,
            "name": self.name,
        }

    def save_assets(self, dir_path: str) -> None:
        """Writes vocab.txt into a folder of a `.keras` archive."""
        vocabulary.write(self._ready.pieces, pathlib.Path(dir_path) / vocabulary.FILE_NAME)

    def load_assets(self, dir_path: str) -> None:
        """Reads what `save_assets` wrote."""
        self._set_vocabulary(pathlib.Path(dir_path) / vocabulary.FILE_NAME)

    def save_pretrained(self, directory: str | os.PathLike[str]) -> None:
        """Writes vocab.txt and tokenizer_config.json as Hugging Face's BertTokenizer reads."""
        folder = pathlib.Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        vocabulary.write(self._ready.pieces, folder / vocabulary.FILE_NAME)
        config = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.lowercase,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.split_chinese,
            "cls_token": vocabulary.CLS,
            "mask_token": vocabulary.MASK,
            "pad_token": vocabulary.PAD,
            "sep_token": vocabulary.SEP,
            "unk_token": vocabulary.UNKNOWN,
        }
        text = json.dumps(config, indent=2, sort_keys=True)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike[str], **settings: Any) -> BertTokenizer:
        """Reads a Hugging Face directory.

        Where tokenizer_config.json says nothing of casing, the vocabulary decides: one with
        capitals in more than one piece of a hundred is cased.

        Args:
            directory: holds vocab.txt and, usually, tokenizer_config.json.
            settings: arguments of the class that override what the directory says.
        """
        folder = pathlib.Path(directory)
        pieces = vocabulary.read(folder / vocabulary.FILE_NAME)
        config = _read_config(folder / CONFIG_FILE)
        found = {
            "lowercase": config.get("do_lower_case", not vocabulary.is_cased(pieces)),
            "strip_accents": config.get("strip_accents"),
            "split_chinese": config.get("tokenize_chinese_chars", True),
        }
        return cls(pieces, **{**found, **settings})


def _read_config(path: pathlib.Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); expected a tokenizer's settings") from error
    if not isinstance(config, dict):
        raise UserError(f"{path}: a JSON {type(config).__name__}; expected an object")
    return config


def _check_case(pieces: list[str], lowercase: bool) -> None:
    """Warns when the casing cannot be the one that the vocabulary was made for."""
    cased = vocabulary.is_cased(pieces)
    if lowercase and cased:
        warnings.warn(
            "lowercase=True, but the vocabulary has pieces with capitals, which lower-cased "
            "text never reaches; casing must follow the checkpoint",
            stacklevel=4,
        )
    # A short list of pieces may well hold no capital by chance.
    if not lowercase and not cased and len(pieces) > 1000:
        warnings.warn(
            "lowercase=False, but the vocabulary has no pieces with capitals: words with "
            "capitals will be [UNK]; casing must follow the checkpoint",
            stacklevel=4,
        )


def _strings(texts: Any, what: str) -> tf.Tensor:
    """Anything stringy as a string vector."""
    if isinstance(texts, tf.Variable):
        texts = tf.convert_to_tensor(texts)
    if not tf.is_tensor(texts):
        texts = _constant([texts] if isinstance(texts, (str, bytes)) else texts, what)
    if not isinstance(texts, tf.Tensor) or texts.dtype != tf.string:
        kind = getattr(texts, "dtype", None)
        kind = kind.name if kind is not None else type(texts).__name__
        raise UserError(f"{what}: a {type(texts).__name__} of {kind}; expected strings")
    rank = texts.shape.rank
    if rank == 0:
        return tf.reshape(texts, [1])
    if rank not in (1, None):
        raise UserError(f"{what}: shape {texts.shape}; expected a vector of strings")
    return tf.ensure_shape(texts, [None]) if rank is None else texts


def _constant(texts: Any, what: str) -> tf.Tensor:
    """A Python sequence or array of strings as a tensor."""
    rows = texts.tolist() if isinstance(texts, np.ndarray) else texts
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable):
        rows = [rows]
    rows = list(rows)
    for index, row in enumerate(rows):
        if not isinstance(row, (str, bytes)):
            raise UserError(
                f"{what}: row {index} is {row!r}, a {type(row).__name__}; expected a string"
            )
    try:
        return tf.constant(rows, tf.string)
    except ValueError:
        clean = [_without_surrogates(row) if isinstance(row, str) else row for row in rows]
        return tf.constant(clean, tf.string)


def _without_surrogates(text: str) -> str:
    return "".join(_SURROGATE if "\ud800" <= char <= "\udfff" else char for char in text)


def _check_counts(texts: tf.Tensor, pairs_: tf.Tensor) -> None:
    if not texts.shape.is_compatible_with(pairs_.shape):
        raise UserError(
            f"pairs: {pairs_.shape[0]} strings for {texts.shape[0]} texts; expected as many"
        )
