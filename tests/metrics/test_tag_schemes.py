"""Tag schemes: what they mark, told apart, converted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_keras.errors import UserError
from bert_keras.metrics import tag_schemes
from bert_keras.metrics.tag_schemes import SCHEMES

# Two neighbours of one type, and an entity of one word.
SPANS = [("PER", 0, 2), ("PER", 2, 3), ("creative-work", 4, 7)]
TAGS = {
    "IOB1": ["I-PER", "I-PER", "B-PER", "O"] + ["I-creative-work"] * 3,
    "IOB2": ["B-PER", "I-PER", "B-PER", "O", "B-creative-work"] + ["I-creative-work"] * 2,
    "IOBES": [
        *("B-PER", "E-PER", "S-PER", "O"),
        *("B-creative-work", "I-creative-work", "E-creative-work"),
    ],
}


def _where(sentence: int, word: int) -> str:
    return f"file:{10 * sentence + word}"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_marks_the_same_entities(scheme):
    assert tag_schemes.tags_of(SPANS, 7, scheme) == TAGS[scheme]
    assert tag_schemes.spans_of(TAGS[scheme]) == SPANS
    assert tag_schemes.detect_scheme([["O"], TAGS[scheme]], _where) == scheme
    for other in SCHEMES:
        assert tag_schemes.convert(TAGS[scheme], other) == TAGS[other]


lengths = st.lists(st.tuples(st.sampled_from("XYO"), st.integers(1, 3)), max_size=6)


@given(lengths, st.sampled_from(SCHEMES))
def test_tags_and_entities_say_the_same(parts, scheme):
    spans, place = [], 0
    for kind, length in parts:
        if kind != "O":
            spans.append((kind, place, place + length))
        place += length
    tags = tag_schemes.tags_of(spans, place, scheme)
    assert tag_schemes.spans_of(tags) == spans
    ends = ["O", *tags, "O"]
    assert all(tag_schemes.allowed(a, b, scheme) for a, b in zip(ends, ends[1:], strict=False))
    assert set(tags) <= set(tag_schemes.labels_of("XY", scheme))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_allowed_is_what_the_scheme_writes(scheme):
    labels = tag_schemes.labels_of("XY", scheme)
    for before in labels:
        for after in labels:
            written = any(
                tag_schemes.convert(tags, scheme) == list(tags)
                for first in labels
                for last in labels
                if (tags := [first, before, after, last])
            )
            assert tag_schemes.allowed(before, after, scheme) == written, (before, after)


def test_tags_without_prefixes_are_no_scheme():
    assert tag_schemes.detect_scheme([["NN", "O", "VB"]], _where) == "none"
    assert tag_schemes.convert(["NN", "I"], "none") == ["NN", "I"]
    assert tag_schemes.scheme_of_labels(["NN", "VB"]) == "none"
    assert tag_schemes.scheme_of_labels(TAGS["IOBES"]) == "IOBES"
    assert tag_schemes.scheme_of_labels(TAGS["IOB2"]) == "IOB2"


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ([TAGS["IOB2"], ["O", "I-PER"]], "file:11: received 'I-PER', expected 'B-PER' by"),
        ([TAGS["IOBES"], ["O", "B-PER"]], "file:11: received 'B-PER', expected 'S-PER' by"),
        ([TAGS["IOB2"], ["O", "O", "PER"]], "file:12: received the tag 'PER', expected O or"),
    ],
)
def test_a_tag_that_breaks_the_scheme_is_named_with_its_line(sentences, message):
    with pytest.raises(UserError, match=message):
        tag_schemes.detect_scheme(sentences, _where)
