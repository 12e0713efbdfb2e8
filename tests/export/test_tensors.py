"""Arrays to TensorProtos and back, in the fields that clients read."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import tensor_pb2, types_pb2

from bert_keras.export import tensors
from bert_keras.export.status import StatusError

FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "float16": "half_val",
    "int64": "int64_val",
    "int32": "int_val",
    "int8": "int_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
}


@pytest.mark.parametrize("dtype", FIELDS)
def test_values_go_into_the_field_of_their_type(dtype: str) -> None:
    array = np.array([[0, 1, 5], [2, 3, 4]]).astype(dtype)
    proto = tensors.to_proto(array)
    assert not proto.tensor_content
    assert len(getattr(proto, FIELDS[dtype])) == 6 * (2 if array.dtype.kind == "c" else 1)
    back = tensors.from_proto(proto)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_bfloat16() -> None:
    array = tf.cast([[1.5, -2.0]], tf.bfloat16).numpy()
    proto = tensors.to_proto(array)
    assert proto.dtype == types_pb2.DT_BFLOAT16 and len(proto.half_val) == 2
    np.testing.assert_array_equal(tensors.from_proto(proto), array)


@given(
    hnp.arrays(
        np.dtype(object),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        elements=st.binary(max_size=30),
    )
)
def test_strings_survive_whatever_their_bytes(array: np.ndarray) -> None:
    back = tensors.from_proto(tensors.to_proto(array))
    assert back.shape == array.shape
    assert back.tolist() == array.tolist()


def test_python_values_take_the_wanted_type() -> None:
    assert tensors.as_array([1, 2], tf.float32).dtype == np.float32
    assert tensors.as_array([], tf.string).dtype == object
    assert tensors.as_array(np.zeros(2), tf.float32).dtype == np.float64
    assert tensors.as_array(["é", b"\xff\0"]).tolist() == ["é".encode(), b"\xff\0"]
    assert tensors.as_array(np.array(["ab", "c"])).tolist() == [b"ab", b"c"]
    with pytest.raises(TypeError, match="not int"):
        tensors.as_array(["a", 1])
    with pytest.raises(ValueError):
        tensors.as_array([["a"], ["b", "c"]])


@pytest.mark.parametrize("sizes", [[2**40], [2**31, 2**31], [1 << 20, 1 << 20, 1 << 20]])
def test_a_few_bytes_cannot_ask_for_all_memory(sizes: list[int]) -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"x"])
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(StatusError, match="2 GiB"):
        tensors.check_size(proto)


def test_large_honest_tensors_pass() -> None:
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_INT8)
    proto.tensor_shape.dim.add(size=2**30)
    tensors.check_size(proto)
