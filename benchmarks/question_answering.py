"""Windows and answers of question answering beside google-research/bert's run_squad.py.

    python benchmarks/question_answering.py --google=CHECKOUT_OF_GOOGLE_RESEARCH_BERT \\
        --model=DIR --data=dev-v1.1.json --questions=500

Both sides get the same questions, taken evenly from the file, and the same vocabulary; --model is
any model directory. Windows: token ids, segments, positions and training targets must be equal.
Answers: both sides get the same logits, once the model's (if it is one for questions) and once
random ones, in the manner of SQuAD 1.1 and of 2.0, and every text of the n-best lists is compared.
The original runs on TensorFlow's compat.v1 in the place of the TensorFlow 1 it was written for.
"""

from __future__ import annotations

import argparse
import collections
import difflib
import importlib
import json
import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_keras.data.question_windows import QuestionWindows, window_questions
from bert_keras.data.questions import QuestionExamples, read_questions
from bert_keras.data.source import DataSource
from bert_keras.tasks.answer_decoding import best_answers
from bert_keras.tokenization import BertTokenizer

MAX_QUERY, N_BEST, MAX_ANSWER = 64, 20, 30

Logits = list[np.ndarray]
Texts = list[list[str]]


def load_original(checkout: str) -> Any:
    """The module run_squad."""
    import tensorflow.compat.v1 as tf

    sys.modules["tensorflow"] = tf
    sys.path.insert(0, checkout)
    original = importlib.import_module("run_squad")
    original.FLAGS(["run_squad"])
    tf.logging.set_verbosity(tf.logging.ERROR)
    return original


def sample(path: str, count: int) -> QuestionExamples:
    """Questions taken evenly, each with its first answer alone, as the original trains on it."""
    every = read_questions(DataSource(path))
    assert every.answers is not None
    kept = np.unique(np.linspace(0, len(every) - 1, min(count, len(every))).astype(int))
    return QuestionExamples(
        [every.ids[i] for i in kept],
        [every.questions[i] for i in kept],
        [every.contexts[i] for i in kept],
        [every.answers[i][:1] for i in kept],
        every.source,
        [every.lines[i] for i in kept],
    )


def write_squad(examples: QuestionExamples, path: pathlib.Path) -> None:
    """The questions as a file that the original reads."""
    paragraphs = []
    for index in range(len(examples)):
        row = examples.row(index)
        context = row.pop("context")
        paragraphs.append({"context": context, "qas": [{**row, "is_impossible": False}]})
    path.write_text(json.dumps({"data": [{"title": "", "paragraphs": paragraphs}]}), "utf-8")


class Original:
    """What the original makes of the questions."""

    def __init__(self, chosen: argparse.Namespace, lowercase: bool, path: pathlib.Path):
        self._module, self._lowercase = load_original(chosen.google), lowercase
        vocabulary = f"{chosen.model}/vocab.txt"
        self._tokenizer = self._module.tokenization.FullTokenizer(vocabulary, lowercase)
        self._path, self._sizes = path, (chosen.max_length, chosen.doc_stride, MAX_QUERY)

    def features(self, training: bool) -> tuple[list[Any], list[Any]]:
        """Its examples and their windows."""
        found: list[Any] = []
        examples = self._module.read_squad_examples(str(self._path), training)
        self._module.convert_examples_to_features(
            examples, self._tokenizer, *self._sizes, training, found.append
        )
        return examples, found

    def answers(self, logits: Logits, with_null: bool) -> tuple[Texts, list[str]]:
        """The texts of its n-best lists, and its answers."""
        examples, features = self.features(training=False)
        results = [
            self._module.RawResult(feature.unique_id, *own.T.tolist())
            for feature, own in zip(features, logits, strict=True)
        ]
        self._module.FLAGS.version_2_with_negative = with_null
        with tempfile.TemporaryDirectory() as folder:
            files = [f"{folder}/{name}.json" for name in ("answers", "n_best", "null")]
            sizes = N_BEST, MAX_ANSWER, self._lowercase
            self._module.write_predictions(examples, features, results, *sizes, *files)
            chosen, n_best = (json.loads(pathlib.Path(file).read_text()) for file in files[:2])
        ids = [example.qas_id for example in examples]
        return [[one["text"] for one in n_best[i]] for i in ids], [chosen[i] for i in ids]


def compare_windows(
    windows: QuestionWindows, examples: QuestionExamples, original: Original
) -> None:
    """Prints how many windows are equal, and the targets that are not."""
    _, features = original.features(training=False)
    length = len(features[0].input_ids)
    rows = {
        name: np.pad(values, [(0, 0), (0, length - values.shape[1])])
        for name, values in windows.inputs.batch(np.arange(len(windows.inputs))).items()
    }
    names = {
        "token_ids": "input_ids",
        "segment_ids": "segment_ids",
        "padding_mask": "input_mask",
    }
    for ours, theirs in names.items():
        want = np.array([getattr(feature, theirs) for feature in features])
        same = (rows[ours] == want).all(axis=1).sum() if want.shape == rows[ours].shape else 0
        print(f"windows with equal {ours}: {same} of {len(features)}")
    best = windows.max_context(np.arange(len(features)), length)
    want = np.zeros_like(best)
    for row, feature in zip(want, features, strict=True):
        row[[place for place, there in feature.token_is_max_context.items() if there]] = True
    print(
        f"windows with equal best contexts: {(best == want).all(axis=1).sum()} of {len(features)}"
    )
    compare_targets(windows, examples, original)


def compare_targets(
    windows: QuestionWindows, examples: QuestionExamples, original: Original
) -> None:
    """Prints the training targets that differ, with the tokens on both sides."""
    kept, features = original.features(training=True)
    names = [example.qas_id for example in kept]
    skipped = [index for index, name in enumerate(examples.ids) if name not in set(names)]
    print(f"questions that the original skips in training: {len(skipped)}")
    owners = np.repeat(examples.ids, np.diff(windows.splits))
    first = [own[0] if own else None for own in examples.answers or []]
    places = [None if one is None else (one.start, one.start + len(one.text)) for one in first]
    ours = windows.targets(places)[0][np.isin(owners, names)]
    theirs = np.array([[one.start_position, one.end_position] for one in features])
    differ = np.flatnonzero((ours != theirs).any(axis=1))
    print(f"windows with equal targets: {len(theirs) - len(differ)} of {len(theirs)}")
    answers = {example.qas_id: example.orig_answer_text for example in kept}
    for index in differ:
        feature, name = features[index], names[features[index].example_index]
        spans = [" ".join(feature.tokens[s : e + 1]) for s, e in (ours[index], theirs[index])]
        print(f"  answer {answers[name]!r}: ours {spans[0]!r}, original {spans[1]!r}")


def kind_of_difference(ours: str, theirs: str) -> str:
    """Why two texts of one span differ."""
    if " ".join(ours.split()) == theirs:
        return "white space of the context, which the original replaces by single spaces"
    if ours and ours in theirs:
        return "the original's re-alignment gave up and took whole words"
    return "other"


def compare_answers(name: str, ours: Texts, chosen: Sequence[str], original: Any) -> None:
    """Prints how many n-best lists are equal, and what differs in the others."""
    theirs, best = original
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    firsts = sum(a == b for a, b in zip(chosen, best, strict=True))
    print(f"{name}: n-best lists equal {same} of {len(ours)}, answers equal {firsts}")
    kinds: dict[str, list[tuple[str, str]]] = collections.defaultdict(list)
    moved = 0
    for a, b in zip(ours, theirs, strict=True):
        for change, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
            if change == "equal":
                continue
            pairs = list(zip(a[i:j], b[k:m], strict=False))
            moved += max(j - i, m - k) - len(pairs)
            for pair in pairs:
                kinds[kind_of_difference(*pair)].append(pair)
    for kind, pairs in kinds.items():
        print(f"  {len(pairs)} texts: {kind}")
        for mine, its in dict.fromkeys(pairs):
            print(f"    ours {mine!r}, original {its!r}")
    if moved:
        print(f"  {moved} texts are on one list alone, since on the other two texts are one")


def logits_of(chosen: argparse.Namespace, examples: QuestionExamples) -> Logits | None:
    """The logits of the model; None where it is not one for questions."""
    from bert_keras import checkpoints
    from bert_keras.tasks import QuestionAnswerer

    if not QuestionAnswerer.recognises(checkpoints.open_checkpoint(chosen.model)):
        return None
    task = QuestionAnswerer.from_pretrained(
        chosen.model, max_length=chosen.max_length, doc_stride=chosen.doc_stride
    )
    return task.run(task.prepare(examples)).logits


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--google", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--max_length", type=int, default=384)
    parser.add_argument("--doc_stride", type=int, default=128)
    chosen = parser.parse_args(arguments)
    examples = sample(chosen.data, chosen.questions)
    tokenizer = BertTokenizer.from_pretrained(chosen.model)
    windows = window_questions(
        tokenizer,
        examples.questions,
        examples.contexts,
        chosen.max_length,
        chosen.doc_stride,
        MAX_QUERY,
    )
    print(f"{len(examples)} questions, {len(windows.inputs)} windows")
    random = np.random.default_rng(0)
    noise = [random.normal(size=(n, 2)).astype(np.float32) for n in windows.inputs.lengths]
    trained = logits_of(chosen, examples)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "questions.json"
        write_squad(examples, path)
        original = Original(chosen, tokenizer.lowercase, path)
        compare_windows(windows, examples, original)
        for name, logits in (("the model's logits", trained), ("random logits", noise)):
            for with_null in (False, True) if logits else ():
                assert logits is not None
                threshold = 0.0 if with_null else None
                found = best_answers(
                    windows, examples.contexts, logits, N_BEST, MAX_ANSWER, threshold
                )
                compare_answers(
                    f"{name}, SQuAD {'2.0' if with_null else '1.1'}",
                    [[candidate.text for candidate in one.answers] for one in found],
                    [one.answer for one in found],
                    original.answers(logits, with_null),
                )


if __name__ == "__main__":
    main()
