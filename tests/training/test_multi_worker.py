"""Two replicas, in one process or in two, train as one device does."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests import small_pretraining
from tests.training import workers

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def alone() -> list[np.ndarray]:
    weights = workers.train(tf.distribute.get_strategy())
    start = small_pretraining.weights(small_pretraining.pretrainer())
    # Twenty updates of 1e-4 each have taken the weights somewhere.
    assert small_pretraining.largest_difference(weights, start) > 1e-3
    return weights


def test_two_replicas_equal_one_device(two_replicas, alone):
    weights = workers.train(two_replicas)
    assert small_pretraining.largest_difference(weights, alone) < 1e-5


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _start(index: int, addresses: list[str], output: pathlib.Path) -> subprocess.Popen:
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.workers", str(output)],
        env={**os.environ, "PYTHONPATH": path, "TF_CONFIG": json.dumps(task)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_equal_one_device(tmp_path, alone):
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    outputs = [tmp_path / f"{index}.npz" for index in range(2)]
    processes = [_start(index, addresses, output) for index, output in enumerate(outputs)]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=170)
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in processes:
            process.kill()
    for output in outputs:
        stored = np.load(output)
        weights = [stored[f"arr_{number}"] for number in range(len(alone))]
        assert small_pretraining.largest_difference(weights, alone) < 1e-5
