"""The real tokens of a batch as rows, attending on one grid or on two by length."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.layers.token_layout import _best_split, all_places, attention_bias, real_tokens
from tests import small


@st.composite
def _masks(draw) -> np.ndarray:
    batch, length = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    bits = st.lists(st.integers(0, 1), min_size=batch * length, max_size=batch * length)
    return np.array(draw(bits), np.int32).reshape(batch, length)


@settings(deadline=None, max_examples=60)
@given(_masks(), st.booleans())
def test_only_real_tokens_are_rows(mask, split):
    kept = mask.astype(bool)
    kept[:, 0] = True
    values = np.arange(mask.size, dtype=np.int32).reshape(mask.shape)
    layout = real_tokens(tf.constant(mask), None, split)
    packed = layout.pack(tf.constant(values)).numpy()[0]
    assert sorted(packed) == sorted(values[kept])
    rows = tf.cast(packed[:, None] * [1.0, -1.0], tf.float32)
    grid = layout.unpack(rows).numpy()
    assert grid.shape == (*mask.shape, 2)
    np.testing.assert_array_equal(grid[kept], values[kept][:, None] * [1, -1])


@settings(deadline=None, max_examples=60)
@given(_masks(), st.booleans())
def test_every_token_meets_its_own_example_on_the_grid(mask, split):
    """Each head's piece of a token stands in a line with exactly its example's tokens."""
    kept = mask.astype(bool)
    kept[:, 0] = True
    examples = np.broadcast_to(np.arange(len(mask))[:, None], mask.shape)
    values = np.arange(mask.size).reshape(mask.shape)
    layout = real_tokens(tf.constant(mask), None, split)
    places = layout.pack(tf.constant(values)).numpy()[0]
    heads, size = 2, 3
    rows = tf.cast(np.repeat(places[:, None], heads * size, 1), tf.float32)
    backs, met = [], []
    for grid in layout.grids:
        (piece,) = grid.to_heads(rows, 1, heads)
        assert piece.shape[1] == heads and piece.shape[3] == size
        backs.append(grid.to_rows(piece).numpy())
        seen = np.asarray(grid.bias)[:, 0, 0] == 0
        for line, visible in zip(piece.numpy()[:, 0, :, 0], seen, strict=True):
            met += [sorted(line[visible].astype(int).tolist())]
    np.testing.assert_array_equal(np.concatenate(backs), rows)
    seen = mask.astype(bool)
    expected = [sorted(values[i][seen[i]].tolist()) for i in range(len(mask))]
    assert sorted(met) == sorted(expected)
    assert len(np.unique(examples)) == len(met)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 60), max_size=12))
def test_the_split_is_the_cheapest_there_is(lengths):
    ordered = np.sort(np.array(lengths, np.int32))
    count, short, long = (int(x) for x in _best_split(tf.constant(ordered)))
    assert long == (ordered[-1] if len(ordered) else 1)
    assert (ordered[:count] <= short).all()

    def cost(cut: int) -> int:
        of_short = cut * int(ordered[cut - 1]) ** 2 if cut else 0
        return of_short + (len(ordered) - cut) * long**2

    assert cost(count) == min(cost(cut) for cut in range(len(ordered) + 1))


def test_a_batch_of_no_examples():
    for split in (False, True):
        layout = real_tokens(tf.zeros([0, 4], tf.int32), None, split)
        rows = tf.zeros([0, 12])
        for grid in layout.grids:
            heads = grid.to_heads(rows, 2, 3)
            assert grid.to_rows(heads[0]).shape == (0, 6)
        assert layout.unpack(rows).shape == (0, 4, 12)


def test_static_shapes_stay_static():
    layout = all_places(tf.ones([3, 5], tf.int32), None, training=False)
    assert not layout.skips_padding and len(layout.grids) == 1
    assert layout.unpack(tf.zeros([15, 2])).shape == (3, 5, 2)


def test_padding_and_other_examples_are_hidden():
    mask = np.array([[1, 1, 1, 0]])
    np.testing.assert_array_equal(attention_bias(mask)[0, 0, 0], [0, 0, 0, -10000])
    packed = attention_bias(mask, np.array([[1, 1, 2, 0]]))[0, 0]
    assert packed[0, 1] == 0 and packed[0, 2] == packed[2, 0] == packed[0, 3] == -10000


@pytest.mark.parametrize("lengths", [[3, 3, 3], [2, 16, 3, 9], [16], [5, 1]])
def test_an_open_graph_gives_what_a_closed_one_gives(lengths):
    encoder = small.encoder()
    mask = (np.arange(16) < np.array(lengths)[:, None]).astype(np.int32)
    random = np.random.default_rng(0)
    features = {
        "token_ids": random.integers(5, 20, mask.shape).astype(np.int32) * mask,
        "segment_ids": (np.arange(16) >= 4).astype(np.int32) * mask,
        "padding_mask": mask,
    }
    spec = [{name: tf.TensorSpec([None, None], tf.int32) for name in features}]
    open_graph = tf.function(lambda f: encoder(f), input_signature=spec)
    got, expected = open_graph(features), encoder(features)
    np.testing.assert_allclose(got["pooled_output"], expected["pooled_output"], atol=1e-5)
    real = mask.astype(bool)
    np.testing.assert_allclose(
        got["sequence_output"].numpy()[real],
        np.asarray(expected["sequence_output"])[real],
        atol=1e-5,
    )
