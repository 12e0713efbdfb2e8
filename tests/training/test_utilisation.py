"""Model FLOPs against counts made by hand and by TensorFlow; the measured peak."""

from __future__ import annotations

import pytest
import tensorflow as tf

from bert_keras.config import BertConfig
from bert_keras.training import utilisation
from tests import small, small_pretraining


def test_a_count_made_by_hand():
    config = BertConfig(
        vocab_size=100,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    # A layer, 4 tokens: four products 8 x 8, two 4 x 8 x 4, two 8 x 32.
    layer = 4 * (4 * 8 * 8) + 2 * (4 * 4 * 8) + 4 * (2 * 8 * 32)
    # The last, of 2 masked tokens: queries, keys and values of all four, the rest of two.
    last = 4 * (3 * 8 * 8) + 2 * (8 * 8) + 2 * (2 * 4 * 8) + 2 * (2 * 8 * 32)
    head = 2 * (8 * 8 + 8 * 100)
    assert utilisation.training_flops(config, 4, 2, False) == 3 * 2 * (layer + last + head)
    # [CLS] besides: all four are wanted again where three are masked.
    head, pooler = 3 * (8 * 8 + 8 * 100), 8 * 8 + 8 * 2
    assert utilisation.training_flops(config, 4, 3, True) == 3 * 2 * (2 * layer + head + pooler)


def test_base_is_close_to_six_flops_per_parameter_and_token():
    config = BertConfig.named("base")
    flops = utilisation.training_flops(config, 128, 20) / 128
    # Parameters of the layers, nine of the last's twelve squares at 21 of 128 positions and the
    # output table at 20.
    parameters = (11 * 12 + 3 + 21 / 128 * 9) * 768**2 + 20 / 128 * 30522 * 768
    assert flops == pytest.approx(6 * parameters, rel=0.03)


@pytest.mark.parametrize("next_sentence", [True, False])
def test_the_forward_pass_equals_tensorflow_s_own_count(next_sentence):
    task = small_pretraining.pretrainer(next_sentence=next_sentence)
    batch, signature = 3, small_pretraining.signature(3, next_sentence)
    call = tf.function(lambda features: task(features)).get_concrete_function(signature)
    products = 0
    for operation in call.graph.get_operations():
        if operation.type in ("MatMul", "BatchMatMulV2"):
            left, right = (tensor.shape for tensor in operation.inputs)
            inner = left[-2] if operation.node_def.attr["transpose_a"].b else left[-1]
            products += 2 * inner * operation.outputs[0].shape.num_elements()
            assert right.rank == left.rank
    expected = utilisation.training_flops(
        task.encoder.config,
        small_pretraining.LENGTH,
        small_pretraining.PREDICTIONS,
        next_sentence,
    )
    assert products == pytest.approx(batch * expected / 3)
    assert task.encoder.config.vocab_size == len(small.VOCABULARY)


def test_known_devices_and_unknown_ones():
    of = utilisation.data_sheet_flops
    assert of("NVIDIA A100-SXM4-40GB", "bfloat16") == 312e12
    assert of("NVIDIA H100 80GB HBM3", "bfloat16") == 989e12
    assert of("NVIDIA L40S", "bfloat16") == 362e12 and of("NVIDIA L4", "bfloat16") == 121e12
    assert of("Some GPU", "bfloat16") is None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_measured_peak_is_one_of_this_century(precision):
    assert 1e9 < utilisation.peak_flops(precision, seconds=0.05) < 1e14


def test_a_known_gpu_is_looked_up(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda device: {"device_name": "NVIDIA A100-SXM4-80GB"},
    )
    assert utilisation.peak_flops("float32") == 156e12
