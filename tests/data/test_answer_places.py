"""Where answers stand in their contexts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_keras.data.answer_places import locate

CONTEXT = "A large team built it. The team is large; 😀 the TEAM won."


@pytest.mark.parametrize(
    ("text", "start", "found", "moved"),
    [
        ("team", 8, 8, False),
        ("team", 27, 27, False),
        ("team", 9, 8, True),
        ("team", 26, 27, True),
        # Equally near: the first.
        ("large", 18, 2, True),
        # A start in bytes or UTF-16 units lies behind the place.
        ("won", 56, 53, True),
        # White space around the answer, counted in the start or not.
        (" team", 7, 8, False),
        (" team", 8, 8, False),
        ("team ", 8, 8, False),
        # Upper and lower case, at the stated start or where there is one.
        ("a large team", 0, 0, False),
        ("Won", 1, 53, True),
        ("Team", 8, 8, False),
        # No start is stated: the first.
        ("team", -1, 8, False),
    ],
)
def test_found(text: str, start: int, found: int, moved: bool) -> None:
    place = locate(CONTEXT, text, start)
    assert place is not None
    assert (place.start, place.moved) == (found, moved)
    assert CONTEXT[place.start : place.end].lower() == text.strip().lower()


@pytest.mark.parametrize(
    ("text", "start"),
    [("crew", 0), ("", 0), ("  ", 3), ("Team", 0), ("team built large", 8), ("lärge", 2)],
)
def test_not_found(text: str, start: int) -> None:
    assert locate(CONTEXT, text, start) is None


@given(st.text("ab é", max_size=30), st.integers(0, 30), st.integers(1, 5), st.integers(-9, 40))
def test_any_part_is_found_and_nothing_is_nearer(
    context: str, begin: int, size: int, start: int
) -> None:
    answer = context[begin : begin + size].strip()
    if not answer:
        return
    exact = locate(context, answer, context.index(answer))
    assert exact is not None and not exact.moved
    place = locate(context, answer, start)
    assert place is not None and context[place.start : place.end] == answer
    others = [i for i in range(len(context)) if context.startswith(answer, i)]
    assert abs(place.start - start) == min(abs(other - start) for other in others)
