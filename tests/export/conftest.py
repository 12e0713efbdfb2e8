"""A small servable with every kind of signature, and a server for it; servers of other models."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable, Iterator

import grpc
import pytest
import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.export import example_models as models

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "film", "bad", "##s"]
CLASSES = ["negative", "positive"]
_TEXT = tf.TensorSpec([None], tf.string, name="text")


class Toy(tf.Module):
    """Scores a text by its length times a variable, so that its answers are known by hand."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.weights = tf.Variable([2.0, 3.0])
        self.bias = tf.Variable(bias)
        self.tokenizer = tf_text.FastBertTokenizer(
            VOCABULARY, lower_case_nfd_strip_accents=True, support_detokenization=False
        )

    def _scores(self, text: tf.Tensor) -> tf.Tensor:
        length = tf.cast(tf.strings.length(text, unit="UTF8_CHAR"), tf.float32)
        return length[:, None] * self.weights + self.bias

    @tf.function(input_signature=[_TEXT])
    def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        text = tf.ensure_shape(text, [None])
        scores = self._scores(text)
        return {
            "scores": scores,
            "label": tf.strings.join([text, "!"]),
            "ids": self.tokenizer.tokenize(text).to_tensor(),
        }

    @tf.function(input_signature=[_TEXT, tf.TensorSpec([], tf.float32, name="scale")])
    def two_inputs(self, text: tf.Tensor, scale: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scaled": self._scores(tf.ensure_shape(text, [None])) * scale}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="x")])
    def types(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        kinds = [tf.float64, tf.float16, tf.bfloat16, tf.int64, tf.int8, tf.uint8, tf.uint64]
        casts = {kind.name: tf.cast(x, kind) for kind in [*kinds, tf.bool, tf.complex64]}
        return {"int32": tf.identity(x), **casts}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = self._scores(self._texts(inputs))
        return {"classes": tf.broadcast_to(CLASSES, tf.shape(scores)), "scores": scores}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self._scores(self._texts(inputs))[:, 0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def wrong_batch(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": self._scores(inputs)[:1]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def wrong_rank(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self._scores(inputs)}

    @tf.function(input_signature=[_TEXT])
    def slow(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """About half a second of work per text, which no optimizer can fold."""
        steps = 150 * tf.size(text)
        matrix = tf.fill([400, 400], tf.cast(steps, tf.float32))
        done = tf.while_loop(
            lambda step, _: step < steps,
            lambda step, value: (step + 1, tf.math.tanh(value @ value)),
            (0, matrix),
        )
        return {"bias": self.bias + 0.0 * tf.reduce_sum(done[1])}

    @tf.function(input_signature=[_TEXT])
    def fails(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        message = tf.strings.reduce_join(text)
        return {"number": tf.strings.to_number(message)}

    @staticmethod
    def _texts(inputs: tf.Tensor) -> tf.Tensor:
        features = {"text": tf.io.FixedLenFeature([], tf.string)}
        return tf.io.parse_example(tf.ensure_shape(inputs, [None]), features)["text"]


def _save(folder: pathlib.Path, bias: float) -> None:
    toy = Toy(bias)
    names = ["two_inputs", "types", "regress", "wrong_batch", "wrong_rank", "slow", "fails"]
    signatures = {name: getattr(toy, name) for name in ["serving_default", "classify", *names]}
    tf.saved_model.save(toy, str(folder), signatures=signatures)


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> dict[int, pathlib.Path]:
    """Two versions of the toy; version n adds 10 n to its scores."""
    base = tmp_path_factory.mktemp("toys")
    for version in (1, 2):
        _save(base / str(version), bias=10.0 * version)
    return {version: base / str(version) for version in (1, 2)}


@pytest.fixture
def publish(toys: dict[int, pathlib.Path], tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Puts a toy under the base path, complete at once: `publish(1)`, `publish(1, as_=7)`."""
    base = tmp_path / "toy"
    base.mkdir()

    def put(version: int, as_: int | None = None) -> pathlib.Path:
        hidden = tmp_path / "hidden"
        shutil.copytree(toys[version], hidden)
        return hidden.rename(base / str(as_ or version))

    return put


@pytest.fixture(scope="session")
def toy_server(
    toys: dict[int, pathlib.Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server whose model `toy` is version 1; tests leave it as it is."""
    from bert_keras.export.server import ModelServer

    base = tmp_path_factory.mktemp("served")
    shutil.copytree(toys[1], base / "1")
    server = ModelServer({"toy": base}, host="127.0.0.1")
    port = server.start(timeout=60)
    yield f"127.0.0.1:{port}"
    server.stop(grace=0)


@pytest.fixture(scope="session")
def example_models(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of the models of example_models.py, each with one version."""
    base = tmp_path_factory.mktemp("example_models")
    models.half_plus(base / "half_plus_two" / "00000123")
    models.half_plus(base / "half_plus_three" / "00000123", 3.0)
    models.half_plus_two_tf2(base / "half_plus_two_tf2" / "00000123")
    models.counter(base / "counter" / "123")
    models.echo(base / "echo" / "123")
    return base


@pytest.fixture(scope="session")
def example_channel(example_models: pathlib.Path) -> Iterator[grpc.Channel]:
    """To a server of all these models."""
    from bert_keras.export.server import ModelServer

    server = ModelServer({path.name: path for path in example_models.iterdir()}, host="127.0.0.1")
    port = server.start(timeout=60)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(grace=0)


@pytest.fixture(scope="session")
def example_prediction(
    example_channel: grpc.Channel,
) -> prediction_service_pb2_grpc.PredictionServiceStub:
    """The calls of that server."""
    return prediction_service_pb2_grpc.PredictionServiceStub(example_channel)
