"""The suites name sides that exist; the work they share is what it says it is."""

from __future__ import annotations

import ast
import pathlib

import numpy as np
import pytest

from benchmarks.families import FAMILIES
from benchmarks.growth_plots import INVERSE, LAWS, LINEAR, LINEAR_LESS, QUADRATIC, draw, fit
from benchmarks.sides import encoder_work, sentences
from benchmarks.suite import Options
from benchmarks.suites import SUITES

_SIDES = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "sides"


@pytest.mark.parametrize("name", SUITES)
def test_targets_exist(name: str) -> None:
    matches = SUITES[name].matches(Options())
    assert len({match.name for match in matches}) == len(matches)
    for match in matches:
        parts = [(side.target, side.family) for side in match.sides]
        parts += [(made.target, made.family) for made in match.preparations]
        for target, family in parts:
            module, wanted = target.split(":")
            tree = ast.parse((_SIDES / f"{module}.py").read_text(encoding="utf-8"))
            assert wanted in {getattr(node, "name", "") for node in tree.body}, target
            assert family in FAMILIES


def test_growth_has_a_law_for_each_match() -> None:
    assert {match.name for match in SUITES["growth"].matches(Options())} == LAWS.keys()


def test_operations_are_those_of_the_products() -> None:
    # Rows, inner and outer size of every product of one layer of BERT-base, then the pooler.
    layer = [(1024, 768, 2304), (1024, 768, 768), (1024, 768, 3072), (1024, 3072, 768)]
    attention = [(8 * 12 * 128, 64, 128), (8 * 12 * 128, 128, 64)]
    layers = 12 * sum(2 * n * k * m for n, k, m in (*layer, *attention))
    work = {"layers": 12, "hidden": 768, "batch": 8, "length": 128, "training": False}
    forward = (layers + 2 * 8 * 768 * 768) / 1e9
    assert encoder_work.gigaflops(work) == pytest.approx(forward)
    assert encoder_work.gigaflops({**work, "training": True}) == pytest.approx(3 * forward)


def test_every_sentence_is_in_one_batch() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, 200)
    batches = list(sentences.grouped_by_length(lengths, 32))
    assert sorted(np.concatenate(batches)) == list(range(200))
    ids = [list(range(1, length + 1)) for length in lengths]
    filled, mask = sentences.padded(ids, batches[0])
    assert mask.sum() == sum(lengths[batches[0]])
    assert filled.shape[1] == max(lengths[batches[0]])
    assert filled.sum() == sum(sum(ids[row]) for row in batches[0])


def test_laws_are_fitted() -> None:
    sizes = (16.0, 64.0, 128.0, 256.0, 512.0)
    factors = fit(QUADRATIC, [(n, 0.5 + 0.01 * n + 2e-5 * n * n) for n in sizes])
    assert factors == pytest.approx([0.5, 0.01, 2e-5])
    # Only where the law says so is anything below 0.
    measured = [(n, 2.0 * n - 1.0) for n in (1, 2, 4)]
    assert fit(LINEAR_LESS, measured) == pytest.approx([-1.0, 2.0])
    assert min(fit(LINEAR, measured)) == 0.0
    assert fit(INVERSE, [(n, 3.0 / n) for n in sizes]) == pytest.approx([0.0, 3.0], abs=1e-9)


def test_plots_are_the_same_bytes(tmp_path: pathlib.Path) -> None:
    summary = {f"forward {n}": {"seconds": 0.1 * n} for n in (1, 2, 4)}
    result = {"matches": [{"match": "layers", "sides": [{"summary": summary}]}]}
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        draw(result, tmp_path / name)
        written.append((tmp_path / name / "growth_layers.svg").read_bytes())
    assert written[0] == written[1]
