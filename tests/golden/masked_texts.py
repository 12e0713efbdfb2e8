"""Texts with [MASK] whose likeliest words are recorded."""

from __future__ import annotations

TEXTS = (
    "Paris is the [MASK] of France.",
    "The [MASK] sat on the [MASK].",
    "[MASK]",
    "[MASK][MASK] [MASK]",
    "It was rain[MASK] when we left the house.",
    "un[MASK]able, re[MASK]ed",
    "The word [mask] in small letters is no mask, but [MASK] is one.",
    "Ünïcode and 漢字 stand beside [MASK]\u3000here\u00a0too.",
    '  She said:\t"[MASK]!"  ',
    "one two three four five six seven eight nine ten " * 20 + "and then [MASK] more",
)
