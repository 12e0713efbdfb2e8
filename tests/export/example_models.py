"""Models whose answers are known by hand, and requests for them.

Most are one graph whose signatures share their input, as TensorFlow 1 saves them, with every
signature that a file may have, also those that TensorFlow 2 would not write.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import input_pb2

v1 = tf.compat.v1
_FEATURES = {
    "x": tf.io.FixedLenFeature([1], tf.float32),
    "x2": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0]),
}


def half_plus(folder: pathlib.Path, offset: float = 2.0) -> None:
    """y = x / 2 + offset and y2 = y + 1 of the feature x, y3 = x2 / 2 + offset + 1 of a tensor."""
    with tf.Graph().as_default():
        examples = v1.placeholder(tf.string, [None], "tf_example")
        parsed = tf.io.parse_example(examples, _FEATURES)
        x, x2 = tf.identity(parsed["x"]), tf.identity(parsed["x2"])
        half = v1.get_variable("half", initializer=0.5)
        y, y3 = half * x + offset, half * x2 + offset + 1
        signatures = {
            "serving_default": signature("predict", {"x": x}, {"y": y}),
            "regress_x_to_y": signature("regress", {"inputs": examples}, {"outputs": y}),
            "regress_x_to_y2": signature("regress", {"inputs": examples}, {"outputs": y + 1}),
            "regress_x2_to_y3": signature("regress", {"inputs": x2}, {"outputs": y3}),
            "classify_x_to_y": signature("classify", {"inputs": examples}, {"scores": y}),
            "classify_x2_to_y3": signature("classify", {"inputs": x2}, {"scores": y3}),
        }
        _save(folder, signatures)


class _HalfPlusTwo(tf.Module):
    """The same as TensorFlow 2 saves it: each signature has an input tensor of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.half = tf.Variable(0.5)

    def _y(self, examples: tf.Tensor) -> tf.Tensor:
        return self.half * tf.io.parse_example(examples, _FEATURES)["x"] + 2.0

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self._y(inputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress2(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self._y(inputs) + 1.0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": self._y(inputs)}


def half_plus_two_tf2(folder: pathlib.Path) -> None:
    """The regressions and the classification of `half_plus`, saved by TensorFlow 2."""
    model = _HalfPlusTwo()
    signatures = {
        "regress_x_to_y": model.regress,
        "regress_x_to_y2": model.regress2,
        "classify_x_to_y": model.classify,
    }
    tf.saved_model.save(model, str(folder), signatures=signatures)


class _Counter(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = tf.Variable(0.0)

    @tf.function(input_signature=[])
    def get_counter(self) -> dict[str, tf.Tensor]:
        return {"output": self.count.read_value()}

    @tf.function(input_signature=[])
    def incr_counter(self) -> dict[str, tf.Tensor]:
        return {"output": self.count.assign_add(1.0)}

    @tf.function(input_signature=[])
    def reset_counter(self) -> dict[str, tf.Tensor]:
        return {"output": self.count.assign(0.0)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="delta")])
    def incr_counter_by(self, delta: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"output": self.count.assign_add(delta)}


def counter(folder: pathlib.Path) -> None:
    """Counts its calls; all signatures but one have no input."""
    model = _Counter()
    names = ("get_counter", "incr_counter", "reset_counter", "incr_counter_by")
    tf.saved_model.save(
        model, str(folder), signatures={name: getattr(model, name) for name in names}
    )


def echo(folder: pathlib.Path) -> None:
    """The features class, score and output of an example, in right shapes and in wrong ones."""
    with tf.Graph().as_default():
        examples = v1.placeholder(tf.string, [None], "inputs")
        parsed = tf.io.parse_example(
            examples,
            {
                "class": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
                "score": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True),
                "output": tf.io.FixedLenFeature([], tf.float32, default_value=0.0),
            },
        )
        inputs = {"inputs": examples}
        signatures = {"empty": meta_graph_pb2.SignatureDef()}
        for method, every in (
            ("classify", _classifications(parsed["class"], parsed["score"])),
            ("regress", _regressions(parsed["output"], parsed["class"])),
        ):
            for name, outputs in every.items():
                signatures[name] = signature(method, inputs, outputs)
            # The first of each also under other methods.
            for other in ("", "not/supported/method"):
                renamed = signatures[f"{method}: {other}"] = meta_graph_pb2.SignatureDef()
                renamed.CopyFrom(signatures[next(iter(every))])
                renamed.method_name = other
        _save(folder, signatures)


def _classifications(classes: tf.Tensor, scores: tf.Tensor) -> dict[str, dict[str, tf.Tensor]]:
    return {
        "serving_default": {"classes": classes, "scores": scores},
        "plus_one": {"classes": classes, "scores": scores + 1},
        "classes_only": {"classes": classes},
        "scores_only": {"scores": scores},
        "scores_of_rank_3": {"classes": classes, "scores": scores[:, :, None]},
        "one_row_of_classes": {"classes": classes[:1], "scores": scores},
        "one_row_of_scores": {"classes": classes, "scores": scores[:1]},
        "classes_of_floats": {"classes": tf.identity(scores), "scores": scores},
        "scores_of_strings": {"classes": classes, "scores": tf.identity(classes)},
        "three_scores": {"classes": classes, "scores": tf.concat([scores, scores[:, :1]], 1)},
        "fails": {"scores": tf.strings.to_number(classes)},
    }


def _regressions(output: tf.Tensor, classes: tf.Tensor) -> dict[str, dict[str, tf.Tensor]]:
    return {
        "regress": {"outputs": output},
        "regress_plus_one": {"outputs": output + 1},
        "output_of_rank_3": {"outputs": output[:, None, None]},
        "output_of_two_rows": {"outputs": tf.concat([output, output], 0)},
        "output_of_strings": {"outputs": tf.strings.as_string(output)},
        "regress_fails": {"outputs": tf.strings.to_number(classes)[:, 0]},
    }


def signature(
    method: str, inputs: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor]
) -> meta_graph_pb2.SignatureDef:
    """A signature of the graph that is being built."""
    infos = (
        {name: v1.saved_model.build_tensor_info(tensor) for name, tensor in tensors.items()}
        for tensors in (inputs, outputs)
    )
    return v1.saved_model.build_signature_def(*infos, f"tensorflow/serving/{method}")


def _save(folder: pathlib.Path, signatures: dict[str, meta_graph_pb2.SignatureDef]) -> None:
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()


def example(**features: float | list[float] | list[str]) -> tf.train.Example:
    """A tf.Example of floats and strings."""
    made = tf.train.Example()
    for name, values in features.items():
        feature = made.features.feature[name]
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str):
                feature.bytes_list.value.append(value.encode())
            else:
                feature.float_list.value.append(value)
    return made


def examples_input(
    examples: Sequence[tf.train.Example], context: tf.train.Example | None = None
) -> input_pb2.Input:
    """What Classify and Regress are asked about."""
    if context is None:
        return input_pb2.Input(example_list={"examples": examples})
    with_context = input_pb2.ExampleListWithContext(examples=examples, context=context)
    return input_pb2.Input(example_list_with_context=with_context)


# No kind of input, a list of no examples, a context for no examples.
NO_EXAMPLES = [
    input_pb2.Input(),
    input_pb2.Input(example_list={}),
    examples_input([], example(output=3.0)),
]


def refused(call: Callable[[Any], Any], request: Any) -> tuple[str, str]:
    """The code and the message of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value.code().name, caught.value.details()
