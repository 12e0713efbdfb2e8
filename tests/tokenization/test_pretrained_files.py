"""Directories of Hugging Face tokenizers: read, refused by name, and written."""

from __future__ import annotations

import json
import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import tokenizers

from bert_keras.checkpoints import open_checkpoint
from bert_keras.errors import UserError
from bert_keras.tokenization import BertTokenizer
from bert_keras.tokenization.added_tokens import AddedToken
from bert_keras.tokenization.pretrained_files import model_max_length

TOKENS = [
    "[covid]",
    {"content": "<e>", "special": True, "normalized": False, "lstrip": True},
    {"content": "Ab", "single_word": True},
    {"content": "cafe", "normalized": False},
]
TEXTS = ["The [COVID] film <e>café", "ab cab AB, cafe", "中[covid]é", "abc " * 3, "x" * 150]


@pytest.fixture()
def folder(small_pieces: list[str], tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory as `save_pretrained` writes it, of a tokenizer with added tokens."""
    tok = BertTokenizer(small_pieces, added_tokens=TOKENS, max_length=64, max_word_chars=100)
    tok.save_pretrained(tmp_path)
    return tmp_path


def change(path: pathlib.Path, edit: Callable[[Any], Any]) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    edit(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def settings(tok: BertTokenizer) -> dict[str, Any]:
    """The configuration; tokens are written in the order of their ids."""
    config = tok.get_config()
    config["added_tokens"].sort(key=lambda token: token["content"])
    return {**config, "name": None}


def test_what_is_written_is_read_again(folder: pathlib.Path, small_pieces: list[str]) -> None:
    again = BertTokenizer.from_pretrained(folder)
    tok = BertTokenizer(small_pieces, added_tokens=TOKENS, max_length=64, max_word_chars=100)
    assert again.vocabulary == tok.vocabulary and again.base_vocabulary == small_pieces
    assert settings(again) == settings(tok)
    assert {path.name for path in folder.iterdir()} == {
        "vocab.txt",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_tokenizers_reads_what_is_written(folder: pathlib.Path) -> None:
    tok = BertTokenizer.from_pretrained(folder)
    theirs = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = [theirs.encode(text).ids for text in TEXTS]
    rows = tok(TEXTS)
    lengths = rows["padding_mask"].numpy().sum(axis=1)
    assert found == [
        row[:length].tolist()
        for row, length in zip(rows["token_ids"].numpy(), lengths, strict=True)
    ]
    pair = theirs.encode(TEXTS[0], TEXTS[1])
    assert pair.ids == theirs.encode(TEXTS[0]).ids + theirs.encode(TEXTS[1]).ids[1:]
    assert sum(pair.type_ids) == len(theirs.encode(TEXTS[1]).ids) - 1


def test_without_vocab_txt(folder: pathlib.Path) -> None:
    before = BertTokenizer.from_pretrained(folder)
    (folder / "vocab.txt").unlink()
    after = BertTokenizer.from_pretrained(folder)
    assert after.vocabulary == before.vocabulary and settings(after) == settings(before)
    (folder / "tokenizer_config.json").unlink()
    after = BertTokenizer.from_pretrained(folder)
    assert after.vocabulary == before.vocabulary
    assert settings(after) == {**settings(before), "max_length": 512}


@pytest.mark.parametrize("generic", ["PreTrainedTokenizerFast", "TokenizersBackend"])
def test_casing_follows_the_files(generic: str, folder: pathlib.Path) -> None:
    change(folder / "tokenizer.json", lambda v: v["normalizer"].update(lowercase=False))
    assert BertTokenizer.from_pretrained(folder).lowercase is True
    change(folder / "tokenizer_config.json", lambda v: v.pop("do_lower_case"))
    assert BertTokenizer.from_pretrained(folder).lowercase is False
    change(
        folder / "tokenizer_config.json",
        lambda v: v.update(tokenizer_class=generic, do_lower_case=True),
    )
    assert BertTokenizer.from_pretrained(folder).lowercase is False
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=f"a {generic} without a tokenizer.json"):
        BertTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        (
            "tokenizer_config.json",
            lambda v: v.update(tokenizer_class="XLMRobertaTokenizer"),
            r"tokenizer_config.json: tokenizer_class XLMRobertaTokenizer is not BERT's WordPiece",
        ),
        (
            "tokenizer_config.json",
            lambda v: v.update(tokenizer_class="BertJapaneseTokenizer"),
            "tokenizer_class BertJapaneseTokenizer is not",
        ),
        (
            "tokenizer_config.json",
            lambda v: v.update(word_tokenizer_type="mecab"),
            "word_tokenizer_type 'mecab' is not supported",
        ),
        (
            "tokenizer_config.json",
            lambda v: v.update(cls_token="<s>"),
            r"cls_token is '<s>', which is not supported; BERT's is \[CLS\]",
        ),
        (
            "tokenizer_config.json",
            lambda v: v.update(do_lower_case="yes"),
            "do_lower_case is 'yes', expected true or false",
        ),
        (
            "tokenizer_config.json",
            lambda v: v.update(added_tokens_decoder={"x": "y"}),
            "added_tokens_decoder: expected an object from ids to tokens",
        ),
        (
            "tokenizer_config.json",
            lambda v: v.update(additional_special_tokens="<e>"),
            "additional_special_tokens is '<e>', expected a list",
        ),
        (
            "tokenizer.json",
            lambda v: v["model"].update(type="Unigram"),
            "tokenizer.json: model Unigram is not supported; BERT's is WordPiece",
        ),
        (
            "tokenizer.json",
            lambda v: v["model"].update(continuing_subword_prefix="@@"),
            "continuing_subword_prefix is '@@'; BERT's is '##'",
        ),
        (
            "tokenizer.json",
            lambda v: v["model"].update(unk_token="<unk>"),
            r"unk_token is '<unk>'; BERT's is '\[UNK\]'",
        ),
        (
            "tokenizer.json",
            lambda v: v.update(pre_tokenizer={"type": "Metaspace"}),
            "pre_tokenizer Metaspace is not supported; BERT's is BertPreTokenizer",
        ),
        (
            "tokenizer.json",
            lambda v: v.update(
                normalizer={"type": "Sequence", "normalizers": [{"type": "NFD"}, v["normalizer"]]}
            ),
            r"normalizer NFD \+ BertNormalizer is not supported",
        ),
        ("tokenizer.json", lambda v: v.update(normalizer=None), "normalizer None is not"),
        (
            "tokenizer.json",
            lambda v: v.update(post_processor={"type": "RobertaProcessing"}),
            "post_processor puts 'RobertaProcessing' round a text",
        ),
        (
            "tokenizer.json",
            lambda v: v["model"]["vocab"].update(film=10**12),
            "token 'film' has the id 1000000000000",
        ),
        (
            "tokenizer.json",
            lambda v: v["model"]["vocab"].update(film=0),
            "has the id 0; expected the numbers from 0",
        ),
        ("tokenizer.json", lambda v: v.pop("model"), "expected an object 'model'"),
        (
            "tokenizer.json",
            lambda v: v["model"].update(max_input_chars_per_word=10**6),
            "max_input_chars_per_word is 1000000, expected 1 to 1000",
        ),
        (
            "tokenizer.json",
            lambda v: v["added_tokens"][0].update(id="x"),
            "added token '.PAD.' has the id 'x'",
        ),
        (
            "tokenizer.json",
            lambda v: v["added_tokens"][3].update(id=77),
            r"\[SEP\] is added as token 77, but is token 3 of the vocabulary",
        ),
    ],
)
def test_other_tokenizers_and_damage_are_refused(
    file: str, edit: Callable[[Any], Any], message: str, folder: pathlib.Path
) -> None:
    change(folder / file, edit)
    with pytest.raises(UserError, match=message) as caught:
        BertTokenizer.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_the_class_may_stand_in_the_models_config(folder: pathlib.Path) -> None:
    change(folder / "tokenizer_config.json", lambda v: v.pop("tokenizer_class"))
    (folder / "config.json").write_text('{"tokenizer_class": "BertJapaneseTokenizer"}')
    with pytest.raises(UserError, match="config.json: tokenizer_class BertJapaneseTokenizer"):
        BertTokenizer.from_pretrained(folder)
    (folder / "config.json").write_text('{"tokenizer_class": "DistilBertTokenizerFast"}')
    assert BertTokenizer.from_pretrained(folder).vocab_size == 45


def test_files_that_disagree(folder: pathlib.Path, small_pieces: list[str]) -> None:
    def vocab(pieces: list[str]) -> None:
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))

    vocab([*small_pieces[:7], "wrong", *small_pieces[8:]])
    with pytest.raises(UserError, match="vocab.txt:8: token 7 is 'wrong', but 'the' in tokenizer"):
        BertTokenizer.from_pretrained(folder)
    vocab(small_pieces[:-1])
    with pytest.raises(UserError, match=r"token 41 is missing, but '##s' in .*\(41 entries, 42"):
        BertTokenizer.from_pretrained(folder)
    vocab([*small_pieces, "more"])
    with pytest.raises(UserError, match="token 42 is 'more', which tokenizer.json lacks"):
        BertTokenizer.from_pretrained(folder)
    # The added tokens themselves, and blank lines, are no disagreement.
    vocab([*small_pieces, "[covid]"])
    assert BertTokenizer.from_pretrained(folder).base_vocabulary == small_pieces
    vocab(small_pieces[1:])
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"\[PAD\] is added as token 0, but is token"):
        BertTokenizer.from_pretrained(folder)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(UserError, match=r"41 pieces without \[PAD\]"):
        BertTokenizer.from_pretrained(folder)
    (folder / "vocab.txt").unlink()
    with pytest.raises(UserError, match="expected vocab.txt or tokenizer.json"):
        BertTokenizer.from_pretrained(folder)


def test_older_files_of_added_tokens(small_pieces: list[str], tmp_path: pathlib.Path) -> None:
    BertTokenizer(small_pieces).save_pretrained(tmp_path)
    change(tmp_path / "tokenizer_config.json", lambda v: v.pop("added_tokens_decoder"))
    (tmp_path / "added_tokens.json").write_text('{"[B]": 43, "[A]": 42}')
    (tmp_path / "special_tokens_map.json").write_text('{"additional_special_tokens": ["[A]"]}')
    tok = BertTokenizer.from_pretrained(tmp_path)
    assert tok.vocabulary[42:] == ["[A]", "[B]"]
    assert tok.added_tokens == [
        AddedToken("[A]", normalized=False, special=True),
        AddedToken("[B]"),
    ]
    (tmp_path / "added_tokens.json").write_text('{"[B]": 50, "[A]": 42}')
    with pytest.warns(UserWarning, match=r"'\[B\]' is numbered 50 but gets the id 43"):
        BertTokenizer.from_pretrained(tmp_path)
    (tmp_path / "added_tokens.json").write_text('{"[B]": "x"}')
    with pytest.raises(UserError, match=r"added_tokens.json: token '\[B\]' has the id 'x'"):
        BertTokenizer.from_pretrained(tmp_path)


def test_text_that_is_not_cleaned_is_warned_of(folder: pathlib.Path) -> None:
    change(folder / "tokenizer.json", lambda v: v["normalizer"].update(clean_text=False))
    with pytest.warns(UserWarning, match="clean_text is false, but control characters"):
        BertTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (128, 128),
        (128.0, 128),
        (1000000000000000019884624838656, None),
        (1e30, None),
        (0, None),
        (-1, None),
        ("512", None),
        (True, None),
        (None, None),
    ],
)
def test_lengths_that_are_no_limit(stated: Any, expected: int | None, folder: pathlib.Path) -> None:
    change(folder / "tokenizer_config.json", lambda v: v.update(model_max_length=stated))
    assert model_max_length(folder) == expected
    assert BertTokenizer.from_pretrained(folder).max_length == (expected or 512)


def test_the_default_length(small_pieces: list[str]) -> None:
    tok = BertTokenizer(small_pieces, max_length=5)
    text = "good " * 600
    assert tok([text])["token_ids"].shape == [1, 5]
    assert tok([text], max_length=9)["token_ids"].shape == [1, 9]
    assert tok([text], pad_to=4)["token_ids"].shape == [1, 4]
    assert tok.with_masks([text])["token_ids"].shape == [1, 5]
    assert BertTokenizer(small_pieces).max_length == 512
    assert BertTokenizer.from_config(tok.get_config()).max_length == 5
    for length in (2, 6.5, True, None):
        with pytest.raises(UserError, match=f"max_length={length}: expected a whole number"):
            BertTokenizer(small_pieces, max_length=length)  # type: ignore[arg-type]


# Directories as they are published; `checkpoint_variants.py` makes them of bert-tiny-mlm.


@pytest.fixture(scope="module")
def cases(assets: pathlib.Path) -> pathlib.Path:
    folder = assets / "cases" / "checkpoints"
    if not folder.exists():
        pytest.skip("cases/checkpoints is not among the assets of BERT_KERAS_ASSETS")
    return folder


@pytest.mark.parametrize(
    ("name", "entries", "rows", "covid"),
    [
        ("tokjson_only", 30522, 30522, False),
        ("crlf_vocab", 30522, 30522, False),
        ("max_len_1e30", 30522, 30522, False),
        ("added3", 30525, 30525, True),
        ("added3_padded", 30525, 30528, True),
        ("table_plus_75", 30522, 30600, False),
    ],
)
def test_published_directories(
    name: str, entries: int, rows: int, covid: bool, cases: pathlib.Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoint = open_checkpoint(cases / name)
        tok = checkpoint.tokenizer()
    assert (tok.vocab_size, checkpoint.config.vocab_size, tok.max_length) == (entries, rows, 512)
    split = [1031, 2522, 17258, 1033]
    expected = [7592, *([30522] if covid else split), 2088]
    assert tok.tokenize(["Hello [Covid] world"]).to_list() == [expected]


def test_published_directories_that_are_refused_or_warned_of(cases: pathlib.Path) -> None:
    with pytest.raises(UserError, match="tokenizer_class XLMRobertaTokenizer is not BERT's"):
        open_checkpoint(cases / "xlmr_tok").tokenizer()
    with pytest.raises(UserError, match=r"vocab.txt:1: token 0 is '\[unused0\]', but '\[PAD\]'"):
        open_checkpoint(cases / "vocab_short_1").tokenizer()
    with pytest.warns(UserWarning, match="30522 entries, the model's vocab_size is 31522; rows"):
        open_checkpoint(cases / "table_plus_1000").tokenizer()
