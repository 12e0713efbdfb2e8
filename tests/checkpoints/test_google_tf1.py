"""Checkpoints of google-research/bert, the genuine index of one of them among the tests."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from bert_keras import checkpoints
from bert_keras.checkpoints import google_tf1
from bert_keras.errors import UserError
from bert_keras.layers.masked_lm_head import MaskedLMHead
from bert_keras.layers.next_sentence_head import NextSentenceHead
from bert_keras.models.encoder import BertEncoder

Variables = Mapping[str, np.ndarray]


def save(prefix: pathlib.Path, variables: Variables) -> None:
    """A TensorFlow 1 checkpoint with exactly these variables."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(variables),
        shape_and_slices=[""] * len(variables),
        tensors=[tf.constant(value) for value in variables.values()],
    )


def random_variables(shapes: Mapping[str, tuple[int, ...]], scale: float) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {
        name: scale * random.standard_normal(shape, np.float32) + np.float32(name.endswith("gamma"))
        for name, shape in sorted(shapes.items())
    }


# What google-research/bert's graph computes, in float64 on its own variables.


def norm(v: Variables, name: str, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return scaled * v[f"{name}/gamma"] + v[f"{name}/beta"]


def dense(v: Variables, name: str, x: np.ndarray) -> np.ndarray:
    kernel = v[f"{name}/kernel"].astype(np.float64)
    rows = x.reshape(-1, len(kernel)) @ kernel + v[f"{name}/bias"]
    return rows.reshape(*x.shape[:-1], -1)


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attention(v: Variables, name: str, x: np.ndarray, mask: np.ndarray, heads: int) -> np.ndarray:
    batch, length, width = x.shape
    query, key, value = (
        dense(v, f"{name}/self/{part}", x).reshape(batch, length, heads, -1).swapaxes(1, 2)
        for part in ("query", "key", "value")
    )
    scores = query @ key.swapaxes(2, 3) / np.sqrt(width // heads)
    scores += (1 - mask[:, None, None, :]) * -10000.0
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    context = (weights @ value).swapaxes(1, 2).reshape(x.shape)
    return norm(v, f"{name}/output/LayerNorm", dense(v, f"{name}/output/dense", context) + x)


def google_bert(v: Variables, features: Mapping[str, np.ndarray], heads: int) -> np.ndarray:
    """The last layer's output, [batch, length, hidden]."""
    length = features["token_ids"].shape[1]
    x = v["bert/embeddings/word_embeddings"][features["token_ids"]].astype(np.float64)
    x += v["bert/embeddings/token_type_embeddings"][features["segment_ids"]]
    x += v["bert/embeddings/position_embeddings"][:length]
    x = norm(v, "bert/embeddings/LayerNorm", x)
    for layer in range(sum(name.endswith("query/kernel") for name in v)):
        name = f"bert/encoder/layer_{layer}"
        x = attention(v, f"{name}/attention", x, features["padding_mask"], heads)
        inner = gelu(dense(v, f"{name}/intermediate/dense", x))
        x = norm(v, f"{name}/output/LayerNorm", dense(v, f"{name}/output/dense", inner) + x)
    return x


def google_heads(v: Variables, x: np.ndarray) -> dict[str, np.ndarray]:
    """Pooled output and the logits of both tasks, of every position for the masked LM."""
    pooled = np.tanh(dense(v, "bert/pooler/dense", x[:, 0]))
    transform = "cls/predictions/transform"
    words = norm(v, f"{transform}/LayerNorm", gelu(dense(v, f"{transform}/dense", x)))
    table = v["bert/embeddings/word_embeddings"]
    return {
        "pooled_output": pooled,
        "masked_lm": words @ table.T + v["cls/predictions/output_bias"],
        "next_sentence": pooled @ v["cls/seq_relationship/output_weights"].T
        + v["cls/seq_relationship/output_bias"],
    }


def features(vocab_size: int) -> dict[str, np.ndarray]:
    mask = (np.arange(9) < np.array([[9], [5]])).astype(np.int32)
    ids = np.random.default_rng(5).integers(1, vocab_size, (2, 9)).astype(np.int32)
    segments = (np.arange(9) > np.array([[4], [2]])).astype(np.int32)
    return {"token_ids": ids * mask, "segment_ids": segments * mask, "padding_mask": mask}


def assert_computes_as_google(
    checkpoint: checkpoints.Checkpoint, variables: Variables, encoder: BertEncoder | None = None
) -> None:
    """Our encoder and heads against the graph written out above."""
    encoder = encoder or checkpoint.encoder()
    config = encoder.config
    inputs = features(config.vocab_size)
    real = inputs["padding_mask"] == 1
    expected = google_bert(variables, inputs, config.num_attention_heads)
    heads = google_heads(variables, expected)

    output = {name: ops.convert_to_numpy(value) for name, value in encoder(inputs).items()}
    masked_lm = MaskedLMHead(config, name="masked_lm")
    next_sentence = NextSentenceHead(config, name="next_sentence")
    for name, head in (("masked_lm", masked_lm), ("next_sentence", next_sentence)):
        head.build()
        checkpoint.fill_head(name, head.named_weights())
    sequence, pooled = output["sequence_output"], output["pooled_output"]
    logits = masked_lm(sequence[real], encoder.embeddings.word_embeddings)

    np.testing.assert_allclose(sequence[real], expected[real], rtol=0, atol=2e-5)
    np.testing.assert_allclose(pooled, heads["pooled_output"], rtol=0, atol=2e-5)
    np.testing.assert_allclose(logits, heads["masked_lm"][real], rtol=0, atol=1e-4)
    np.testing.assert_allclose(next_sentence(pooled), heads["next_sentence"], rtol=0, atol=2e-5)


def genuine_shapes(folder: pathlib.Path) -> dict[str, tuple[int, ...]]:
    reader = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
    return {k: tuple(v) for k, v in reader.get_variable_to_shape_map().items()}


@pytest.mark.slow
def test_a_checkpoint_with_the_names_and_shapes_of_a_published_one(data, tmp_path):
    source = data / "google_tf1_index" / "uncased_L-8_H-512_A-8"
    shapes = genuine_shapes(source)
    assert len(shapes) == 5 + 8 * 16 + 2 + 5 + 2
    variables = random_variables(shapes, 0.05)
    for name in ("bert_config.json", "vocab.txt"):
        shutil.copy(source / name, tmp_path)
    save(tmp_path / "bert_model.ckpt", variables)

    checkpoint = checkpoints.open_checkpoint(tmp_path)
    encoder = checkpoint.encoder()
    assert checkpoint.unexpected() == []
    assert_every_variable_is_used(checkpoint, variables, encoder)
    assert_computes_as_google(checkpoint, variables, encoder)
    assert checkpoint.tokenizer().lowercase


def assert_every_variable_is_used(
    checkpoint: checkpoints.Checkpoint, variables: Variables, encoder: BertEncoder
) -> None:
    """The numbers of all variables are found again among the weights read."""
    read = {k: ops.convert_to_numpy(v) for k, v in encoder.named_weights().items()}
    for head in ("masked_lm", "next_sentence"):
        read |= {f"{head}/{name}": value for name, value in checkpoint.head(head).items()}
    assert sum(value.size for value in read.values()) == sum(v.size for v in variables.values())
    sums = sum(value.sum(dtype=np.float64) for value in read.values())
    assert sums == pytest.approx(sum(v.sum(dtype=np.float64) for v in variables.values()))


SMALL = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
}


@pytest.fixture
def small(tmp_path, write, state) -> tuple[pathlib.Path, dict[str, np.ndarray]]:
    """A small checkpoint as our writer makes it, and its variables."""
    source = checkpoints.open_checkpoint(write(state, hidden_act="gelu_new"))
    heads = {head: source.head(head) for head in ("masked_lm", "next_sentence")}
    folder = tmp_path / "google"
    google_tf1.save_checkpoint(folder, source.config, source.encoder(), heads, source.tokenizer())
    reader = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
    return folder, {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_what_we_write_is_a_google_checkpoint(small, state, pieces):
    folder, variables = small

    assert json.loads((folder / "bert_config.json").read_text()) == SMALL | {
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    assert len(variables) == 5 + 2 * 16 + 2 + 5 + 2
    np.testing.assert_array_equal(
        variables["bert/encoder/layer_1/attention/self/key/kernel"],
        state["bert.encoder.layer.1.attention.self.key.weight"].T,
    )
    np.testing.assert_array_equal(
        variables["cls/seq_relationship/output_weights"], state["cls.seq_relationship.weight"]
    )
    assert_computes_as_google(checkpoints.open_checkpoint(folder), variables)
    assert checkpoints.load(folder)[1].vocabulary == pieces


def test_the_directory_the_prefix_and_the_index_name_it(small):
    folder, _ = small
    for path in (folder, folder / "bert_model.ckpt", folder / "bert_model.ckpt.index"):
        assert checkpoints.open_checkpoint(path).format == "google_tf1"


def test_gelu_is_the_tanh_form_unless_said_otherwise(small):
    folder, _ = small
    assert checkpoints.load_encoder(folder).config.hidden_act == "gelu_new"
    assert checkpoints.load_encoder(folder, hidden_act="gelu").config.activation == "gelu"


def test_what_training_leaves_is_ignored_and_the_rest_is_named(small):
    folder, variables = small
    name = "bert/encoder/layer_0/output/dense/kernel"
    training = {
        f"{name}/adam_m": variables[name],
        f"{name}/adam_v": variables[name],
        f"{name}/Adam_1": variables[name],
        "output_weights/adam_m": np.zeros((2, 32), np.float32),
        "beta1_power": np.float32(0.9),
        "global_step": np.int64(7),
        "output_weights": np.ones((2, 32), np.float32),
        "output_bias": np.arange(2, dtype=np.float32),
    }
    save(folder / "bert_model.ckpt", variables | training)

    checkpoint = checkpoints.open_checkpoint(folder)
    assert_computes_as_google(checkpoint, variables)
    assert checkpoint.head("classifier")["classifier/kernel"].shape == (32, 2)

    broken = {**variables, "bert/encoder/layer_2/output/dense/kernel": variables[name]}
    del broken[name]
    save(folder / "bert_model.ckpt", broken)
    with pytest.raises(UserError) as error:
        checkpoints.load_encoder(folder)
    assert str(error.value).endswith(
        f"bert_model.ckpt: 1 missing tensor: {name}; "
        "1 unexpected tensor: bert/encoder/layer_2/output/dense/kernel"
    )


def test_wrong_shapes_are_named(small):
    folder, variables = small
    variables["cls/seq_relationship/output_weights"] = np.zeros((32, 2), np.float32)
    variables["bert/pooler/dense/bias"] = np.zeros(31, np.float32)
    save(folder / "bert_model.ckpt", variables)

    with pytest.raises(UserError, match=r"'bert/pooler/dense/bias' has shape \[31\], .* \[32\]"):
        checkpoints.load_encoder(folder)
    with pytest.raises(UserError, match=r"output_weights' has shape \[32, 2\], .* \[2, 32\]"):
        checkpoints.open_checkpoint(folder).head("next_sentence")


def test_damaged_files_are_refused_in_one_line(small):
    folder, _ = small
    data_file = folder / "bert_model.ckpt.data-00000-of-00001"
    index = folder / "bert_model.ckpt.index"
    whole = data_file.read_bytes()

    data_file.write_bytes(whole[: len(whole) // 2])
    assert_refused(folder, "bert_model.ckpt: tensor '.*' cannot be read")
    data_file.unlink()
    assert_refused(folder, "bert_model.ckpt: .*cannot be read")
    index.write_bytes(index.read_bytes()[:100])
    assert_refused(folder, "bert_model.ckpt cannot be read")
    index.unlink()
    assert_refused(folder, r"has bert_config.json but no \*.ckpt.index")


def assert_refused(folder: pathlib.Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        checkpoints.load_encoder(folder)
    assert "\n" not in str(error.value)


def test_one_of_several_checkpoints_must_be_named(small):
    folder, variables = small
    save(folder / "model.ckpt-20", variables)

    with pytest.raises(UserError, match="several checkpoints, name one of bert_model.ckpt, model"):
        checkpoints.load_encoder(folder)
    assert checkpoints.load_encoder(folder / "model.ckpt-20").add_pooler


def test_object_checkpoints_are_named_as_such(small):
    folder, _ = small
    prefix = folder / "garden.ckpt"
    tf.train.Checkpoint(encoder=tf.Variable(1.0)).write(str(prefix))

    assert_refused(prefix, "garden.ckpt: is a TensorFlow 2 object checkpoint")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "gelu"}, "no activation 'gelu' .* --hidden_act=gelu_new"),
        ({"hidden_act": "gelu_new", "layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-12 there"),
    ],
)
def test_what_the_format_cannot_say_is_not_written(changes, message, write, state, tmp_path):
    encoder = checkpoints.load_encoder(write(state, **changes))

    with pytest.raises(UserError, match=message):
        google_tf1.save_checkpoint(tmp_path / "google", encoder.config, encoder)
    assert not (tmp_path / "google").exists()
