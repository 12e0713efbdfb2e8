"""BertTokenizer: strings in, BERT's features out, inside any TensorFlow graph."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tokenization import (
    detokenizer,
    normalizer,
    pairs,
    pretrained_files,
    token_splitting,
    vocabulary,
    wordpiece,
)
from bert_keras.tokenization.added_tokens import OF_BERT, AddedToken, numbered
from bert_keras.tokenization.string_inputs import Strings, check_counts, string_vector

Size: TypeAlias = pairs.Size
Features: TypeAlias = dict[str, tf.Tensor]


class _Core:
    """What a vocabulary compiles to. Not a layer: Keras must not track its lists."""

    def __init__(self, base: list[str], tokenizer: BertTokenizer):
        self.base = base
        added_ids = numbered(tokenizer.added_tokens, base)
        self.pieces = [*base, *(name for name, index in added_ids.items() if index >= len(base))]
        ids = {**vocabulary.ids(base), **added_ids}
        self.ids = ids
        self.specials = pairs.Specials(
            ids[vocabulary.CLS], ids[vocabulary.SEP], ids[vocabulary.PAD]
        )
        # WordPiece does not match tokens that are added alone, but they keep their ids.
        own = [*base, *[""] * (len(self.pieces) - len(base))]
        sought = [token for token in tokenizer.added_tokens if token.content not in OF_BERT]
        lowercase, strip = tokenizer.lowercase, tokenizer.strip_accents
        words = wordpiece.WordPiece(
            own,
            lowercase,
            lowercase if strip is None else strip,
            tokenizer.split_chinese,
            tokenizer.max_word_chars,
            [token for token in sought if token.normalized],
            ids,
        )
        raw = [token for token in sought if not token.normalized]
        self.tokenize: wordpiece.Tokenize = wordpiece.with_tokens(words, raw, ids)
        self.tokenize_masked: wordpiece.Tokenize | None = None
        if vocabulary.MASK in ids:
            raw = [*raw, AddedToken(vocabulary.MASK, normalized=False, special=True)]
            self.tokenize_masked = wordpiece.with_tokens(words, raw, ids)
        self.detokenizer: detokenizer.Detokenizer | None = None
        self.compiled: dict[tuple, Callable[..., Any]] = {}


@keras.saving.register_keras_serializable(package="bert_keras")
class BertTokenizer(keras.layers.Layer):
    """WordPiece tokenization exactly as in google-research/bert's `tokenization.py`.

    Works on Python strings and on string tensors, eagerly, in `tf.function`, in
    `tf.data` and in a SavedModel; the graph holds constants only. Unicode is version 14
    and no locale matters. Text like "[SEP]" typed by a user is split like other text; only
    tokens that were added to the vocabulary are found whole, as in transformers.

        tok = BertTokenizer("vocab.txt", lowercase=True)
        tok(["a sentence"], ["its pair"])["token_ids"]

    Args:
        vocabulary: path of a vocab.txt, or the pieces, or None when `load_assets` follows.
        lowercase: lower-case the text, as the checkpoint was trained (`do_lower_case`).
        strip_accents: drop accents; None follows `lowercase` as Google's code does.
        split_chinese: treat every ideograph as a word.
        name: the layer's name.
        added_tokens: tokens to find in text before WordPiece: strings, objects as in
            tokenizer.json, or `AddedToken`s. One that is no piece gets the next id behind the
            vocabulary. BERT's own special tokens are never found in text.
        max_length: most positions of a row where a call does not say.
        max_word_chars: words of more characters are [UNK] as a whole.

    Raises:
        UserError: an unreadable vocabulary, or one without [PAD], [UNK], [CLS], [SEP]; a
            token, a length or a size that cannot be.
    """

    def __init__(
        self,
        vocabulary: str | os.PathLike[str] | Sequence[str] | None = None,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
        name: str | None = None,
        added_tokens: Sequence[str | Mapping[str, Any] | AddedToken] = (),
        max_length: int = 512,
        max_word_chars: int = normalizer.MAX_WORD_CHARS,
    ):
        super().__init__(name=name, trainable=False, dtype="int32")
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.split_chinese = split_chinese
        self._added = tuple(AddedToken.of(token) for token in added_tokens)
        self.max_length = _whole_number(max_length, "max_length", 3, None)
        self.max_word_chars = _whole_number(
            max_word_chars, "max_word_chars", 1, normalizer.MOST_WORD_CHARS
        )
        self._core: _Core | None = None
        if vocabulary is not None:
            self._set_vocabulary(vocabulary)
        self.built = True

    def _set_vocabulary(self, source: str | os.PathLike[str] | Sequence[str]) -> None:
        pieces = vocabulary.read(source, [token.content for token in self._added])
        vocabulary.check_case(pieces, self.lowercase)
        self._core = _Core(pieces, self)

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
        max_length: int | None = None,
        pad_to: int | None = None,
    ) -> Features:
        """Tokenizes, truncates as Google's `run_classifier.py`, frames and pads.

        Args:
            texts: strings, UTF-8: a batch of them, rank 1, or a single one.
            pairs: as many second texts, or None.
            max_length: most positions of a row, [CLS] and [SEP] among them; None: the
                tokenizer's `max_length`.
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
        max_length: int | None = None,
        pad_to: int | None = None,
    ) -> Features:
        """See `__call__`."""
        inputs = [string_vector(texts, "texts")]
        if pairs is not None:
            inputs.append(string_vector(pairs, "pairs"))
            check_counts(*inputs)
        max_length = self.max_length if max_length is None else max_length
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
        pieces = core.tokenize(texts)
        packed = pairs.pack(pieces.ids, pieces.row_splits, paired, core.specials, limit, pad_to)
        shape = [inputs[0].shape[0], pad_to if isinstance(pad_to, int) else None]
        return {name: tf.ensure_shape(value, shape) for name, value in packed.items()}

    def with_masks(self, texts: Strings, max_length: int | None = None) -> Features:
        """As calling the tokenizer, but "[MASK]" in a text is the special token.

        What stands before and after it is tokenized by itself, as transformers does it.

        Args:
            texts: as for `__call__`; single texts only.
            max_length: as for `__call__`.

        Returns:
            the features of `__call__`.

        Raises:
            UserError: as for `__call__`, or the vocabulary has no [MASK].
        """
        inputs, tokenize = [string_vector(texts, "texts")], self._ready.tokenize_masked
        max_length = self.max_length if max_length is None else max_length
        if tokenize is None:
            raise self._without_mask()
        if max_length < 3:
            raise UserError(f"max_length={max_length}: expected at least 3")

        def features(texts: tf.Tensor, limit: Size) -> Features:
            ids, splits = tokenize(texts)[:2]
            return pairs.pack(ids, splits, False, self._ready.specials, limit, None)

        return self._run(("masks",), features, inputs, [max_length])

    def tokenize(self, texts: Strings) -> tf.RaggedTensor:
        """Ids without special tokens, whole texts: ragged int32 [batch, (tokens)]."""

        def ids(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return self._ready.tokenize(texts)[:2]

        values, splits = self._run(("ids",), ids, [string_vector(texts, "texts")])
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

        def spans(texts: tf.Tensor) -> token_splitting.Pieces:
            return self._ready.tokenize(texts, unit)

        ids, splits, *ends = self._run(("offsets", unit), spans, [string_vector(texts, "texts")])
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
        """The pieces and, behind them, the added tokens; the index is the id."""
        return list(self._ready.pieces)

    @property
    def base_vocabulary(self) -> list[str]:
        """The pieces that WordPiece matches: `vocabulary` without what was added to it."""
        return list(self._ready.base)

    @property
    def added_tokens(self) -> list[AddedToken]:
        """The tokens that are found in text before WordPiece."""
        return list(self._added)

    @property
    def vocab_size(self) -> int:
        """How many entries `vocabulary` has."""
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
        """Id of [MASK]; a UserError where the vocabulary has none."""
        if vocabulary.MASK not in self._ready.ids:
            raise self._without_mask()
        return self._ready.ids[vocabulary.MASK]

    def _without_mask(self) -> UserError:
        return UserError(
            f"the vocabulary of {self.vocab_size} pieces has no {vocabulary.MASK}, "
            "which masked language modelling needs"
        )

    def get_config(self) -> dict[str, Any]:
        """The settings. The vocabulary is not among them: `save_assets` keeps it."""
        return {
            "vocabulary": None,
            "lowercase": self.lowercase,
            "strip_accents": self.strip_accents,
            "split_chinese": self.split_chinese,
            "name": self.name,
            "added_tokens": [token.to_dict() for token in self._added],
            "max_length": self.max_length,
            "max_word_chars": self.max_word_chars,
        }

    def identity(self) -> dict[str, Any]:
        """Returns the settings that decide the ids of a text, to compare tokenizers by.

        They have the form that the configuration had in earlier releases, where there are no
        added tokens. The longest word is left out, as no text of a corpus depends on it.
        """
        config = self.get_config()
        names = ("vocabulary", "lowercase", "strip_accents", "split_chinese")
        added = {"added_tokens": config["added_tokens"]} if self._added else {}
        return {**{name: config[name] for name in names}, "name": None, **added}

    def save_assets(self, dir_path: str) -> None:
        """Writes vocab.txt into a folder of a `.keras` archive."""
        vocabulary.write(self._ready.base, pathlib.Path(dir_path) / vocabulary.FILE_NAME)

    def load_assets(self, dir_path: str) -> None:
        """Reads what `save_assets` wrote."""
        self._set_vocabulary(pathlib.Path(dir_path) / vocabulary.FILE_NAME)

    def save_pretrained(self, directory: str | os.PathLike[str]) -> None:
        """Writes vocab.txt, tokenizer_config.json and tokenizer.json as transformers reads them."""
        pretrained_files.write(pathlib.Path(directory), self)

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike[str], **settings: Any) -> BertTokenizer:
        """Reads a Hugging Face directory.

        Where no file says anything of casing, the vocabulary decides: one with capitals in more
        than one piece of a hundred is cased.

        Args:
            directory: holds vocab.txt or tokenizer.json and, usually, tokenizer_config.json.
            settings: arguments of the class that override what the directory says.

        Raises:
            UserError: a file is damaged, the files disagree, or the tokenizer is not BERT's.
        """
        return cls(**{**pretrained_files.read(pathlib.Path(directory)), **settings})


def _whole_number(value: Any, name: str, least: int, most: int | None) -> int:
    """A number, or a UserError."""
    valid = isinstance(value, int) and not isinstance(value, bool)
    if not valid or value < least or (most is not None and value > most):
        expected = f"at least {least}" if most is None else f"{least} to {most}"
        raise UserError(f"{name}={value!r}: expected a whole number, {expected}")
    return value
