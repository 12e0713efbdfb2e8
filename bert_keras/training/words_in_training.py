"""Fine-tuning the embeddings of those words alone that the training data has.

To the others no gradient ever comes: they stay as they are, but for weight decay, which is made up
for when the whole table is wanted. AdamW's pass over a table of 30,000 words, of which a data set
has a third or a tenth, is a good part of a small model's update.
"""

from __future__ import annotations

import numpy as np

from bert_keras.data.training_examples import TrainingExamples
from bert_keras.layers.embeddings import BertEmbeddings
from bert_keras.optimization import AdamW

# Of a vocabulary of which more than this share occurs, the whole table is trained.
_LARGEST_SHARE = 0.75


class WordsInTraining:
    """Trains a table of the words of some examples, from the start to `end`.

    Args:
        embeddings: of the model; their variables exist.
        word_ids: int, each once.
    """

    def __init__(self, embeddings: BertEmbeddings, word_ids: np.ndarray) -> None:
        self._embeddings = embeddings
        self._updates = 0
        embeddings.train_words(word_ids)

    def restored(self, updates: int) -> None:
        """Notes that the weights are now those of a checkpoint after so many updates."""
        self._updates = updates

    def write_back(self, optimizer: AdamW, updates: int) -> None:
        """Brings the whole table to where it is after so many updates."""
        if updates > self._updates:
            path = self._embeddings.word_embeddings.path
            decayed = optimizer.decay_over(path, self._updates, updates)
            self._embeddings.write_back_words(decayed)
            self._updates = updates

    def end(self) -> None:
        """Leaves the whole table, which must be up to date, as the one that is trained."""
        self._embeddings.end_training_words()


def words_in_training(
    embeddings: BertEmbeddings, examples: TrainingExamples
) -> WordsInTraining | None:
    """A table of the words of `examples`, where the table of all is trained and much larger."""
    # Padding, 0, stands in every batch.
    word_ids = np.union1d(examples.inputs.token_ids, [0])
    words = embeddings.word_embeddings
    if not words.trainable or len(word_ids) > _LARGEST_SHARE * words.shape[0]:
        return None
    return WordsInTraining(embeddings, word_ids)
