"""Texts with parts marked, and bars of probabilities, as HTML."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

# Longer texts are cut for display.
_LONGEST = 1200
# What stands around a marked place of a long text, in characters.
_CONTEXT = 260
_MOST_BARS = 6

STYLE = """
.columns td, .columns th { padding-right: 1.2rem; }
.matrix td { text-align: right; padding: .25rem .7rem; border: 1px solid #fff; min-width: 2.4rem; }
.matrix th { padding: .25rem .7rem .25rem 0; font-weight: 600; }
.matrix tr:first-child th { text-align: right; padding-right: .7rem; }
.wide { overflow-x: auto; }
.mistake { border: 1px solid #ddd; border-radius: 6px; padding: .6rem .9rem; margin: .8rem 0;
           break-inside: avoid; }
.mistake p { margin: .2rem 0; overflow-wrap: anywhere; }
.verdict { color: #555; font-size: .9rem; }
.field { color: #666; font-size: .8rem; display: inline-block; min-width: 3.5rem;
         margin-right: .5rem; }
mark { color: inherit; background: none; padding: .05rem .1rem; border-radius: 3px; }
mark sub { font-size: .65rem; margin-left: .15rem; color: #444; }
mark.right { background: #e4e8ec; }
mark.gold { background: #c9ecd0; box-shadow: inset 0 -2px #2e8b57; }
mark.wrong { background: #ffdcc8; box-shadow: inset 0 -2px #d2591a; }
mark.gold.wrong { background: linear-gradient(#c9ecd0 50%, #ffdcc8 50%); }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .1rem .7rem;
        align-items: center; margin-top: .4rem; font-size: .85rem; max-width: 34rem; }
.bars .track { background: #eef0f2; height: .7rem; border-radius: 3px; overflow: hidden; }
.bars .track i { display: block; height: 100%; background: #9fb3c8; }
.bars .track.gold i { background: #2e8b57; }  .bars .track.wrong i { background: #d2591a; }
.bars .name { max-width: 20rem; overflow-wrap: anywhere; }
.bars .number { font-variant-numeric: tabular-nums; }
"""


class Span(NamedTuple):
    """A part of a text, its class (`right`, `gold`, `wrong`) and what stands behind it."""

    start: int
    end: int
    kind: str
    label: str = ""


def marked(text: str, spans: Iterable[Span]) -> str:
    """The text with its spans marked; they may overlap."""
    spans = [span for span in spans if 0 <= span.start < span.end <= len(text)]
    cuts = sorted({0, len(text), *(place for span in spans for place in span[:2])})
    parts = []
    for start, end in itertools.pairwise(cuts):
        piece = html.escape(text[start:end])
        inside = [span for span in spans if span.start <= start and end <= span.end]
        if inside:
            kinds = " ".join(sorted({span.kind for span in inside}))
            labels = " ".join(span.label for span in inside if span.label and span.end == end)
            sub = f"<sub>{html.escape(labels)}</sub>" if labels else ""
            piece = f'<mark class="{kinds}">{piece}{sub}</mark>'
        parts.append(piece)
    return "".join(parts)


def around(text: str, spans: Sequence[Span]) -> str:
    """As `marked`; of a long text only what stands around the spans."""
    if len(text) <= _LONGEST or not spans:
        return marked(shortened(text), spans)
    parts, last = [], 0
    for start, end in _windows(text, spans):
        inside = [
            span._replace(start=max(span.start, start) - start, end=min(span.end, end) - start)
            for span in spans
            if span.start < end and span.end > start
        ]
        parts.append(("… " if start > last else "") + marked(text[start:end], inside))
        last = end
    return " ".join(parts) + (" …" if last < len(text) else "")


def _windows(text: str, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """The parts of a text around its spans, those that meet joined."""
    windows: list[tuple[int, int]] = []
    for start, end, *_ in sorted(spans):
        first, last = max(0, start - _CONTEXT), min(len(text), end + _CONTEXT)
        if windows and first <= windows[-1][1]:
            first, last = windows[-1][0], max(last, windows.pop()[1])
        windows.append((first, last))
    return windows


def shortened(text: str) -> str:
    """The beginning of a text that is too long to show."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"


def bars(scores: Mapping[Any, float], gold: Iterable[Any], chosen: Iterable[Any]) -> str:
    """A bar for the likeliest labels, and for the gold and the chosen ones in any case."""
    gold, chosen = set(map(str, gold)), set(map(str, chosen))
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    lines = []
    for rank, (label, score) in enumerate(ranked):
        name = str(label)
        if rank >= _MOST_BARS and name not in gold | chosen:
            continue
        kind = "gold" if name in gold else "wrong" if name in chosen else ""
        note = " ✓" if name in gold else ""
        lines.append(
            f'<span class="name">{html.escape(shortened(name))}{note}</span>'
            f'<span class="track {kind}"><i style="width:{100 * score:.1f}%"></i></span>'
            f'<span class="number">{score:.1%}</span>'
        )
    return f'<div class="bars">{"".join(lines)}</div>'
