"""A fill-mask servable in the C++ session equals `predict`."""

from __future__ import annotations

import keras
import numpy as np

from bert_keras.export import saved_model
from bert_keras.export.capi import CppSession
from bert_keras.tasks import FillMask
from tests import small

TEXTS = ["the [MASK] was [MASK]", "[MASK]", "苹果 x[MASK]s", "[mask] is no mask", ""]


def test_tokens_and_scores_of_the_first_mask_equal_predict(tmp_path):
    keras.utils.set_random_seed(2)
    encoder = small.encoder(dropout=0.0, add_pooler=False)
    task = FillMask(encoder, small.tokenizer(), top_k=3, max_length=16)
    with CppSession(saved_model.save(task, tmp_path / "words" / "1")) as session:
        outputs = session.run("serving_default", {"text": TEXTS})
        nothing = session.run("serving_default", {"text": []})
    for row, answer in enumerate(task.predict(TEXTS[:3])):
        first = answer.masks[0]
        assert [token.decode() for token in outputs["tokens"][row]] == [one.token for one in first]
        np.testing.assert_allclose(outputs["scores"][row], [one.score for one in first], atol=1e-5)
    assert outputs["tokens"][3:].tolist() == [[b""] * 3] * 2
    assert not outputs["scores"][3:].any()
    assert nothing["tokens"].shape == nothing["scores"].shape == (0, 3)
