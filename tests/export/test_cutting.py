"""Parts of texts are cut and told apart as Python does it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.export.cutting import cut, fingerprints

_TEXTS = st.lists(st.text("ab é苹", max_size=12), min_size=1, max_size=4)


@tf.function(
    input_signature=[tf.TensorSpec([None], tf.string), *[tf.TensorSpec([None], tf.int32)] * 3]
)
def _both(texts, owner, begin, end):
    return cut(texts, owner, begin, end), fingerprints(texts, owner, begin, end)


@settings(max_examples=40, deadline=None)
@given(_TEXTS, st.data())
def test_parts(texts, data):
    encoded = [text.encode("utf-8") for text in texts]
    spans = []
    for owner, text in enumerate(encoded):
        for _ in range(data.draw(st.integers(0, 6))):
            begin = data.draw(st.integers(0, len(text)))
            spans.append((owner, begin, data.draw(st.integers(begin, len(text)))))
    owner, begin, end = np.array(spans, np.int32).reshape(-1, 3).T
    parts, keys = (x.numpy() for x in _both(encoded, owner, begin, end))
    expected = [encoded[i][a:b] for i, a, b in spans]
    assert parts.tolist() == expected
    names = list(zip(owner.tolist(), expected, strict=True))
    assert len(set(zip(names, keys.tolist(), strict=True))) == len(set(names)) == len(set(keys))


def test_many_parts_of_a_long_text():
    # A copy of the text for each part would take 8 GB.
    text = "word " * 40_000
    begin = np.arange(40_000, dtype=np.int32) * 5
    words, keys = _both([text], np.zeros(40_000, np.int32), begin, begin + 4)
    assert set(words.numpy()) == {b"word"} and len(set(keys.numpy())) == 1
