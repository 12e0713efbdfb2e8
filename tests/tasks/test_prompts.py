"""Prompts of sentence-transformers: put in front of texts everywhere, and kept."""

from __future__ import annotations

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.checkpoints.sentence_transformers import read_modules
from bert_keras.errors import UserError
from bert_keras.export import save
from bert_keras.tasks import SentenceEmbedder, semantic_search
from bert_keras.tasks.prompts import Prompts
from tests import small

TEXTS = ["the film was good", "a bad plot", "it"]
PROMPTS = {"query": "good film ", "passage": "a plot ", "document": ""}
SETTINGS = "config_sentence_transformers.json"


def _task(**options) -> SentenceEmbedder:
    keras.utils.set_random_seed(1)
    encoder = small.encoder(0.0, add_pooler=False)
    return SentenceEmbedder(encoder, small.tokenizer(), max_length=16, **options)


@pytest.fixture(scope="module")
def plain() -> SentenceEmbedder:
    return _task()


@pytest.fixture(scope="module")
def prompted() -> SentenceEmbedder:
    return _task(prompts=PROMPTS, default_prompt_name="query", similarity="dot")


def _with(prompt: str) -> list[str]:
    return [prompt + text for text in TEXTS]


def test_every_text_gets_the_default_prompt(plain, prompted):
    expected = plain.embed(_with("good film "))
    assert np.abs(expected - plain.embed(TEXTS)).max() > 1e-2
    np.testing.assert_allclose(prompted.embed(TEXTS), expected, atol=1e-6)
    answers = [answer.embedding for answer in prompted.predict(TEXTS)]
    np.testing.assert_allclose(answers, expected, atol=1e-6)
    scores = [1.0, 0.5, 0.0]
    columns = (TEXTS, TEXTS[::-1])
    both = tuple(["good film " + text for text in column] for column in columns)
    for one, two in (
        (prompted.preprocess(columns, tf.constant(scores)), plain.preprocess(both, scores)),
    ):
        for name, value in two[0].items():
            np.testing.assert_array_equal(one[0][name], value)
    examples, others = prompted.examples_of(columns), plain.examples_of(both)
    ids = prompted.prepare(examples).inputs.token_ids
    np.testing.assert_array_equal(ids, plain.prepare(others).inputs.token_ids)


def test_other_prompts_by_name_and_by_their_part_in_a_search(plain, prompted):
    passages = plain.embed(_with("a plot "))
    np.testing.assert_allclose(prompted.embed(TEXTS, prompt_name="passage"), passages, atol=1e-6)
    np.testing.assert_allclose(prompted.encode_document(TEXTS), passages, atol=1e-6)
    queries = plain.embed(_with("good film "))
    np.testing.assert_allclose(prompted.encode_query(TEXTS), queries, atol=1e-6)
    found = semantic_search(prompted, TEXTS[:1], TEXTS, top_k=3)[0]
    cosines = passages @ queries[0]
    assert [match.index for match in found] == np.argsort(-cosines).tolist()
    assert [match.score for match in found] == pytest.approx(sorted(cosines, reverse=True))
    with pytest.raises(UserError, match="prompt_name is 'q', the model's prompts are query, pass"):
        prompted.embed(TEXTS, prompt_name="q")
    with pytest.raises(UserError, match="prompt_name is 'q', the model's prompts are none"):
        Prompts({}, "q")


@pytest.mark.slow
def test_a_servable_has_them(plain, prompted, tmp_path):
    save(prompted, tmp_path / "1")
    signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
    assert sorted(signatures) == ["encode_document", "encode_query", "serving_default"]
    for name, prompt in (
        ("serving_default", "good film "),
        ("encode_query", "good film "),
        ("encode_document", "a plot "),
    ):
        found = signatures[name](text=tf.constant(TEXTS))["embedding"]
        np.testing.assert_allclose(found, plain.embed(_with(prompt)), atol=1e-5)


def test_a_directory_keeps_them(prompted, tmp_path):
    prompted.save_pretrained(tmp_path / "one")
    again = SentenceEmbedder.from_pretrained(tmp_path / "one")
    assert again.prompts == Prompts(PROMPTS, "query")
    again.save_pretrained(tmp_path / "two")
    for name in ("one", "two"):
        assert json.loads((tmp_path / name / SETTINGS).read_text()) == {
            "prompts": PROMPTS,
            "default_prompt_name": "query",
            "similarity_fn_name": "dot",
        }
    again.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.prompts == Prompts(PROMPTS, "query") and loaded.similarity == "dot"


def _write(folder: pathlib.Path, name: str, **changes: object) -> None:
    path = folder / name
    settings = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({k: v for k, v in (settings | changes).items() if v is not ...}))


def test_what_cannot_be_is_refused_by_name(prompted, tmp_path):
    prompted.save_pretrained(tmp_path)
    _write(tmp_path, SETTINGS, default_prompt_name="q")
    with pytest.raises(UserError, match="default_prompt_name is 'q', expected one of the prompts"):
        read_modules(tmp_path)
    _write(tmp_path, SETTINGS, default_prompt_name=None, prompts={"query": 5})
    with pytest.raises(UserError, match="prompts is {'query': 5}, expected texts by name"):
        read_modules(tmp_path)
    _write(tmp_path, SETTINGS, prompts={"query": "q "})
    _write(tmp_path / "1_Pooling", "config.json", include_prompt=False)
    with pytest.raises(UserError, match="include_prompt is false, which leaves the tokens of"):
        read_modules(tmp_path)
    _write(tmp_path, SETTINGS, prompts={"query": ""})
    assert read_modules(tmp_path).prompts == {"query": ""}


def test_the_files_of_release_6(plain, tmp_path):
    """The length is the tokenizer's, modules have longer names, and one key says how to pool."""
    plain.save_pretrained(tmp_path)
    kinds = ("base.modules.transformer.Transformer", "sentence_transformer.modules.pooling.Pooling")
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.{kind}"}
        for i, (path, kind) in enumerate(zip(("", "1_Pooling"), kinds, strict=True))
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling/config.json").write_text('{"pooling_mode": "max"}')
    (tmp_path / "sentence_bert_config.json").write_text(
        '{"transformer_task": "feature-extraction"}'
    )
    for length, expected in ((9, 9), (10**30, 32), (1e30, 32), (..., 32)):
        _write(tmp_path, "tokenizer_config.json", model_max_length=length)
        loaded = SentenceEmbedder.from_pretrained(tmp_path)
        assert (loaded.max_length, loaded.pooling, loaded.normalize) == (expected, "max", False)
    _write(tmp_path, "tokenizer_config.json", model_max_length="many")
    with pytest.raises(UserError, match="model_max_length is 'many', expected a number of tokens"):
        SentenceEmbedder.from_pretrained(tmp_path)


def test_vectors_are_those_of_sentence_transformers(minilm, tmp_path):
    """The first numbers of vectors that sentence-transformers 5.7 gave (`encode`, and
    `encode_document` of "passage: " as prompt) for all-MiniLM-L6-v2 with these prompts."""
    shutil.copytree(minilm, tmp_path / "model")
    prompts = {"query": "query: ", "passage": "passage: "}
    _write(tmp_path / "model", SETTINGS, prompts=prompts, default_prompt_name="query")
    embedder = SentenceEmbedder.from_pretrained(tmp_path / "model")
    found = embedder.embed(["how many people live in berlin"])[0, :4]
    expected = [0.12216326594352722, -0.03463214635848999, 0.007171961944550276, 0.0764256119728]
    np.testing.assert_allclose(found, expected, atol=1e-6)
