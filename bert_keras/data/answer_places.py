"""Answers in their contexts: at the place that is stated, or where the text stands instead."""

from __future__ import annotations

import re
from typing import NamedTuple


class Place(NamedTuple):
    """Where an answer stands in its context, in characters, the end exclusive.

    `moved` says that it is not where it was stated to be.
    """

    start: int
    end: int
    moved: bool


def locate(context: str, text: str, start: int) -> Place | None:
    """Returns the place of an answer in its context, None where it is not there.

    White space around the answer does not count. Where the stated start is wrong, as where it
    counts bytes or UTF-16 units, the occurrence nearest to it is taken, the first of equally near
    ones. An answer that differs in upper and lower case is taken at the stated start, or where it
    occurs once.

    Args:
        context: the text that holds the answer.
        text: the answer.
        start: the stated start, in characters; negative where none is stated.
    """
    answer = text.strip()
    if not answer:
        return None
    stated = [start + len(text) - len(text.lstrip()), start]
    exact = [match.start() for match in re.finditer(f"(?={re.escape(answer)})", context)]
    pattern = re.compile(f"(?={re.escape(answer)})", re.IGNORECASE)
    for found in (exact, [match.start() for match in pattern.finditer(context)]):
        at_stated = next((place for place in stated if place in found), None)
        if at_stated is not None:
            return Place(at_stated, at_stated + len(answer), moved=False)
        if found and (found is exact or len(found) == 1):
            nearest = min(found, key=lambda place: abs(place - start))
            return Place(nearest, nearest + len(answer), moved=start >= 0)
    return None
