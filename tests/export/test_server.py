"""Every call of the development server: values, echo, codes and messages."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from bert_keras.export import multi_inference, tensors
from bert_keras.export.status import truncate


@pytest.fixture(scope="module")
def channel(toy_server: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(toy_server) as connected:
        yield connected


@pytest.fixture(scope="module")
def prediction(channel: grpc.Channel) -> prediction_service_pb2_grpc.PredictionServiceStub:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def model(channel: grpc.Channel) -> model_service_pb2_grpc.ModelServiceStub:
    return model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(signature: str = "", **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "toy"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tensors.to_proto(tensors.as_array(value)))
    return request


def classify_request(*texts: str, signature: str = "classify") -> Any:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "toy"
    request.model_spec.signature_name = signature
    for text in texts:
        add_text(request.input.example_list.examples.add(), text)
    return request


def regress_request(*texts: str, signature: str = "regress") -> Any:
    serialized = classify_request(*texts, signature=signature).SerializeToString()
    return regression_pb2.RegressionRequest.FromString(serialized)


def add_text(example: tf.train.Example, text: str) -> None:
    example.features.feature["text"].bytes_list.value.append(text.encode())


def refused(call: Callable[[Any], Any], request: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value.code().name, caught.value.details()


def test_predict_answers_in_typed_fields(prediction: Any) -> None:
    response = prediction.Predict(predict_request(text=["good films", "é"]))
    assert set(response.outputs) == {"scores", "label", "ids"}
    assert list(response.outputs["scores"].float_val) == [30.0, 40.0, 12.0, 13.0]
    assert list(response.outputs["label"].string_val) == [b"good films!", "é!".encode()]
    assert list(response.outputs["ids"].int64_val) == [4, 5, 7, 1, 0, 0]
    assert [d.size for d in response.outputs["ids"].tensor_shape.dim] == [2, 3]
    assert not any(output.tensor_content for output in response.outputs.values())


def test_predict_echoes_the_resolved_spec(prediction: Any) -> None:
    spec = prediction.Predict(predict_request(text=["a"])).model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("toy", "serving_default", 1)
    request = predict_request("two_inputs", text=["a"], scale=np.float32(2))
    request.model_spec.version.value = 1
    response = prediction.Predict(request)
    assert response.model_spec.signature_name == "two_inputs"
    assert list(response.outputs["scaled"].float_val) == [24.0, 26.0]


def test_predict_takes_tensor_content_and_repeated_last_values(prediction: Any) -> None:
    request = predict_request("types")
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([1, 2], np.int32)))
    assert request.inputs["x"].tensor_content
    response = prediction.Predict(request)
    assert list(response.outputs["int32"].int_val) == [1, 2]
    request.inputs["x"].CopyFrom(tensors.to_proto(np.array([7], np.int32)))
    request.inputs["x"].tensor_shape.dim[0].size = 3
    assert list(prediction.Predict(request).outputs["int32"].int_val) == [7, 7, 7]


def test_output_filter(prediction: Any) -> None:
    request = predict_request(text=["a"])
    request.output_filter.extend(["scores", "label"])
    assert set(prediction.Predict(request).outputs) == {"scores", "label"}
    request.output_filter[:] = ["zzz"]
    assert refused(prediction.Predict, request) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: zzz"
        " Outputs expected to be in the set {ids,label,scores}.",
    )
    request.output_filter[:] = ["scores", "scores"]
    assert refused(prediction.Predict, request) == (
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: scores",
    )


def with_spec(**fields: Any) -> predict_pb2.PredictRequest:
    request = predict_request(text=["a"])
    for name, value in fields.items():
        if name == "version":
            request.model_spec.version.value = value
        else:
            setattr(request.model_spec, name, value)
    return request


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (with_spec(name="nope"), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (with_spec(version=7), "NOT_FOUND", "Servable not found for request: Specific(toy, 7)"),
        # A version that is set to 0 is version 0, not the newest.
        (with_spec(version=0), "NOT_FOUND", "Servable not found for request: Specific(toy, 0)"),
        (
            with_spec(name="nope", version=2),
            "NOT_FOUND",
            "Servable not found for request: Specific(nope, 2)",
        ),
        (
            with_spec(version_label="stable"),
            "INVALID_ARGUMENT",
            "Unrecognized servable version label: stable",
        ),
        (with_spec(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (
            with_spec(signature_name="foo"),
            "FAILED_PRECONDITION",
            'Serving signature key "foo" not found.',
        ),
        (
            predict_request(text=["a"], extra=["b"]),
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=1 len({extra,text}) != len({text})."
            " Sent extra: {extra}. Missing but required: {}.",
        ),
        (
            predict_request(),
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({text})."
            " Sent extra: {}. Missing but required: {text}.",
        ),
        (
            predict_request(txt=["a"]),
            "INVALID_ARGUMENT",
            "Signature input alias: text(feed name: serving_default_text:0) not found in"
            " request and no default value provided. Inputs expected to be in the request"
            " {txt}, or default input alias set: ",
        ),
        (
            predict_request(text=np.zeros(2, np.float32)),
            "INVALID_ARGUMENT",
            "Expects arg[0] to be string but float is provided",
        ),
    ],
)
def test_predict_errors(prediction: Any, request_: Any, code: str, message: str) -> None:
    assert refused(prediction.Predict, request_) == (code, message)


@pytest.mark.parametrize("text", ["hello", [["a", "b"]]])
def test_wrong_ranks_meet_the_guard_of_the_graph(prediction: Any, text: Any) -> None:
    code, message = refused(prediction.Predict, predict_request(text=text))
    assert code == "INVALID_ARGUMENT"
    assert "is not compatible with expected shape [?]" in message


def test_unparsable_tensors(prediction: Any) -> None:
    request = predict_request(text=["a", "b"])
    request.inputs["text"].ClearField("dtype")
    expected = ("INVALID_ARGUMENT", "tensor parsing error: text")
    assert refused(prediction.Predict, request) == expected
    request = predict_request(text=["a"])
    for sizes in ([2**40], [-5], [2**33, 2**33], [2**62, 2**62, 2**62]):
        request.inputs["text"].tensor_shape.ClearField("dim")
        for size in sizes:
            request.inputs["text"].tensor_shape.dim.add(size=size)
        assert refused(prediction.Predict, request) == expected, sizes
    # No elements, but dimensions whose product overflows.
    request.inputs["text"].tensor_shape.dim[0].size = 0
    assert refused(prediction.Predict, request)[0] == "INVALID_ARGUMENT"
    request.inputs["text"].tensor_shape.unknown_rank = True
    assert refused(prediction.Predict, request)[0] == "INVALID_ARGUMENT"


def test_every_declared_type_gets_a_status(prediction: Any) -> None:
    """Also those that hold handles and variants, which only a program could mean well."""
    for dtype in [*range(1, 33), 101, 107, 999]:
        request = predict_request(text=["a"])
        request.inputs["text"].dtype = dtype
        if dtype != tf.string.as_datatype_enum:
            assert refused(prediction.Predict, request)[0] == "INVALID_ARGUMENT", dtype


def test_any_bytes_get_a_status(channel: grpc.Channel, prediction: Any) -> None:
    """Truncated, flipped and random requests on every method; the server lives on."""
    good = predict_request(text=["good film"] * 3).SerializeToString()
    random = np.random.default_rng(0)
    payloads = [good[:cut] for cut in range(0, len(good), 5)]
    for _ in range(60):
        flipped = bytearray(good)
        flipped[random.integers(len(good))] ^= 1 << int(random.integers(8))
        payloads += [bytes(flipped), random.bytes(int(random.integers(64)))]
    methods = ["Predict", "Classify", "Regress", "GetModelMetadata", "MultiInference"]
    for method in methods:
        path = f"/tensorflow.serving.PredictionService/{method}"
        raw = channel.unary_unary(path)
        for payload in payloads:
            try:
                raw(payload, timeout=30)
            except grpc.RpcError as error:
                assert error.code() not in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                ), payload
    assert prediction.Predict(predict_request(text=["a"])).outputs


def test_long_messages_are_cut(prediction: Any) -> None:
    request = predict_request(**{"x" * 3000: ["a"]})
    _, message = refused(prediction.Predict, request)
    assert message.endswith("...TRUNCATED") and len(message) == 1024 + len("...TRUNCATED")
    assert truncate("é" * 512) == "é" * 512
    assert truncate("x" + "é" * 512) == "x" + "é" * 511 + "...TRUNCATED"


def test_classify(prediction: Any) -> None:
    response = prediction.Classify(classify_request("ab", "abc"))
    rows = [
        [(entry.label, entry.score) for entry in row.classes]
        for row in response.result.classifications
    ]
    assert rows == [
        [("negative", 14.0), ("positive", 16.0)],
        [("negative", 16.0), ("positive", 19.0)],
    ]
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("toy", "classify", 1)


def test_classify_merges_the_context_into_each_example(prediction: Any) -> None:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "toy", "classify"
    with_context = request.input.example_list_with_context
    add_text(with_context.context, "abcde")
    with_context.examples.add()
    add_text(with_context.examples.add(), "ab")
    rows = prediction.Classify(request).result.classifications
    assert [row.classes[0].score for row in rows] == [20.0, 14.0]


def test_classify_with_scores_alone(prediction: Any) -> None:
    response = prediction.Classify(classify_request("ab", signature="wrong_batch"))
    row = response.result.classifications[0]
    assert [entry.label for entry in row.classes] == ["", ""]


@pytest.mark.parametrize(
    ("texts", "signature", "message"),
    [
        ((), "classify", "Input is empty."),
        (("a",), "foo", "No signature was found with the name: foo"),
        (("a",), "two_inputs", "Expected one input Tensor."),
        (("a",), "types", "Expected one or two output Tensors, found 10"),
        (("a", "b"), "wrong_batch", "Expected scores output batch size of 2. Got: 1"),
    ],
)
def test_classify_errors(prediction: Any, texts: tuple, signature: str, message: str) -> None:
    request = classify_request(*texts, signature=signature)
    assert refused(prediction.Classify, request) == ("INVALID_ARGUMENT", message)


def test_classify_on_other_names_shows_the_signature(prediction: Any) -> None:
    code, message = refused(prediction.Classify, classify_request("a", signature="slow"))
    assert code == "INVALID_ARGUMENT"
    assert message.startswith("No classification inputs found in SignatureDef: inputs {")
    code, message = refused(prediction.Classify, classify_request("a", signature="regress"))
    assert message.startswith("Expected classification signature outputs to contain at least")


def test_examples_without_the_feature(prediction: Any) -> None:
    request = classify_request("a")
    request.input.example_list.examples.add()
    code, message = refused(prediction.Classify, request)
    assert code == "INVALID_ARGUMENT" and "Feature: text" in message


def test_regress(prediction: Any) -> None:
    response = prediction.Regress(regress_request("ab", "abc"))
    assert [entry.value for entry in response.result.regressions] == [14.0, 16.0]
    assert response.model_spec.signature_name == "regress"


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("foo", "No signature was found with the name: foo"),
        ("classify", "Expected one output Tensor."),
        (
            "wrong_rank",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1]"
            " but got [2,2]",
        ),
    ],
)
def test_regress_errors(prediction: Any, signature: str, message: str) -> None:
    request = regress_request("a", "b", signature=signature)
    assert refused(prediction.Regress, request) == ("INVALID_ARGUMENT", message)


def metadata_request(*fields: str, name: str = "toy") -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = name
    return request


def test_metadata(prediction: Any) -> None:
    response = prediction.GetModelMetadata(metadata_request("signature_def"))
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", 1)
    assert response.model_spec.signature_name == ""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    default = signatures.signature_def["serving_default"]
    assert default.inputs["text"].dtype == tf.string.as_datatype_enum
    assert set(default.outputs) == {"scores", "label", "ids"}
    assert default.method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            metadata_request(),
            "INVALID_ARGUMENT",
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata_request("x"), "INVALID_ARGUMENT", "Metadata field x is not supported"),
        (
            metadata_request("signature_def", name="nope"),
            "NOT_FOUND",
            "Servable not found for request: Latest(nope)",
        ),
        (
            get_model_metadata_pb2.GetModelMetadataRequest(),
            "INVALID_ARGUMENT",
            "Missing ModelSpec",
        ),
    ],
)
def test_metadata_errors(prediction: Any, request_: Any, code: str, message: str) -> None:
    assert refused(prediction.GetModelMetadata, request_) == (code, message)


def status_request(name: str, version: int | None = None) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    return request


def test_status(model: Any) -> None:
    (entry,) = model.GetModelStatus(status_request("toy")).model_version_status
    assert (entry.version, entry.state) == (1, 30)  # AVAILABLE
    assert (entry.status.error_code, entry.status.error_message) == (0, "")
    assert len(model.GetModelStatus(status_request("toy", 1)).model_version_status) == 1


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("nope", None, "Could not find any versions of model nope"),
        ("toy", 7, "Could not find version 7 of model toy"),
        ("nope", 7, "Could not find version 7 of model nope"),
    ],
)
def test_status_errors(model: Any, name: str, version: int | None, message: str) -> None:
    assert refused(model.GetModelStatus, status_request(name, version)) == ("NOT_FOUND", message)


CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def multi_request(*tasks: tuple[str, str], text: str = "good") -> Any:
    """Tasks are (method, signature)."""
    request = inference_pb2.MultiInferenceRequest()
    for method, signature in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = "toy", signature
    add_text(request.input.example_list.examples.add(), text)
    return request


def test_multi_inference_takes_the_first_tasks_model(prediction: Any) -> None:
    request = multi_request((CLASSIFY, "classify"))
    response = prediction.MultiInference(request)
    alone = prediction.Classify(classify_request("good"))
    assert response.results[0].classification_result == alone.result
    assert response.results[0].model_spec == alone.model_spec
    request = multi_request((REGRESS, "regress"))
    (result,) = prediction.MultiInference(request).results
    assert [r.value for r in result.regression_result.regressions] == [18.0]


def test_multi_inference_errors(prediction: Any) -> None:
    def message(*tasks: tuple[str, str]) -> str:
        code, text = refused(prediction.MultiInference, multi_request(*tasks))
        assert code == "INVALID_ARGUMENT"
        return text

    assert message() == "ModelSpec has no name specified."
    both = (CLASSIFY, "classify"), (REGRESS, "regress")
    assert message(both[0], both[0]) == "Duplicate evaluation of signature: classify"
    assert message((CLASSIFY, "zzz")) == "Requested signature not found in model graph: zzz"
    assert message((REGRESS, "classify")) == "Expected one output Tensor."
    assert message((CLASSIFY, "two_inputs")) == "Expected one input Tensor."
    request = multi_request(*both)
    request.tasks[1].model_spec.name = "other"
    assert refused(prediction.MultiInference, request)[1] == (
        "All ModelSpecs in a MultiInferenceRequest must access the same model name."
    )
    request.tasks[1].model_spec.name = ""
    assert refused(prediction.MultiInference, request)[1] == (
        "Found ModelSpec with an empty model name."
    )
    request = multi_request((CLASSIFY, "classify"))
    request.input.Clear()
    assert refused(prediction.MultiInference, request)[1] == "Input is empty."
    assert refused(prediction.MultiInference, multi_request(("zzz", "classify"))) == (
        "UNIMPLEMENTED",
        "Unsupported signature method_name: zzz",
    )


class OneFeed:
    """A session whose classify and regress signatures share their input, as TF 1 models do."""

    def __init__(self) -> None:
        self.signature_defs = {
            name: meta_graph_pb2.SignatureDef(
                inputs={"inputs": meta_graph_pb2.TensorInfo(name="examples:0")},
                outputs={output: meta_graph_pb2.TensorInfo(name="numbers:0")},
            )
            for name, output in [("first", "scores"), ("second", "outputs")]
        }
        self.runs: list[list[str]] = []

    def run_tensors(self, feeds: Any, fetches: list[str]) -> list[np.ndarray]:
        self.runs.append(fetches)
        return [np.array([[7.0]], np.float32)]


def test_multi_inference_runs_the_graph_once() -> None:
    session = OneFeed()
    request = multi_request((CLASSIFY, "first"), (REGRESS, "second"))
    response = multi_inference.multi_inference(session, 3, request)
    assert session.runs == [["numbers:0"]]
    first, second = response.results
    assert first.classification_result.classifications[0].classes[0].score == 7.0
    assert second.regression_result.regressions[0].value == 7.0
    assert [r.model_spec.signature_name for r in response.results] == ["first", "second"]
    assert [r.model_spec.version.value for r in response.results] == [3, 3]


def test_messages_beyond_grpcs_default_limit(prediction: Any, toy_server: str) -> None:
    text = "x" * 6_000_000
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(toy_server, options=options) as wide:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(wide)
        request = predict_request(text=[text])
        request.output_filter.append("label")
        response = stub.Predict(request)
    assert len(response.outputs["label"].string_val[0]) == len(text) + 1


def test_calls_at_once(prediction: Any) -> None:
    def ask(number: int) -> bool:
        response = prediction.Predict(predict_request(text=["x" * number]))
        return list(response.outputs["scores"].float_val) == [
            2.0 * number + 10,
            3.0 * number + 10,
        ]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))
