"""Windows of whole words."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data.text_words import place_words, split_words
from bert_keras.data.word_windows import encode_words
from tests import small

TOKENIZER = small.tokenizer()
UNKNOWN = TOKENIZER.unk_id

words = st.sampled_from(["good", "films", "actors!", "is.not!", "xyz", "\u200b", "a", "."])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(words, max_size=12), max_size=4), st.integers(3, 12))
def test_every_word_has_its_own_token(sentences, max_length):
    found = encode_words(TOKENIZER, sentences, max_length)
    flat = [word for sentence in sentences for word in sentence]
    assert len(found.tokens) == len(flat) and len(set(found.tokens.tolist())) == len(flat)
    assert np.diff(found.splits).tolist() == [len(sentence) for sentence in sentences]
    assert (found.inputs.lengths <= max_length).all()
    for word, token in zip(flat, found.tokens, strict=True):
        pieces = TOKENIZER.tokenize([word])[0].numpy().tolist()
        if not 0 < len(pieces) <= max_length - 2:
            pieces = [UNKNOWN]
        assert found.inputs.token_ids[token : token + len(pieces)].tolist() == pieces
    starts = found.inputs.splits[:-1]
    assert (found.inputs.token_ids[starts] == TOKENIZER.cls_id).all()
    assert (found.inputs.token_ids[found.inputs.splits[1:] - 1] == TOKENIZER.sep_id).all()


def test_a_long_sentence_is_seen_with_its_neighbours():
    found = encode_words(TOKENIZER, [["good"] * 40], 18)
    window = np.searchsorted(found.inputs.splits, found.tokens, side="right") - 1
    place = found.tokens - found.inputs.splits[window]
    last = len(found.inputs) - 1
    # Room for 16 words, of which 4 are shown twice: 2 at least stand on either side.
    assert (place[window > 0] > 2).all()
    assert (found.inputs.lengths[window] - 1 - place)[window < last].min() > 2
    assert len(found.inputs) == 3


def test_short_sentences_are_rows_of_their_own():
    found = encode_words(TOKENIZER, [["good", "film"], [], ["a"]], 8)
    assert found.inputs.lengths.tolist() == [4, 2, 3]
    assert found.tokens.tolist() == [1, 2, 7]


def test_words_of_a_text():
    text = "Films,  naïve \u200b苹果 it's\tunknowable\u200b!"
    (found,) = split_words(TOKENIZER, [text])
    assert found.words == [*("Films", ",", "naïve", "苹", "果", "it", "'", "s"), "unknowable", "!"]
    for word, start, end in zip(found.words, found.starts, found.ends, strict=True):
        assert text[start:end] == word
    assert [one.words for one in split_words(TOKENIZER, ["", " \n"])] == [[], []]


def test_a_text_of_words():
    found = place_words(["Ada", "，", "科", "技", "x"])
    assert found.text == "Ada ，科技 x"
    for word, start, end in zip(found.words, found.starts, found.ends, strict=True):
        assert found.text[start:end] == word
