"""Windows on contexts against a plain reading of their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_keras.data.question_windows import QuestionWindows, window_questions
from bert_keras.data.questions import questions_of
from bert_keras.tokenization import BertTokenizer
from tests import small

TOKENIZER = small.tokenizer()
OTHER_TOKENIZER = BertTokenizer([*small.VOCABULARY[:5], "films", "(", ")", "18", "##95", "—", "a"])
WORDS = st.lists(st.sampled_from([*small.WORDS, "films", "greater", "北京"]), max_size=40)
SIZES = st.tuples(st.integers(8, 30), st.integers(1, 20), st.integers(1, 6))


def _ids(text: str) -> list[int]:
    return TOKENIZER.tokenize([text])[0].numpy().tolist()


def _plain_windows(
    question: str, context: str, sizes: tuple[int, int, int]
) -> list[tuple[int, list[int]]]:
    """Where each window begins in the context, and the context tokens that it shows."""
    max_length, stride, max_query = sizes
    room = max_length - 3 - len(_ids(question)[: min(max_query, max_length - 4)])
    tokens, windows, start = _ids(context), [], 0
    while True:
        windows.append((start, tokens[start : start + room]))
        if start + room >= len(tokens):
            return windows
        start += min(room, stride)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4), SIZES)
def test_windows_are_those_of_the_definition(
    pairs: list[tuple[list[str], list[str]]], sizes: tuple[int, int, int]
) -> None:
    questions, contexts = (
        [" ".join(words) for words in column] for column in zip(*pairs, strict=True)
    )
    windows = window_questions(TOKENIZER, questions, contexts, *sizes)
    found = windows.inputs.batch(np.arange(len(windows.inputs)))
    best = windows.max_context(np.arange(len(windows.inputs)), found["token_ids"].shape[1])
    row = 0
    for index, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        plain = _plain_windows(question, context, sizes)
        assert windows.splits[index] == row
        for number, (start, shown) in enumerate(plain):
            asked = _ids(question)[: min(sizes[2], sizes[0] - 4)]
            want = [TOKENIZER.cls_id, *asked, TOKENIZER.sep_id, *shown, TOKENIZER.sep_id]
            length = len(want)
            assert found["token_ids"][row, :length].tolist() == want
            assert found["padding_mask"][row].sum() == length <= sizes[0]
            assert found["segment_ids"][row].sum() == len(shown) + 1
            offset = len(asked) + 2
            for place in range(found["token_ids"].shape[1]):
                position = start + place - offset
                inside = 0 <= place - offset < len(shown)
                assert best[row, place] == (inside and _best_window(plain, position) == number)
            row += 1
    assert row == len(windows.inputs)


def _best_window(windows: list[tuple[int, list[int]]], position: int) -> int:
    scores = [
        min(position - start, start + len(shown) - 1 - position) + 0.01 * len(shown)
        if start <= position < start + len(shown)
        else -1.0
        for start, shown in windows
    ]
    return scores.index(max(scores))


def _answer_texts(windows: QuestionWindows, context: str, targets: np.ndarray) -> list[str]:
    """The text of each window's target, of one question; "" where it is [CLS]."""
    texts = []
    for row, (first, last) in enumerate(targets):
        shift = windows.first[row] - windows.offsets[row]
        start = windows.contexts.starts[first + shift] if first else 0
        texts.append(context[start : windows.contexts.ends[last + shift] if first else 0])
    return texts


def test_targets_are_the_answer_or_cls() -> None:
    context = "the film was good and the plot was not, actors film 北京 great"
    start = context.index("plot")
    examples = questions_of(["is it a film?"] * 2, [context] * 2)
    windows = window_questions(TOKENIZER, examples.questions, examples.contexts, 13, 3, 4)
    targets, has_tokens = windows.targets([(start, start + len("plot was")), None])
    assert has_tokens.tolist() == [True, True]
    texts = _answer_texts(windows, context, targets[: windows.splits[1]])
    shown = [
        first <= 6 and 7 < first + size
        for first, size in zip(windows.first, windows.sizes, strict=True)
    ][: windows.splits[1]]
    assert texts == ["plot was" if there else "" for there in shown]
    assert any(shown) and not all(shown)
    assert not targets[windows.splits[1] :].any()


@pytest.mark.parametrize(
    ("answer", "target"),
    [("film", "films"), ("ms", "films"), ("(18", "(18"), ("95", "95"), ("— a", "— a")],
)
def test_a_part_of_a_token_is_answered_by_the_token(answer: str, target: str) -> None:
    context = "it is films (1895) — a"
    windows = window_questions(OTHER_TOKENIZER, ["?"], [context])
    start = context.index(answer)
    targets, _ = windows.targets([(start, start + len(answer))])
    assert _answer_texts(windows, context, targets) == [target]


def test_an_answer_without_tokens_has_no_target() -> None:
    windows = window_questions(TOKENIZER, ["?", "?"], ["good \u200b film"] * 2)
    targets, has_tokens = windows.targets([(5, 6), (0, 4)])
    assert has_tokens.tolist() == [False, True]
    assert targets[0].tolist() == [0, 0] and targets[1].all()


def test_a_context_is_tokenized_once() -> None:
    seen: list[str] = []

    class Counting:
        cls_id, sep_id, tokenize = TOKENIZER.cls_id, TOKENIZER.sep_id, TOKENIZER.tokenize

        def offsets(self, texts: list[str]):
            seen.extend(texts)
            return TOKENIZER.offsets(texts)

    windows = window_questions(Counting(), ["a"] * 5, ["good film", "bad"] * 2 + ["good film"])
    assert seen == ["good film", "bad"] and windows.context_of.tolist() == [0, 1, 0, 1, 0]


def test_empty_contexts_and_no_questions_at_all() -> None:
    windows = window_questions(TOKENIZER, ["good", ""], ["", ""])
    assert windows.sizes.tolist() == [0, 0] and windows.inputs.lengths.tolist() == [4, 3]
    assert len(window_questions(TOKENIZER, [], []).inputs) == 0
    with pytest.raises(ValueError, match="doc_stride 0"):
        window_questions(TOKENIZER, [], [], doc_stride=0)
