"""What is frozen does not move, and everything else does."""

from __future__ import annotations

import pytest

from bert_keras.errors import UserError
from bert_keras.tasks.freezing import freeze
from tests import small
from tests.tasks import kinds

FROZEN = {
    "none": (),
    "embeddings": ("embeddings/",),
    "layers:0": ("embeddings/",),
    "layers:1": ("embeddings/", "layer_0/"),
    "encoder": ("",),
}
# What a softmax over the choices does not depend on; only rounding moves it.
STILL = {"multiple_choice": {"classifier/bias"}}
# All tasks share the code; what each may do of its own shows with one of the choices.
CASES = [
    pytest.param(
        kind,
        what,
        marks=() if kind == "classification" else pytest.mark.slow,
    )
    for kind in kinds.KINDS
    for what in FROZEN
]


@pytest.mark.parametrize(("kind", "what"), CASES)
def test_what_is_frozen_stays_and_the_rest_moves(kind, what):
    task = kinds.task(kind)
    freeze(task.encoder, what)
    before = kinds.values(task)
    frozen = {
        path
        for path in before
        if path.startswith(tuple(f"bert_encoder/{prefix}" for prefix in FROZEN[what]))
    }
    assert {weight.path for weight in task.trainable_variables} == before.keys() - frozen
    kinds.train(task)
    after = kinds.values(task)
    moved = {path for path, value in after.items() if (value != before[path]).any()}
    assert moved | STILL.get(kind, set()) - frozen == before.keys() - frozen


@pytest.mark.parametrize(
    ("what", "message"),
    [("layers:3", "has 2 layers"), ("layers:x", "expected none"), ("head", "expected none")],
)
def test_what_is_not_there_is_refused(what, message):
    with pytest.raises(UserError, match=message):
        freeze(small.encoder(), what)
