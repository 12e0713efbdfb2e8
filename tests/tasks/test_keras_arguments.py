"""Arguments of Keras's methods: those that count, and those that are refused by name."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert_keras.errors import UserError
from bert_keras.optimization import AdamW
from bert_keras.tasks import (
    BertPretrainer,
    FillMask,
    MultiLabelClassifier,
    QuestionAnswerer,
    SentenceEmbedder,
    TextClassifier,
    TextRegressor,
    TokenTagger,
)
from tests import small
from tests.tasks.test_inputs import refused, task

TEXTS = ["a good film", "bad plot", "the film was great", "awful"]
NAMES = ["positive", "negative", "positive", "negative"]
_OWN = "the loss is the task's own and cannot be set: leave"


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return task(TextClassifier)


def test_a_loss_is_refused(classifier):
    for loss in (keras.losses.SparseCategoricalCrossentropy(), lambda labels, outputs: 1e6):
        with pytest.raises(UserError, match=f"^loss is <.*; {_OWN} loss out$"):
            classifier.compile(loss=loss)
    with refused(f"loss is 'sparse_categorical_crossentropy'; {_OWN} loss out"):
        classifier.compile("adam", "sparse_categorical_crossentropy")
    with refused(f"loss_weights is [1.0]; {_OWN} loss_weights out"):
        classifier.compile(loss_weights=[1.0])
    hint = " (a learning rate is given by name: learning_rate=2e-05)"
    with refused(f"loss is 2e-05; {_OWN} loss out{hint}"):
        classifier.compile(None, 2e-5)


def test_an_optimizer_by_name_is_keras_s(classifier):
    classifier.compile("adam", metrics=["accuracy"])
    assert type(classifier.optimizer) is keras.optimizers.Adam
    classifier.compile({"class_name": "SGD", "config": {"learning_rate": 0.5}})
    assert float(classifier.optimizer.learning_rate) == 0.5
    before = classifier.classifier.bias.numpy()
    classifier.fit(TEXTS, NAMES, verbose=0)
    assert np.abs(classifier.classifier.bias.numpy() - before).max() > 1e-3
    for wrong in ("adamm", 3, keras.optimizers.Adam, object()):
        with pytest.raises(UserError, match="^optimizer is .*; expected an optimizer of Keras or"):
            classifier.compile(wrong)


@pytest.mark.parametrize(
    "name", ["learning_rate", "warmup_ratio", "weight_decay", "clip_norm", "layer_decay"]
)
def test_the_recipes_arguments_are_numbers_and_not_beside_an_optimizer(classifier, name):
    for wrong in ("a", -1.0, True, float("nan")):
        with pytest.raises(UserError, match=f"^{name} is .*; expected a number of at least 0$"):
            classifier.compile(**{name: wrong})
    with pytest.raises(UserError, match=f"^{name} is 0.5; it is an argument of the recipe, which"):
        classifier.compile(AdamW(1e-3), **{name: 0.5})
    classifier.compile(**{name: 0.5})


def test_the_recipes_values(classifier):
    classifier.compile()
    schedule = classifier.optimizer._learning_rate
    assert (schedule.peak, schedule.warmup_ratio) == (5e-5, 0.1)
    config = classifier.optimizer.get_config()
    assert (config["weight_decay"], config["clip_norm"]) == (0.01, 1.0)
    classifier.compile(learning_rate=1e-3, warmup_ratio=0.5, weight_decay=0.0, clip_norm=None)
    schedule = classifier.optimizer._learning_rate
    assert (schedule.peak, schedule.warmup_ratio) == (1e-3, 0.5)
    config = classifier.optimizer.get_config()
    assert (config["weight_decay"], config["clip_norm"]) == (0.0, None)
    with refused("warmup_ratio is 2; expected a share from 0 to 1"):
        classifier.compile(warmup_ratio=2)


def test_unknown_arguments_are_errors_everywhere(classifier, tmp_path):
    tagger = task(TokenTagger, labels=["O", "B-a"])
    words, tags = [["good"]], [["O"]]
    classifier.compile()
    classifier.save_pretrained(tmp_path)
    for name, call in (
        ("batchsize", lambda: classifier.predict(TEXTS, batchsize=3)),
        ("batchsize", lambda: classifier.evaluate(TEXTS, NAMES, batchsize=3)),
        ("batchsize", lambda: tagger.evaluate(words, tags, batchsize=3)),
        ("epoch", lambda: classifier.fit(TEXTS, NAMES, epoch=3)),
        ("learningrate", lambda: classifier.compile(learningrate=1e-3)),
        ("pair", lambda: classifier.encode(TEXTS, pair=TEXTS)),
        ("topk", lambda: task(FillMask).predict(["[MASK]"], topk=3)),
        ("maxlength", lambda: TextClassifier.from_pretrained(tmp_path, maxlength=8)),
        ("maxlength", lambda: BertPretrainer.from_pretrained(tmp_path, maxlength=8)),
        ("label", lambda: task(TextClassifier, label=["a", "b"])),
    ):
        with pytest.raises((TypeError, ValueError), match=f"\\b{name}\\b"):
            call()


def test_arguments_of_predict_that_it_does_not_have(classifier):
    want = classifier.predict(TEXTS)
    for verbose in (0, 1, 2, "auto"):
        assert classifier.predict(TEXTS, None, verbose) == want
    with refused("verbose is 3; expected 0, 1, 2 or 'auto'"):
        classifier.predict(TEXTS, verbose=3)
    with refused("callbacks: predict runs none; leave them out"):
        classifier.predict(TEXTS, callbacks=[keras.callbacks.Callback()])
    classifier.compile()
    for wrong in (0, -1, 2.5, "3", True):
        message = f"^batch_size is {wrong!r}; expected a whole number of at least 1$"
        for call in (
            lambda size: classifier.predict(TEXTS, size),
            lambda size: classifier.fit(TEXTS, NAMES, size),
            lambda size: classifier.evaluate(TEXTS, NAMES, size),
        ):
            with pytest.raises(UserError, match=message):
                call(wrong)
    with refused("validation_split is 0.5; not supported: pass validation_data=(texts, labels)"):
        classifier.fit(TEXTS, NAMES, validation_split=0.5)


@pytest.mark.slow
def test_positions_are_those_of_keras(classifier):
    classifier.compile(learning_rate=0.0)
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    classifier.fit(TEXTS, NAMES, 2, 1, 0, [callback])
    weights = [1.0, 2.0, 3.0, 4.0]
    by_position = classifier.evaluate(TEXTS, NAMES, 2, 0, weights, None, None, True)
    by_name = classifier.evaluate(TEXTS, NAMES, sample_weight=weights, verbose=0, return_dict=True)
    assert len(seen) == 1 and by_position == pytest.approx(by_name)
    assert by_name["loss"] != pytest.approx(seen[0]["loss"], rel=1e-4)


@pytest.mark.slow
def test_metrics_are_computed_or_refused(classifier):
    top = keras.metrics.SparseTopKCategoricalAccuracy(1, name="top")
    classifier.compile(learning_rate=0.0, metrics=["accuracy", top])
    logs = classifier.evaluate(TEXTS, NAMES, verbose=0, return_dict=True)
    right = [a.label == b for a, b in zip(classifier.predict(TEXTS), NAMES, strict=True)]
    assert logs["accuracy"] == logs["top"] == logs["weighted_accuracy"] == np.mean(right)
    regressor = task(TextRegressor)
    regressor.compile(metrics=["mae"])
    found = [answer.score for answer in regressor.predict(TEXTS)]
    logs = regressor.evaluate(TEXTS, [1, 2, 3, 4], batch_size=3, verbose=0, return_dict=True)
    expected = np.abs(np.array(found) - [1, 2, 3, 4]).mean()
    assert logs["mean_absolute_error"] == pytest.approx(expected, rel=1e-5)
    for cls in (MultiLabelClassifier, TokenTagger, QuestionAnswerer, SentenceEmbedder, FillMask):
        for name in ("metrics", "weighted_metrics"):
            message = f"^{name} has 'accuracy'; the outputs of {cls.__name__} are not what Keras"
            with pytest.raises(UserError, match=message):
                cls.compile(task(cls), **{name: ["accuracy"]})
    pretrainer = BertPretrainer(small.encoder(), small.tokenizer(), max_length=16)
    with pytest.raises(UserError, match="^metrics: BertPretrainer has its own and takes no others"):
        pretrainer.compile(metrics=[top])
    with refused(
        "BertPretrainer trains on features that hold their targets, without labels; x is "
        "a list of a list"
    ):
        pretrainer.compile()
        pretrainer.fit(TEXTS)
    with refused("x is a list; BertPretrainer answers features, not texts"):
        pretrainer.predict(TEXTS)
