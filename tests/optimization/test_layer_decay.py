"""Layer-wise decay: the rate of every variable, and updates by the formula."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.optimization import LAMB, AdamW, WarmupDecay, layer_decay_factors
from bert_keras.optimization.layer_decay import rate_factor
from tests import small

DECAY = 0.5
# Of two layers; the head has the full rate, and the pooler is of the head.
GROUPS = {"embeddings/": 0.125, "layer_0/": 0.25, "layer_1/": 0.5, "pooler/": 1.0, "": 1.0}


def _expected(path: str) -> float:
    inside = path.removeprefix("bert_encoder/")
    return next(factor for prefix, factor in GROUPS.items() if inside.startswith(prefix))


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_the_rate_of_every_variable(lora_rank):
    task = small.classifier()
    if lora_rank:
        task.encoder.enable_lora(lora_rank)
    optimizer = AdamW(rate_factors=layer_decay_factors(DECAY, layers=2))
    variables = task.trainable_variables
    optimizer.build(variables)
    rates = dict(zip((weight.path for weight in variables), optimizer._factors, strict=True))
    assert rates == {path: _expected(path) for path in rates}
    assert set(rates.values()) == ({0.25, 0.5, 1.0} if lora_rank else set(GROUPS.values()))


def test_layers_with_two_digits_are_not_mixed_up():
    factors = layer_decay_factors(0.9, layers=12)
    for layer in range(12):
        path = f"bert_encoder/layer_{layer}/output/kernel"
        assert rate_factor(factors, path) == pytest.approx(0.9 ** (12 - layer))
    assert rate_factor(factors, "bert_encoder/embeddings/layer_norm/beta") == pytest.approx(0.9**13)
    assert rate_factor(factors, "classifier/kernel") == 1.0


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.01])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        layer_decay_factors(decay, layers=2)


@pytest.mark.parametrize("corrects", [True, False])
def test_two_steps_equal_the_formula(corrects):
    task = small.classifier()
    schedule = WarmupDecay(1e-2, total_steps=10, warmup_steps=1)
    optimizer = AdamW(
        schedule,
        weight_decay=0.1,
        clip_norm=None,
        bias_correction=corrects,
        rate_factors=layer_decay_factors(DECAY, layers=2),
    )
    random = np.random.default_rng(0)
    variables = task.trainable_variables
    values = {weight.path: weight.numpy().astype(np.float64) for weight in variables}
    first, second = dict.fromkeys(values, 0.0), dict.fromkeys(values, 0.0)
    # The first update of a warm-up has a rate of 0.
    for step, peak in enumerate((0.0, 1e-2, 1e-2 * 8 / 9), 1):
        gradients = [random.normal(size=weight.shape).astype(np.float32) for weight in variables]
        optimizer.apply([tf.constant(gradient) for gradient in gradients], variables)
        for weight, gradient in zip(variables, gradients, strict=True):
            path, rate = weight.path, peak * _expected(weight.path)
            first[path] = 0.9 * first[path] + 0.1 * gradient
            second[path] = 0.999 * second[path] + 0.001 * np.square(gradient, dtype=np.float64)
            m = first[path] / (1 - 0.9**step if corrects else 1.0)
            v = second[path] / (1 - 0.999**step if corrects else 1.0)
            decayed = 0.1 * values[path] if optimizer.decays(path) else 0.0
            values[path] = values[path] - rate * (m / (np.sqrt(v) + 1e-6) + decayed)
    for weight in variables:
        np.testing.assert_allclose(
            weight.numpy(), values[weight.path], rtol=2e-5, atol=1e-6, err_msg=weight.path
        )


def _one_step(optimizer: keras.optimizers.Optimizer, strategy=None) -> list[np.ndarray]:
    """The weights after an update of a classifier without dropout, on 12 sentences."""
    strategy = strategy or tf.distribute.get_strategy()
    texts, labels = small.sentences(12)
    with strategy.scope():
        task = small.classifier(dropout=0.0)
        task.compile(optimizer=type(optimizer).from_config(optimizer.get_config()))
    task.fit(tf.data.Dataset.from_tensor_slices((texts, labels)).batch(12), verbose=0)
    return [np.asarray(tf.convert_to_tensor(weight.value)) for weight in task.weights]


@pytest.mark.slow
def test_a_decay_of_one_is_plain_adamw_to_the_bit():
    plain = _one_step(AdamW(1e-2))
    for factors in (layer_decay_factors(1.0, layers=2), [("", 1.0)]):
        for got, want in zip(_one_step(AdamW(1e-2, rate_factors=factors)), plain, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_two_replicas_move_as_one_device_does(two_replicas):
    # With BERT's epsilon of 1e-6 a first move is all but the sign of the gradient, whose rounding
    # it would show a thousandfold, and its length would not be seen.
    factors = layer_decay_factors(DECAY, layers=2)
    optimizer = AdamW(1e-2, epsilon=1e-3, rate_factors=factors)
    for got, want in zip(_one_step(optimizer, two_replicas), _one_step(optimizer), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-6)


def test_lamb_takes_the_factors_too():
    random = np.random.default_rng(1)
    start, gradient = random.normal(size=(2, 4, 3)).astype(np.float32)
    moves = []
    for factors in ((), [("kernel$", 0.25)]):
        kernel = keras.Variable(start, name="kernel")
        LAMB(1e-2, rate_factors=factors).apply([tf.constant(gradient)], [kernel])
        moves.append(kernel.numpy() - start)
    np.testing.assert_allclose(moves[1], moves[0] / 4, atol=1e-6)


@pytest.mark.slow
def test_a_reloaded_model_trains_on_alike(tmp_path):
    texts, labels = small.sentences(16)
    data = tf.data.Dataset.from_tensor_slices((texts, labels)).batch(8)
    task = small.classifier()
    task.compile(layer_decay=DECAY, learning_rate=1e-2)
    task.fit(data, verbose=0)
    task.save(tmp_path / "task.keras")
    again = keras.saving.load_model(tmp_path / "task.keras")
    assert again.optimizer.rate_factors == tuple(layer_decay_factors(DECAY, layers=2))
    for model in (task, again):
        model.fit(data, verbose=0)
    for got, want in zip(again.weights, task.weights, strict=True):
        np.testing.assert_array_equal(got.numpy(), want.numpy(), err_msg=want.path)
