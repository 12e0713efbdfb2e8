"""The cases of tensorflow/serving's `predict_impl_test.cc` and `get_model_metadata_impl_test.cc`,
over gRPC."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from tests.export.example_models import refused


def request(
    model: str = "half_plus_two", signature: str = "", **inputs: Any
) -> predict_pb2.PredictRequest:
    made = predict_pb2.PredictRequest()
    made.model_spec.name, made.model_spec.signature_name = model, signature
    made.model_spec.version.value = 123
    for name, value in inputs.items():
        made.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return made


@pytest.mark.parametrize("model_spec", [{}, {"model_spec": {}}, {"model_spec": {"name": "test"}}])
def test_specs_that_are_refused(example_prediction: Any, model_spec: dict) -> None:
    name = model_spec.get("model_spec", {}).get("name")
    expected = "NOT_FOUND" if name else "INVALID_ARGUMENT"
    asked = predict_pb2.PredictRequest(**model_spec)
    assert refused(example_prediction.Predict, asked)[0] == expected
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(
        **model_spec, metadata_field=["signature_def"]
    )
    assert refused(example_prediction.GetModelMetadata, metadata)[0] == expected


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({}, [], "input size does not match signature: 0!=1"),
        ({"key": ["any_key"]}, [], "Signature input alias: x"),
        ({"x": ["any_key"]}, ["y"], "Expects arg[0] to be float but string is provided"),
        ({"x": 2.0}, ["none"], "output tensor alias not found in signature: none"),
        ({"x": 2.0}, ["y", "y"], "duplicate output tensor alias: y"),
    ],
)
def test_inputs_and_outputs_that_are_refused(
    example_prediction: Any, inputs: dict, outputs: list[str], message: str
) -> None:
    asked = request(**inputs)
    asked.output_filter.extend(outputs)
    code, text = refused(example_prediction.Predict, asked)
    assert code == "INVALID_ARGUMENT" and message in text


@pytest.mark.parametrize(
    ("signature", "given", "output", "value"),
    [
        ("", "x", "y", 3.0),
        ("regress_x2_to_y3", "inputs", "outputs", 4.0),
        ("classify_x2_to_y3", "inputs", "scores", 4.0),
    ],
)
@pytest.mark.parametrize("filtered", [False, True])
def test_any_signature_predicts(
    example_prediction: Any, signature: str, given: str, output: str, value: float, filtered: bool
) -> None:
    asked = request(signature=signature, **{given: 2.0})
    asked.output_filter.extend([output] * filtered)
    expected = predict_pb2.PredictResponse(model_spec=asked.model_spec)
    expected.model_spec.signature_name = signature or "serving_default"
    expected.outputs[output].CopyFrom(
        tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[value], tensor_shape={})
    )
    assert example_prediction.Predict(asked) == expected


def test_signatures_without_inputs(example_prediction: Any) -> None:
    def count(signature: str, **inputs: float) -> float:
        asked = request("counter", signature, **inputs)
        (value,) = example_prediction.Predict(asked).outputs["output"].float_val
        return value

    steps = ("get_counter", "incr_counter", "reset_counter", "incr_counter", "get_counter")
    assert [count(step) for step in steps] == [0.0, 1.0, 0.0, 1.0, 1.0]
    assert count("incr_counter_by", delta=3.0) == 4.0
    assert refused(example_prediction.Predict, request("counter", "get_counter", delta=1.0)) == (
        "INVALID_ARGUMENT",
        "input size does not match signature: 1!=0 len({delta}) != len({})."
        " Sent extra: {delta}. Missing but required: {}.",
    )


@pytest.mark.parametrize("fields", [[], ["some_stuff"], ["signature_def", "some_stuff"]])
def test_fields_that_are_refused(example_prediction: Any, fields: list[str]) -> None:
    asked = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec={"name": "half_plus_two"}, metadata_field=fields
    )
    assert refused(example_prediction.GetModelMetadata, asked)[0] == "INVALID_ARGUMENT"


def test_metadata_is_what_the_file_says(
    example_prediction: Any, example_models: pathlib.Path
) -> None:
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name, asked.model_spec.version.value = "half_plus_two", 123
    response = example_prediction.GetModelMetadata(asked)
    assert response.model_spec == asked.model_spec
    assert [*response.metadata] == ["signature_def"]
    received = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(received)
    file = example_models / "half_plus_two" / "00000123" / "saved_model.pb"
    (graph,) = saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs
    assert len(graph.signature_def) == 6
    for name, signature in graph.signature_def.items():
        assert received.signature_def[name] == signature, name
    assert len(received.signature_def) == 6
