"""AnsweringTask: what reads its inputs, answers them and is saved with its head."""

from __future__ import annotations

import abc
import dataclasses
import inspect
import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy.typing as npt

from bert_keras import checkpoints
from bert_keras.data.encoded import EncodedExamples
from bert_keras.data.source import DataSource
from bert_keras.layers.basic import weight_seed
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import input_checks, keras_arguments
from bert_keras.tasks.arrow_inputs import as_examples
from bert_keras.tasks.base import Batch, BertTask, open_with_tokenizer
from bert_keras.tasks.stored_options import stored_length, stored_options
from bert_keras.tokenization import BertTokenizer


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Examples as a task's model takes them.

    Attributes:
        examples: what was read.
        inputs: their tokens; a row for each example, or several, as the task has it.
        labels: as the task's loss takes them, or None where there are none.
    """

    examples: Any
    inputs: EncodedExamples
    labels: npt.NDArray[Any] | None

    @property
    def gold(self) -> npt.NDArray[Any]:
        """The labels.

        Raises:
            ValueError: the examples were read without them.
        """
        if self.labels is None:
            raise ValueError("the examples have no labels")
        return self.labels


class AnsweringTask(BertTask):
    """A task model with its data reader, its answers and its checkpoint.

    The verb `predict` knows a task by what is here and nothing else. A subclass sets the class
    attributes, makes its head in `__init__`, and defines `call` of `BertTask` and the abstract
    methods below. The constructor's arguments beyond those of `BertTask` are its options: they
    are kept in a model directory.

    Attributes:
        task_name: what the task is called, in `--task` and in `config.json`.
        architecture: transformers' class that loads the model directory.
        head: the head's name in `checkpoints.names`, None where there are no weights.
        needs_pooler: whether the head stands on the pooled output.
        default_length: tokens per example where nothing else is said.
    """

    task_name: ClassVar[str]
    architecture: ClassVar[str]
    head: ClassVar[str | None]
    needs_pooler: ClassVar[bool] = True
    default_length: ClassVar[int] = 128

    def __init__(self, encoder: BertEncoder, *args: Any, **kwargs: Any) -> None:
        if self.needs_pooler and encoder.pooler is None:
            raise ValueError(f"{type(self).__name__} needs an encoder with a pooler")
        super().__init__(encoder, *args, **kwargs)

    # Data.

    @classmethod
    @abc.abstractmethod
    def read(cls, source: DataSource, labelled: bool = True) -> Any:
        """Examples of a data source, a `TaskExamples`.

        Raises:
            UserError: one line with file, line, the value received and what was expected.
        """

    def check(self, examples: Any) -> None:
        """A UserError where examples are of a kind that the model does not take."""

    @classmethod
    @abc.abstractmethod
    def examples_of(cls, x: Any) -> Any:
        """Examples without labels from what `predict` is given."""

    @abc.abstractmethod
    def prepare(self, examples: Any) -> Prepared:
        """Tokenizes examples, and turns their labels, if they have any, into numbers.

        Raises:
            UserError: a label is not one that the model knows; names its file and line.
        """

    def dropout_seed(self, features: Batch) -> Any:
        """The step's seed for a head; in a loop of one's own the encoder has the next one."""
        given = features.get("dropout_seed")
        return self.encoder.seed_generator.next() if given is None else given

    # Answers.

    def run(self, prepared: Prepared, batch_size: int | None = None) -> Any:
        """The model's outputs for prepared examples, in their order."""
        return self.raw_outputs(prepared.inputs, batch_size)

    @abc.abstractmethod
    def answers(self, prepared: Prepared, outputs: Any) -> list[Any]:
        """One answer, a dataclass, per example."""

    def answer_row(self, answer: Any) -> dict[str, Any]:
        """An answer as JSON."""
        return dataclasses.asdict(answer)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: None = None,
    ) -> list[Any]:
        """Returns one answer per input, in order.

        Args:
            x: inputs in the forms that the task's `examples_of` takes. Labels and weights of a
                dataset are ignored.
            batch_size: rows that run together; None for what runs fastest.
            verbose: as Keras's, without effect: there is no progress bar.
            steps: the number of elements to take of a dataset; all by default.
            callbacks: not to be given: none are run.

        Raises:
            UserError: an input is not what the model takes; names its place and value.
        """
        prepared = self._prepared(x, verbose, steps, callbacks)
        return self.answers(prepared, self.run(prepared, input_checks.batch_size(batch_size)))

    def _prepared(self, x: Any, verbose: Any, steps: int | None, callbacks: Any) -> Prepared:
        """Returns what `predict` is given, checked and tokenized."""
        given = keras_arguments.predicted_inputs(x, verbose, steps, callbacks)
        examples = self.examples_of(as_examples(self, given, labelled=False))
        self.check(examples)
        return self.prepare(examples)

    # Saving.

    @abc.abstractmethod
    def options(self) -> dict[str, Any]:
        """The task's own arguments of the constructor, as JSON values."""

    def head_weights(self) -> dict[str, keras.Variable]:
        """The head's weights by the paths of `checkpoints.names`."""
        return {}

    def heads(self) -> dict[str, dict[str, keras.Variable]]:
        """The weights of every head that is saved, by the names of `checkpoints.names`."""
        return {} if self.head is None else {self.head: self.head_weights()}

    def head_names(self) -> list[str]:
        """The names of the heads, of those too whose weights are not made yet."""
        return [] if self.head is None else [self.head]

    def config_fields(self) -> dict[str, Any]:
        """Further fields of `config.json` that transformers reads."""
        return {}

    def extra_files(self) -> dict[str, Any]:
        """Further files of a model directory; see `checkpoints.save_pretrained`."""
        return {}

    @classmethod
    def recognises(cls, checkpoint: checkpoints.Checkpoint) -> bool:
        """Whether a checkpoint holds a trained model of this task."""
        named = checkpoint.architectures()
        return cls.architecture in named and (cls.head is None or checkpoint.has_head(cls.head))

    @classmethod
    def option_names(cls) -> set[str]:
        """The names of the task's own arguments of the constructor."""
        return inspect.signature(cls.__init__).parameters.keys() - _SHARED

    @classmethod
    def stored_options(cls, checkpoint: checkpoints.Checkpoint) -> dict[str, Any]:
        """The options that a checkpoint of this task was saved with, as far as it says."""
        return stored_options(checkpoint, cls.option_names(), cls.__init__)

    @classmethod
    def stored_length(cls, checkpoint: checkpoints.Checkpoint) -> int | None:
        """The tokens per example that a checkpoint was saved with, None where it does not say."""
        return stored_length(checkpoint)

    @classmethod
    def from_pretrained(
        cls,
        init: str | pathlib.Path,
        *,
        max_length: int | None = None,
        seed: int = 0,
        dtype: Any = None,
        tokenizer: BertTokenizer | None = None,
        new_head: bool = False,
        **options: Any,
    ) -> Any:
        """From a checkpoint of any kind that `bert_keras.load` takes.

        A checkpoint of a trained model of this task brings its head, and one of ours its
        options; any other gets a head with random weights. One warning says which parts of the
        checkpoint are not used and which parts of the model are new. No global random
        generator is read or changed.

        Args:
            init: a model directory, a Google TF1 directory, a KerasHub preset, or
                `size:NAME` for random weights (which needs `tokenizer`).
            max_length: tokens per example; by default the checkpoint's own, or
                `default_length`.
            seed: of new weights, dropout and shuffling.
            dtype: Keras dtype policy, such as "mixed_bfloat16".
            tokenizer: instead of the checkpoint's.
            new_head: whether the head starts from random weights even if the checkpoint has
                one.
            options: the task's own (None for the checkpoint's), and those of `BertEncoder`,
                such as `lora_rank`.

        Raises:
            UserError: the checkpoint is damaged, is not a BERT, or has a head of as many
                outputs as neither its config nor the arguments say.
        """
        given = {name: options.pop(name) for name in cls.option_names() & options.keys()}
        checkpoint, tokenizer = open_with_tokenizer(init, tokenizer, options)
        encoder = checkpoint.encoder(cls.needs_pooler, dtype, seed=seed, announce=False, **options)
        trained = not new_head and cls.recognises(checkpoint)
        if not (trained or new_head):
            cls.without_head(checkpoint)
        stored = cls.stored_options(checkpoint) if trained else {}
        longest = encoder.config.max_position_embeddings
        length = max_length or cls.stored_length(checkpoint) or min(cls.default_length, longest)
        changed = {name: value for name, value in given.items() if value is not None}
        with weight_seed(seed):
            task = cls(encoder, tokenizer, max_length=length, seed=seed, **{**stored, **changed})
        if trained and cls.head is not None:
            task.take_head(checkpoint, stored)
        checkpoint.announce(task.head_names())
        return task

    @classmethod
    def without_head(cls, checkpoint: checkpoints.Checkpoint) -> None:
        """Notes why the head that a checkpoint has is not this task's.

        A task that is not trained here raises a UserError.
        """
        if cls.head is not None and checkpoint.has_head(cls.head):
            named = ", ".join(checkpoint.architectures())
            if not checkpoint.settings.get("architectures"):
                named += ", as its config names no architectures"
            checkpoint.report.notes.append(f"its head is that of a {named}")

    def take_head(self, checkpoint: checkpoints.Checkpoint, stored: Mapping[str, Any]) -> None:
        """Fills the head from a checkpoint that was saved with the options `stored`."""
        assert self.head is not None
        checkpoint.fill_head(self.head, self.head_weights())

    def save_pretrained(self, directory: str | pathlib.Path) -> None:
        """Writes a Hugging Face directory of `architecture`, LoRA merged."""
        own = {"task": self.task_name, "max_length": self.max_length, **self.options()}
        checkpoints.save_pretrained(
            directory,
            self.encoder.config,
            self.architecture,
            self.encoder,
            tokenizer=self.tokenizer,
            heads=self.heads(),
            extra_config={**self.config_fields(), "bert_keras": own},
            extra_files=self.extra_files(),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.options()}

    def write_assets(self, directory: pathlib.Path) -> list[pathlib.Path]:
        """Writes what who uses an exported model may need: the vocabulary."""
        self.tokenizer.save_pretrained(directory)
        return [directory / "vocab.txt"]


# Arguments that every task's constructor has.
_SHARED = {"self", "encoder", "tokenizer", "max_length", "seed", "kwargs"}
