"""What several verbs load: a task model from its directory, examples by flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from bert_keras.data.examples import Examples, read_examples
from bert_keras.errors import UserError

if TYPE_CHECKING:
    from bert_keras.tasks import TextClassifier


def load_task(flag: str, directory: str) -> TextClassifier:
    """The task model in a directory that `finetune` or transformers wrote.

    Raises:
        UserError: the directory has no head of a known task or is damaged; names the flag.
    """
    # `predict --server` needs neither Keras nor a model.
    from bert_keras import checkpoints
    from bert_keras.tasks import TextClassifier

    try:
        checkpoint = checkpoints.open_checkpoint(directory)
        if checkpoint.has_head("classifier"):
            return TextClassifier.from_pretrained(directory)
    except UserError as error:
        raise UserError(f"--{flag}={directory}: {error}") from None
    architecture = ", ".join(checkpoint.settings.get("architectures") or ["none"])
    raise UserError(
        f"--{flag}={directory}: has no classifier (architecture: {architecture}); expected "
        "a directory written by bert-keras finetune, or BertForSequenceClassification"
    )


def kind_of(has_pairs: bool) -> str:
    """What examples are, in messages."""
    return "pairs of texts" if has_pairs else "single texts"


def check_pairs(task: TextClassifier, examples: Examples) -> None:
    """A UserError where a model of pairs meets single texts, or the other way round."""
    has_pairs = examples.pairs is not None
    if task.pairs is not None and task.pairs != has_pairs:
        raise UserError(
            f"{examples.source}: has {kind_of(has_pairs)}, the model expects {kind_of(task.pairs)}"
        )


def read_flagged(values: flags.FlagValues, spec: str, labelled: bool) -> Examples:
    """Examples of a data source, with the column flags of the verb."""
    return read_examples(
        spec,
        text_column=values.text_column,
        pair_column=values.pair_column,
        label_column=values.label_column,
        tfds_dir=values.tfds_dir,
        labelled=labelled,
    )
