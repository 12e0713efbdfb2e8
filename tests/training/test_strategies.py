"""Strategies by name, and one line for what cannot be made."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.training import strategies
from bert_keras.training.strategies import make_strategy


def test_one_device_and_auto_without_several_gpus():
    for name in ("one_device", "auto"):
        assert make_strategy(name).num_replicas_in_sync == 1


def test_auto_is_mirrored_where_there_are_several_gpus(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu:0", "gpu:1"])
    monkeypatch.setattr(strategies, "_mirrored", lambda: "mirrored")
    assert make_strategy("auto") == "mirrored"


def test_mirrored_uses_every_logical_cpu():
    strategy = make_strategy("mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == len(tf.config.list_logical_devices("CPU")) == 2


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match="--strategy=horovod: expected one of auto, one_device"):
        make_strategy("horovod")


def _cluster(workers=("a:1", "b:2"), kind="worker", index=0) -> str:
    return json.dumps(
        {"cluster": {"worker": list(workers)}, "task": {"type": kind, "index": index}}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "TF_CONFIG is not set; expected {"),
        ("", "TF_CONFIG is not set"),
        ("{'cluster'", "TF_CONFIG is not JSON"),
        ("[1]", "TF_CONFIG is '.1.'; expected {"),
        ('{"cluster": {"worker": ["a:1"]}}', "expected {"),
        (_cluster(kind="evaluator"), "the task's type is 'evaluator'"),
        (_cluster(kind="chief"), "cluster 'chief' is None"),
        (_cluster(workers=["a"]), "expected .'host:port'"),
        (_cluster(index=2), "the task's index is 2; expected 0 to 1"),
        (_cluster(index="0"), "the task's index is '0'"),
    ],
)
def test_a_bad_cluster_is_one_line(monkeypatch, text, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=message) as caught:
        make_strategy("multi_worker")
    assert "--strategy=multi_worker" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [_cluster(), _cluster(index=1), _cluster(["10.0.0.1:80"])])
def test_a_good_cluster_passes(text):
    strategies.check_cluster(text)


@pytest.mark.slow
def test_no_device_is_touched_before_the_workers_strategy():
    code = """
import tensorflow as tf
from tensorflow.python.eager import context
from bert_keras.training.strategies import make_strategy
import bert_keras.tasks
real = tf.distribute.MultiWorkerMirroredStrategy
def checked(**arguments):
    assert not context.context()._initialized
    print(arguments["communication_options"].implementation.name)
tf.distribute.MultiWorkerMirroredStrategy = checked
make_strategy("multi_worker")
"""
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TF_CONFIG": _cluster(),
        },
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == "RING", found.stderr[-2000:]


def test_a_tpu_is_connected_then_initialized_then_used(monkeypatch):
    calls = []
    resolver = object()
    monkeypatch.setattr(
        tf.config, "experimental_connect_to_cluster", lambda r: calls.append(("connect", r))
    )
    monkeypatch.setattr(
        tf.tpu.experimental, "initialize_tpu_system", lambda r: calls.append(("initialize", r))
    )
    monkeypatch.setattr(
        tf.distribute, "TPUStrategy", lambda r: calls.append(("strategy", r)) or "the strategy"
    )
    assert make_strategy("tpu", resolver=resolver) == "the strategy"
    assert calls == [("connect", resolver), ("initialize", resolver), ("strategy", resolver)]


def test_the_tpu_s_name_reaches_the_resolver(monkeypatch):
    def resolve(name):
        raise ValueError(f"no metadata of {name}\nmore lines")

    # TensorFlow's own resolver asks the network for two minutes before it gives up.
    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolve)
    with pytest.raises(UserError) as caught:
        make_strategy("tpu", tpu="my-pod")
    message = str(caught.value)
    assert "--tpu=my-pod: no TPU answers (no metadata of my-pod);" in message
    assert "the last release with TPU support is 2.19.1" in message and "\n" not in message
