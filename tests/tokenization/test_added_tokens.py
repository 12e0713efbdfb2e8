"""Tokens that were added to a vocabulary: found as in transformers, everywhere."""

from __future__ import annotations

import json
import pathlib
import runpy
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from bert_keras.data.text_words import split_words
from bert_keras.data.word_windows import encode_words
from bert_keras.errors import UserError
from bert_keras.export.word_windows import rows_of_words, words_of
from bert_keras.tokenization import BertTokenizer
from bert_keras.tokenization.added_tokens import AddedToken
from bert_keras.tokenization.token_search import Trie

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
ADDED = runpy.run_path(str(GOLDEN / "added_texts.py"))
SPEC = tf.TensorSpec([None], tf.string)
TOKENS = [
    "[covid]",
    {"content": "[a]", "normalized": False},
    {"content": "[a]b", "normalized": False},
    {"content": "<e>", "special": True, "normalized": False, "lstrip": True},
    {"content": "cafe", "single_word": True},
]


@pytest.fixture(scope="module")
def tokenizer(small_pieces: list[str]) -> BertTokenizer:
    """The small vocabulary of 42 pieces and four tokens more; "cafe" is a piece already."""
    return BertTokenizer(small_pieces, added_tokens=TOKENS)


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizer:
    """The tokenizer with tokens of all flags."""
    return load("flags", tmp_path_factory.mktemp("flags"))


def load(name: str, folder: pathlib.Path) -> BertTokenizer:
    for file, content in ADDED["files"](name).items():
        (folder / file).write_text(content, encoding="utf-8")
    return BertTokenizer.from_pretrained(folder)


def names(tok: BertTokenizer, text: str) -> list[str]:
    return [tok.vocabulary[index] for index in tok.tokenize([text]).to_list()[0]]


def assert_same_places(text: str, ours: list[tuple], theirs: list[tuple], added: set) -> bool:
    """Compares spans (id, start, end); whether they are exactly equal.

    In transformers a token that takes white space next to an ideograph takes the ideograph too,
    which is a token itself; ours does not. Nothing else may differ.
    """
    for own, other in zip(ours, theirs, strict=True):
        if own != other:
            assert own[0] in added and other[1] <= own[1] and own[2] <= other[2], text
            more = text[other[1] : own[1]] + text[own[2] : other[2]]
            assert more.strip("\u0301\u200b") and not more.strip("中文新冠\u0301\u200b"), text
    return ours == theirs


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "flags" else pytest.mark.slow)
        for name in sorted(ADDED["NAMES"])
    ],
)
def test_ids_and_offsets_are_those_of_transformers(
    name: str, flags: BertTokenizer, tmp_path: pathlib.Path
) -> None:
    golden = np.load(GOLDEN / "added_tokens.npz")
    tok = flags if name == "flags" else load(name, tmp_path)
    texts = ADDED["texts"](name)
    own = [tok.vocabulary.index(content) for content in ADDED["contents"](name)]
    assert own == golden[f"{name}/tokens"].tolist()
    ids, starts, ends = (part.to_list() for part in tok.offsets(texts))
    splits = golden[f"{name}/row_splits"]
    assert len(texts) == ADDED["NAMES"][name] == len(splits) - 1
    taking = {token.content for token in tok.added_tokens if token.lstrip or token.rstrip}
    added = {tok.vocabulary.index(content) for content in taking}
    exact = 0
    for row, text in enumerate(texts):
        part = slice(splits[row], splits[row + 1])
        theirs = [golden[f"{name}/{key}"][part].tolist() for key in ("ids", "starts", "ends")]
        assert ids[row] == theirs[0], text
        places = list(zip(ids[row], starts[row], ends[row], strict=True))
        exact += assert_same_places(text, places, list(zip(*theirs, strict=True)), added)
    assert exact >= 0.96 * len(texts)
    if name == "flags":
        assert tok.tokenize(texts).to_list() == ids


def test_bytes_and_characters_are_the_same_places(flags: BertTokenizer) -> None:
    tok, texts = flags, ADDED["texts"]("flags")[:200]
    _, starts, ends = (part.to_list() for part in tok.offsets(texts))
    _, byte_starts, byte_ends = (part.to_list() for part in tok.offsets(texts, unit="byte"))
    for row, text in enumerate(texts):
        raw = text.encode()
        places = zip(starts[row], ends[row], byte_starts[row], byte_ends[row], strict=True)
        for start, end, first, last in places:
            assert text[start:end] == raw[first:last].decode()


@pytest.mark.slow
def test_bytes_that_are_no_utf8_are_no_characters(tokenizer: BertTokenizer) -> None:
    broken = [b"\xff[covid]\xc3 [covid]", b"\xff[a]\xc3 [a]"]
    ids, starts, ends = (part.to_list() for part in tokenizer.offsets(broken))
    assert [[tokenizer.vocabulary[index] for index in row] for row in ids] == [
        ["[covid]"] * 2,
        ["[a]"] * 2,
    ]
    assert (starts, ends) == ([[0, 8], [0, 4]], [[7, 15], [3, 7]])
    assert tokenizer.offsets(broken, unit="byte")[1].to_list() == [[1, 10], [1, 6]]


def test_only_what_was_added_is_found(tokenizer: BertTokenizer) -> None:
    assert names(tokenizer, "[SEP] [covid] [COVID]x [CLS]") == (
        "[ sep ] [covid] [covid] x [ cls ]".split()
    )
    # BERT's own tokens are not found even where they are among the added ones.
    own = BertTokenizer(tokenizer.base_vocabulary, added_tokens=["[SEP]"])
    assert own.vocabulary == tokenizer.base_vocabulary
    assert names(own, "[SEP]") == "[ sep ]".split()


def test_flags(tokenizer: BertTokenizer) -> None:
    assert names(tokenizer, "[a]b [a]bc [A]b") == "[a]b [a]b c [ a ] b".split()
    assert names(tokenizer, "cafe Café cafes b-cafe") == "cafe cafe cafe ##s b - cafe".split()
    ids, starts, ends = tokenizer.offsets(["good \t<e> bad"])
    assert (starts.to_list(), ends.to_list()) == ([[0, 4, 10]], [[4, 9, 13]])
    assert tokenizer.vocabulary[-4:] == ["[covid]", "[a]", "[a]b", "<e>"]
    assert ids.to_list()[0][1] == tokenizer.vocab_size - 1


def test_a_long_word_is_cut_by_a_token(small_pieces: list[str]) -> None:
    tok = BertTokenizer(small_pieces, added_tokens=["covid"], max_word_chars=6)
    covid = tok.vocab_size - 1
    assert tok.tokenize(["covid" * 30]).to_list() == [[covid] * 30]
    assert tok.tokenize(["abcabccovidab"]).to_list()[0][-3] == covid
    assert tok.tokenize(["abcabcacovid ab"]).to_list()[0][:2] == [tok.unk_id, covid]
    assert tok.tokenize(["ébcabcacovid ab"]).to_list()[0][:2] == [tok.unk_id, covid]
    plain = BertTokenizer(small_pieces, max_word_chars=6)
    (fits, too_long) = plain.tokenize(["abcabc", "abcabca"]).to_list()
    assert len(fits) == 6 and too_long == [plain.unk_id]


def test_with_masks(tokenizer: BertTokenizer) -> None:
    rows = tokenizer.with_masks(["[MASK][covid] [MASK] <e>[mask]", "good"])["token_ids"].numpy()
    found = [tokenizer.vocabulary[index] for index in rows[0]]
    assert found == ["[CLS]", "[MASK]", "[covid]", "[MASK]", "<e>", "[", "[UNK]", "]", "[SEP]"]


@pytest.mark.slow
def test_a_single_token_is_found_as_several_are(small_pieces: list[str]) -> None:
    """Strings are split at a single token without flags, without the trie."""
    texts = ["[a]", "x[a][a] é[a]b", "", "[A] [a", "[a]中 [a]"]
    tokens = [{"content": "[a]", "normalized": False}, {"content": "~~~~", "normalized": False}]
    one, two = (BertTokenizer(small_pieces, added_tokens=tokens[:count]) for count in (1, 2))
    for ours, expected in zip(one.offsets(texts), two.offsets(texts), strict=True):
        assert ours.to_list() == expected.to_list()


def test_tokenizers_are_compared_by_what_decides_ids(small_pieces: list[str]) -> None:
    plain = BertTokenizer(small_pieces)
    assert plain.identity() == BertTokenizer(small_pieces, max_length=64).identity()
    # Run directories of earlier releases hold a digest of this.
    assert list(plain.identity().items()) == [
        ("vocabulary", None),
        ("lowercase", True),
        ("strip_accents", None),
        ("split_chinese", True),
        ("name", None),
    ]
    assert plain.identity() != BertTokenizer(small_pieces, added_tokens=["good"]).identity()


def test_detokenize(tokenizer: BertTokenizer) -> None:
    ids = tokenizer(["The [covid] film, <e>good!"])["token_ids"]
    assert tokenizer.detokenize(ids).numpy().tolist() == [b"the [covid] film, <e> good!"]


def test_words(tokenizer: BertTokenizer) -> None:
    text = "a [covid]b, Café <e>"
    (placed,) = split_words(tokenizer, [text])
    assert placed.words == ["a", "[covid]", "b", ",", "Café", " <e>"]
    windows = encode_words(tokenizer, [placed.words], 16)
    expected = tokenizer([text])["token_ids"].numpy()[0].tolist()
    assert windows.inputs.token_ids.tolist() == expected
    words = words_of(tokenizer, tf.constant([text]))
    assert [word.decode() for word in words.texts.numpy()] == placed.words
    assert words.starts.numpy().tolist() == placed.starts
    rows = rows_of_words(tokenizer, words, 16)
    assert rows.features["token_ids"].numpy().tolist() == [expected]


def exported(tok: BertTokenizer, path: pathlib.Path) -> Any:
    module = tf.Module()

    @tf.function(input_signature=[SPEC])
    def serve(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, starts, ends = tok.offsets(texts)
        masks = tok.with_masks(texts)["token_ids"]
        return {"ids": ids.values, "starts": starts.values, "ends": ends.values, "masks": masks}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return tf.saved_model.load(str(path)).signatures["serving_default"]


def test_datasets(tokenizer: BertTokenizer) -> None:
    texts = ["[covid] <e> cafes", "é[covid]", "good", "", "[a]bc"]
    data = tf.data.Dataset.from_tensor_slices(texts).batch(2).map(tokenizer.tokenize)
    rows = [row for batch in data for row in batch.to_list()]
    assert rows == tokenizer.tokenize(texts).to_list()


@pytest.mark.slow
def test_graphs_and_servables(flags: BertTokenizer, tmp_path: pathlib.Path) -> None:
    tok, texts = flags, ADDED["texts"]("flags")[:300]
    ids, starts, ends = tok.offsets(texts)
    served = exported(tok, tmp_path / "saved")
    found = served(tf.constant(texts))
    for name, part in (("ids", ids), ("starts", starts), ("ends", ends)):
        assert found[name].numpy().tolist() == part.values.numpy().tolist()
    assert found["masks"].numpy().tolist() == tok.with_masks(texts)["token_ids"].numpy().tolist()
    assert served(tf.constant([], tf.string))["ids"].shape == [0]
    graph = served.graph.as_graph_def()
    ops = {node.op for node in graph.node}
    ops |= {node.op for function in graph.library.function for node in function.node_def}
    assert not {op for op in ops if "Table" in op or "VarHandle" in op or "PyFunc" in op}
    assert {op for op in ops if "Wordpiece" in op} == {"FastWordpieceTokenizeWithOffsets"}
    # These ops are in tensorflow-text or use ICU.
    assert not {op for op in ops if "RegexSplit" in op or "Unicode" in op or "UTF8" in op}


def test_configuration_and_assets_keep_them(
    tokenizer: BertTokenizer, tmp_path: pathlib.Path
) -> None:
    config = json.loads(json.dumps(tokenizer.get_config()))
    again = BertTokenizer.from_config(config)
    tokenizer.save_assets(str(tmp_path))
    again.load_assets(str(tmp_path))
    assert again.vocabulary == tokenizer.vocabulary
    assert again.added_tokens == tokenizer.added_tokens
    texts = ["[covid] <e> cafes", "good"]
    assert again.tokenize(texts).to_list() == tokenizer.tokenize(texts).to_list()


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (3, "added_tokens: 3; expected a token's text"),
        ({"text": "a"}, "expected a token's text, or an object with 'content'"),
        ({"content": "a", "lstrip": "yes"}, "lstrip='yes' of token 'a'; expected true or false"),
        ("\ud800", "holds a lone surrogate"),
    ],
)
def test_tokens_that_cannot_be(token: Any, message: str, small_pieces: list[str]) -> None:
    with pytest.raises(UserError, match=message):
        BertTokenizer(small_pieces, added_tokens=[token])


def plain_search(patterns: list[bytes], data: bytes) -> list[tuple[int, int, int]]:
    """The leftmost-longest search, position by position."""
    found, place = [], 0
    while place < len(data):
        here = [p for p in patterns if p and data.startswith(p, place)]
        if here:
            longest = max(here, key=len)
            found.append((patterns.index(longest), place, place + len(longest)))
        place += len(max(here, key=len)) if here else 1
    return found


def test_the_trie_finds_the_leftmost_longest() -> None:
    random = np.random.default_rng(0)
    for size in (1, 3, 40):
        patterns = [
            bytes(random.choice(list(b"ab"), random.integers(0, 5)).tolist()) for _ in range(size)
        ]
        trie = Trie([*patterns, b"abcd"])
        for length in (0, 1, 7, 300):
            data = bytes(random.choice(list(b"abc"), length).tolist())
            found = [part.numpy().tolist() for part in trie(tf.constant(list(data), tf.uint8))]
            expected = plain_search([*patterns, b"abcd"], data)
            assert list(zip(*found, strict=True)) == expected


def test_an_added_token_is_as_in_transformers() -> None:
    assert AddedToken.of("x") == AddedToken("x", normalized=True, special=False)
    assert AddedToken.of("x", special=True) == AddedToken("x", normalized=False, special=True)
