"""Training a WordPiece vocabulary on text, the same file from the same text every time."""

from __future__ import annotations

import collections
import os
import pathlib
from collections.abc import Iterable, Iterator

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from bert_keras.errors import UserError

# In the order of BERT's own vocabularies, so that padding is id 0.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CONTINUATION = "##"


def train_vocabulary(
    texts: Iterable[str],
    size: int = 8000,
    lowercase: bool = True,
    min_frequency: int = 2,
    alphabet_size: int = 1000,
) -> list[str]:
    """Learns word pieces from text, by repeatedly joining the most frequent neighbours.

    The text is split as BERT splits it (Devlin et al. 2018): cleaned, lower-cased and
    stripped of accents if `lowercase`, every punctuation mark and Chinese character a word
    of its own. Special tokens come first, then the alphabet (each character as the start
    and, where words can go on with it, as the continuation of a word), then the pieces in
    the order in which they were found. The result does not depend on the number of threads.

    Args:
        texts: read twice, so an iterator will not do; a list or an object that opens a file
            anew each time.
        size: tokens wanted; fewer come out where the text has no more to give.
        lowercase: whether the tokenizer will lower-case (an uncased vocabulary).
        min_frequency: how often two neighbours must occur to be joined.
        alphabet_size: how many characters, the most frequent ones, are kept; the others
            become [UNK].

    Returns:
        The tokens; a token's id is its index.

    Raises:
        UserError: there is no text, it can be read only once, or `size` does not even hold
            the special tokens and the alphabet.
    """
    if isinstance(texts, Iterator):
        raise UserError("texts: expected something that can be read twice, received an iterator")
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()
    kept, dropped = _choose_alphabet(map(normalizer.normalize_str, texts), alphabet_size)
    if not kept:
        raise UserError("texts: nothing to train a vocabulary on, there is not one character")
    # The trainer numbers the alphabet in the order of a hash table, and breaks ties between
    # equally frequent pairs by those numbers. Given beforehand, the numbers are fixed.
    going_on = [c for c in kept if _words(normalizer, splitter, "a" + c) == 1]
    first = [*SPECIAL_TOKENS, *kept, *(_CONTINUATION + c for c in going_on)]
    if size < len(first):
        raise UserError(
            f"size {size} is too small: the special tokens and an alphabet of {len(kept)} "
            f"characters take {len(first)}"
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=first,
        continuing_subword_prefix=_CONTINUATION,
        show_progress=False,
    )
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token=SPECIAL_TOKENS[1]))
    tokenizer.pre_tokenizer = splitter
    normalized = (normalizer.normalize_str(text).translate(dropped) for text in texts)
    tokenizer.train_from_iterator(normalized, trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=lambda token: ids[token])


def write_vocabulary(path: str | pathlib.Path, tokens: Iterable[str]) -> None:
    """Writes `vocab.txt`: UTF-8, one token a line, the line's number is the id.

    Killed at any moment, it leaves the file that was there before, or the new one whole.
    """
    partial = pathlib.Path(f"{path}.partial")
    with open(partial, "wb") as file:
        file.write("".join(token + "\n" for token in tokens).encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _choose_alphabet(texts: Iterable[str], size: int) -> tuple[list[str], dict[int, str]]:
    """The most frequent characters, sorted, and a translation of the rest to spaces."""
    # Sets of characters are fast; only text beyond ASCII, which is rare or short, is counted.
    plain: set[str] = set()
    counts: collections.Counter[str] = collections.Counter()
    for text in texts:
        if text.isascii():
            plain.update(text)
        else:
            counts.update(text)
    seen = {c for c in plain.union(counts) if not c.isspace()}
    by_frequency = sorted(seen, key=lambda c: (not c.isascii(), -counts[c], c))
    kept = sorted(by_frequency[:size])
    return kept, {ord(c): " " for c in by_frequency[size:]}


def _words(
    normalizer: normalizers.Normalizer, splitter: pre_tokenizers.PreTokenizer, text: str
) -> int:
    return len(splitter.pre_tokenize_str(normalizer.normalize_str(text)))
