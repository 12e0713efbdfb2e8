"""The cases of tensorflow/serving's `servables/tensorflow/classifier_test.cc`, over gRPC."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, input_pb2

from tests.export.example_models import NO_EXAMPLES, example, examples_input, refused


def scored(**scores: float) -> tf.train.Example:
    """What the model echoes: classes with their scores."""
    return example(**{"class": [*scores], "score": [*scores.values()]})


TWO = examples_input([scored(dos=2, uno=1), scored(cuatro=4, tres=3)])


def request(
    asked: input_pb2.Input, signature: str = ""
) -> classification_pb2.ClassificationRequest:
    made = classification_pb2.ClassificationRequest(input=asked)
    made.model_spec.name, made.model_spec.signature_name = "echo", signature
    return made


def answer(
    prediction: Any, asked: input_pb2.Input, signature: str = ""
) -> list[list[tuple[str, float]]]:
    result = prediction.Classify(request(asked, signature)).result
    return [[(c.label, c.score) for c in row.classes] for row in result.classifications]


def test_examples(example_prediction: Any) -> None:
    rows = [[("dos", 2.0), ("uno", 1.0)], [("cuatro", 4.0), ("tres", 3.0)]]
    assert answer(example_prediction, TWO) == rows


def test_each_example_gets_the_context(example_prediction: Any) -> None:
    empty = tf.train.Example()
    context = scored(uno=1, dos=2)
    rows = answer(example_prediction, examples_input([empty, empty], context))
    assert rows == [[("uno", 1.0), ("dos", 2.0)]] * 2
    other = examples_input([empty, scored(tres=3, cuatro=4)], context)
    rows = answer(example_prediction, other)
    assert rows == [[("uno", 1.0), ("dos", 2.0)], [("tres", 3.0), ("cuatro", 4.0)]]


@pytest.mark.parametrize(
    ("signature", "rows"),
    [
        ("classes_only", [[("dos", 0.0), ("uno", 0.0)], [("cuatro", 0.0), ("tres", 0.0)]]),
        ("scores_only", [[("", 2.0), ("", 1.0)], [("", 4.0), ("", 3.0)]]),
        ("plus_one", [[("dos", 3.0), ("uno", 2.0)], [("cuatro", 5.0), ("tres", 4.0)]]),
    ],
)
def test_outputs(example_prediction: Any, signature: str, rows: list) -> None:
    assert answer(example_prediction, TWO, signature) == rows


def test_a_score_of_zero_is_there(example_prediction: Any) -> None:
    asked = examples_input([scored(minus=-1, zero=0, one=1)])
    rows = answer(example_prediction, asked, "scores_only")
    assert rows == [[("", -1.0), ("", 0.0), ("", 1.0)]]


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("regress", 'to contain at least one of "classes" or "scores". Signature was: inputs {'),
        (
            "scores_of_rank_3",
            "Expected Tensor shape: [batch_size num_classes] but got [2,2,1]",
        ),
        ("empty", "Expected one input Tensor."),
        ("fails", "StringToNumberOp could not correctly convert string: "),
        ("one_row_of_classes", "Expected classes output batch size of 2. Got: 1"),
        ("classes_of_floats", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ("one_row_of_scores", "Expected scores output batch size of 2. Got: 1"),
        ("scores_of_strings", "Expected scores Tensor of DT_FLOAT. Got: DT_STRING"),
        ("three_scores", "Tensors class and score should match in dim_size(1). Got 2 vs. 3"),
    ],
)
def test_signatures_that_cannot_classify(
    example_prediction: Any, signature: str, message: str
) -> None:
    code, text = refused(example_prediction.Classify, request(TWO, signature))
    assert code == "INVALID_ARGUMENT" and message in text


@pytest.mark.parametrize("asked", NO_EXAMPLES)
def test_no_examples(example_prediction: Any, asked: input_pb2.Input) -> None:
    expected = ("INVALID_ARGUMENT", "Input is empty.")
    assert refused(example_prediction.Classify, request(asked)) == expected


@pytest.mark.parametrize("method", ["", "not/supported/method"])
def test_the_name_of_the_method_does_not_matter(example_prediction: Any, method: str) -> None:
    rows = answer(example_prediction, TWO, f"classify: {method}")
    assert rows == answer(example_prediction, TWO)
