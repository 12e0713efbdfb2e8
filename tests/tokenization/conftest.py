"""Tokenizers and their plain-Python counterparts, built once."""

from __future__ import annotations

import importlib.util
import pathlib
import types
import unicodedata
from typing import Any

import pytest

from bert_keras.tokenization import BertTokenizer

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "hello world the film was good bad un ##aff ##able naive cafe . , ! ' - ( ) [ ] cls sep unk"
SMALL = [*SPECIALS, *WORDS.split(), *"abcxyz", *(f"##{c}" for c in "abcxyzs")]


def _load(name: str) -> types.ModuleType:
    path = pathlib.Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"tokenization_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def oracle() -> types.ModuleType:
    """The plain-Python reference; where Python has another Unicode, there is none."""
    if unicodedata.unidata_version != "14.0.0":
        pytest.skip(f"the reference needs Unicode 14, not {unicodedata.unidata_version}")
    return _load("oracle")


@pytest.fixture(scope="session")
def small_pieces() -> list[str]:
    return list(SMALL)


@pytest.fixture(scope="session")
def small() -> BertTokenizer:
    """A tokenizer with a vocabulary of some dozen pieces."""
    return BertTokenizer(SMALL)


@pytest.fixture(scope="session")
def characters() -> list[str]:
    """Every assigned code point but the surrogates."""
    codes = (chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF)
    return [char for char in codes if unicodedata.category(char) != "Cn"]


@pytest.fixture(scope="session")
def every_piece(characters: list[str]) -> list[str]:
    """A vocabulary that knows every character, at the start of a word and inside."""
    return [*SPECIALS, *characters, *("##" + char for char in characters)]


@pytest.fixture(
    scope="session",
    params=[True, pytest.param(False, marks=pytest.mark.slow)],
    ids=["uncased", "cased"],
)
def complete(request: pytest.FixtureRequest, every_piece: list[str], oracle: Any) -> Any:
    """(tokenizer, reference) that keep every character apart, uncased and cased."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)
        tokenizer = BertTokenizer(every_piece, lowercase=request.param)
    return tokenizer, oracle.Oracle(every_piece, request.param)


@pytest.fixture(
    scope="session",
    params=[("uncased_30522", True), ("cased_28996", False), ("chinese_21128", True)],
    ids=lambda param: param[0],
)
def published(request: pytest.FixtureRequest, data: pathlib.Path, oracle: Any) -> Any:
    """(tokenizer, reference) of each of Google's vocabularies."""
    name, lowercase = request.param
    tokenizer = BertTokenizer(data / "vocab" / name / "vocab.txt", lowercase=lowercase)
    return tokenizer, oracle.Oracle(tokenizer.vocabulary, lowercase)
