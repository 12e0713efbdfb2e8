"""WordTask: the reading of sentences of words, for tasks that label each word."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from bert_keras.data.examples import sorted_labels
from bert_keras.data.source import DataSource
from bert_keras.data.tagged_sentences import TaggedSentences, read_tagged, sentences_of
from bert_keras.data.text_words import PlacedWords, place_words, split_words
from bert_keras.data.training_examples import NO_LABEL, TokenLabelledExamples
from bert_keras.data.word_windows import WordWindows, encode_words
from bert_keras.errors import UserError
from bert_keras.metrics import tag_schemes
from bert_keras.tasks import graph_checks, input_checks
from bert_keras.tasks.arrow_inputs import as_examples
from bert_keras.tasks.entity_answers import Tagging, tagging_of
from bert_keras.tasks.fine_tuned import Prepared
from bert_keras.tasks.given_examples import given
from bert_keras.tasks.inputs import ARGUMENTS, Names, gather, is_text
from bert_keras.tasks.labelled import LabelledTask


@dataclasses.dataclass(frozen=True)
class PreparedWords(Prepared):
    """Sentences as windows of tokens.

    Attributes:
        labels: of the tokens, int32: `NO_LABEL` but for the one that stands for each word. A tag
            that the model does not know has the index behind its last.
        placed: the words of each sentence in its text.
        windows: which tokens stand for the words.
    """

    placed: list[PlacedWords]
    windows: WordWindows

    @property
    def word_labels(self) -> np.ndarray:
        """The index of every word's tag, `[W]`."""
        return self.gold[self.windows.tokens]

    def by_sentence(self, values: np.ndarray) -> list[list[Any]]:
        """The values of all words, `[W]`, as lists, one for each sentence."""
        splits = self.windows.splits
        return [values[a:b].tolist() for a, b in zip(splits[:-1], splits[1:], strict=True)]


@keras.saving.register_keras_serializable(package="bert_keras")
class TokenAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of the labelled tokens whose largest logit is their label's."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        labelled = tf.cast(y_true != NO_LABEL, tf.float32)
        return super().update_state(tf.maximum(y_true, 0), y_pred, labelled)


def _sentences(x: Any, name: str) -> TaggedSentences:
    """Returns texts, or lists of words, without tags; the first element says which."""
    x = input_checks.only_column(x)
    if isinstance(x, (np.ndarray, tf.Tensor)) and len(x.shape) == 2:
        # Short sentences of a matrix are padded with empty words.
        x = [_without_padding(row) for row in np.asarray(x).tolist()]
    if not isinstance(x, (str, bytes)):
        found = list(input_checks.elements(x, name, "a list of texts or of lists of words"))
        if found and not isinstance(found[0], (str, bytes)) and isinstance(found[0], Iterable):
            return sentences_of(words=input_checks.string_lists(x, name, "words"))
        x = x if hasattr(x, "__len__") else found
    return sentences_of(texts=input_checks.strings(x, name, "a text"))


def _without_padding(words: list[Any]) -> list[Any]:
    while words and words[-1] in ("", b""):
        words = words[:-1]
    return words


def _numbers(tags: Any) -> list[str] | None:
    """Returns a sentence's tags as they are written, if they are all whole numbers."""
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        return None
    found = [input_checks.whole_number(tag) for tag in tags]
    return None if None in found else list(map(str, found))


def _tagged(words: list[list[str]], y: Any, names: Names) -> TaggedSentences:
    """Returns sentences with a tag for each word; tags that are all numbers are written as such.

    Raises:
        UserError: there are more or fewer tags than words, or one is neither a string nor, as all
            others are, a number.
    """
    y = y if hasattr(y, "__len__") else list(input_checks.elements(y, names.y, "lists of tags"))
    numbers = [_numbers(row) for row in input_checks.elements(y, names.y, "lists of tags")]
    tags = [row for row in numbers if row is not None]
    if len(tags) < len(numbers):
        tags = input_checks.string_lists(y, names.y, "tags")
    input_checks.check_count(len(tags), names.y, len(words), names.x)
    for index, (own, known) in enumerate(zip(words, tags, strict=True)):
        where = input_checks.place(y, names.y, index)
        input_checks.check_count(len(known), where, len(own), f"the words of {names.x}[{index}]")
    return given(sentences_of(words, tags), names.y)


class WordTask(LabelledTask):
    """A task whose examples are sentences of words, each with a tag.

    `tag_scheme` is the scheme of `labels`, to which the examples' tags are converted. `fit` and
    `evaluate` take lists of words and lists of tags, or what `read` returns.
    """

    tag_scheme: str | None = None

    @classmethod
    def read(cls, source: DataSource, labelled: bool = True) -> TaggedSentences:
        """Columns, JSON lines, and plain texts to tag; see `read_tagged`."""
        return read_tagged(source, labelled)

    @classmethod
    def examples_of(cls, x: Any) -> TaggedSentences:
        """A list of texts, or of lists of words; or a dataset of batches of texts."""
        if isinstance(x, TaggedSentences):
            return x
        if isinstance(x, tf.data.Dataset):
            x = gather(x if isinstance(x.element_spec, tuple) else x.map(lambda part: (part,)))
            if not isinstance(x, list):
                raise UserError("x is a dataset of several columns; expected texts or words")
            x = [_without_padding(list(row)) if not isinstance(row, bytes) else row for row in x]
        return given(_sentences(x, "x"), "x")

    @classmethod
    def options_from(cls, train: TaggedSentences, given: Mapping[str, Any]) -> dict[str, Any]:
        """The tags of the training data, and their scheme, where these are not given.

        Every tag that an entity of a known type may have is known, O first.

        Raises:
            UserError: a tag is written in another way than the others, or is not among the given
                labels (names file and line); or the tags are all alike.
        """
        names = [str(label) for label in given.get("labels") or ()]
        if names:
            train = train.with_tag_names(names)
        elif train.has_numbers():
            logging.warning(
                "%s: the tags are numbers, so no entities are found or scored; labels=O,B-PER,… "
                "gives their names in order",
                train.source,
            )
        sentences = train.tags or []
        scheme = given.get("tag_scheme") or _scheme_of(train, names)
        if scheme != tag_schemes.NO_SCHEME:
            tag_schemes.check_prefixes(sentences, train.where)
        labels = names or _labels_of(sentences, scheme)
        if len(labels) < 2:
            raise UserError(f"{train.source}: has no tags but {labels}, expected at least two")
        if names:
            _check_tags(train, names, scheme)
        return {**given, "labels": given.get("labels") or labels, "tag_scheme": scheme}

    # What a Keras user passes.

    def inputs_of(self, x: Any, name: str) -> Any:
        """As `FineTunedTask.inputs_of`; words are lists of strings, and texts are refused."""
        x = as_examples(self, x, labelled=True)
        if isinstance(x, tf.data.Dataset) and is_text(x.element_spec):
            raise UserError(
                f"{name} is a dataset of strings; expected lists of words and of tags, what read "
                "gives, or features"
            )
        if isinstance(x, (tf.data.Dataset, TaggedSentences, Mapping)):
            return super().inputs_of(x, name)
        return input_checks.string_lists(input_checks.only_column(x), name, "words")

    def _set_up(self, x: Any, y: Any) -> None:
        if isinstance(x, list):
            x = _tagged(x, y, ARGUMENTS)
        if self._labels is None and isinstance(x, TaggedSentences):
            options = self.options_from(x, {"tag_scheme": self.tag_scheme})
            self.tag_scheme = options["tag_scheme"]
            self.set_labels(options["labels"])

    def _feature_dataset(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        batch_size: int | None,
        shuffle: bool,
        names: Names = ARGUMENTS,
    ) -> tf.data.Dataset:
        x, y = self._with_tags(x, y, sample_weight, names)
        return super()._feature_dataset(x, y, sample_weight, batch_size, shuffle, names)

    def _with_tags(self, x: Any, y: Any, sample_weight: Any, names: Names) -> tuple[Any, Any]:
        """Returns lists of words and of tags as `TaggedSentences`; anything else as it is."""
        x = self.inputs_of(x, names.x)
        if not isinstance(x, list):
            return x, y
        self._check_given(x, y, sample_weight, names)
        if sample_weight is not None:
            raise UserError(f"{names.sample_weight}: sentences are taken without weights")
        return _tagged(x, y, names), None

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The metrics of sentences, as `fit` takes them; of features, as Keras does.

        Further arguments are those of `BertTask.evaluate`.
        """
        x, y = self._with_tags(x, y, kwargs.get("sample_weight"), ARGUMENTS)
        return super().evaluate(x, y, *args, **kwargs)

    def default_metrics(self) -> list[keras.metrics.Metric]:
        return [TokenAccuracy(name="accuracy")]

    def preprocess_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Tag indices, int32 `[batch, length]`, `NO_LABEL` for tokens that have none."""
        message = "a tag's index is not one of the model's"
        whole = graph_checks.whole_numbers(labels, message)
        known = (whole == NO_LABEL) | ((whole >= 0) & (whole < len(self.labels)))
        return tf.cast(graph_checks.checked(whole, known, labels, message), tf.int32)

    # Data.

    def check_training_tags(self, x: Any, y: Any) -> None:
        """Raises a UserError where training data has a tag that is not one of the labels."""
        if isinstance(x, list):
            x = _tagged(x, y, ARGUMENTS)
        if not isinstance(x, TaggedSentences):
            return
        labels = [str(label) for label in self.labels]
        scheme = self.tag_scheme or tag_schemes.NO_SCHEME
        _check_tags(x.with_tag_names(labels), labels, scheme)

    @property
    def standard_labels(self) -> list[str]:
        """The labels as `metrics.tag_schemes` writes tags; without a scheme as they are."""
        return _standard([[str(label) for label in self.labels]], self.tag_scheme)[0]

    def prepare(self, examples: TaggedSentences) -> PreparedWords:
        """Words as tokens, tags as indices of the model's tags.

        The examples of what is returned have their tags as `metrics.tag_schemes` writes them. A
        tag that the model does not know counts as wrong, with a warning.

        Raises:
            UserError: the model knows none of the tags.
        """
        if examples.texts is not None:
            placed = split_words(self.tokenizer, examples.texts)
        else:
            placed = [place_words(words) for words in examples.words or []]
        sentences = [found.words for found in placed]
        windows = encode_words(self.tokenizer, sentences, self.max_length)
        labels = None
        if examples.tags is not None:
            examples = self._with_standard_tags(examples)
            labels = np.full(len(windows.inputs.token_ids), NO_LABEL, np.int32)
            labels[windows.tokens] = self._tag_ids(examples)
        return PreparedWords(examples, windows.inputs, labels, placed, windows)

    def _with_standard_tags(self, examples: TaggedSentences) -> TaggedSentences:
        names = [str(label) for label in self.labels]
        named = examples.with_tag_names(names)
        if named is not examples:
            logging.warning(
                "%s: the tags are numbers and taken for indices of the model's labels: %s",
                *(examples.source, ", ".join(names)),
            )
        return dataclasses.replace(named, tags=_standard(named.tags or [], self.tag_scheme))

    def _tag_ids(self, examples: TaggedSentences) -> list[int]:
        """Returns the index of every word's tag, that behind the last for unknown tags."""
        labels, scheme = self.standard_labels, self.tag_scheme or tag_schemes.NO_SCHEME
        index = {label: position for position, label in reversed(list(enumerate(labels)))}
        ids = [
            index.get(tag, len(labels))
            for tags in examples.tags or []
            for tag in tag_schemes.convert(tags, scheme)
        ]
        count = ids.count(len(labels))
        if count:
            message = _unknown_tag(examples, ids.index(len(labels)), self.labels)
            if count == len(ids):
                raise UserError(f"{message}, and no other word has one of these")
            logging.warning("%s: this word and %d more count as wrong", message, count - 1)
        return ids

    def training_examples(self, prepared: Prepared) -> TokenLabelledExamples:
        """Windows with a label for the first token of each word."""
        return TokenLabelledExamples(prepared.inputs, prepared.gold)

    def scored_row(self, example: Mapping[str, Any], answer: Tagging) -> dict[str, Any]:
        """A line of `predictions.jsonl`: `prediction` are the tags, `tags` the gold ones, and so
        `entities` and `gold_entities`."""
        row, scheme = self.answer_row(answer), self.tag_scheme or tag_schemes.NO_SCHEME
        tags = example["tags"]
        gold = tagging_of(place_words(example["words"]), tags, [1.0] * len(tags), scheme, tags)
        entities = [dataclasses.asdict(entity) for entity in gold.entities]
        for entity in entities:
            del entity["score"]
        return {**example, "prediction": row.pop("tags"), **row, "gold_entities": entities}


# Tags.


def _standard(sentences: Sequence[Sequence[str]], scheme: str | None) -> list[list[str]]:
    if scheme in (None, tag_schemes.NO_SCHEME):
        return [list(tags) for tags in sentences]
    return tag_schemes.standard_tags(sentences)


def _scheme_of(train: TaggedSentences, names: Sequence[str]) -> str:
    """Returns the scheme of the training data, or that of given labels with other letters."""
    scheme = tag_schemes.detect_scheme(train.tags or [], train.where)
    of_names = tag_schemes.scheme_of_labels(names)
    if tag_schemes.NO_SCHEME in (scheme, of_names):
        return scheme
    return of_names if "IOBES" in (scheme, of_names) else scheme


def _labels_of(sentences: Sequence[Sequence[str]], scheme: str) -> list[str]:
    """Returns the tags of training data, and all that entities of their types may have."""
    distinct = {tag for tags in _standard(sentences, scheme) for tag in tags}
    if scheme == tag_schemes.NO_SCHEME:
        return sorted_labels(distinct)
    return tag_schemes.labels_of(tag_schemes.types_of(distinct), scheme)


def _check_tags(train: TaggedSentences, labels: Sequence[str], scheme: str) -> None:
    """Raises a UserError, with file and line, where a training tag is not among the labels."""
    known, place = set(_standard([labels], scheme)[0]), 0
    for tags in _standard(train.tags or [], scheme):
        for tag in tag_schemes.convert(tags, scheme):
            if tag not in known:
                raise UserError(_unknown_tag(train, place, labels))
            place += 1


def _unknown_tag(examples: TaggedSentences, place: int, labels: Sequence[Any]) -> str:
    """Returns a message that names an unknown tag by its place among all words."""
    for sentence, tags in enumerate(examples.tags or ()):
        if place < len(tags):
            return (
                f"{examples.where(sentence, place)}: the tag {tags[place]!r} is not one of "
                f"{', '.join(map(str, labels))}"
            )
        place -= len(tags)
    raise IndexError(place)
