"""SavedModels that take strings, hold each weight once and run in TensorFlow Serving."""

from __future__ import annotations

import pathlib
import shutil
import tempfile

import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.export.quantization import Quantized, quantized_matrices, with_matrices
from bert_keras.export.signatures import signatures_of
from bert_keras.export.warmup import write_warmup
from bert_keras.tasks import BertTask


class _Servable(tf.Module):
    """What is written: the raw variables and the assets.

    The Keras model itself stays out of the object graph, in the signatures' closures. A
    tracked Keras 3 model loads in Python but not in TensorFlow's C++ loader, and Keras's own
    export archive writes each weight twice.
    """

    def __init__(self, task: BertTask, assets: list[pathlib.Path], matrices: Quantized) -> None:
        super().__init__()
        replaced = {id(weight) for weight, _ in matrices}
        self.weights = [weight.value for weight in task.weights if id(weight) not in replaced]
        self.matrices = [matrix for _, matrix in matrices]
        self.stored = [(matrix.numbers, matrix.scales) for matrix in self.matrices]
        self.assets = [tf.saved_model.Asset(str(path)) for path in assets]


def save(
    task: BertTask,
    path: str | pathlib.Path,
    int8_weights: bool = False,
    attention: bool = False,
) -> pathlib.Path:
    """Writes a task model as a servable: strings in, answers out.

    The folder appears under its name only when it is complete, so a server that watches its
    parent never loads half a model. Among the assets are `vocab.txt` and `labels.txt`, and
    beside them the requests with which a server warms up.

    Args:
        task: a task model, such as a `TextClassifier`, with its labels set.
        path: BASE/NAME/VERSION; the version is a whole number.
        int8_weights: whether matrices are stored in eight bits; see `quantization`.
        attention: whether there is a signature that shows what tokens attend to; see
            `attention_signatures`.

    Returns the path.

    Raises:
        UserError: the version is not a number or is there already.
    """
    path = pathlib.Path(path)
    if not path.name.isdecimal():
        raise UserError(
            f"{path}: expected BASE/NAME/VERSION with a whole number as VERSION, "
            f"received {path.name!r}"
        )
    if path.exists():
        raise UserError(f"{path}: is there already; choose the next version")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder:
        target = pathlib.Path(folder) / "servable"
        assets = pathlib.Path(folder) / "assets"
        assets.mkdir()
        signatures = signatures_of(task, attention)
        matrices = quantized_matrices(task.weights) if int8_weights else []
        if matrices:
            signatures = with_matrices(signatures, matrices)
        module = _Servable(task, task.write_assets(assets), matrices)
        tf.saved_model.save(module, str(target), signatures=signatures)
        write_warmup(target, task, signatures)
        shutil.move(target, path)
    return path
