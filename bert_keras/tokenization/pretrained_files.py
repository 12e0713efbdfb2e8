"""A tokenizer's files in a Hugging Face directory: what they say, and writing them."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bert_keras.config import read_json
from bert_keras.errors import UserError
from bert_keras.tokenization import tokenizer_json, vocabulary
from bert_keras.tokenization.added_tokens import OF_BERT, AddedToken, Registry, numbered
from bert_keras.tokenization.tokenizer_json import TokenizerFile

if TYPE_CHECKING:
    from bert_keras.tokenization.bert_tokenizer import BertTokenizer

CONFIG_FILE = "tokenizer_config.json"
_ADDED_FILE = "added_tokens.json"
_SPECIALS_FILE = "special_tokens_map.json"
# Classes of transformers, less "Fast", that split text as BertTokenizer does.
_BERT_CLASSES = (
    *("BertTokenizer", "BertTokenizerLegacy", "ConvBertTokenizer", "DistilBertTokenizer"),
    *("DPRContextEncoderTokenizer", "DPRQuestionEncoderTokenizer", "DPRReaderTokenizer"),
    *("ElectraTokenizer", "LayoutLMTokenizer", "LxmertTokenizer", "MobileBertTokenizer"),
    *("RealmTokenizer", "RetriBertTokenizer", "SqueezeBertTokenizer"),
)
# Classes that are whatever their tokenizer.json is.
_GENERIC_CLASSES = ("PreTrainedTokenizer", "TokenizersBackend")
# The attributes of transformers that name special tokens, in its order.
_SPECIALS = {
    **{"bos_token": None, "eos_token": None, "unk_token": vocabulary.UNKNOWN},
    **{"sep_token": vocabulary.SEP, "pad_token": vocabulary.PAD, "cls_token": vocabulary.CLS},
    "mask_token": vocabulary.MASK,
}
# transformers 5 calls the first one by the second name.
_MORE_SPECIALS = ("additional_special_tokens", "extra_special_tokens")
# transformers writes 10^30 where there is no limit.
_LARGEST_LENGTH = 1_000_000


def read(directory: pathlib.Path) -> dict[str, Any]:
    """Reads what a directory says of a tokenizer, as arguments of `BertTokenizer`.

    Where nothing is said of casing, the vocabulary decides: one with capitals in more than one
    piece of a hundred is cased.

    Args:
        directory: holds vocab.txt or tokenizer.json, and usually tokenizer_config.json.

    Raises:
        UserError: a file is damaged, the files disagree, or the tokenizer is not BERT's.
    """
    config = read_config(directory)
    generic = _check_class(directory, config)
    path = directory / tokenizer_json.FILE_NAME
    file = tokenizer_json.read(path) if path.exists() else None
    if generic and file is None:
        raise UserError(f"{directory}: a {generic} without a {path.name}, which says what it does")
    _check_special_names(directory, config)
    stated, added = _added_tokens(directory, config, file)
    pieces = _pieces(directory, file, [content for _, content in stated])
    _check_numbers(directory, stated, added, pieces)
    known = set(pieces)
    added = [token for token in added if token.content not in OF_BERT or token.content not in known]
    found = {
        "vocabulary": pieces,
        "added_tokens": added,
        "max_length": model_max_length(directory),
        "max_word_chars": file.max_word_chars if file else None,
        **_casing(directory, config, file, pieces, bool(generic)),
    }
    return {name: value for name, value in found.items() if value is not None}


def vocabulary_file(directory: pathlib.Path) -> pathlib.Path:
    """Returns the path of vocab.txt, or of tokenizer.json where that is missing."""
    path = directory / vocabulary.FILE_NAME
    other = directory / tokenizer_json.FILE_NAME
    return other if other.exists() and not path.exists() else path


def read_config(directory: pathlib.Path) -> dict[str, Any]:
    """The settings of tokenizer_config.json, none where it is missing."""
    return _read_if_present(directory / CONFIG_FILE)


def model_max_length(directory: pathlib.Path) -> int | None:
    """Returns the `model_max_length` of tokenizer_config.json, None where it is no limit."""
    length = read_config(directory).get("model_max_length")
    if isinstance(length, float) and length.is_integer():
        length = int(length)
    if not isinstance(length, int) or isinstance(length, bool):
        return None
    # Less than [CLS], [SEP] and a token of each of two texts is no length.
    return length if 5 <= length <= _LARGEST_LENGTH else None


def _read_if_present(path: pathlib.Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _check_class(directory: pathlib.Path, config: Mapping[str, Any]) -> str | None:
    """The name of a class that is whatever tokenizer.json is; a UserError for foreign ones."""
    path = directory / CONFIG_FILE
    name = config.get("tokenizer_class")
    if name is None:
        model = directory / "config.json"
        name = _read_if_present(model).get("tokenizer_class")
        path = path if name is None else model
    plain = str(name).removesuffix("Fast")
    if name is not None and plain not in (*_BERT_CLASSES, *_GENERIC_CLASSES):
        raise UserError(
            f"{path}: tokenizer_class {name} is not BERT's WordPiece and is not supported; "
            "expected BertTokenizer or a class that splits text as it does"
        )
    for key, expected in (
        ("word_tokenizer_type", "basic"),
        ("subword_tokenizer_type", "wordpiece"),
    ):
        if config.get(key, expected) != expected:
            raise UserError(
                f"{directory / CONFIG_FILE}: {key} {config[key]!r} is not supported; "
                f"BERT's is {expected!r}"
            )
    return str(name) if plain in _GENERIC_CLASSES else None


def _content(value: Any) -> Any:
    """The text of a token that is written as a string or as an object."""
    return value.get("content") if isinstance(value, dict) else value


def _check_special_names(directory: pathlib.Path, config: Mapping[str, Any]) -> None:
    """A UserError where a special token has another name than BERT's."""
    for key, expected in _SPECIALS.items():
        name = _content(config.get(key))
        if expected is not None and name is not None and name != expected:
            raise UserError(
                f"{directory / CONFIG_FILE}: {key} is {name!r}, which is not supported; "
                f"BERT's is {expected}"
            )


def _added_tokens(
    directory: pathlib.Path, config: Mapping[str, Any], file: TokenizerFile | None
) -> tuple[list[tuple[int, str]], list[AddedToken]]:
    """Collects added tokens from all files as transformers 4.57 does for BertTokenizerFast.

    Returns:
        the ids that files state, with the text of each; and the tokens in order.
    """
    registry = Registry()
    listed = file.added if file else []
    for _, token in listed:
        registry.add(token)
    specials = dict(config)
    if "added_tokens_decoder" in config:
        numbers = _decoder(config["added_tokens_decoder"], directory / CONFIG_FILE)
    else:
        # The files of releases before 4.34, which are not looked at otherwise.
        specials |= _read_if_present(directory / _SPECIALS_FILE)
        _check_special_names(directory, specials)
        names = {token.content for token in _special_tokens(specials, directory)}
        numbers = _numbers(directory / _ADDED_FILE, names) | dict(listed)
    special_tokens = list(_special_tokens(specials, directory))
    names = {token.content for token in special_tokens}
    for _, token in sorted(numbers.items()):
        special = token.special or token.content in names
        registry.add(dataclasses.replace(token, special=special))
    for token in special_tokens:
        # One of BERT's that no file gives an id to is missing in the vocabulary, or is there.
        if token.content not in registry and token.content not in OF_BERT:
            registry.add(token)
    stated = [(index, token.content) for index, token in (*listed, *numbers.items())]
    return list(dict.fromkeys(stated)), registry.tokens()


def _special_tokens(config: Mapping[str, Any], directory: pathlib.Path) -> Iterator[AddedToken]:
    """The special tokens that settings name."""
    source = str(directory / CONFIG_FILE)
    named = [config.get(key) for key in _SPECIALS]
    for key in _MORE_SPECIALS:
        more = config.get(key) or []
        more = list(more.values()) if isinstance(more, dict) else more
        if not isinstance(more, list):
            raise UserError(f"{source}: {key} is {more!r}, expected a list")
        named += more
    for value in named:
        if value is not None:
            token = AddedToken.of(value, source, special=True)
            yield dataclasses.replace(token, special=True)


def _decoder(decoder: Any, path: pathlib.Path) -> dict[int, AddedToken]:
    """The tokens of `added_tokens_decoder` by their ids."""
    if not isinstance(decoder, dict) or not all(key.isdecimal() for key in decoder):
        raise UserError(f"{path}: added_tokens_decoder: expected an object from ids to tokens")
    source = f"{path}: added_tokens_decoder"
    return {int(key): AddedToken.of(value, source) for key, value in decoder.items()}


def _numbers(path: pathlib.Path, specials: set[str]) -> dict[int, AddedToken]:
    """The tokens of added_tokens.json by their ids."""
    found: dict[int, AddedToken] = {}
    for content, index in _read_if_present(path).items():
        if not isinstance(index, int) or isinstance(index, bool) or index in found:
            raise UserError(f"{path}: token {content!r} has the id {index!r}; expected a number")
        found[index] = AddedToken.of(content, str(path), special=content in specials)
    return found


def _pieces(directory: pathlib.Path, file: TokenizerFile | None, added: Sequence[str]) -> list[str]:
    """The vocabulary without added tokens, by id.

    Raises:
        UserError: there is none, it lacks a special token, or the files disagree.
    """
    path = directory / vocabulary.FILE_NAME
    if file is None:
        if not path.exists():
            raise UserError(
                f"{path}: cannot read the vocabulary (No such file or directory); "
                f"expected {path.name} or {tokenizer_json.FILE_NAME}"
            )
        return vocabulary.read(path, added)
    source = directory / tokenizer_json.FILE_NAME
    if not path.exists():
        vocabulary.check_special(file.pieces, str(source), added)
        return file.pieces
    pieces = vocabulary.read(path, added)
    for index, piece in enumerate(file.pieces):
        # Where vocab.txt has equal lines, tokenizer.json has the last one alone.
        if piece and (index >= len(pieces) or pieces[index] != piece):
            line = f"{pieces[index]!r}" if index < len(pieces) else "missing"
            raise UserError(
                f"{path}:{index + 1}: token {index} is {line}, but {piece!r} in {source.name} "
                f"({len(pieces)} entries, {len(file.pieces)} there); delete the wrong file"
            )
    numbers = {index: token.content for index, token in file.added}
    for index in range(len(file.pieces), len(pieces)):
        if pieces[index] and numbers.get(index) != pieces[index]:
            raise UserError(
                f"{path}:{index + 1}: token {index} is {pieces[index]!r}, which {source.name} "
                f"lacks ({len(pieces)} entries, {len(file.pieces)} there); delete the wrong file"
            )
    blank = all(not piece for piece in pieces[len(file.pieces) :])
    return pieces if blank else pieces[: len(file.pieces)]


def _check_numbers(
    directory: pathlib.Path,
    stated: Sequence[tuple[int, str]],
    added: Sequence[AddedToken],
    pieces: Sequence[str],
) -> None:
    """Warns of stated ids that are not the ones that tokens get; those of BERT's must agree."""
    ids = numbered(added, pieces)
    moved = [(index, name) for index, name in stated if ids.get(name, index) != index]
    for index, name in moved:
        if name in OF_BERT:
            raise UserError(
                f"{directory}: {name} is added as token {index}, "
                f"but is token {ids[name]} of the vocabulary"
            )
    if moved:
        index, name = moved[0]
        warnings.warn(
            f"{directory}: added token {name!r} is numbered {index} but gets the id {ids[name]}, "
            "as in transformers' fast tokenizers: that of an equal piece, or the next one behind "
            f"the {len(pieces)} of the vocabulary ({len(moved)} such)",
            stacklevel=5,
        )


def _casing(
    directory: pathlib.Path,
    config: Mapping[str, Any],
    file: TokenizerFile | None,
    pieces: Sequence[str],
    generic: bool,
) -> dict[str, bool | None]:
    """Casing, accents and ideographs: tokenizer_config.json first, as in transformers' classes
    of BERT's; tokenizer.json first for a class that is nothing but that file."""
    names = {
        "lowercase": ("do_lower_case", "lowercase", not vocabulary.is_cased(pieces)),
        "strip_accents": ("strip_accents", "strip_accents", None),
        "split_chinese": ("tokenize_chinese_chars", "handle_chinese_chars", True),
    }
    of_file = file.normalizer if file else {}
    found: dict[str, bool | None] = {}
    for name, (key, file_key, default) in names.items():
        values = [config.get(key), of_file.get(file_key)]
        values = values[::-1] if generic else values
        for value in values:
            if value is not None and not isinstance(value, bool):
                raise UserError(f"{directory}: {key} is {value!r}, expected true or false")
        found[name] = next((value for value in values if value is not None), default)
    if of_file.get("clean_text") is False:
        warnings.warn(
            f"{directory / tokenizer_json.FILE_NAME}: clean_text is false, but control "
            "characters are removed from text all the same",
            stacklevel=5,
        )
    return found


def write(directory: pathlib.Path, tokenizer: BertTokenizer) -> None:
    """Writes vocab.txt, tokenizer_config.json and tokenizer.json, from which transformers'
    BertTokenizerFast and PreTrainedTokenizerFast make a tokenizer of equal ids."""
    directory.mkdir(parents=True, exist_ok=True)
    pieces = tokenizer.base_vocabulary
    vocabulary.write(pieces, directory / vocabulary.FILE_NAME)
    ids = vocabulary.ids(tokenizer.vocabulary)
    own = [AddedToken(name, normalized=False, special=True) for name in OF_BERT if name in ids]
    others = [token for token in tokenizer.added_tokens if token.content not in OF_BERT]
    added = sorted(((ids[token.content], token) for token in (*own, *others)), key=_number)
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": tokenizer.lowercase,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": tokenizer.split_chinese,
        "model_max_length": tokenizer.max_length,
        "added_tokens_decoder": {str(index): token.to_dict() for index, token in added},
        "additional_special_tokens": [
            content for content in dict.fromkeys(t.content for t in others if t.special)
        ],
        **{key: name if name in ids else None for key, name in _SPECIALS.items() if name},
    }
    _write_json(directory / CONFIG_FILE, config, indent=2, sort_keys=True)
    normalizer = {
        "clean_text": True,
        "handle_chinese_chars": tokenizer.split_chinese,
        "strip_accents": tokenizer.strip_accents,
        "lowercase": tokenizer.lowercase,
    }
    built = tokenizer_json.build(pieces, added, normalizer, tokenizer.max_word_chars)
    _write_json(directory / tokenizer_json.FILE_NAME, built, indent=1, ensure_ascii=False)


def _number(numbered_token: tuple[int, AddedToken]) -> int:
    return numbered_token[0]


def _write_json(path: pathlib.Path, value: Any, **options: Any) -> None:
    path.write_text(json.dumps(value, **options) + "\n", encoding="utf-8")
