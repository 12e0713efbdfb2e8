"""`bert-keras convert`: writes a checkpoint, or annotations of texts, in another format."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from absl import flags, logging

from bert_keras import checkpoints
from bert_keras.checkpoints import google_tf1, names
from bert_keras.checkpoints.replacing import replacing_files
from bert_keras.commands.loading import bad_rows_of
from bert_keras.config import BertConfig
from bert_keras.data.annotations import read_annotations
from bert_keras.data.bad_rows import BadRows
from bert_keras.data.files import write_json_lines
from bert_keras.data.source import DataSource
from bert_keras.errors import UserError

# What a checkpoint is called by the heads that it has; the first row that fits decides.
_ARCHITECTURES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("masked_lm", "next_sentence"), "BertForPreTraining"),
    (("masked_lm",), "BertForMaskedLM"),
    (("classifier",), "BertForSequenceClassification"),
    (("question_answering",), "BertForQuestionAnswering"),
    ((), "BertModel"),
)
# Fields of config.json beyond the encoder's that say what the heads' outputs mean.
_KEPT_SETTINGS = ("id2label", "label2id", "problem_type", "bert_keras")
# transformers takes the number of their classes from `id2label`, and two where it is absent.
_WITH_LABELS = ("BertForSequenceClassification", "BertForTokenClassification")
# Formats of one file, which holds what is needed to run a model and no more.
_TO_RUN = ("onnx", "litert")


def run(values: flags.FlagValues) -> int:
    """Converts `--from` to `--output` and prints one line about what was written."""
    source = values["from"].value  # `values.from` is not Python: the name is a keyword
    _check_flags(values)
    if values.to == "tagged_sentences":
        bad_rows = bad_rows_of(values)
        print(convert_annotations(source, values.output, values.encoding, bad_rows))
        return 0
    print(convert(source, values.to, values.output, values.hidden_act))
    return 0


def convert(source: str, to: str, output: str, hidden_act: str | None = None) -> str:
    """Writes a checkpoint in another format, with every head that both formats have.

    Args:
        source: as for `checkpoints.open_checkpoint`.
        to: "huggingface", "google_tf1", "onnx" or "litert".
        output: the directory to write, of onnx and litert the file.
        hidden_act: an activation instead of the source's.

    Returns one line that says what was written.

    Raises:
        UserError: the source cannot be read, or the target format cannot hold it.
    """
    checkpoint = checkpoints.open_checkpoint(source)
    if to in _TO_RUN:
        return _convert_to_run(checkpoint, to, pathlib.Path(output), hidden_act)
    config = checkpoint.config
    if hidden_act is not None:
        config = dataclasses.replace(config, hidden_act=hidden_act)
    tokenizer = checkpoint.tokenizer()
    encoder = checkpoint.encoder()
    heads = {
        head: checkpoint.head(head)
        for head in names.HEADS
        if checkpoint.has_head(head) and names.head_entries(head, to)
    }
    if to == "google_tf1":
        google_tf1.save_checkpoint(output, config, encoder, heads, tokenizer)
        kind = "google_tf1"
    else:
        kind = _architecture(checkpoint, heads)
        extra = {k: v for k, v in checkpoint.settings.items() if k in _KEPT_SETTINGS}
        if kind in _WITH_LABELS and "classifier" in heads:
            extra |= checkpoints.label_fields(checkpoint.labels() or ())
        checkpoints.save_pretrained(output, config, kind, encoder, heads, extra, tokenizer)
    checkpoint.announce()
    return _report(output, kind, config, encoder.count_params(), heads)


def _check_flags(values: flags.FlagValues) -> None:
    """Raises a UserError where a flag is given that the target format does not use."""
    is_data = values.to == "tagged_sentences"
    for name in ("hidden_act",) if is_data else ("encoding", "bad_rows"):
        if values[name].value != values[name].default:
            kind = "checkpoints" if is_data else "--to=tagged_sentences"
            raise UserError(f"--{name}={values[name].value}: is for {kind}, not --to={values.to}")


def convert_annotations(
    source: str, output: str, encoding: str = "utf-8", bad_rows: BadRows | None = None
) -> str:
    """Writes the annotations of a file as JSON lines with `words` and `tags`.

    Args:
        source: a file of CLUENER, doccano, Label Studio or Kaggle.
        output: the file to write; its name ends in .jsonl, by which it is read again.
        encoding: of the source.
        bad_rows: what becomes of rows that cannot be used; the first is an error if None.

    Returns:
        One line that says what was written.

    Raises:
        UserError: the source cannot be read, or the output cannot be written.
    """
    path = pathlib.Path(output)
    if path.is_dir():
        raise UserError(f"--output={path}: is a directory, expected a file")
    if path.suffix != ".jsonl":
        raise UserError(f"--output={path}: expected a name that ends in .jsonl")
    bad_rows = bad_rows or BadRows()
    found = read_annotations(DataSource(source, encoding=encoding, bad_rows=bad_rows))
    for skipped in bad_rows.skipped:
        logging.warning("skipped %s: %s", skipped.where, skipped.reason)
    rows = [found.sentences.row(index) for index in range(len(found.sentences))]
    write_json_lines(path, rows)
    types = {tag[2:] for row in rows for tag in row["tags"] if tag != "O"}
    return (
        f"{path}: {len(rows):,} sentences from {found.tool}, types: "
        f"{', '.join(sorted(types)) or 'none'}, {found.divided:,} words divided at spans, "
        f"{found.moved:,} spans moved to their text, "
        f"{len(bad_rows.skipped):,} rows skipped"
    )


def _architecture(checkpoint: checkpoints.Checkpoint, heads: dict[str, Any]) -> str:
    """transformers' class: what the source says, else what its heads make it."""
    stated = checkpoint.settings.get("architectures") or []
    if len(stated) == 1:
        return stated[0]
    return next(name for needed, name in _ARCHITECTURES if set(needed) <= set(heads))


def _report(output: str, kind: str, config: BertConfig, count: int, heads: dict[str, Any]) -> str:
    return (
        f"{output}: {kind}, {config.num_hidden_layers} layers, {config.hidden_size} wide, "
        f"{count:,} weights in the encoder, hidden_act {config.hidden_act}, "
        f"heads: {', '.join(heads) or 'none'}"
    )


def _convert_to_run(
    checkpoint: checkpoints.Checkpoint, to: str, output: pathlib.Path, hidden_act: str | None
) -> str:
    """Writes the model of the checkpoint's task, or its encoder, as ONNX or LiteRT.

    Raises:
        UserError: the output is a directory, or a package is not installed.
    """
    from bert_keras.tasks import task_of

    if output.is_dir():
        raise UserError(f"--output={output}: is a directory, expected a file")
    write = _writer(to)
    changed = None if hidden_act is None else {"hidden_act": hidden_act}
    task = task_of(checkpoint)
    if task is None:
        model: Any = checkpoint.encoder(config=changed)
        checkpoint.announce()
    else:
        model = task.from_pretrained(checkpoint.source, config=changed)
    with replacing_files(output.parent) as folder:
        write(model, folder / output.name)
    return f"{output}: {to}, {type(model).__name__}, {output.stat().st_size / 1e6:.1f} MB"


def _writer(to: str) -> Callable[[Any, pathlib.Path], None]:
    """What writes a model as ONNX or LiteRT.

    Raises:
        UserError: the package that it needs is not installed.
    """
    if to == "litert":
        from bert_keras.export.litert import write_litert

        return write_litert
    try:
        from bert_keras.export.onnx_model import write_onnx
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UserError("--to=onnx: needs ONNX: pip install 'bert-keras[onnx]'") from None
    return write_onnx
