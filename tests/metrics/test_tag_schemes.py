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
    ("sentences", "scheme", "message"),
    [
        ([TAGS["IOB2"], ["O", "I-PER"]], "IOB2", "file:11: received 'I-PER', expected 'B-PER'"),
        ([TAGS["IOBES"], ["O", "B-PER"]], "IOBES", "file:11: received 'B-PER', expected 'S-PER'"),
    ],
)
def test_tags_that_break_their_scheme_are_read_as_conlleval_does(
    sentences, scheme, message, caplog
):
    with caplog.at_level("WARNING", logger="absl"):
        assert tag_schemes.detect_scheme(sentences, _where) == scheme
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{message} by the scheme {scheme}")
    assert "this tag and 0 more" in record.getMessage()


@pytest.mark.parametrize("odd", ["PER", "B_PER", "b-PER", "B"])
def test_a_tag_that_is_written_in_another_way_is_named_with_its_line(odd):
    message = f"file:12: received the tag '{odd}', expected O or a tag such as B-PER"
    with pytest.raises(UserError, match=message):
        tag_schemes.detect_scheme([TAGS["IOB2"], ["O", "O", odd]], _where)


SENTENCE = ["B-PER", "I-PER", "O", "B-GPE_LOC", "B-creative-work", "I-creative-work"]


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda tag: tag, str),
        (lambda tag: tag.replace("-", "_", 1), str),
        (str.lower, str.lower),
        (lambda tag: tag.lower().replace("-", "_", 1), str.lower),
        (lambda tag: "-".join(reversed(tag.split("-", 1))), str),
        (lambda tag: "_".join(reversed(tag.split("-", 1))), str),
        (lambda tag: tag if tag == "O" else f"{tag[2:]}-{tag[0]}".lower(), str.lower),
    ],
)
def test_other_notations(write, kind, caplog):
    """Types keep their case, and the hyphens and underscores in them."""
    written = [write(tag) for tag in SENTENCE]
    expected = [tag if tag == "O" else tag[:2] + kind(tag[2:]) for tag in SENTENCE]
    assert tag_schemes.standard_tags([written]) == [expected]
    assert tag_schemes.detect_scheme([written], _where) == "IOB2"
    assert tag_schemes.scheme_of_labels(written) == "IOB2"
    assert not caplog.records


@pytest.mark.parametrize("letters", ["BILU", "BMES", "BMEW", "BIES", "BMLU"])
def test_other_letters_are_those_of_iobes(letters):
    """BILOU, BMES, BMEWO and mixtures."""
    letter = dict(zip("BIES", letters, strict=True))
    written = [tag if tag == "O" else letter[tag[0]] + tag[1:] for tag in TAGS["IOBES"]]
    assert tag_schemes.standard_tags([written, ["O"]]) == [TAGS["IOBES"], ["O"]]
    assert tag_schemes.detect_scheme([written, ["O"]], _where) == "IOBES"
    assert tag_schemes.scheme_of_labels(["O", *written]) == "IOBES"
    assert tag_schemes.spans_of(tag_schemes.standard_tags([written, ["O"]])[0]) == SPANS


def test_bare_letters_are_entities_without_a_type():
    """As seqeval has them: the type is an underscore."""
    tags = ["B", "I", "O", "B", "B"]
    assert tag_schemes.detect_scheme([tags], _where) == "IOB2"
    assert tag_schemes.spans_of(tags) == [("_", 0, 2), ("_", 3, 4), ("_", 4, 5)]
    assert tag_schemes.labels_of(tag_schemes.types_of(tags), "IOB2") == ["O", "B", "I"]
    segmented = tag_schemes.standard_tags([["B", "M", "E", "S"]])
    assert segmented == [["B", "I", "E", "S"]]
    assert tag_schemes.spans_of(segmented[0]) == [("_", 0, 3), ("_", 3, 4)]


@pytest.mark.parametrize(
    "tags",
    [
        ["NN", "O", "VB"],
        ["S-NOM", "V-FIN", "N-ACC", "O"],
        ["E_X", "N_X", "O"],
        ["S-NOM", "E-ACC"],
        ["P-rel", "V-inf", "D-def"],
        ["S", "SP", "E", "B", "I"],
        ["NNP", "-LRB-", "PRP$"],
        ["VERB", "NOUN_B", "O"],
    ],
)
def test_parts_of_speech_are_no_entities(tags):
    assert tag_schemes.detect_scheme([tags], _where) == "none"
    assert tag_schemes.standard_tags([tags]) == [tags]


def test_tags_that_resemble_those_of_entities_are_named(caplog):
    with caplog.at_level("WARNING", logger="absl"):
        assert tag_schemes.detect_scheme([["O", "NN", "VB", "B-x", "JJ"]], _where) == "none"
    (record,) = caplog.records
    assert record.getMessage() == (
        "file:3: the tag 'B-x' looks like one of entities, 'JJ' does not: tags are taken as they "
        "are, and no entities are found or scored"
    )


def test_e_ends_an_entity_also_before_b():
    """Unlike conlleval before 2016, see github.com/spyysalo/conlleval.py."""
    tags = ["B-MISC", "E-MISC", "B-MISC", "E-MISC"]
    assert tag_schemes.spans_of(tags) == [("MISC", 0, 2), ("MISC", 2, 4)]
