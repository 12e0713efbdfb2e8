"""The C++ session: values, errors, threads, memory, and operations registered once."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.export import c_library
from bert_keras.export.capi import CppSession, FeedError
from bert_keras.export.status import Code, StatusError


@pytest.fixture(scope="module")
def session(toys: dict[int, pathlib.Path]) -> Iterator[CppSession]:
    with CppSession(toys[1]) as loaded:
        yield loaded


def failure(session: CppSession, signature: str, **inputs: object) -> StatusError:
    with pytest.raises(StatusError) as caught:
        session.run(signature, inputs)
    return caught.value


def test_strings_in_values_out(session: CppSession) -> None:
    texts = ["good films", "é" * 40, b"nul\0inside\0\0", "", b"\xff\xfe"]
    answer = session.run("serving_default", {"text": texts})
    lengths = np.array([10, 40, 12, 0, 0], np.float32)
    # Bytes that are no UTF-8 have no agreed length: only the valid ones are compared.
    np.testing.assert_array_equal(answer["scores"][:4], lengths[:4, None] * [2, 3] + np.float32(10))
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    assert answer["label"].tolist() == [text + b"!" for text in raw]
    assert answer["ids"][0].tolist() == [4, 5, 7]
    assert answer["scores"].dtype == np.float32 and answer["ids"].dtype == np.int64


def test_every_numeric_type(session: CppSession) -> None:
    answer = session.run("types", {"x": [0, 1, 7]})
    assert len(answer) == 10
    for name, values in answer.items():
        dtype = tf.dtypes.as_dtype(name)
        assert values.dtype == dtype.as_numpy_dtype, name
        np.testing.assert_array_equal(values, np.array([0, 1, 7]).astype(values.dtype))


def test_scalars_and_conversion_of_lists(session: CppSession) -> None:
    answer = session.run("two_inputs", {"text": np.array(["ab"]), "scale": 0.5})
    assert answer["scaled"].tolist() == [[7.0, 8.0]]
    answer = session.run("two_inputs", {"text": tf.constant(["ab"]), "scale": np.float32(1)})
    assert answer["scaled"].tolist() == [[14.0, 16.0]]


def test_empty_batch_and_output_filter(session: CppSession) -> None:
    answer = session.run("serving_default", {"text": []}, output_filter=["scores"])
    assert list(answer) == ["scores"] and answer["scores"].shape == (0, 2)


def test_signatures_are_described(session: CppSession) -> None:
    default = session.signatures["serving_default"]
    assert default.method_name == "tensorflow/serving/predict"
    assert default.inputs["text"].dtype == tf.string
    assert default.inputs["text"].shape == (None,)
    assert default.outputs["scores"].shape == (None, 2)
    assert session.signatures["two_inputs"].inputs["scale"].shape == ()
    assert set(session.signatures) == set(session.signature_defs) - {"__saved_model_init_op"}


@pytest.mark.parametrize("value", ["hello", [["a", "b"]], [[[]]]])
def test_wrong_rank_is_refused_by_the_graph(session: CppSession, value: object) -> None:
    error = failure(session, "serving_default", text=value)
    assert error.code == Code.INVALID_ARGUMENT
    assert "is not compatible with expected shape [?]" in error.message


def test_wrong_type_is_refused_by_the_runtime(session: CppSession) -> None:
    error = failure(session, "serving_default", text=np.zeros(2, np.float32))
    assert error.code == Code.INVALID_ARGUMENT
    assert error.message == "Expects arg[0] to be string but float is provided"


def test_wrong_names(session: CppSession) -> None:
    assert failure(session, "nope", text=["a"]).code == Code.FAILED_PRECONDITION
    assert failure(session, "serving_default", txt=["a"]).code == Code.INVALID_ARGUMENT
    assert failure(session, "serving_default").code == Code.INVALID_ARGUMENT
    with pytest.raises(StatusError, match="zzz"):
        session.run("serving_default", {"text": ["a"]}, output_filter=["zzz"])
    for name in ("nowhere:0", "serving_default_text:9"):
        with pytest.raises(StatusError, match="was not found in the graph"):
            session.run_tensors({}, [name])


def test_a_failing_operation_reports_its_error(session: CppSession) -> None:
    error = failure(session, "fails", text=["twelve"])
    assert error.code == Code.INVALID_ARGUMENT
    assert "StringToNumberOp could not correctly convert string: twelve" in error.message
    assert session.run("fails", {"text": ["12"]})["number"] == 12.0


def test_unreadable_protos_are_named(session: CppSession) -> None:
    name = session.signatures["serving_default"].inputs["text"].tensor_name
    for serialized in (b"\xff\xff\xff", b"", tf.make_tensor_proto(1.0).SerializeToString()[:-2]):
        with pytest.raises(StatusError) as caught:
            session.run_tensors({name: serialized}, ["StatefulPartitionedCall:0"])
        assert isinstance(caught.value, FeedError) and caught.value.tensor_name == name


def test_models_that_cannot_be_loaded(tmp_path: pathlib.Path, toys: dict) -> None:
    with pytest.raises(StatusError) as caught:
        CppSession(tmp_path)
    assert caught.value.code == Code.NOT_FOUND
    assert "Could not find SavedModel .pb or .pbtxt" in caught.value.message
    with pytest.raises(StatusError, match="Could not find meta graph def matching"):
        CppSession(toys[1], tags=("train",))
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(StatusError):
        CppSession(tmp_path)


def test_threads_run_at_once_and_keep_their_answers_apart(session: CppSession) -> None:
    def ask(number: int) -> bool:
        texts = [f"{number}-{row}" for row in range(number % 7)]
        answer = session.run("serving_default", {"text": texts})
        return answer["label"].tolist() == [f"{text}!".encode() for text in texts]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(400)))


def test_a_run_releases_the_interpreter(session: CppSession) -> None:
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.005)

    ticker = threading.Thread(target=tick)
    ticker.start()
    started = time.perf_counter()
    session.run("slow", {"text": ["x"]})
    ended = time.perf_counter()
    done.set()
    ticker.join()
    # With the interpreter held, the ticker could not run between the two times at all.
    assert sum(started < at < ended for at in ticks) >= 3


def test_close_waits_for_runs_and_ends_the_session(toys: dict[int, pathlib.Path]) -> None:
    session = CppSession(toys[1])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(session.run, "slow", {"text": ["x"]})
        while not session._running:
            time.sleep(0.001)
        session.close()
        assert slow.done() and slow.result()["bias"] == 10.0
    session.close()
    assert failure(session, "serving_default", text=["a"]).code == Code.FAILED_PRECONDITION


def resident_kilobytes() -> int:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // 1024


def test_runs_leak_no_memory(session: CppSession) -> None:
    """Half a megabyte of strings per run: 100 leaking runs would take 50 MB."""
    texts = ["good film " * 1000] * 50

    def work(times: int) -> None:
        for _ in range(times):
            session.run("serving_default", {"text": texts}, output_filter=["label"])
            failure(session, "serving_default", text="x" * 100_000)

    work(20)
    before = resident_kilobytes()
    work(100)
    assert resident_kilobytes() - before < 20_000


def test_sessions_leak_no_memory(toys: dict[int, pathlib.Path]) -> None:
    def work(times: int) -> None:
        for _ in range(times):
            CppSession(toys[1]).close()

    work(5)
    before = resident_kilobytes()
    work(15)
    assert resident_kilobytes() - before < 15_000


def test_a_model_that_needs_xla_fails_as_in_the_server(tmp_path: pathlib.Path) -> None:
    module = tf.Module()
    module.serve = tf.function(
        tf.function(lambda x: {"y": x + 1.0}, jit_compile=True),
        input_signature=[tf.TensorSpec([2], name="x")],
    )
    tf.saved_model.save(module, tmp_path / "compiled", signatures=module.serve)
    with CppSession(tmp_path / "compiled") as session:
        with pytest.raises(StatusError, match="XLA compilation disabled"):
            session.run("serving_default", {"x": np.ones(2, np.float32)})
        # Outside of its calls the process has XLA, which training uses.
        assert tf.function(lambda x: x + 2, jit_compile=True)(tf.constant(1)) == 3


def test_xla_is_back_when_the_last_of_several_calls_has_ended() -> None:
    with c_library.without_xla():
        with c_library.without_xla():
            pass
        with pytest.raises(tf.errors.OpError, match="XLA compilation disabled"):
            tf.function(lambda x: x + 3, jit_compile=True)(tf.constant(1))
    assert tf.function(lambda x: x + 4, jit_compile=True)(tf.constant(1)) == 5


@pytest.mark.slow
def test_text_operations_register_once(toys: dict[int, pathlib.Path]) -> None:
    """In a fresh process: this one has imported tensorflow_text before the first session."""
    code = f"""
import sys
from bert_keras.export.capi import CppSession
session = CppSession({str(toys[1])!r})
def run():
    ids = session.run("serving_default", {{"text": ["bad film"]}})["ids"]
    assert ids.tolist() == [[6, 5]], ids
run()
assert "tensorflow_text" not in sys.modules
import tensorflow_text
assert tensorflow_text.WhitespaceTokenizer().tokenize(["a b"]).to_list() == [[b"a", b"b"]]
run()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
