"""Tensors whose names carry the prefixes of modules around the model."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from bert_keras import checkpoints
from bert_keras.errors import UserError


def _assert_same(folder, expected) -> None:
    checkpoint = checkpoints.open_checkpoint(folder)
    found = checkpoint.encoder().named_weights()
    assert set(found) == set(expected)
    for path, value in expected.items():
        np.testing.assert_array_equal(ops.convert_to_numpy(found[path]), value, err_msg=path)
    assert sorted(checkpoint.head("next_sentence")) == ["dense/bias", "dense/kernel"]
    assert checkpoint.has_head("masked_lm") and checkpoint.others() == []


@pytest.fixture
def expected(write, state) -> dict[str, np.ndarray]:
    """The weights of the encoder by path."""
    found = checkpoints.load_encoder(write(state)).named_weights()
    return {path: ops.convert_to_numpy(weight) for path, weight in found.items()}


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod.", "bert.", "model.module."]
)
def test_a_prefix_of_everything_is_dropped(prefix, write, state, expected):
    _assert_same(write({prefix + name: value for name, value in state.items()}), expected)


@pytest.mark.parametrize("prefix", ["encoder.", "bert.", "model.encoder.", "model.bert."])
def test_heads_may_stand_beside_a_wrapped_encoder(prefix, write, state, expected):
    """As in `self.encoder = BertModel(...)`, whose head's name has no prefix, or a shorter one."""
    outer = prefix[: prefix.rstrip(".").rfind(".") + 1]
    stored = {
        prefix + name.removeprefix("bert.") if name.startswith("bert.") else outer + name: value
        for name, value in state.items()
    }
    _assert_same(write(stored), expected)


def test_marks_of_pytorch_inside_the_names_are_dropped(write, state, expected):
    stored = {
        name.replace("layer.0.", "layer.0._orig_mod.").replace(
            "layer.1.attention.", "layer.1._checkpoint_wrapped_module.attention."
        ): value
        for name, value in state.items()
    }
    _assert_same(write(stored), expected)


def test_other_prefixes_are_named(write, state):
    queries = {f"query_tower.{name}": value for name, value in state.items()}
    with pytest.raises(UserError) as error:
        checkpoints.load_encoder(write(queries))
    assert "BERT's tensors are there under the prefix 'query_tower.bert.', expected" in str(
        error.value
    )
    both = {
        f"{tower}.{name}": value for tower in ("query", "text") for name, value in state.items()
    }
    with pytest.raises(UserError, match=r"the prefix 'query\.bert\.', 'text\.bert\.', expected"):
        checkpoints.load_encoder(write(both))


def test_of_two_encoders_the_one_without_a_wrapper_is_read(write, state, expected, caplog):
    teacher = {f"teacher.{name}": value + 1 for name, value in state.items()}
    folder = write(state | teacher)
    encoder = checkpoints.load_encoder(folder)
    for path, weight in encoder.named_weights().items():
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), expected[path])
    assert f"{len(teacher)} tensors outside BERT (teacher." in caplog.text


def test_a_tensor_of_the_encoder_that_is_missing_is_named_without_its_prefix(write, state):
    del state["bert.encoder.layer.1.output.dense.bias"]
    with pytest.raises(
        UserError, match=r"1 missing tensor: encoder\.layer\.1\.output\.dense\.bias"
    ):
        checkpoints.load_encoder(write({f"module.{name}": v for name, v in state.items()}))
