"""LoRA, for every task: trained, merged in a directory, unmerged in a `.keras` file."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from bert_keras.tasks import TASKS
from tests.tasks import kinds


def _outputs(task) -> np.ndarray:
    return np.asarray(task(kinds.first_batch(task)[0]))


@pytest.mark.parametrize("kind", kinds.MARKED_KINDS)
def test_lora_is_trained_alone_and_merged_when_it_is_saved(kind, tmp_path):
    task = kinds.task(kind)
    task.encoder.enable_lora(2, alpha=8.0)
    before, plain = kinds.values(task), _outputs(task)
    kinds.train(task)
    moved = {path for path, value in kinds.values(task).items() if (value != before[path]).any()}
    head = {path for path in before if not path.startswith("bert_encoder/")}
    assert moved == head | {path for path in before if "/lora_" in path}
    trained = _outputs(task)
    assert not np.allclose(trained, plain, atol=1e-3)

    task.save_pretrained(tmp_path / "model")
    merged = TASKS[kind].from_pretrained(tmp_path / "model")
    assert merged.encoder.lora_rank == 0
    np.testing.assert_allclose(_outputs(merged), trained, atol=2e-5)

    task.save(tmp_path / "task.keras")
    again = keras.saving.load_model(tmp_path / "task.keras")
    assert (again.encoder.lora_rank, again.encoder.lora_alpha) == (2, 8.0)
    assert [w.path for w in again.trainable_weights] == [w.path for w in task.trainable_weights]
    np.testing.assert_array_equal(_outputs(again), trained)
    assert tf.nest.flatten(again.optimizer.variables)
