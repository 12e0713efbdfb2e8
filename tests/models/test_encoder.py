"""BertEncoder's behaviour; its numbers against the originals are in test_encoder_parity.py."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.config import BertConfig
from bert_keras.models.encoder import BertEncoder

SMALL = BertConfig(
    vocab_size=60,
    hidden_size=32,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=48,
    max_position_embeddings=24,
)
LENGTHS = (5, 9, 3, 7)


def _encoder(**arguments) -> BertEncoder:
    keras.utils.set_random_seed(1)
    encoder = BertEncoder(SMALL, **arguments)
    # Weights large enough that a mistake shows.
    for weight in encoder.weights:
        value = np.random.default_rng(len(weight.path)).normal(size=weight.shape) * 0.3
        weight.assign(value + (1.0 if weight.path.endswith("gamma") else 0.0))
    return encoder


def _examples() -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(2)
    return [(random.integers(1, 60, n), (np.arange(n) >= n // 2).astype(np.int64)) for n in LENGTHS]


def _padded(length: int) -> dict[str, np.ndarray]:
    features = {
        name: np.zeros((4, length), np.int32)
        for name in ("token_ids", "segment_ids", "padding_mask")
    }
    for row, (tokens, segments) in enumerate(_examples()):
        features["token_ids"][row, : len(tokens)] = tokens
        features["segment_ids"][row, : len(tokens)] = segments
        features["padding_mask"][row, : len(tokens)] = 1
    return features


def _packed() -> dict[str, np.ndarray]:
    """Examples 0, 1 in one row and 2, 3 in another, with padding at the end."""
    names = ("token_ids", "segment_ids", "padding_mask", "position_ids", "sequence_ids")
    features = {name: np.zeros((2, 16), np.int32) for name in names}
    features["cls_positions"] = np.full((2, 3), -1, np.int32)
    for index, (tokens, segments) in enumerate(_examples()):
        row, slot = divmod(index, 2)
        start = 0 if slot == 0 else LENGTHS[index - 1]
        part = slice(start, start + len(tokens))
        features["token_ids"][row, part] = tokens
        features["segment_ids"][row, part] = segments
        features["padding_mask"][row, part] = 1
        features["position_ids"][row, part] = np.arange(len(tokens))
        features["sequence_ids"][row, part] = slot + 1
        features["cls_positions"][row, slot] = start
    return features


@pytest.fixture(scope="module")
def encoder() -> BertEncoder:
    return _encoder()


@pytest.fixture(scope="module")
def output(encoder):
    return encoder(_padded(12))


def test_padding_changes_nothing(encoder, output):
    longer = encoder(_padded(20))
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(
            longer["sequence_output"][row, :length],
            output["sequence_output"][row, :length],
            atol=2e-6,
        )
    np.testing.assert_allclose(longer["pooled_output"], output["pooled_output"], atol=2e-6)


def test_a_packed_batch_gives_what_each_example_gives_alone(encoder, output):
    packed = encoder(_packed())
    for index, length in enumerate(LENGTHS):
        row, slot = divmod(index, 2)
        start = 0 if slot == 0 else LENGTHS[index - 1]
        np.testing.assert_allclose(
            packed["sequence_output"][row, start : start + length],
            output["sequence_output"][index, :length],
            atol=2e-6,
        )
        np.testing.assert_allclose(
            packed["pooled_output"][row, slot], output["pooled_output"][index], atol=2e-6
        )
    assert packed["pooled_output"].shape == (2, 3, 32)


def test_packed_attention_stays_inside_an_example(encoder):
    features = _packed()
    probabilities = encoder(features, output_attentions=True)["attentions"]
    assert len(probabilities) == 3
    same = features["sequence_ids"][:, :, None] == features["sequence_ids"][:, None, :]
    for layer in probabilities:
        assert np.all(np.asarray(layer)[~np.broadcast_to(same[:, None], layer.shape)] == 0)
        np.testing.assert_allclose(tf.reduce_sum(layer, -1), 1, atol=1e-5)


def test_defaults_of_segments_and_mask(encoder):
    features = _padded(12)
    features["segment_ids"][:] = 0
    full = encoder(features)["pooled_output"]
    short = encoder({"token_ids": features["token_ids"]})["pooled_output"]
    np.testing.assert_array_equal(full, short)


def test_hidden_states_begin_with_the_embeddings_and_end_with_the_output(encoder, output):
    states = encoder(_padded(12), output_hidden_states=True)["hidden_states"]
    assert len(states) == 4
    np.testing.assert_array_equal(states[-1], output["sequence_output"])
    assert np.abs(np.asarray(states[0]) - np.asarray(states[1])).max() > 0.1


def test_shapes_stay_static_where_they_are_given(encoder):
    @tf.function
    def run(token_ids):
        result = encoder({"token_ids": token_ids})
        assert result["sequence_output"].shape == (2, 8, 32)
        return result["pooled_output"]

    assert run(tf.ones([2, 8], tf.int32)).shape == (2, 32)


def test_dynamic_shapes_and_an_empty_batch(encoder):
    run = tf.function(
        lambda ids: encoder({"token_ids": ids})["sequence_output"],
        input_signature=[tf.TensorSpec([None, None], tf.int32)],
    )
    assert run(tf.ones([3, 5], tf.int32)).shape == (3, 5, 32)
    assert run(tf.ones([0, 5], tf.int32)).shape == (0, 5, 32)


def test_a_sequence_longer_than_the_position_table_is_an_error(encoder):
    with pytest.raises(ValueError, match="sequence length is 25, the model has room for 24"):
        encoder({"token_ids": np.ones((1, 25), np.int32)})
    run = tf.function(
        lambda ids: encoder({"token_ids": ids})["pooled_output"],
        input_signature=[tf.TensorSpec([None, None], tf.int32)],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="sequence length exceeds 24"):
        run(tf.ones([1, 25], tf.int32))


def test_initial_weights_are_bert_s():
    keras.utils.set_random_seed(3)
    encoder = BertEncoder(BertConfig.named("tiny"))
    tables = []
    for path, weight in encoder.named_weights().items():
        value = np.asarray(weight.value)
        if path.endswith(("kernel", "embeddings")):
            assert np.abs(value).max() <= 0.04 + 1e-6, path
            # A normal of 0.02 cut at two deviations has a deviation of 0.0176.
            assert abs(value.std() - 0.0176) < 0.002, path
            tables.append(value.ravel()[:64])
        else:
            assert np.all(value == (1.0 if path.endswith("gamma") else 0.0)), path
    assert len({table.tobytes() for table in tables}) == len(tables)


def test_dropout_follows_its_seed_alone(encoder):
    features = {**_padded(12), "dropout_seed": np.array([3, 4], np.int32)}
    first = encoder(features, training=True)["pooled_output"]
    again = encoder(features, training=True)["pooled_output"]
    np.testing.assert_array_equal(first, again)
    features["dropout_seed"] = np.array([3, 5], np.int32)
    assert np.abs(first - encoder(features, training=True)["pooled_output"]).max() > 1e-3


def test_without_a_seed_dropout_changes_from_call_to_call_and_the_state_is_a_variable(encoder):
    first = encoder(_padded(12), training=True)["pooled_output"]
    second = encoder(_padded(12), training=True)["pooled_output"]
    assert np.abs(first - second).max() > 1e-3
    assert any("seed" in variable.path for variable in encoder.variables)


def _gradients(model: BertEncoder) -> list[np.ndarray]:
    features = {**_padded(12), "dropout_seed": np.array([3, 4], np.int32)}

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(features, training=True)["pooled_output"]))
        return tape.gradient(loss, [weight.value for weight in model.trainable_variables])

    return [tf.convert_to_tensor(gradient).numpy() for gradient in run()]


def test_gradient_checkpointing_changes_no_gradient(encoder):
    for plain, checkpointed in zip(
        _gradients(encoder), _gradients(_encoder(gradient_checkpointing=True)), strict=True
    ):
        np.testing.assert_allclose(checkpointed, plain, atol=1e-5 * max(1, np.abs(plain).max()))


def test_mixed_precision_is_close_and_keeps_float32_weights(encoder, output):
    mixed = _encoder(dtype="mixed_bfloat16")
    got = mixed(_padded(12))
    assert got["sequence_output"].dtype == tf.bfloat16
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    mask = _padded(12)["padding_mask"].astype(bool)
    difference = tf.cast(got["sequence_output"], tf.float32) - output["sequence_output"]
    assert np.abs(np.asarray(difference)[mask]).mean() < 0.02


def test_keras_file_and_config_round_trip(encoder, output, tmp_path):
    encoder.save(tmp_path / "encoder.keras")
    reloaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(reloaded(_padded(12))["pooled_output"], output["pooled_output"])
    assert reloaded.config == encoder.config
    copy = BertEncoder.from_config(encoder.get_config())
    assert list(copy.named_weights()) == list(encoder.named_weights())


def test_in_a_functional_model(encoder, output):
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in ("token_ids", "segment_ids", "padding_mask")
    }
    model = keras.Model(inputs, encoder(inputs)["pooled_output"])
    np.testing.assert_array_equal(model(_padded(12)), output["pooled_output"])


def test_without_a_pooler():
    encoder = _encoder(add_pooler=False)
    assert "pooled_output" not in encoder(_padded(12))
    assert not any("pooler" in path for path in encoder.named_weights())


class TestLora:
    def test_starts_as_the_plain_encoder_and_trains_only_its_own_weights(self, output):
        encoder = _encoder()
        encoder.enable_lora(2, alpha=8)
        np.testing.assert_array_equal(
            encoder(_padded(12))["pooled_output"], output["pooled_output"]
        )
        paths = [weight.path for weight in encoder.trainable_variables]
        assert len(paths) == 3 * 4
        assert all("/lora_" in path for path in paths)

    def test_merged_weights_give_the_same_output(self, output, tmp_path):
        encoder = _encoder()
        encoder.enable_lora(2, alpha=8)
        for weight in encoder.trainable_variables:
            weight.assign(np.random.default_rng(5).normal(size=weight.shape) * 0.1)
        tuned = encoder(_padded(12))["pooled_output"]
        assert np.abs(tuned - output["pooled_output"]).max() > 1e-2
        merged = _encoder()
        for path, value in encoder.merged_weights().items():
            merged.named_weights()[path].assign(value)
        np.testing.assert_allclose(merged(_padded(12))["pooled_output"], tuned, atol=2e-5)
        encoder.save(tmp_path / "lora.keras")
        reloaded = keras.models.load_model(tmp_path / "lora.keras")
        np.testing.assert_array_equal(reloaded(_padded(12))["pooled_output"], tuned)
        assert len(reloaded.trainable_variables) == 12

    def test_twice_or_with_no_rank_is_an_error(self):
        encoder = _encoder(lora_rank=1)
        with pytest.raises(ValueError, match="already enabled, with rank 1"):
            encoder.enable_lora(2)
        with pytest.raises(ValueError, match="must be positive, received 0"):
            _encoder().enable_lora(0)


def test_where_the_shape_is_open_padding_costs_no_row_and_changes_no_token():
    encoder = BertEncoder(BertConfig.named("tiny", vocab_size=10))
    ids = np.array([[5, 6, 7, 0, 0, 0], [8, 9, 4, 3, 2, 1], [2, 0, 0, 0, 0, 0]], np.int32)
    fixed = encoder({"token_ids": ids}, output_hidden_states=True)
    rows = []

    def call(ids):
        output = encoder({"token_ids": ids}, output_hidden_states=True)
        return output["sequence_output"], output["pooled_output"], output["hidden_states"]

    original = BertEncoder._run_block
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            BertEncoder,
            "_run_block",
            lambda self, block, x, *rest: (
                rows.append(tf.shape(x)[0]) or original(self, block, x, *rest)
            ),
        )

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
        def counted(ids):
            rows.clear()
            return *call(ids), rows[0]

        sequence, pooled, hidden, count = counted(ids)
    assert count == 10
    real = ids != 0
    np.testing.assert_allclose(pooled, fixed["pooled_output"], atol=2e-6)
    for got, expected in zip(
        [sequence, *hidden], [fixed["sequence_output"], *fixed["hidden_states"]], strict=True
    ):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got.numpy()[real], expected.numpy()[real], atol=2e-6)
