"""Servables of every task without a model: their answers follow from the texts by simple rules."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from bert_keras.export.status import Code, StatusError
from bert_keras.export.versions import ModelConfig, ModelVersions, RetryPolicy, VersionPolicy

Arrays = dict[str, np.ndarray]
# Entities that the tagger knows.
NAMES = {"London": "LOC", "北京": "LOC", "Ada": "PER", "Lovelace": "PER"}


class Toy:
    """A session whose signatures are Python functions of lists of strings and numbers."""

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str], answer: Callable[..., Any]):
        self._answer = answer
        self.signature_defs = {"serving_default": _definition(inputs, outputs)}

    def with_attention(self) -> Toy:
        """The same with a signature `attention`."""
        outputs = ("tokens", "attention", "layers", "heads")
        self.signature_defs["attention"] = _definition(["text", "layer", "head"], outputs)
        return self

    def run_tensors(
        self,
        feeds: Mapping[str, np.ndarray | bytes],
        fetches: Sequence[str],
        timeout: float | None = None,
    ) -> list[np.ndarray]:
        """As `CppSession.run_tensors`."""
        inputs = {name.removesuffix(":0"): _values(value) for name, value in feeds.items()}
        answer = attention if "layer" in inputs else self._answer
        outputs = answer(**inputs)
        return [np.asarray(outputs[name.removesuffix(":0")]) for name in fetches]

    def close(self) -> None:
        """As `CppSession.close`."""


def _definition(inputs: Sequence[str], outputs: Sequence[str]) -> meta_graph_pb2.SignatureDef:
    definition = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for infos, names in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for name in names:
            dtype = tf.int32 if name in ("layer", "head") else tf.string
            infos[name].CopyFrom(
                meta_graph_pb2.TensorInfo(
                    name=f"{name}:0",
                    dtype=dtype.as_datatype_enum,
                    tensor_shape=tf.TensorShape(None).as_proto(),
                )
            )
    return definition


def _values(value: np.ndarray | bytes) -> Any:
    if isinstance(value, bytes):
        value = tf.make_ndarray(tensor_pb2.TensorProto.FromString(value))
    texts = value.astype(object)
    return np.vectorize(lambda x: x.decode() if isinstance(x, bytes) else x)(texts).tolist()


def classify(text: list[str]) -> Arrays:
    """ "positive" where the text says good or 好."""
    if text == ["refuse"]:
        raise StatusError(Code.INVALID_ARGUMENT, "<b>refused</b> as asked")
    good = [0.75 if re.search("good|好", one) else 0.25 for one in text]
    scores = np.array([[1 - one, one] for one in good], np.float32)
    classes = np.array([[b"negative", b"positive"]] * len(text), object)
    return {
        "scores": scores,
        "classes": classes,
        "label": classes[range(len(text)), [1] * len(text)],
    }


def select(text: list[str]) -> Arrays:
    """Ten labels, of which two are selected."""
    scores = np.array([[0.9, 0.2, 0.6, *[0.1] * 7]] * len(text), np.float32)
    classes = np.array([["战争", "sport", "art", *"abcdefg"]] * len(text), object)
    return {"scores": scores, "classes": classes, "selected": scores > 0.5}


def score(text: list[str], text_pair: list[str]) -> Arrays:
    """How much longer the first text is; of "nan", no number."""
    if text == ["nan"]:
        return {"score": np.array([np.nan], np.float32)}
    pairs = zip(text, text_pair, strict=True)
    return {"score": np.array([len(one) - len(other) for one, other in pairs], np.float32)}


def tag(text: list[str]) -> Arrays:
    """Names that are known, in the words of one text."""
    places = [m.span() for m in re.finditer(r"北京|[\u4e00-\u9fff]|\w+|[^\w\s]", text[0])]
    words = [text[0][start:end] for start, end in places]
    tags, before = [], ""
    for word in words:
        kind = NAMES.get(word, "")
        tags.append(f"{'I' if kind == before else 'B'}-{kind}" if kind else "O")
        before = kind
    # A column more than there are words, as where another text of the batch is longer.
    return {
        "words": np.array([[*words, ""]], object),
        "tags": np.array([[*tags, ""]], object),
        "starts": np.array([[*(start for start, _ in places), 0]], np.int32),
        "ends": np.array([[*(end for _, end in places), 0]], np.int32),
        "scores": np.array([[*[0.5] * len(words), 0.0]], np.float32),
        "length": np.array([len(words)], np.int32),
    }


def answer(question: list[str], context: list[str]) -> Arrays:
    """The first two numbers of the context, and then that there is no answer."""
    found = [match.span() for match in re.finditer(r"\d+", context[0])][:2]
    places = [*found, (0, 0)][:3]
    scores = [0.6, 0.3, 0.1][: len(places)]
    texts = [context[0][start:end] for start, end in places]
    empty = 4 - len(places)
    starts, ends = ([place[side] for place in places] + [0] * empty for side in (0, 1))
    return {
        "answer": np.array(texts[:1], object),
        "start": np.array(starts[:1], np.int32),
        "end": np.array(ends[:1], np.int32),
        "score": np.array(scores[:1], np.float32),
        "null_score": np.array([-1.5], np.float32),
        "answers": np.array([texts + [""] * empty], object),
        "answer_starts": np.array([starts], np.int32),
        "answer_ends": np.array([ends], np.int32),
        "answer_scores": np.array([scores + [0.0] * empty], np.float32),
    }


def choose(context: list[str], choices: list[list[str]]) -> Arrays:
    """The longest choice."""
    sizes = np.array([[len(one) for one in row] for row in choices], np.float32)
    return {"choice": sizes.argmax(axis=1).astype(np.int32), "scores": sizes / sizes.sum()}


def embed(text: list[str]) -> Arrays:
    """How often each of four letters is there."""
    return {"embedding": np.array([[one.count(x) for x in "abc猫"] for one in text], np.float32)}


def fill(text: list[str]) -> Arrays:
    """The end of a word, a word and markup."""
    there = "[MASK]" in text[0]
    return {
        "tokens": np.array([["##s", "猫", "<i>"] if there else [""] * 3], object),
        "scores": np.array([[0.5, 0.25, 0.125]], np.float32) * there,
    }


def attention(text: list[str], layer: list[int], head: list[int]) -> Arrays:
    """Each token looks at one other, which the layer and the head say."""
    tokens = ["[CLS]", *text[0].split(), "[SEP]"]
    size = len(tokens)
    looks = np.roll(np.eye(size, dtype=np.float32), layer[0] * 4 + head[0], axis=1)
    return {
        "tokens": np.array([tokens], object),
        "attention": looks[None],
        "layers": np.array([2], np.int32),
        "heads": np.array([4], np.int32),
    }


_ANSWERS = ("answers", "answer_starts", "answer_ends", "answer_scores")
_TAGS = ("words", "tags", "starts", "ends", "scores", "length")
TOYS: dict[str, Callable[[], Toy]] = {
    "sentiment": lambda: Toy(["text"], ["label", "scores", "classes"], classify).with_attention(),
    "topics": lambda: Toy(["text"], ["scores", "classes", "selected"], select),
    "similarity": lambda: Toy(["text", "text_pair"], ["score"], score),
    "names": lambda: Toy(["text"], _TAGS, tag),
    "squad": lambda: Toy(
        ["question", "context"],
        ["answer", "start", "end", "score", "null_score", *_ANSWERS],
        answer,
    ),
    "endings": lambda: Toy(["context", "choices"], ["choice", "scores"], choose),
    "vectors": lambda: Toy(["text"], ["embedding"], embed),
    "words": lambda: Toy(["text"], ["tokens", "scores"], fill),
    "<b>odd</b> é/1": lambda: Toy(["x"], ["y"], lambda x: {"y": np.array(x, object)}),
}


def toy_models(folder: pathlib.Path) -> dict[str, ModelVersions]:
    """A model of each kind by name, with the versions 2 and 9007199254740993; the latter of
    `names` cannot be loaded."""

    def load(name: str, version: int, _: pathlib.Path) -> Any:
        if (name, version) == ("names", 2**53 + 1):
            raise StatusError(Code.NOT_FOUND, "no <b>saved_model.pb</b>")
        return TOYS[name]()

    models = {}
    for name in TOYS:
        base = folder / re.sub(r"\W", "_", name)
        for version in (2, 2**53 + 1):
            (base / str(version)).mkdir(parents=True)
        config = ModelConfig(name, base, VersionPolicy(latest=None), {"stable": 2})
        models[name] = ModelVersions(config, load, RetryPolicy(retries=0))
        models[name].poll()
    return models
