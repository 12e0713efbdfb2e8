"""LAMB and AdamW, every variant, against the published formulas in double precision."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.config import BertConfig
from bert_keras.models.encoder import BertEncoder
from bert_keras.optimization import LAMB, AdamW

RATE = 0.01
SHAPES = {"table": (7, 5), "qkv/kernel": (4, 6), "qkv/bias": (6,), "zeros": (3, 2)}
DECAYED = {"table", "qkv/kernel", "zeros"}
LAMBS = {
    "published": (LAMB, DECAYED, True),
    "google": (LAMB.google, DECAYED, False),
    "nvidia": (LAMB.nvidia, set(SHAPES), True),
}


def _problem(steps: int) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """Starting values, one of them zero, and the gradients of each step."""
    random = np.random.default_rng(3)
    values = {name: random.normal(size=shape) for name, shape in SHAPES.items()}
    values["zeros"] = np.zeros(SHAPES["zeros"])
    # Query, key and value differ in size, so that their ratios do.
    values["qkv/kernel"] *= np.repeat([0.1, 1.0, 3.0], 2)
    return values, [
        {name: random.normal(size=shape) for name, shape in SHAPES.items()} for _ in range(steps)
    ]


def _published(values, gradients, adapted, corrects):
    """Algorithm 2 of You et al. 2019, or AdamW where nothing is adapted (`adapted` is None)."""
    values = {name: value.copy() for name, value in values.items()}
    first, second = dict.fromkeys(values, 0.0), dict.fromkeys(values, 0.0)
    for step, of_step in enumerate(gradients, 1):
        for name, gradient in of_step.items():
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            m = first[name] / (1 - 0.9**step if corrects else 1.0)
            v = second[name] / (1 - 0.999**step if corrects else 1.0)
            direction = m / (np.sqrt(v) + 1e-6) + 0.01 * (name in DECAYED) * values[name]
            columns = np.split(np.arange(SHAPES[name][-1]), 3 if "qkv" in name else 1)
            for part in columns if name in (adapted or ()) else ():
                size = np.linalg.norm(values[name][..., part])
                length = np.linalg.norm(direction[..., part])
                direction[..., part] *= size / length if size and length else 1.0
            values[name] = values[name] - RATE * direction
    return values


def _ours(optimizer, values, gradients):
    variables = []
    for path, value in values.items():
        *scopes, name = path.split("/")
        with keras.name_scope(scopes[0] if scopes else "top"):
            variables.append(keras.Variable(value.astype(np.float32), name=name))

    @tf.function
    def apply(gradients):
        optimizer.apply(gradients, variables)

    optimizer.build(variables)
    for of_step in gradients:
        apply([tf.constant(of_step[name], tf.float32) for name in values])
    return {name: variable.numpy() for name, variable in zip(values, variables, strict=True)}


@pytest.mark.parametrize("variant", LAMBS)
@pytest.mark.parametrize("steps", [1, 5])
def test_lamb_is_the_published_formula(variant, steps):
    make, adapted, corrects = LAMBS[variant]
    values, gradients = _problem(steps)
    expected = _published(values, gradients, adapted, corrects)
    found = _ours(make(RATE, clip_norm=None), values, gradients)
    for name in values:
        atol = 1e-6 * steps
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("corrects", [True, False])
def test_one_step_of_adamw_is_the_published_formula(corrects):
    values, gradients = _problem(1)
    expected = _published(values, gradients, None, corrects)
    found = _ours(AdamW(RATE, clip_norm=None, bias_correction=corrects), values, gradients)
    for name in values:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6, err_msg=name)


def test_the_gradient_is_clipped_first():
    values, gradients = _problem(1)
    norm = np.sqrt(sum((g**2).sum() for g in gradients[0].values()))
    clipped = [{name: gradient / norm for name, gradient in gradients[0].items()}]
    expected = _published(values, clipped, DECAYED, False)
    found = _ours(LAMB.google(RATE), values, gradients)
    for name in values:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6, err_msg=name)


def test_which_weights_of_bert_adapt_and_in_how_many_parts():
    encoder = BertEncoder(BertConfig.named("tiny", vocab_size=10))
    variables = encoder.trainable_variables
    for optimizer, everything in ((LAMB(), False), (LAMB.nvidia(), True)):
        optimizer.build(variables)
        for variable, parts, decays in zip(
            variables, optimizer._parts, optimizer._decay_flags, strict=True
        ):
            path = variable.path
            exempt = path.endswith(("bias", "gamma", "beta"))
            assert decays is not exempt, path
            adapted = everything or not exempt
            assert parts == (0 if not adapted else 3 if "/qkv/" in path else 1), path


@pytest.mark.parametrize(
    "optimizer",
    [
        LAMB(1e-3, 0.02, clip_norm=0.5, exclude_from_layer_adaptation=["kernel$"]),
        LAMB.google(),
        LAMB.nvidia(2e-3),
    ],
)
def test_the_choices_survive_the_configuration(optimizer):
    copy = LAMB.from_config(optimizer.get_config())
    assert copy.get_config() == optimizer.get_config()
    for path in ("dense/kernel", "dense/bias"):
        assert copy.adapts(path) == optimizer.adapts(path)
        assert copy.decays(path) == optimizer.decays(path)
    assert copy.bias_correction == optimizer.bias_correction


def test_two_replicas_step_as_one(two_replicas):
    values, gradients = _problem(1)
    with two_replicas.scope():
        variable = keras.Variable(values["table"].astype(np.float32), name="table")
        optimizer = LAMB(RATE, clip_norm=None)
        optimizer.build([variable])
    gradient = tf.constant(gradients[0]["table"], tf.float32)

    def replica_step():
        optimizer.apply([gradient / 2], [variable])

    tf.function(two_replicas.run)(replica_step)
    expected = _published(
        {"table": values["table"]}, [{"table": gradients[0]["table"]}], DECAYED, True
    )["table"]
    for value in two_replicas.experimental_local_results(variable.value):
        np.testing.assert_allclose(tf.convert_to_tensor(value), expected, rtol=0, atol=1e-6)


_ON_JAX = """
import sys
import keras, numpy as np
from bert_keras.optimization import LAMB, AdamW

assert keras.backend.backend() == "jax" and "tensorflow" not in sys.modules
stored = np.load(sys.argv[1])
for name, make in (("lamb", LAMB), ("google", LAMB.google), ("adamw", AdamW)):
    with keras.name_scope("qkv"):
        variable = keras.Variable(stored["value"], name="kernel")
    optimizer = make(0.01, clip_norm=None)
    optimizer.build([variable])
    optimizer.apply([stored["gradient"]], [variable])
    np.testing.assert_allclose(np.asarray(variable.value), stored[name], atol=1e-6)
print("same numbers")
"""


@pytest.mark.slow
def test_the_jax_backend_gives_the_same_numbers(tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    values, gradients = _problem(1)
    name = "qkv/kernel"
    value, gradient = {name: values[name]}, [{name: gradients[0][name]}]
    stored = {
        "value": values[name].astype(np.float32),
        "gradient": gradients[0][name].astype(np.float32),
        "lamb": _published(value, gradient, DECAYED, True)[name],
        "google": _published(value, gradient, DECAYED, False)[name],
        "adamw": _published(value, gradient, None, True)[name],
    }
    np.savez(tmp_path / "stored.npz", **stored)
    result = subprocess.run(
        [sys.executable, "-c", _ON_JAX, str(tmp_path / "stored.npz")],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip() == "same numbers", result.stderr[-2000:]
