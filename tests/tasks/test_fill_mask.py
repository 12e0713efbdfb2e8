"""FillMask: the words for [MASK] equal transformers', in any text and in every way to ask."""

from __future__ import annotations

import functools
import json
import pathlib
import runpy

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.errors import UserError
from bert_keras.tasks import FillMask, task_of
from bert_keras.tasks.filled_text import fill
from bert_keras.tokenization import BertTokenizer
from tests import small, small_pretraining

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
TEXTS = runpy.run_path(str(GOLDEN / "masked_texts.py"))["TEXTS"]


@functools.cache
def model(top_k: int = 5) -> FillMask:
    """Random weights, the same at every call."""
    keras.utils.set_random_seed(2)
    encoder = small.encoder(dropout=0.0, add_pooler=False)
    return FillMask(encoder, small.tokenizer(), top_k, max_length=16)


def test_tokens_and_scores_equal_the_pipeline_of_transformers(tiny_mlm):
    recorded = np.load(GOLDEN / "fill_mask.npz")
    task = FillMask.from_pretrained(tiny_mlm)
    answers = task.predict(list(TEXTS), batch_size=4)
    found = [mask for answer in answers for mask in answer.masks]
    assert [len(answer.masks) for answer in answers] == np.diff(recorded["mask_splits"]).tolist()
    ids = {piece: index for index, piece in enumerate(task.tokenizer.vocabulary)}
    np.testing.assert_array_equal(
        [[ids[one.token] for one in mask] for mask in found], recorded["token_ids"]
    )
    scores = [[one.score for one in mask] for mask in found]
    np.testing.assert_allclose(scores, recorded["scores"], rtol=0, atol=1e-6)


def test_the_text_is_kept_but_for_its_masks():
    answers = model(top_k=3).predict(["The  [MASK]\tFILM is [MASK]!", "[MASK]"], top_k=2)
    first, second = answers[0].masks
    assert len(first) == len(second) == 2
    assert first[1].text == fill("The  [MASK]\tFILM is [MASK]!", {0: first[1].token})
    assert "[MASK]" in second[0].text and "[MASK]" not in answers[0].filled
    assert answers[0].filled == fill(first[0].text.replace("[MASK]", second[0].token), {})
    assert answers[1].filled == answers[1].masks[0][0].token
    assert first[0].score >= first[1].score > 0


def test_pieces_join_the_word_before_them():
    assert fill("rain [MASK] [MASK].", {0: "##s", 1: "##er"}) == "rainser."
    assert fill("rain [MASK] [MASK].", {1: "not"}) == "rain [MASK] not."
    assert fill("[MASK] ends", {0: "##s"}) == "##s ends"


def test_every_token_of_the_vocabulary_may_be_asked_for():
    task = model()
    (mask,) = task.predict(["good [MASK]"], top_k=10_000)[0].masks
    assert sorted(one.token for one in mask) == sorted(small.VOCABULARY)
    assert sum(one.score for one in mask) == pytest.approx(1)
    scores = [one.score for one in mask]
    assert scores == sorted(scores, reverse=True)


def test_a_text_alone_and_in_any_batch_gives_the_same():
    texts = ["[MASK] good", "a [MASK] was [MASK] and a film", "the plot is [MASK] !", "[MASK]"]
    together = model().predict(texts)
    for batch_size in (1, 3):
        for one, other in zip(model().predict(texts, batch_size), together, strict=True):
            assert one.filled == other.filled
            assert [[f.token for f in mask] for mask in one.masks] == [
                [f.token for f in mask] for mask in other.masks
            ]
            scores = [[f.score for f in mask] for mask in one.masks]
            np.testing.assert_allclose(
                scores, [[f.score for f in mask] for mask in other.masks], atol=1e-6
            )
    assert model().predict([]) == []


@pytest.mark.filterwarnings("ignore:lowercase=True")
@pytest.mark.parametrize("lowercase", [True, False])
def test_only_the_mask_is_special_and_only_here(lowercase):
    cased = ["Good", "good", "mask", "MASK", "[", "]", "SEP", "sep"]
    tokenizer = BertTokenizer([*small.VOCABULARY[:5], *cased], lowercase=lowercase)
    text = "Good [MASK] [mask] [SEP] x[MASK]good"
    (row,) = tokenizer.with_masks([text])["token_ids"].numpy()
    if lowercase:
        word, sep = "good", "sep"
    else:
        word, sep = "Good", "SEP"
    expected = f"[CLS] {word} [MASK] [ mask ] [ {sep} ] [UNK] [MASK] good [SEP]".split()
    assert [tokenizer.vocabulary[index] for index in row] == expected
    assert tokenizer.mask_id not in tokenizer([text])["token_ids"].numpy()


def test_masks_in_a_graph_and_in_odd_batches():
    tokenizer = small.tokenizer()
    texts = ["", "[MASK]", "a [MASK] film", "no mask \ud800 here", "[MASK]" * 9]
    features = tokenizer.with_masks(texts, max_length=6)
    assert (features["token_ids"].numpy() == tokenizer.mask_id).sum(1).tolist() == [0, 1, 1, 0, 4]
    assert features["padding_mask"].numpy().sum(1).tolist() == [2, 3, 5, 6, 6]
    assert tokenizer.with_masks([])["token_ids"].shape == (0, 2)
    plain = tokenizer(["a good film"])
    for name, value in tokenizer.with_masks(["a good film"]).items():
        np.testing.assert_array_equal(value, plain[name])
    with pytest.raises(UserError, match="max_length=2: expected at least 3"):
        tokenizer.with_masks(texts, max_length=2)


def test_what_has_no_answer_names_its_line():
    with pytest.raises(UserError, match=r"^x\[1\]: has no \[MASK\], expected at least one"):
        model().predict(["[MASK]", "a film"])
    with pytest.raises(UserError, match=r"^x\[0\]: its \[MASK\] number 2 is behind the first"):
        model().predict(["[MASK] " + "film " * 20 + "[MASK]"])
    with pytest.raises(UserError, match="has pairs of texts, the model expects single texts"):
        model().predict((["[MASK]"], ["a"]))
    with pytest.raises(UserError, match="top_k must be at least 1, received 0"):
        model().predict(["[MASK]"], top_k=0)


@pytest.mark.slow
def test_a_few_masked_texts_teach_the_missing_words():
    task = model.__wrapped__()
    texts = ["the film was [MASK] and [MASK]", "[MASK] plot [MASK]"]
    words = [["good", "great"], ["bad", "not"]]
    task.compile(learning_rate=2e-2)
    history = task.fit(texts * 4, words * 4, batch_size=8, epochs=12, verbose=0).history
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    answers = task.predict(texts, top_k=99)
    assert answers[0].filled == "the film was good and great"
    # The loss is the mean over the masks.
    scores = [{one.token: one.score for one in mask} for a in answers for mask in a.masks]
    likelihoods = [found[word] for found, word in zip(scores, sum(words, []), strict=True)]
    loss = task.evaluate(texts, words, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(-np.log(likelihoods).mean(), rel=1e-4)


def test_a_word_that_is_not_one_token_is_refused():
    ids = model().preprocess_labels(tf.constant([["Good", "film"]]))
    assert ids.numpy().tolist() == [[small.VOCABULARY.index(w) for w in ("good", "film")]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="is not one token"):
        model().preprocess_labels(tf.constant(["good film"]))


@pytest.mark.slow
def test_directories_and_keras_files_keep_everything(tmp_path):
    task, text = model(top_k=3), ["the [MASK] was [MASK]"]
    task.save_pretrained(tmp_path / "model")
    reloaded = FillMask.from_pretrained(tmp_path / "model")
    assert (reloaded.top_k, reloaded.max_length) == (3, 16)
    assert reloaded.predict(text) == task.predict(text)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]
    task.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").predict(text) == task.predict(text)


@pytest.mark.parametrize("next_sentence", [True, False])
def test_what_pretraining_leaves_is_recognised(next_sentence, tmp_path):
    from bert_keras.checkpoints import open_checkpoint

    pretrainer = small_pretraining.pretrainer(0.0, next_sentence)
    pretrainer.save_pretrained(tmp_path)
    assert task_of(open_checkpoint(tmp_path)) is FillMask
    task = FillMask.from_pretrained(tmp_path)
    features = task.tokenizer.with_masks(["a [MASK] b"])
    places = np.argwhere(features["token_ids"].numpy() == task.tokenizer.mask_id)[:, 1:]
    expected = pretrainer({**features, "mask_positions": places})["mlm_logits"]
    np.testing.assert_allclose(task(features), expected, atol=1e-5)


def test_a_checkpoint_without_the_head_is_refused(tmp_path):
    small.classifier().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="has no head of a masked language model"):
        FillMask.from_pretrained(tmp_path)
