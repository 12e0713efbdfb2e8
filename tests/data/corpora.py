"""Small corpora in memory, with the interface of the store on disk."""

from __future__ import annotations

import random
import types
from collections.abc import Sequence

import numpy as np

from bert_keras.data.window import Window
from bert_keras.tokenization import BertTokenizer

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# 40 words and 20 pieces that go on with one.
VOCABULARY = [*SPECIALS, *(f"w{n}" for n in range(40)), *(f"##p{n}" for n in range(20))]
CLS, SEP, MASK = 2, 3, 4
FIRST_PIECE = len(SPECIALS)

Documents = Sequence[Sequence[Sequence[int]]]


class MemoryStore:
    """Documents of sentences of ids; each block holds so many sections of so many sentences."""

    directory = "corpus"

    def __init__(
        self,
        documents: Documents,
        section_sentences: int = 1000,
        block_sections: int = 2,
        words: bool = False,
        vocabulary: Sequence[str] = VOCABULARY,
    ):
        self._vocabulary = list(vocabulary)
        self.sections = [
            (number, document[start : start + section_sentences])
            for number, document in enumerate(documents)
            for start in range(0, len(document), section_sentences)
        ]
        self._block_sections = block_sections
        self._words = words
        self.blocks = -(-len(self.sections) // block_sections)
        tokens = sum(len(sentence) for document in documents for sentence in document)
        self.manifest = types.SimpleNamespace(tokens=tokens, documents=len(documents))
        self.blocks_read = 0

    def tokenizer(self) -> BertTokenizer:
        """Of `vocabulary`."""
        return BertTokenizer(self._vocabulary)

    def read_blocks(self, blocks: Sequence[int]) -> Window:
        """The blocks on end."""
        self.blocks_read += len(blocks)
        size = self._block_sections
        sections = [each for block in blocks for each in self.sections[block * size :][:size]]
        return window_of(sections, self._words)


def window_of(sections: Sequence[tuple[int, Sequence[Sequence[int]]]], words: bool) -> Window:
    """A window of (document, sentences); with `words`, every third token starts one."""
    sentences = [sentence for _, section in sections for sentence in section]
    tokens = np.array([token for sentence in sentences for token in sentence], np.uint16)
    return Window(
        tokens=tokens,
        sentences=np.cumsum([0, *map(len, sentences)]),
        sections=np.cumsum([0, *(len(section) for _, section in sections)]),
        documents=np.array([number for number, _ in sections]),
        words=np.arange(len(tokens)) % 3 == 0 if words else None,
    )


def random_documents(
    count: int, sentences: int, tokens: int, seed: int = 0, vocabulary: int = len(VOCABULARY)
) -> list[list[list[int]]]:
    """`count` documents of 1 … `sentences` sentences of 1 … `tokens` tokens of text."""
    # Python's generator: its numbers are the same in every version.
    dice = random.Random(seed)
    return [
        [
            [dice.randrange(FIRST_PIECE, vocabulary) for _ in range(dice.randint(1, tokens))]
            for _ in range(dice.randint(1, sentences))
        ]
        for _ in range(count)
    ]
