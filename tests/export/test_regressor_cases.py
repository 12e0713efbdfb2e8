"""The cases of tensorflow/serving's `servables/tensorflow/regressor_test.cc`, over gRPC."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from tensorflow_serving.apis import input_pb2, regression_pb2

from tests.export.example_models import NO_EXAMPLES, example, examples_input, refused

TWO = examples_input([example(output=2.0), example(output=3.0)])


def request(asked: input_pb2.Input, signature: str = "regress") -> regression_pb2.RegressionRequest:
    made = regression_pb2.RegressionRequest(input=asked)
    made.model_spec.name, made.model_spec.signature_name = "echo", signature
    return made


def answer(prediction: Any, asked: input_pb2.Input, signature: str = "regress") -> list[float]:
    result = prediction.Regress(request(asked, signature)).result
    return [regression.value for regression in result.regressions]


def test_examples(example_prediction: Any) -> None:
    assert answer(example_prediction, TWO) == [2.0, 3.0]
    assert answer(example_prediction, TWO, "regress_plus_one") == [3.0, 4.0]


def test_each_example_gets_the_context(example_prediction: Any) -> None:
    asked = examples_input([tf.train.Example()] * 2, example(output=3.0))
    assert answer(example_prediction, asked) == [3.0, 3.0]


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("classes_only", "No regression outputs found in SignatureDef: inputs {"),
        (
            "output_of_rank_3",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got"
            " [2,1,1]",
        ),
        ("regress_fails", "StringToNumberOp could not correctly convert string: dos"),
        ("output_of_two_rows", "Input batch size did not match output batch size: 2 vs. 4"),
        ("output_of_strings", "Expected output Tensor of DT_FLOAT.  Got: DT_STRING"),
        ("empty", "Expected one input Tensor."),
    ],
)
def test_signatures_that_are_no_regression(
    example_prediction: Any, signature: str, message: str
) -> None:
    asked = examples_input([example(**{"class": ["dos"]})] * 2)
    code, text = refused(example_prediction.Regress, request(asked, signature))
    assert code == "INVALID_ARGUMENT" and message in text


@pytest.mark.parametrize("asked", NO_EXAMPLES)
def test_no_examples(example_prediction: Any, asked: input_pb2.Input) -> None:
    expected = ("INVALID_ARGUMENT", "Input is empty.")
    assert refused(example_prediction.Regress, request(asked)) == expected


@pytest.mark.parametrize("method", ["", "not/supported/method"])
def test_the_name_of_the_method_does_not_matter(example_prediction: Any, method: str) -> None:
    assert answer(example_prediction, TWO, f"regress: {method}") == [2.0, 3.0]
