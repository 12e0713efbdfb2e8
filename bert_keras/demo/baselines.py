"""What a model must beat: the most frequent label, and logistic regression on word counts."""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_keras.data.examples import Examples

_MOST_WORDS = 20000
_WORD = r"(?u)\w+"


def majority_accuracy(train: Sequence[str], test: Sequence[str]) -> float:
    """The share of the test labels that are the most frequent one in training.

    Of equally frequent ones, the first in alphabetical order counts.
    """
    counts = collections.Counter(train)
    guess = min(counts, key=lambda label: (-counts[label], label))
    return sum(label == guess for label in test) / len(test)


def bag_of_words_accuracy(train: Examples, test: Examples) -> float:
    """Test accuracy of logistic regression on word counts.

    The features know of pairs: the counts of either text apart, and the number and share of
    the words that are in both. Counts are of the 20,000 most frequent words in training.

    Returns:
        A share of the test examples, from 0 to 1.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = CountVectorizer(max_features=_MOST_WORDS, token_pattern=_WORD)
    vectorizer.fit([*train.texts, *(train.pairs or [])])
    model = LogisticRegression(max_iter=300)
    model.fit(_features(vectorizer, train), train.labels)
    return float(model.score(_features(vectorizer, test), test.labels))


def _features(vectorizer: Any, examples: Examples) -> Any:
    """A sparse matrix `[examples, features]`."""
    import scipy.sparse

    texts = vectorizer.transform(examples.texts)
    if examples.pairs is None:
        return texts
    overlap = np.array(
        [_overlap(*pair) for pair in zip(examples.texts, examples.pairs, strict=True)]
    )
    return scipy.sparse.hstack([texts, vectorizer.transform(examples.pairs), overlap]).tocsr()


def _overlap(text: str, pair: str) -> tuple[float, float]:
    """How many different words two texts share, and which share of the first's that is."""
    words = set(re.findall(_WORD, text.lower()))
    shared = words.intersection(re.findall(_WORD, pair.lower()))
    return float(len(shared)), len(shared) / max(1, len(words))
