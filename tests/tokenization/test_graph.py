"""Inside TensorFlow: functions, datasets, SavedModels, functional Keras models; any locale."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from bert_keras.tokenization import BertTokenizer

TEXTS = ["The film was good!", "", "Café INDIA 中", "x" * 300, "\x00a\u0301Σ ab", "[SEP]"]
PAIRS = ["bad", "ünaffable", "", "É", "hello", "world"]
SPEC = tf.TensorSpec([None], tf.string)


def lists(features: dict[str, tf.Tensor]) -> dict[str, list]:
    return {name: value.numpy().tolist() for name, value in features.items()}


def assert_equal(ours: dict[str, tf.Tensor], expected: dict[str, tf.Tensor]) -> None:
    assert lists(ours) == lists(expected)


def test_function_and_static_shapes(small: BertTokenizer) -> None:
    traced = tf.function(lambda a, b: small(a, b, pad_to=24), input_signature=[SPEC, SPEC])
    assert_equal(traced(tf.constant(TEXTS), tf.constant(PAIRS)), small(TEXTS, PAIRS, pad_to=24))
    signature = tf.function(lambda a: small(a, pad_to=24)).get_concrete_function(
        tf.TensorSpec([8], tf.string)
    )
    assert {tuple(s.shape) for s in signature.structured_outputs.values()} == {(8, 24)}


def test_dataset(small: BertTokenizer) -> None:
    data = tf.data.Dataset.from_tensor_slices((TEXTS, PAIRS)).batch(4)
    batches = list(data.map(small, num_parallel_calls=2))
    assert_equal(batches[0], small(TEXTS[:4], PAIRS[:4]))
    assert_equal(batches[1], small(TEXTS[4:], PAIRS[4:]))
    single = tf.data.Dataset.from_tensor_slices(TEXTS).map(small.tokenize)
    assert [row.to_list() for row in single] == [[r] for r in small.tokenize(TEXTS).to_list()]


def test_offsets_and_detokenize_in_a_function(small: BertTokenizer) -> None:
    @tf.function(input_signature=[SPEC])
    def both(texts: tf.Tensor) -> Any:
        return small.offsets(texts), small.detokenize(small.tokenize(texts))

    (ids, starts, ends), text = both(tf.constant(TEXTS))
    for ours, expected in zip((ids, starts, ends), small.offsets(TEXTS), strict=True):
        assert ours.to_list() == expected.to_list()
    assert text[0].numpy() == b"the film was good!"


def test_functional_model(small: BertTokenizer) -> None:
    text = keras.Input([], dtype="string")
    model = keras.Model(text, small(text, max_length=16))
    assert_equal(model(tf.constant(TEXTS)), small(TEXTS, max_length=16))


def exported(tok: BertTokenizer, path: pathlib.Path) -> None:
    module = tf.Module()
    module.serve = tf.function(lambda a, b: tok(a, b), input_signature=[SPEC, SPEC])

    @tf.function(input_signature=[SPEC])
    def spans(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, starts, ends = tok.offsets(texts)
        return {"ids": ids.values, "starts": starts.values, "ends": ends.values}

    module.spans = spans
    signatures = {"serving_default": module.serve, "spans": spans}
    tf.saved_model.save(module, str(path), signatures=signatures)


def test_saved_model(small: BertTokenizer, tmp_path: pathlib.Path) -> None:
    exported(small, tmp_path / "saved")
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert_equal(loaded.serve(tf.constant(TEXTS), tf.constant(PAIRS)), small(TEXTS, PAIRS))
    spans = loaded.signatures["spans"](texts=tf.constant(TEXTS))
    assert spans["starts"].numpy().tolist() == small.offsets(TEXTS)[1].values.numpy().tolist()
    size = (tmp_path / "saved" / "saved_model.pb").stat().st_size
    assert size < 900_000, "the constants should be stored once, not once a signature"


def test_the_graph_holds_constants_and_known_ops_only(
    small: BertTokenizer, tmp_path: pathlib.Path
) -> None:
    exported(small, tmp_path / "saved")
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((tmp_path / "saved" / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    ops = {node.op for node in nodes}
    assert not {op for op in ops if "Table" in op or "VarHandle" in op or "PyFunc" in op}
    # The one op of tensorflow-text; the ones that use ICU or the locale are not there.
    assert {op for op in ops if "Wordpiece" in op} == {"FastWordpieceTokenizeWithOffsets"}
    assert not {op for op in ops if "Unicode" in op or "NormalizeUTF8" in op or "CaseFold" in op}
    encodings = {node.attr["encoding"].s for node in nodes if node.op == "StringLower"}
    assert encodings == {b""}


TURKISH = """
import json, locale, sys
names = ["tr_TR.UTF-8", "tr_TR.utf8", "lt_LT.UTF-8", ""]
for name in names:
    try:
        locale.setlocale(locale.LC_ALL, name)
        break
    except locale.Error:
        pass
from bert_keras.tokenization import BertTokenizer
tok = BertTokenizer(json.loads(sys.argv[1]))
print(json.dumps(tok.tokenize(json.loads(sys.argv[2])).to_list()))
"""


@pytest.mark.slow
def test_locale_does_not_matter(small: BertTokenizer) -> None:
    """Under a Turkish environment, lower case of I stays i (ICU reads LANG by itself)."""
    pieces = [*small.vocabulary, "india", "ındia"]
    texts = ["INDIA", "INDIA é", "İNDIA", "ÜNAFFABLE I"]
    environment = {**os.environ, "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}
    environment["PYTHONPATH"] = str(pathlib.Path(__file__).parents[2])
    arguments = [sys.executable, "-c", TURKISH, json.dumps(pieces), json.dumps(texts)]
    result = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True)
    expected = BertTokenizer(pieces).tokenize(texts).to_list()
    assert json.loads(result.stdout.splitlines()[-1]) == expected
    assert expected[0] == [pieces.index("india")]


@pytest.mark.parametrize("text", ["a " * 50_000, "x" * 100_000, "é" * 100_000, "中" * 50_000])
def test_long_strings(small: BertTokenizer, text: str) -> None:
    assert small([text, "good"])["token_ids"].shape[0] == 2
    ids, starts, ends = small.offsets([text])
    assert ids.values.shape == starts.values.shape == ends.values.shape
