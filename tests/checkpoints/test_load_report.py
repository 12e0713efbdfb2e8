"""The one line that says what of a checkpoint is not used and what is new."""

from __future__ import annotations

import numpy as np
import pytest

import bert_keras as bk
from bert_keras import checkpoints
from bert_keras.tasks import BertPretrainer, FillMask, SentenceEmbedder, TextClassifier


@pytest.fixture
def lines(caplog):
    """The warnings so far, without the directory that each begins with."""

    def messages() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.name == "absl"]
        caplog.clear()
        return [message.split(": ", 1)[1] for message in found]

    return messages


def test_heads_and_tensors_of_others_are_named_once(write, state, lines):
    extra = {f"projection.{name}": np.zeros(2, np.float32) for name in "dcba"}
    folder = write(state | extra | {"bert.embeddings.position_ids": np.arange(40)[None]})

    bk.load(folder)
    assert lines() == [
        "not used: the masked-LM head, the next-sentence head, 4 tensors outside BERT "
        "(projection.a, projection.b, projection.c, …)"
    ]
    checkpoints.load_encoder(folder, add_pooler=False)
    (line,) = lines()
    assert line.startswith("not used: the pooler, the masked-LM head, the next-sentence head, 4")


def test_tasks_say_what_they_leave_out_and_what_is_new(write, state, lines):
    folder = write(state, architectures=["BertForPreTraining"])
    TextClassifier.from_pretrained(folder, max_length=8)
    both = "the masked-LM head, the next-sentence head"
    assert lines() == [f"not used: {both}; from random weights: the classifier"]
    SentenceEmbedder.from_pretrained(folder)
    assert lines() == [f"not used: the pooler, {both}"]
    FillMask.from_pretrained(folder, max_length=8)
    assert lines() == ["not used: the pooler, the next-sentence head"]
    BertPretrainer.from_pretrained(folder, max_length=8)
    assert lines() == []

    bare = {k: v for k, v in state.items() if "pooler" not in k and "seq_relationship" not in k}
    folder = write(bare, architectures=["BertForMaskedLM"])
    BertPretrainer.from_pretrained(folder, next_sentence=True, max_length=8)
    assert lines() == ["from random weights: the pooler, the next-sentence head"]
    checkpoints.open_checkpoint(folder).encoder(add_pooler=True)
    assert lines() == ["from random weights: the pooler"]
    checkpoints.open_checkpoint(folder).encoder()
    assert lines() == []


def test_what_a_model_saves_is_used_whole(write, state, tmp_path, lines):
    folder = write(state, architectures=["BertForPreTraining"])
    model = TextClassifier.from_pretrained(folder, labels=["a", "b"], max_length=8)
    lines()
    model.save_pretrained(tmp_path / "saved")
    TextClassifier.from_pretrained(tmp_path / "saved")
    assert lines() == []
