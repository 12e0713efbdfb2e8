"""No task is forgotten: each has a sample in the tests and a servable."""

from __future__ import annotations

import pytest

from bert_keras.export import signatures
from bert_keras.tasks import FillMask, MultiLabelClassifier, registry
from tests.tasks import kinds


def test_every_task_has_a_sample() -> None:
    assert set(kinds.SAMPLES) == {task.task_name for task in registry._ALL}


@pytest.mark.parametrize("task", [*registry._ALL, MultiLabelClassifier, FillMask])
def test_every_task_has_signatures(task: type) -> None:
    assert [kind for kind in signatures._BY_TASK if issubclass(task, kind)] == [task]
