"""What several verbs load: a task model from its directory, examples by flags."""

from __future__ import annotations

from absl import flags

from bert_keras import checkpoints
from bert_keras.data.examples import Examples, read_examples
from bert_keras.errors import UserError
from bert_keras.tasks import TextClassifier


def load_task(flag: str, directory: str) -> TextClassifier:
    """The task model in a directory that `finetune` or transformers wrote.

    Raises:
        UserError: the directory has no head of a known task; names the flag.
    """
    checkpoint = checkpoints.open_checkpoint(directory)
    if not checkpoint.has_head("classifier"):
        architecture = ", ".join(checkpoint.settings.get("architectures") or ["none"])
        raise UserError(
            f"--{flag}={directory}: has no classifier (architecture: {architecture}); expected "
            "a directory written by bert-keras finetune, or BertForSequenceClassification"
        )
    return TextClassifier.from_pretrained(directory)


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
