"""The cases of tensorflow/serving's `servables/tensorflow/multi_inference_test.cc`, over gRPC."""

from __future__ import annotations

from typing import Any

import pytest
from tensorflow_serving.apis import inference_pb2

from tests.export.example_models import example, refused

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
MODELS = pytest.mark.parametrize("model", ["half_plus_two", "half_plus_two_tf2"])
REGRESSION = ("regress_x_to_y", REGRESS)
CLASSIFICATION = ("classify_x_to_y", CLASSIFY)


def request(model: str, *tasks: tuple[str, str]) -> inference_pb2.MultiInferenceRequest:
    made = inference_pb2.MultiInferenceRequest()
    for signature, method in tasks:
        task = made.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    made.input.example_list.examples.append(example(x=2.0))
    return made


def values(prediction: Any, asked: inference_pb2.MultiInferenceRequest) -> list[float]:
    """The regression or the score of each task, whose answers say whose they are."""
    found = []
    results = prediction.MultiInference(asked).results
    for task, result in zip(asked.tasks, results, strict=True):
        spec = result.model_spec
        assert (spec.name, spec.version.value) == (task.model_spec.name, 123)
        assert spec.signature_name == task.model_spec.signature_name
        if task.method_name == REGRESS:
            (regression,) = result.regression_result.regressions
            found.append(regression.value)
        else:
            (row,) = result.classification_result.classifications
            found.append(row.classes[0].score)
    return found


@MODELS
@pytest.mark.parametrize("tasks", [[REGRESSION], [REGRESSION, CLASSIFICATION]])
def test_tasks(example_prediction: Any, model: str, tasks: list) -> None:
    """Also of signatures that do not share their input: each is fed the same examples."""
    assert values(example_prediction, request(model, *tasks)) == [3.0] * len(tasks)


@MODELS
def test_two_regressions(example_prediction: Any, model: str) -> None:
    asked = request(model, REGRESSION, ("regress_x_to_y2", REGRESS))
    assert values(example_prediction, asked) == [3.0, 4.0]


@MODELS
@pytest.mark.parametrize(
    ("tasks", "code", "message"),
    [
        (
            [("zzz", REGRESS)],
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: zzz",
        ),
        (
            [REGRESSION, REGRESSION],
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: regress_x_to_y",
        ),
        (
            [("regress_x_to_y", "tensorflow/serving/predict")],
            "UNIMPLEMENTED",
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
    ],
)
def test_tasks_that_are_refused(
    example_prediction: Any, model: str, tasks: list, code: str, message: str
) -> None:
    asked = request(model, *tasks)
    assert refused(example_prediction.MultiInference, asked) == (code, message)


@MODELS
def test_no_examples(example_prediction: Any, model: str) -> None:
    asked = request(model, REGRESSION)
    asked.input.Clear()
    expected = ("INVALID_ARGUMENT", "Input is empty.")
    assert refused(example_prediction.MultiInference, asked) == expected


@MODELS
def test_tasks_of_two_models(example_prediction: Any, model: str) -> None:
    asked = request(model, REGRESSION, CLASSIFICATION)
    asked.tasks[1].model_spec.name = "none"
    assert refused(example_prediction.MultiInference, asked) == (
        "INVALID_ARGUMENT",
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    )
