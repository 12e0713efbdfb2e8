"""Tokenizers with added tokens, and texts full of them; the same ones every time.

`files(name)` are the files of a tokenizer's directory, `texts(name)` what is tokenized with it.
BERT's own special tokens do not occur in texts: transformers finds them there, ours does not.
"""

from __future__ import annotations

import json
import random
from typing import Any

_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_WORDS = "the film was good new york covid abc 19 caf et drug gene".split()
_MARKS = list("[]<>/.,!?-_'#%") + ["…", "、", "中", "新", "冠", "文", "ж", "##ж", "##中"]
_CAPITALS = ["Film", "New", "York", "A", "B", "C", "##A", "##B", "##C", "É", "é"]
_PIECES = [*_SPECIALS, *_LETTERS, *("##" + char for char in _LETTERS), *_WORDS, *_MARKS]

_FRAME = {
    "type": "BertProcessing",
    "sep": ["[SEP]", 3],
    "cls": ["[CLS]", 2],
}
NAMES = {"flags": 1000, "legacy": 300, "cased": 500}


def _token(content: str, **flags: bool) -> dict[str, Any]:
    usual = {"single_word": False, "lstrip": False, "rstrip": False}
    return {"content": content, **usual, "normalized": True, "special": False, **flags}


# Next to each other, inside of each other, with letters, spaces, ideographs and accents.
_FLAGGED = [
    _token("[a]"),
    _token("[a]b"),
    _token("[A]c", normalized=False),
    _token("covid", single_word=True),
    _token("covid19"),
    _token("GPT-4", normalized=False, single_word=True),
    _token("<e1>", special=True, normalized=False),
    _token("</e1>", special=True, normalized=False),
    _token("<l>", lstrip=True, normalized=False),
    _token("<r>", rstrip=True, normalized=False),
    _token("<lr>", lstrip=True, rstrip=True),
    _token("<lrs>", lstrip=True, rstrip=True, single_word=True, normalized=False),
    _token("New York"),
    _token("新冠"),
    _token("新冠文", normalized=False),
    _token("été"),
    _token("…a"),
    _token("xyz"),
    _token("yzx", normalized=False),
    _token("good"),  # a piece of the vocabulary as well
    _token("😷"),
    _token("[unused1]", special=True, normalized=False),
]
_CASED = [
    _token("[Gene]"),
    _token("[gene]"),
    _token("Café", single_word=True),
    _token("<s1>", special=True, normalized=False, lstrip=True),
    _token("ABC"),
    _token("AB", rstrip=True),
    _token("中文"),
]


def _tokenizer_json(pieces: list[str], tokens: list[dict], lowercase: bool) -> dict[str, Any]:
    special = [
        {"id": index, **_token(name, special=True, normalized=False)}
        for index, name in enumerate(_SPECIALS)
    ]
    ids = {piece: index for index, piece in enumerate(pieces)}
    following = iter(range(len(pieces), 10**6))
    added = [
        {"id": ids[token["content"]] if token["content"] in ids else next(following), **token}
        for token in tokens
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special + added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _FRAME,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


def files(name: str) -> dict[str, str]:
    """The files of a tokenizer's directory by their names."""
    config: dict[str, Any] = {"tokenizer_class": "BertTokenizer", "do_lower_case": name != "cased"}
    pieces = _PIECES + (_CAPITALS if name == "cased" else [])
    found: dict[str, Any] = {"tokenizer_config.json": config}
    if name == "flags":
        found["tokenizer.json"] = _tokenizer_json(pieces, _FLAGGED, True)
    elif name == "legacy":
        following = len(pieces)
        found["added_tokens.json"] = {
            "[Drug]": following + 1,
            "<s>": following,
            "[drug]x": following + 2,
        }
        found["special_tokens_map.json"] = {
            "additional_special_tokens": ["<s>", "[unused7]"],
            "mask_token": _token("[MASK]", lstrip=True, normalized=False),
        }
        found["tokenizer.json"] = _tokenizer_json(pieces, [], True)
    else:
        found["tokenizer.json"] = _tokenizer_json(pieces, _CASED[:4], False)
        # Other flags than in tokenizer.json, and tokens that it lacks.
        changed = [dict(_CASED[0], single_word=True), dict(_CASED[1], normalized=False)]
        config["added_tokens_decoder"] = {
            str(len(pieces) + index): token for index, token in enumerate([*changed, *_CASED[2:]])
        }
        config["additional_special_tokens"] = ["<s1>", "<s2>"]
    written = {file: json.dumps(value) for file, value in found.items()}
    if name != "flags":
        written["vocab.txt"] = "".join(f"{piece}\n" for piece in pieces)
    return written


def contents(name: str) -> list[str]:
    """The texts of the added tokens."""
    if name == "legacy":
        return ["[Drug]", "<s>", "[drug]x", "[unused7]"]
    return [token["content"] for token in (_FLAGGED if name == "flags" else [*_CASED])] + (
        ["<s2>"] if name == "cased" else []
    )


def texts(name: str) -> list[str]:
    """Random texts of up to a dozen parts, most of them added tokens in some spelling."""
    draw = random.Random(name)
    tokens = contents(name)
    spaces = [" ", "  ", "\t", "\n", "\u00a0", "\u3000", " \u2009"]
    others = ["the", "Film", "a", "b", "x", "y", "z", "Z", "_", "9", ".", "!", "-", "[", "]", "…"]
    others += ["、", "中", "文", "新", "é", "É", "ж", "Ж", "😷", "\u200b", "\u0301", "ab" * 60]

    def spelled(token: str) -> str:
        kind = draw.randrange(10)
        if kind == 0:
            return token.upper()
        if kind == 1:
            return token.lower()
        if kind == 2:
            return token[:1] + "\u200b" + token[1:]
        if kind == 3:
            return token[:-1]
        if kind == 4:
            return token * draw.randrange(2, 12 if len(token) < 8 else 4)
        return token

    def part() -> str:
        kind = draw.random()
        if kind < 0.5:
            return spelled(tokens[draw.randrange(len(tokens))])
        return draw.choice(spaces) if kind < 0.75 else draw.choice(others)

    return ["".join(part() for _ in range(draw.randrange(13))) for _ in range(NAMES[name])]
