"""tokenizer.json, the file of Hugging Face `tokenizers`, as far as BERT's WordPiece goes."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bert_keras.config import read_json
from bert_keras.errors import UserError
from bert_keras.tokenization import vocabulary
from bert_keras.tokenization.added_tokens import OF_BERT, AddedToken
from bert_keras.tokenization.normalizer import MOST_WORD_CHARS

FILE_NAME = "tokenizer.json"
_PREFIX = "##"


class TokenizerFile(NamedTuple):
    """What a tokenizer.json says."""

    pieces: list[str]  # by id; an empty string at ids without a token
    added: list[tuple[int, AddedToken]]  # stated ids, in the order of the file
    normalizer: Mapping[str, Any]  # lowercase, strip_accents, handle_chinese_chars, clean_text
    max_word_chars: int


def read(path: pathlib.Path) -> TokenizerFile:
    """Reads a tokenizer.json.

    Raises:
        UserError: damaged, or another tokenizer than BERT's WordPiece; names the part.
    """
    values = read_json(path)
    model = values.get("model")
    if not isinstance(model, dict):
        raise UserError(f"{path}: expected an object 'model', received {_kind(model)}")
    _check_model(model, path)
    normalizer = _only(values.get("normalizer"), "normalizers")
    if normalizer.get("type") != "BertNormalizer":
        raise UserError(_foreign(path, "normalizer", values.get("normalizer")))
    splitter = _only(values.get("pre_tokenizer"), "pretokenizers")
    if splitter.get("type") != "BertPreTokenizer":
        raise UserError(_foreign(path, "pre_tokenizer", values.get("pre_tokenizer")))
    _check_frame(values.get("post_processor"), path)
    longest = model.get("max_input_chars_per_word", 100)
    if not isinstance(longest, int) or not 1 <= longest <= MOST_WORD_CHARS:
        raise UserError(
            f"{path}: max_input_chars_per_word is {longest!r}, expected 1 to {MOST_WORD_CHARS}"
        )
    return TokenizerFile(_pieces(model, path), _added(values, path), normalizer, longest)


def _check_model(model: Mapping[str, Any], path: pathlib.Path) -> None:
    # Early releases of `tokenizers` did not write the type.
    kind = model.get("type", "WordPiece" if "continuing_subword_prefix" in model else None)
    if kind != "WordPiece":
        raise UserError(f"{path}: model {kind} is not supported; BERT's is WordPiece")
    for name, expected in (
        ("continuing_subword_prefix", _PREFIX),
        ("unk_token", vocabulary.UNKNOWN),
    ):
        if model.get(name, expected) != expected:
            raise UserError(f"{path}: {name} is {model[name]!r}; BERT's is {expected!r}")


def _only(part: Any, members: str) -> Mapping[str, Any]:
    """A part, or the only one of a sequence of one."""
    part = part if isinstance(part, dict) else {}
    inner = part.get(members)
    if part.get("type") == "Sequence" and isinstance(inner, list) and len(inner) == 1:
        return inner[0] if isinstance(inner[0], dict) else {}
    return part


def _foreign(path: pathlib.Path, name: str, part: Any) -> str:
    """The message for a part of another tokenizer, with the names of what it is made of."""
    expected = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}[name]
    return f"{path}: {name} {_named(part)} is not supported; BERT's is {expected}"


def _named(part: Any) -> str:
    if not isinstance(part, dict):
        return repr(part)
    for members in ("normalizers", "pretokenizers"):
        if isinstance(part.get(members), list):
            return " + ".join(map(_named, part[members])) or "of no parts"
    return str(part.get("type"))


def _check_frame(processor: Any, path: pathlib.Path) -> None:
    """A UserError where a single text is not framed by [CLS] and [SEP]."""
    if processor is None:
        return
    kind = processor.get("type") if isinstance(processor, dict) else None
    found: Any = kind
    if kind == "BertProcessing":
        found = [_first(processor.get("cls")), _first(processor.get("sep"))]
    elif kind == "TemplateProcessing":
        parts = processor.get("single")
        parts = parts if isinstance(parts, list) else []
        found = [
            part["SpecialToken"].get("id")
            for part in parts
            if isinstance(part, dict) and isinstance(part.get("SpecialToken"), dict)
        ]
    if found != [vocabulary.CLS, vocabulary.SEP]:
        raise UserError(
            f"{path}: post_processor puts {found!r} round a text; "
            f"BERT's puts {vocabulary.CLS} and {vocabulary.SEP}"
        )


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _pieces(model: Mapping[str, Any], path: pathlib.Path) -> list[str]:
    """The vocabulary by id."""
    vocab = model.get("vocab")
    if not isinstance(vocab, dict) or not vocab:
        raise UserError(f"{path}: expected an object 'vocab' from tokens to ids in 'model'")
    by_id: dict[int, str] = {}
    for piece, index in vocab.items():
        # A few ids may be missing, where vocab.txt had blank or equal lines.
        if not isinstance(index, int) or not 0 <= index < 2 * len(vocab) or index in by_id:
            raise UserError(
                f"{path}: token {piece!r} has the id {index!r}; "
                f"expected the numbers from 0 for {len(vocab)} tokens"
            )
        by_id[index] = piece
    return [by_id.get(index, "").strip() for index in range(max(by_id) + 1)]


def _added(values: Mapping[str, Any], path: pathlib.Path) -> list[tuple[int, AddedToken]]:
    listed = values.get("added_tokens", [])
    if not isinstance(listed, list):
        raise UserError(f"{path}: added_tokens is {_kind(listed)}, expected a list")
    found = []
    for value in listed:
        token = AddedToken.of(value, f"{path}: added_tokens")
        index = value.get("id") if isinstance(value, dict) else None
        if not isinstance(index, int):
            raise UserError(f"{path}: added token {token.content!r} has the id {index!r}")
        found.append((index, token))
    return found


def _kind(value: Any) -> str:
    return type(value).__name__


def build(
    pieces: Sequence[str],
    added: Sequence[tuple[int, AddedToken]],
    normalizer: Mapping[str, Any],
    max_word_chars: int,
) -> dict[str, Any]:
    """Returns the contents of a tokenizer.json, the reverse of `read`."""
    ids = vocabulary.ids(pieces)
    frame = {token: ids.get(token) for token in OF_BERT}
    frame |= {token.content: index for index, token in added}

    def special(name: str, segment: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": segment}}

    def text(name: str, segment: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": segment}}

    single = [special(vocabulary.CLS), text("A", 0), special(vocabulary.SEP)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, **token.to_dict()} for index, token in added],
        "normalizer": {"type": "BertNormalizer", **normalizer},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, text("B", 1), special(vocabulary.SEP, 1)],
            "special_tokens": {
                token: {"id": token, "ids": [frame[token]], "tokens": [token]}
                for token in (vocabulary.CLS, vocabulary.SEP)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": _PREFIX, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": vocabulary.UNKNOWN,
            "continuing_subword_prefix": _PREFIX,
            "max_input_chars_per_word": max_word_chars,
            "vocab": ids,
        },
    }
