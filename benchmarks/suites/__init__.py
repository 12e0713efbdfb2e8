"""The suites by name, in the order in which they run."""

from __future__ import annotations

from benchmarks.suites import (
    encoder,
    finetuning,
    growth,
    inference,
    padding,
    prepare,
    pretraining,
    tokenization,
)

SUITES = {
    suite.name: suite
    for suite in (
        encoder.SUITE,
        finetuning.SUITE,
        inference.SUITE,
        *pretraining.SUITES,
        padding.SUITE,
        tokenization.SUITE,
        prepare.SUITE,
        growth.SUITE,
    )
}
