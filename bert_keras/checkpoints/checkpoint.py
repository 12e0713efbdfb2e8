"""What a checkpoint of any format offers: a config, an encoder, heads, a tokenizer."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bert_keras.checkpoints import names, stores
from bert_keras.checkpoints.labels import labels_of
from bert_keras.checkpoints.load_report import POOLER, LoadReport
from bert_keras.checkpoints.sentence_transformers import SentenceModules
from bert_keras.config import BertConfig
from bert_keras.errors import UserError
from bert_keras.layers.basic import weight_seed
from bert_keras.models.encoder import BertEncoder

if TYPE_CHECKING:
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

# The kind of model that each head makes; see `architectures`.
_ARCHITECTURES = {
    "masked_lm": "BertForMaskedLM",
    "next_sentence": "BertForNextSentencePrediction",
    "classifier": "BertForSequenceClassification",
    "question_answering": "BertForQuestionAnswering",
}

AddPooler = bool | Literal["auto"]


class Checkpoint(abc.ABC):
    """A checkpoint that was found and whose config was read; weights are read when asked for.

    Attributes:
        format: "huggingface", "google_tf1", "keras_hub" or "size".
        source: where it is, for messages.
        config: sizes and constants of the encoder.
        settings: everything else that its config file says, such as `id2label`.
    """

    format: str
    source: str
    config: BertConfig
    settings: Mapping[str, Any]

    @abc.abstractmethod
    def store(self) -> stores.TensorStore:
        """Its tensors by name."""

    @abc.abstractmethod
    def tokenizer(self, lowercase: bool | None = None) -> BertTokenizer:
        """Its tokenizer.

        Args:
            lowercase: None for what the checkpoint says.

        Raises:
            UserError: it has no vocabulary, or one of another size than the model's.
        """

    def unexpected(self) -> list[str]:
        """Tensors named as the encoder's are, for which it has no place: an error."""
        return []

    def others(self) -> list[str]:
        """Tensors that are neither the encoder's nor a head's; they are left out."""
        return []

    @functools.cached_property
    def report(self) -> LoadReport:
        """What became of its parts so far; see `announce`."""
        return LoadReport()

    def announce(self, heads: Iterable[str] = ()) -> None:
        """Says in one line which parts of it a model does not use, and which parts are new.

        To be called once, when everything has been read that a model takes from it.

        Args:
            heads: those of the model, by the names of `names.HEADS`.
        """
        report = self.report
        report.new += [head for head in heads if head not in report.used]
        held = [head for head in names.HEADS if self.has_head(head)]
        report.say(self.source, [*([POOLER] if self.has_pooler() else []), *held], self.others())

    def sentence_modules(self) -> SentenceModules | None:
        """How it makes one vector of a text, if it is a sentence-transformers directory.

        Raises:
            UserError: it is one, with modules that are not supported.
        """
        return None

    def has_pooler(self) -> bool:
        """Whether the checkpoint holds a pooler."""
        return self._has(self._pooler_entries())

    def has_head(self, head: str) -> bool:
        """Whether the checkpoint holds a head of `names.HEADS`."""
        return self._has(names.head_entries(head, self.format))

    def architectures(self) -> list[str]:
        """Returns transformers' names of its kind of model.

        Where the config names none, as in Google's and KerasHub's formats, the heads decide; a
        `classifier` is then that of a sequence classification.
        """
        stated = self.settings.get("architectures")
        if stated:
            return list(stated)
        return [name for head, name in _ARCHITECTURES.items() if self.has_head(head)]

    def head_rows(self, head: str) -> int | None:
        """Returns the number of outputs of a stored head; None where there is no such head."""
        shapes = self.store().shapes()
        for entry in names.head_entries(head, self.format):
            shape = shapes.get(entry.names[0])
            if shape:
                return shape[0] if entry.transposed else shape[-1]
        return None

    def labels(self) -> list[str] | None:
        """Returns the labels of its classifier's rows; None where nothing says.

        Raises:
            UserError: its config and the rows disagree on their number; see `labels_of`.
        """
        rows = self.head_rows("classifier") if self.has_head("classifier") else None
        return labels_of(self.settings, self.source, rows)

    def encoder(
        self,
        add_pooler: AddPooler = "auto",
        dtype: Any = None,
        config: Mapping[str, Any] | None = None,
        seed: int = 0,
        announce: bool = True,
        **arguments: Any,
    ) -> BertEncoder:
        """The encoder with the checkpoint's weights, read tensor by tensor.

        Args:
            add_pooler: "auto" for what the checkpoint has; True makes a new pooler, with a
                warning, where it has none.
            dtype: Keras dtype policy; weights are float32 but under a pure 16-bit policy.
            config: fields of BertConfig that differ from the checkpoint's, such as dropout
                rates or `hidden_act`.
            seed: of weights that are new: a pooler, LoRA's.
            announce: whether a new pooler is said at once; False leaves it to `announce`.
            arguments: more arguments of BertEncoder.

        Raises:
            UserError: tensors are missing, unexpected, damaged or of another shape.
        """
        has_pooler = self.has_pooler()
        wanted = has_pooler if add_pooler == "auto" else bool(add_pooler)
        entries = names.encoder_entries(self.config, wanted and has_pooler, self.format)
        stores.check_names(self.store(), entries, self.unexpected())
        # Before memory is asked for: a damaged config may name any size.
        for entry in entries:
            stores.check_shape(self.store(), entry, names.encoder_shape(entry.path, self.config))
        with weight_seed(seed):
            encoder = BertEncoder(
                dataclasses.replace(self.config, **(config or {})),
                add_pooler=wanted,
                dtype=dtype,
                **arguments,
            )
        stores.fill(encoder.named_weights(), entries, self.store())
        if wanted and has_pooler:
            self.report.used.add(POOLER)
        elif wanted:
            self.report.new.append(POOLER)
            if announce:
                LoadReport(new=[POOLER]).say(self.source, (), ())
        return encoder

    def head(self, head: str) -> dict[str, np.ndarray]:
        """The weights of a head, float32, by our names; kernels are `[in, out]`.

        "masked_lm": `dense/kernel`, `dense/bias`, `layer_norm/gamma`, `layer_norm/beta`,
        `output_bias`; "next_sentence": `dense/kernel`, `dense/bias`; "classifier":
        `classifier/kernel`, `classifier/bias`; "question_answering": `qa_outputs/kernel`,
        `qa_outputs/bias`.

        Raises:
            UserError: tensors are missing, damaged or of another shape.
        """
        entries, store = self._checked_head(head), self.store()
        shapes = self._head_shapes(head)
        return {
            entry.path: stores.read_entry(store, entry, shapes.get(entry.path)) for entry in entries
        }

    def fill_head(self, head: str, weights: Mapping[str, Any]) -> None:
        """Assigns a head layer's variables, by the paths that `head()` gives.

        Raises:
            UserError: tensors are missing, damaged or of another shape.
        """
        stores.fill(weights, self._checked_head(head), self.store())

    def _checked_head(self, head: str) -> list[names.Entry]:
        """The entries of a head whose tensors are all there."""
        entries = names.head_entries(head, self.format)
        if not entries:
            raise UserError(f"{self.source}: a {self.format} checkpoint has no {head} head")
        stores.check_names(self.store(), entries)
        self.report.used.add(head)
        return entries

    def _head_shapes(self, head: str) -> dict[str, tuple[int, ...]]:
        """The shapes that follow from the config; a classifier's depend on its labels."""
        width = self.config.hidden_size
        if head == "masked_lm":
            vector = (width,)
            shapes = {"dense/bias": vector, "layer_norm/gamma": vector, "layer_norm/beta": vector}
            return {
                **shapes,
                "dense/kernel": (width, width),
                "output_bias": (self.config.vocab_size,),
            }
        if head == "next_sentence":
            return {"dense/kernel": (width, 2), "dense/bias": (2,)}
        return {}

    def known_names(self) -> set[str]:
        """Returns the names that tensors of the encoder, its pooler and all heads have here."""
        entries = names.encoder_entries(self.config, True, self.format)
        for head in names.HEADS:
            entries = entries + names.head_entries(head, self.format)
        return {name for entry in entries for name in entry.names}

    def _pooler_entries(self) -> list[names.Entry]:
        every = names.encoder_entries(self.config, True, self.format)
        return [entry for entry in every if entry.path.startswith("pooler/")]

    def _has(self, entries: list[names.Entry]) -> bool:
        # One tensor is enough: where others are missing, reading says so.
        shapes = self.store().shapes()
        return any(name in shapes for entry in entries for name in entry.names)
