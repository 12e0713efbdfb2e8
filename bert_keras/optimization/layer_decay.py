"""Layer-wise decay of the learning rate: the nearer to the input, the smaller the steps."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Regular expressions for variable paths, each with what their learning rate is multiplied by.
RateFactors = Sequence[tuple[str, float]]


def layer_decay_factors(decay: float, layers: int) -> list[tuple[str, float]]:
    """The factors of an encoder's variables (Clark et al. 2020, https://arxiv.org/abs/2003.10555).

    The head has the full rate, the top layer `decay` times it, the next `decay ** 2`, and so on
    down to `decay ** (layers + 1)` for the embeddings. The pooler counts as part of the head.
    ELECTRA's published code goes down two powers between its head and the top layer, so its
    rates below the head are these times `decay`.

    Args:
        decay: above 0 and at most 1; 1 gives every variable the full rate.
        layers: of the encoder.

    Raises:
        ValueError: the decay is out of its range.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"the layer decay must be above 0 and at most 1, received {decay}")
    if decay == 1:
        return []
    groups = [f"layer_{index}" for index in reversed(range(layers))] + ["embeddings"]
    return [(f"(^|/){group}/", decay**power) for power, group in enumerate(groups, start=1)]


def rate_factor(factors: RateFactors, path: str) -> float:
    """The factor of the first expression found in a variable's path; 1 where there is none."""
    return next((factor for pattern, factor in factors if re.search(pattern, path)), 1.0)
