"""Fixtures shared by all tests: where real weights and data are, and a tiny vocabulary."""

from __future__ import annotations

import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def assets() -> pathlib.Path:
    """The folder with real data and weights; tests that need it skip without it."""
    folder = os.environ.get("BERT_KERAS_ASSETS")
    if not folder:
        pytest.skip("BERT_KERAS_ASSETS is not set: no real weights or data to test against")
    return pathlib.Path(folder)


def _existing(path: pathlib.Path) -> pathlib.Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not among the assets of BERT_KERAS_ASSETS")
    return path


@pytest.fixture(scope="session")
def data(assets: pathlib.Path) -> pathlib.Path:
    """Real data sets, one folder each."""
    return _existing(assets / "data")


@pytest.fixture(scope="session")
def minilm(assets: pathlib.Path) -> pathlib.Path:
    """all-MiniLM-L6-v2, a BertModel directory in Hugging Face's layout."""
    return _existing(assets / "weights" / "all-MiniLM-L6-v2")


@pytest.fixture(scope="session")
def tiny_mlm(assets: pathlib.Path) -> pathlib.Path:
    """A BertForMaskedLM directory of 2 layers, 128 wide."""
    return _existing(assets / "weights" / "bert-tiny-mlm")


def pytest_configure() -> None:
    """Two logical CPUs for the tests of distribution; they must be there before TensorFlow
    starts, and everything else runs on the first of them as usual."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def two_replicas():
    """MirroredStrategy over two logical CPUs."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
