"""What one request may bring is bounded before it becomes anything."""

from __future__ import annotations

import dataclasses
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from bert_keras import flags
from bert_keras.export.request_bounds import RequestBounds
from bert_keras.export.server import ModelServer
from bert_keras.export.status import StatusError

MEBIBYTE = 2**20


def _declared(dtype: int, *sizes: int, **values: list) -> bytes:
    proto = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto.SerializeToString()


def _objects(*texts: bytes) -> np.ndarray:
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        (_declared(types_pb2.DT_STRING, 10**6, string_val=[b""]), "1,000,000 rows"),
        (_declared(types_pb2.DT_STRING, 2, 3000, string_val=[b""]), "6,000 rows"),
        (
            _declared(types_pb2.DT_STRING, 4096, string_val=[b"x" * 20_000]),
            "81,920,000 bytes in a tensor",
        ),
        (_declared(types_pb2.DT_FLOAT, 64, 2**19, float_val=[0.0]), "134,217,728 bytes in a"),
        (
            _declared(types_pb2.DT_STRING, 2, string_val=[b"", b"x" * (MEBIBYTE + 1)]),
            "1,048,577 bytes in a text",
        ),
        (_objects(*[b"x"] * 4097), "4,097 rows"),
        (_objects(b"x" * (MEBIBYTE + 1)), "1,048,577 bytes in a text, expected at most 1,048,576"),
    ],
)
def test_what_is_over_a_bound_is_refused(feed, message):
    with pytest.raises(StatusError, match=message):
        RequestBounds().check({"text": _objects(b"fine"), "other": feed})


def test_what_is_at_the_bounds_is_let_through():
    RequestBounds().check(
        {
            "a": _declared(types_pb2.DT_STRING, 4096, string_val=[b"x" * 16_384]),
            "b": _objects(b"x" * MEBIBYTE, b""),
            "c": _declared(types_pb2.DT_FLOAT, 16, 2**20, float_val=[0.0]),
            "d": _declared(types_pb2.DT_FLOAT, float_val=[1.0]),
            "e": b"no tensor at all",
            "f": np.zeros([4096, 3], np.int64),
        }
    )


def test_the_flags_have_the_bounds_for_defaults():
    values = flags.define("serve")
    for field in dataclasses.fields(RequestBounds):
        assert values[field.name].value == field.default


def test_thirteen_bytes_over_the_wire_are_refused_and_the_server_answers_others(toys):
    server = ModelServer({"toy": toys[1].parent}, rest_port=0, bounds=RequestBounds(max_rows=100))
    port = server.start()
    try:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "toy"
            tensor = _declared(types_pb2.DT_STRING, 10**6, string_val=[b""])
            assert len(tensor) < 20
            request.inputs["text"].ParseFromString(tensor)
            with pytest.raises(grpc.RpcError) as caught:
                predict(request)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "1,000,000 rows, expected at most 100" in caught.value.details()
            request.inputs["text"].ParseFromString(
                _declared(types_pb2.DT_STRING, 100, string_val=[b"a"])
            )
            assert len(predict(request).outputs["label"].string_val) == 100
        body = b'{"instances": [%s]}' % b",".join([b'"a"'] * 101)
        url = f"http://127.0.0.1:{server.rest_port}/v1/models/toy:predict"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, body), timeout=10)
        assert refused.value.code == 400
        assert b"101 rows, expected at most 100" in refused.value.read()
    finally:
        server.stop()
