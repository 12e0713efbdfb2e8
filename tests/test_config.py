"""BertConfig: named sizes, both file formats, clear errors."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bert_keras.config import BertConfig
from bert_keras.errors import UserError

# Layers, width, heads, feed-forward width as published.
PUBLISHED = {
    "tiny": (2, 128, 2, 512),
    "mini": (4, 256, 4, 1024),
    "small": (4, 512, 8, 2048),
    "medium": (8, 512, 8, 2048),
    "base": (12, 768, 12, 3072),
    "large": (24, 1024, 16, 4096),
    "L-10_H-256": (10, 256, 4, 1024),
}

GOOGLE = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 256,
    "initializer_range": 0.02,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "type_vocab_size": 2,
    "vocab_size": 30522,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_named_sizes_are_the_published_ones(name):
    config = BertConfig.named(name)
    sizes = (
        config.num_hidden_layers,
        config.hidden_size,
        config.num_attention_heads,
        config.intermediate_size,
    )
    assert sizes == PUBLISHED[name]
    assert config.layer_norm_eps == 1e-12
    assert config.type_vocab_size == 2


def test_named_takes_overrides_and_refuses_unknown_names():
    assert BertConfig.named("tiny", vocab_size=7).vocab_size == 7
    with pytest.raises(UserError, match="'huge' is unknown.*L-4_H-256"):
        BertConfig.named("huge")


def test_google_gelu_is_the_tanh_form_and_hugging_face_gelu_the_exact_one(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(GOOGLE))
    assert BertConfig.from_file(path).activation == "gelu_tanh"
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**GOOGLE, "model_type": "bert"}))
    assert BertConfig.from_file(path).activation == "gelu"


def test_dict_round_trip_keeps_every_field():
    config = BertConfig.named("mini", hidden_act="gelu_new", classifier_dropout=0.3)
    assert BertConfig.from_dict(config.to_dict()) == config


def test_our_own_spelling_of_gelu_is_written_as_hugging_face_spells_it():
    values = BertConfig.named("tiny", hidden_act="gelu_tanh").to_dict()
    assert values["hidden_act"] == "gelu_pytorch_tanh"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "mish"}, "hidden_act 'mish' is unknown; known are gelu,"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"hidden_size": 100, "num_attention_heads": 3}, "100 is not divisible by .* 3"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be a positive whole number, not 0"),
        ({"vocab_size": "many"}, "vocab_size must be a positive whole number, not 'many'"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers must be at most 4,096, not 1000000"),
        ({"max_position_embeddings": 2**70}, "max_position_embeddings must be at most 16,777,216"),
        (
            {"initializer_range": [0.02]},
            r"initializer_range must be a finite number of at least 0, not \[0.02",
        ),
        (
            {"layer_norm_eps": float("nan")},
            "layer_norm_eps must be a finite number of at least 0, not nan",
        ),
        ({"hidden_act": ["gelu"]}, r"hidden_act \['gelu'\] is unknown"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob must be at least 0 and below 1"),
        ({"is_decoder": True}, "is_decoder is true, expected an encoder"),
        ({"model_type": "roberta"}, "model_type is 'roberta', expected 'bert'"),
    ],
)
def test_bad_values_are_refused_with_file_field_and_value(tmp_path, change, message):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**GOOGLE, "model_type": "bert", **change}))
    with pytest.raises(UserError, match=message) as caught:
        BertConfig.from_file(path)
    assert "config.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_fields_are_listed(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"vocab_size": 3, "hidden_size": 64}))
    expected = "missing num_hidden_layers, num_attention_heads, intermediate_size"
    with pytest.raises(UserError, match=expected):
        BertConfig.from_file(path)


def test_a_google_file_must_say_its_segments_and_positions(tmp_path):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps({k: v for k, v in GOOGLE.items() if k != "type_vocab_size"}))
    with pytest.raises(UserError, match="missing type_vocab_size"):
        BertConfig.from_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "config.json:1: is not JSON"), (b"\xff", "not UTF-8"), (b"[]", "JSON object")],
)
def test_unreadable_files(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        BertConfig.from_file(path)
    with pytest.raises(UserError, match="No such file"):
        BertConfig.from_file(tmp_path / "absent.json")


def test_the_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BertConfig().hidden_size = 3
