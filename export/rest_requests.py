"""What the REST API does with a request: the same calls as over gRPC, in JSON."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from bert_keras.export import server_examples, server_requests, tensors
from bert_keras.export.json_answers import (
    classify_answer,
    column_answer,
    regress_answer,
    row_answer,
)
from bert_keras.export.json_examples import Features, read_examples
from bert_keras.export.json_parser import encode_text
from bert_keras.export.json_tensors import (
    DenseTensor,
    parse_object,
    read_inputs,
    signature_name,
)
from bert_keras.export.metrics import Metrics
from bert_keras.export.rest_routes import Route
from bert_keras.export.server_services import find, model_status
from bert_keras.export.sessions import CallSession
from bert_keras.export.status import Code, StatusError
from bert_keras.export.versions import ModelVersions

_DTYPES = {"float": np.float32, "double": np.float64, "bool": np.bool_, "string": np.object_}


class RestCalls:
    """The calls of the REST API on the models of a server; any thread may ask.

    Args:
        timeout: seconds that a run of a model may take; None for ever.
        metrics: where the runs are counted.
    """

    def __init__(
        self, models: Mapping[str, ModelVersions], timeout: float | None, metrics: Metrics
    ) -> None:
        self._models = models
        self._timeout = timeout
        self._metrics = metrics
        self._calls: dict[str, Callable[[Route, bytes], bytes]] = {
            "Predict": self._predict,
            "Classify": self._classify,
            "Regress": self._regress,
            "GetModelStatus": self._status,
            "GetModelMetadata": self._metadata,
        }

    def answer(self, route: Route, body: bytes) -> bytes:
        """The JSON that answers a request.

        Raises:
            StatusError: with the codes and messages of tensorflow/serving's REST API, which are
                not everywhere those of gRPC.
        """
        return self._calls[route.api](route, body)

    @contextlib.contextmanager
    def _model(self, spec: model_pb2.ModelSpec, api: str) -> Iterator[tuple[CallSession, int]]:
        with find(self._models, spec) as servable:
            observe = functools.partial(self._metrics.observe_runtime, spec.name, api)
            yield CallSession(servable.session, self._timeout, observe), servable.version

    def _predict(self, route: Route, body: bytes) -> bytes:
        document = parse_object(body)
        request = predict_pb2.PredictRequest(model_spec=_spec(route, signature_name(document)))
        with self._model(request.model_spec, route.api) as (session, version):
            dtypes = _dtypes(session.signature_defs, request.model_spec.signature_name)
            inputs, in_rows = read_inputs(document, dtypes)
            for name, tensor in inputs.items():
                request.inputs[name].CopyFrom(tensor_proto(tensor))
            response = server_requests.predict(session, version, request)
        outputs = {name: tensors.from_proto(proto) for name, proto in response.outputs.items()}
        return row_answer(outputs) if in_rows else column_answer(outputs)

    def _classify(self, route: Route, body: bytes) -> bytes:
        document = parse_object(body)
        request = classification_pb2.ClassificationRequest(
            model_spec=_spec(route, signature_name(document)), input=_input(document)
        )
        with self._model(request.model_spec, route.api) as (session, version):
            response = server_examples.classify(session, version, request)
        return classify_answer(
            [
                [(entry.label, entry.score) for entry in row.classes]
                for row in response.result.classifications
            ]
        )

    def _regress(self, route: Route, body: bytes) -> bytes:
        document = parse_object(body)
        request = regression_pb2.RegressionRequest(
            model_spec=_spec(route, signature_name(document)), input=_input(document)
        )
        with self._model(request.model_spec, route.api) as (session, version):
            response = server_examples.regress(session, version, request)
        return regress_answer([entry.value for entry in response.result.regressions])

    def _status(self, route: Route, _: bytes) -> bytes:
        return _message_json(model_status(self._models, _spec(route))).encode("utf-8")

    def _metadata(self, route: Route, _: bytes) -> bytes:
        with find(self._models, _spec(route)) as servable:
            response = server_requests.metadata(servable.session, route.model, servable.version)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata[server_requests.SIGNATURE_DEF].Unpack(signatures)
        return (
            f'{{\n"model_spec":{_message_json(response.model_spec)},\n'
            f'"metadata": {{"signature_def": {_message_json(signatures)}}}\n}}\n'
        ).encode()


def _dtypes(signatures: Mapping[str, Any], name: str) -> dict[str, str]:
    """The types of a signature's inputs, by the names that TensorFlow's errors give them."""
    key = name or server_requests.DEFAULT_SIGNATURE
    if key not in signatures:
        message = f'Serving signature name: "{key}" not found in signature def'
        raise StatusError(Code.INVALID_ARGUMENT, message)
    inputs = signatures[key].inputs
    if not inputs:
        message = f"Failed to get input map for signature: {name or 'DEFAULT'}"
        raise StatusError(Code.INVALID_ARGUMENT, message)
    return {
        alias: types_pb2.DataType.Name(inputs[alias].dtype).removeprefix("DT_").lower()
        for alias in sorted(inputs)
    }


def tensor_proto(tensor: DenseTensor) -> tensor_pb2.TensorProto:
    """The message of a tensor: numbers are rounded to its type, or wrap around, as casts do."""
    dtype = np.dtype(_DTYPES.get(tensor.dtype, tensor.dtype))
    if dtype.kind in "iu" and dtype != np.uint64:
        # By way of 64 bits: what is too large for a small type wraps around.
        flat = np.array(tensor.values, np.int64).astype(dtype)
    else:
        with np.errstate(over="ignore"):
            flat = np.array(tensor.values, np.float64 if dtype.kind == "f" else dtype).astype(dtype)
    proto = tensors.to_proto(flat)
    del proto.tensor_shape.dim[:]
    for size in tensor.shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def _input(document: Any) -> input_pb2.Input:
    context, examples = read_examples(document)
    result = input_pb2.Input()
    if context is None:
        target = result.example_list.examples
    else:
        result.example_list_with_context.context.CopyFrom(_example(context))
        target = result.example_list_with_context.examples
    target.extend(map(_example, examples))
    return result


def _example(features: Features) -> example_pb2.Example:
    example = example_pb2.Example()
    for name, feature in features.items():
        entry = example.features.feature[_clean(name)]
        if feature.kind == "float":
            with np.errstate(over="ignore"):
                values = np.array(feature.values, np.float64).astype(np.float32)
            entry.float_list.value.extend(values.tolist())
        elif feature.kind:
            getattr(entry, f"{feature.kind}_list").value.extend(feature.values)
    return example


def _message_json(message: Message) -> str:
    """A message with its fields' own names, those that are not set included."""
    fields = json_format.MessageToDict(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )
    return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"


def _spec(route: Route, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=route.model, signature_name=_clean(signature))
    if route.version is not None:
        spec.version.value = route.version
    if route.label is not None:
        spec.version_label = route.label
    return spec


def _clean(text: str) -> str:
    """A text that a message can hold."""
    return encode_text(text).decode("utf-8", "replace")
