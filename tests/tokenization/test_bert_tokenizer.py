"""The public class: inputs, features, errors, saving."""

from __future__ import annotations

import json
import pathlib
import warnings
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer


def rows(features: dict[str, tf.Tensor], name: str = "token_ids") -> list[list[int]]:
    return features[name].numpy().tolist()


def names(tok: BertTokenizer, ids: list[int]) -> list[str]:
    return [tok.vocabulary[index] for index in ids]


def test_single_and_pair(small: BertTokenizer) -> None:
    features = small(["The film was good!", "bad"], ["Unaffable", "Hello, world"])
    assert [names(small, row) for row in rows(features)] == [
        "[CLS] the film was good ! [SEP] un ##aff ##able [SEP]".split(),
        "[CLS] bad [SEP] hello , world [SEP] [PAD] [PAD] [PAD] [PAD]".split(),
    ]
    assert rows(features, "segment_ids")[1] == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert rows(features, "padding_mask")[1] == [1] * 7 + [0] * 4
    assert {value.dtype for value in features.values()} == {tf.int32}


def test_special_tokens_in_text_stay_text(small: BertTokenizer) -> None:
    (row,) = small.tokenize(["[SEP] [CLS]"]).to_list()
    assert names(small, row) == ["[", "sep", "]", "[", "cls", "]"]


@pytest.mark.parametrize(
    "texts",
    [
        ["good", "café"],
        ("good", "café"),
        [b"good", "café".encode()],
        np.array(["good", "café"]),
        np.array(["good", "café"], dtype=object),
        tf.constant(["good", "café"]),
        tf.Variable(["good", "café"]),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_kinds_of_input(small: BertTokenizer, texts: Any) -> None:
    expected = [[2, small.vocabulary.index(word), 3] for word in ("good", "cafe")]
    assert rows(small(texts)) == expected
    assert rows(small(texts, texts)) == [row + row[1:] for row in expected]


@pytest.mark.parametrize(
    "text",
    ["good", b"good", np.str_("good"), np.array("good"), tf.constant("good")],
    ids=lambda text: type(text).__name__,
)
def test_one_string_is_a_batch_of_one(small: BertTokenizer, text: Any) -> None:
    assert small(text)["token_ids"].shape == [1, 3]
    assert small.tokenize(text).shape[0] == 1


def test_nothing_and_empty_strings(small: BertTokenizer) -> None:
    assert small([])["token_ids"].shape == [0, 2]
    assert small([], [])["token_ids"].shape == [0, 3]
    assert small.tokenize([]).to_list() == []
    assert rows(small(["", "\x00", " "])) == [[2, 3]] * 3


def test_a_lone_surrogate_is_one_unknown_letter(small: BertTokenizer) -> None:
    ids, starts, ends = (x.to_list() for x in small.offsets(["a\ud800 good"]))
    assert (ids[0][0], starts[0], ends[0]) == (small.unk_id, [0, 3], [2, 7])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([1, 2], "row 0 is 1, a int; expected a string"),
        (["a", None], "row 1 is None"),
        ([["a"]], "row 0 is .'a'., a list"),
        (np.zeros([2, 2]), "row 0"),
        (tf.constant([1.0]), "of float32; expected strings"),
        (tf.constant([["a"]]), r"shape \(1, 1\); expected a vector"),
        (tf.ragged.constant([["a"]]), "expected strings"),
        (3, "int"),
        (None, "NoneType"),
    ],
)
def test_input_that_is_not_strings(small: BertTokenizer, texts: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        small(texts)


def test_texts_and_pairs_must_be_as_many(small: BertTokenizer) -> None:
    with pytest.raises(UserError, match="1 strings for 3 texts"):
        small(["a", "b", "c"], ["a"])
    spec = tf.TensorSpec([None], tf.string)
    unknown = tf.function(lambda a, b: small(a, b)["token_ids"], input_signature=[spec, spec])
    with pytest.raises(tf.errors.InvalidArgumentError):
        unknown(tf.constant(["a", "b", "c"]), tf.constant(["a"]))


def test_lengths(small: BertTokenizer) -> None:
    text = "good " * 600
    assert small([text])["token_ids"].shape == [1, 512]
    assert small([text], max_length=10)["token_ids"].shape == [1, 10]
    assert small([text, "bad"], max_length=10, pad_to=16)["token_ids"].shape == [2, 16]
    assert names(small, rows(small([text], max_length=10, pad_to=5))[0])[3:] == ["good", "[SEP]"]
    assert small(["bad"], pad_to=6)["token_ids"].shape == [1, 6]
    with pytest.raises(UserError, match="expected at least 3"):
        small(["a"], max_length=2)
    with pytest.raises(UserError, match="expected at least 4"):
        small(["a"], ["b"], pad_to=3)


def test_detokenize(small: BertTokenizer) -> None:
    ids = small(["The film, (unaffable) was good!", "bad"])["token_ids"]
    expected = [b"the film, (unaffable) was good!", b"bad"]
    assert small.detokenize(ids).numpy().tolist() == expected
    assert small.detokenize(ids.numpy().tolist()).numpy().tolist() == expected
    assert small.detokenize(small.tokenize(["un-good cafe!"])).numpy().tolist() == [
        b"un-good cafe!"
    ]
    assert small.detokenize(ids[1]).numpy() == b"bad"
    assert small.detokenize([]).numpy() == b""
    assert small.detokenize([[], [8]]).numpy().tolist() == [b"", b"film"]


def test_ids_of_special_tokens(small: BertTokenizer, small_pieces: list[str]) -> None:
    found = (small.pad_id, small.unk_id, small.cls_id, small.sep_id, small.mask_id)
    assert found == (0, 1, 2, 3, 4)
    assert small.vocabulary == small_pieces and small.vocab_size == len(small_pieces)
    with pytest.raises(UserError, match=r"no \[MASK\]"):
        _ = BertTokenizer([*small_pieces[:4], "a"]).mask_id


def test_a_word_ends_at_an_ideograph_only_if_wanted() -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "中", "##中", "a", "中中"]
    assert BertTokenizer(pieces).tokenize(["a中中"]).to_list() == [[6, 4, 4]]
    joined = BertTokenizer(pieces, split_chinese=False)
    assert joined.tokenize(["a中中 中中"]).to_list() == [[6, 5, 5, 7]]


def test_accents_can_stay_in_lower_case() -> None:
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = [*specials, "é", "e", "É", *(f"##{number}" for number in range(100))]
    assert BertTokenizer(pieces, strip_accents=False).tokenize(["É é"]).to_list() == [[4, 4]]
    cased = BertTokenizer(pieces, lowercase=False, strip_accents=True)
    assert cased.tokenize(["É é"]).to_list() == [[1, 5]]
    assert BertTokenizer(pieces, lowercase=False).tokenize(["É é"]).to_list() == [[6, 4]]


def test_pretrained_directory_round_trip(small: BertTokenizer, tmp_path: pathlib.Path) -> None:
    tok = BertTokenizer(small.vocabulary, lowercase=False, strip_accents=True, split_chinese=False)
    tok.save_pretrained(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "BertTokenizer" and config["do_lower_case"] is False
    again = BertTokenizer.from_pretrained(tmp_path / "model")
    assert again.vocabulary == tok.vocabulary
    assert {**again.get_config(), "name": 0} == {**tok.get_config(), "name": 0}
    assert BertTokenizer.from_pretrained(tmp_path / "model", lowercase=True).lowercase


def test_a_real_directory(minilm: pathlib.Path) -> None:
    tok = BertTokenizer.from_pretrained(minilm)
    assert tok.lowercase and tok.vocab_size == 30522
    expected = [[101, 2023, 2003, 1037, 3231, 1012, 102]]
    assert rows(tok(["This is a test."])) == expected


def test_without_a_configuration_the_vocabulary_decides(
    data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for name, lowercase in (("uncased_30522", True), ("cased_28996", False)):
        content = (data / "vocab" / name / "vocab.txt").read_bytes()
        (tmp_path / "vocab.txt").write_bytes(content)
        assert BertTokenizer.from_pretrained(tmp_path).lowercase is lowercase


def test_casing_that_does_not_fit_is_warned_of(data: pathlib.Path) -> None:
    for name, lowercase in (("uncased_30522", False), ("cased_28996", True)):
        with pytest.warns(UserWarning, match="casing must follow the checkpoint"):
            BertTokenizer(data / "vocab" / name / "vocab.txt", lowercase=lowercase)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BertTokenizer(data / "vocab" / "uncased_30522" / "vocab.txt")


def test_a_broken_configuration(small: BertTokenizer, tmp_path: pathlib.Path) -> None:
    small.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(UserError, match=r"tokenizer_config\.json:1: is not JSON"):
        BertTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(UserError, match="expected a JSON object, received list"):
        BertTokenizer.from_pretrained(tmp_path)


def test_layer_configuration(small: BertTokenizer, tmp_path: pathlib.Path) -> None:
    config = small.get_config()
    assert config["vocabulary"] is None
    empty = BertTokenizer.from_config(config)
    with pytest.raises(UserError, match="has no vocabulary yet"):
        empty(["good"])
    small.save_assets(str(tmp_path))
    empty.load_assets(str(tmp_path))
    assert rows(empty(["good film"])) == rows(small(["good film"]))


@keras.saving.register_keras_serializable(package="tests")
class Holder(keras.Model):
    """A model with a tokenizer among its layers."""

    def __init__(self, tokenizer: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.dense = keras.layers.Dense(1)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.dense(x)

    def get_config(self) -> dict[str, Any]:
        return {"tokenizer": keras.saving.serialize_keras_object(self.tokenizer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Holder:
        return cls(keras.saving.deserialize_keras_object(config["tokenizer"]))


def test_the_vocabulary_is_kept_in_a_keras_archive(
    small_pieces: list[str], tmp_path: pathlib.Path
) -> None:
    model = Holder(BertTokenizer(small_pieces, strip_accents=False))
    model(tf.zeros([1, 2]))
    model.save(tmp_path / "model.keras")
    tok = keras.saving.load_model(tmp_path / "model.keras").tokenizer
    assert tok.vocabulary == small_pieces and tok.strip_accents is False
    assert rows(tok(["good film"])) == rows(model.tokenizer(["good film"]))
