"""BertEncoder against numbers recorded with transformers; see tests/golden/README.md."""

from __future__ import annotations

import json
import pathlib
import runpy

import numpy as np
import pytest
from keras import ops
from safetensors.numpy import save_file

from bert_keras import checkpoints
from bert_keras.config import BertConfig
from bert_keras.layers.masked_lm_head import MaskedLMHead
from bert_keras.layers.next_sentence_head import NextSentenceHead
from bert_keras.models.encoder import BertEncoder

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
FIXED = runpy.run_path(str(GOLDEN / "fixed_weights.py"))
TOLERANCE = 2e-5
LOGITS_TOLERANCE = 1e-4
ROW_LENGTH = 512
BATCH_SIZE = 8


@pytest.fixture(scope="module")
def examples() -> list[tuple[np.ndarray, np.ndarray]]:
    """Token and segment ids [length] of the 64 recorded sentences."""
    stored = np.load(GOLDEN / "examples.npz")
    splits = stored["row_splits"][1:-1]
    pairs = zip(
        np.split(stored["token_ids"], splits), np.split(stored["segment_ids"], splits), strict=True
    )
    return list(pairs)


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "minilm.npz"))


@pytest.fixture(scope="module")
def encoder(minilm: pathlib.Path) -> BertEncoder:
    return checkpoints.load_encoder(minilm)


def pad(rows: list[np.ndarray], length: int, value: int = 0) -> np.ndarray:
    """[rows, length], filled up with `value`."""
    return np.stack([np.pad(row, (0, length - len(row)), constant_values=value) for row in rows])


def run_padded(
    encoder: BertEncoder, examples: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Sequence outputs [length, hidden] and pooled outputs, one padded example per row."""
    sequences, pooled = [], []
    for start in range(0, len(examples), BATCH_SIZE):
        batch = examples[start : start + BATCH_SIZE]
        length = max(len(ids) for ids, _ in batch) + 3
        features = {
            "token_ids": pad([ids for ids, _ in batch], length),
            "segment_ids": pad([segments for _, segments in batch], length),
            "padding_mask": pad([np.ones_like(ids) for ids, _ in batch], length),
        }
        output = encoder(features)
        values = ops.convert_to_numpy(output["sequence_output"])
        sequences += [row[: len(ids)] for row, (ids, _) in zip(values, batch, strict=True)]
        pooled.append(ops.convert_to_numpy(output["pooled_output"]))
    return sequences, np.concatenate(pooled)


def pack(lengths: list[int]) -> list[list[int]]:
    """Which examples share a row: the longest first, each into the first row with room."""
    rows: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda n: -lengths[n]):
        for row in rows:
            if sum(lengths[n] for n in row) + lengths[number] <= ROW_LENGTH:
                row.append(number)
                break
        else:
            rows.append([number])
    return rows


def packed_features(
    examples: list[tuple[np.ndarray, np.ndarray]], rows: list[list[int]]
) -> dict[str, np.ndarray]:
    """A packed batch, several examples in each row."""

    def joined(parts: list[list[np.ndarray]]) -> np.ndarray:
        return pad([np.concatenate(row) for row in parts], ROW_LENGTH)

    per_row = max(map(len, rows))
    ids = [[examples[n][0] for n in row] for row in rows]
    token_ids = joined(ids)
    starts = [np.cumsum([0, *map(len, row)])[:-1] for row in ids]
    return {
        "token_ids": token_ids,
        "segment_ids": joined([[examples[n][1] for n in row] for row in rows]),
        "padding_mask": joined([[np.ones_like(part) for part in row] for row in ids]),
        "position_ids": joined([[np.arange(len(part)) for part in row] for row in ids]),
        "sequence_ids": joined(
            [[np.full_like(part, k) for k, part in enumerate(row, 1)] for row in ids]
        ),
        "cls_positions": pad(starts, per_row, -1),
    }


def run_packed(
    encoder: BertEncoder, examples: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[np.ndarray], np.ndarray]:
    """The same as `run_padded`, in rows of 512 that several examples share."""
    rows = pack([len(ids) for ids, _ in examples])
    assert len(rows) < len(examples) / 4
    sequences: dict[int, np.ndarray] = {}
    pooled: dict[int, np.ndarray] = {}
    for start in range(0, len(rows), 4):
        batch = rows[start : start + 4]
        features = packed_features(examples, batch)
        output = {k: ops.convert_to_numpy(v) for k, v in encoder(features).items()}
        for row, numbers in enumerate(batch):
            for place, number in enumerate(numbers):
                first = features["cls_positions"][row, place]
                length = len(examples[number][0])
                sequences[number] = output["sequence_output"][row, first : first + length]
                pooled[number] = output["pooled_output"][row, place]
    order = range(len(examples))
    return [sequences[n] for n in order], np.stack([pooled[n] for n in order])


@pytest.mark.parametrize("run", [run_padded, run_packed])
def test_minilm_equals_transformers(run, encoder, examples, recorded):
    sequences, pooled = run(encoder, examples)
    means = np.stack([sequence.mean(0) for sequence in sequences])
    channels = np.concatenate(sequences)[:, ::24]
    maxima = np.stack([sequence.max(0) for sequence in sequences])
    embeddings = means / np.linalg.norm(means, axis=1, keepdims=True)

    for ours, name in (
        (channels, "sequence_channels"),
        (means, "sequence_mean"),
        (maxima, "sequence_max"),
        (pooled, "pooled"),
        (embeddings, "embedding"),
    ):
        np.testing.assert_allclose(ours, recorded[name], rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("number", [4, 20, 36, 41])
def test_minilm_hidden_states(number, encoder, examples, recorded):
    ids, segments = examples[number]
    features = {"token_ids": ids[None], "segment_ids": segments[None]}
    output = encoder(features, output_hidden_states=True)

    states = np.stack([ops.convert_to_numpy(state)[0] for state in output["hidden_states"]])

    expected = recorded[f"hidden_states_{number}"]
    np.testing.assert_allclose(states[..., ::24], expected, rtol=0, atol=TOLERANCE)


def test_minilm_attentions(encoder, examples, recorded):
    ids, segments = examples[3]
    features = {"token_ids": ids[None], "segment_ids": segments[None]}
    output = encoder(features, output_attentions=True)

    found = np.stack([ops.convert_to_numpy(one)[0] for one in output["attentions"]])

    np.testing.assert_allclose(found, recorded["attentions_3"], rtol=0, atol=TOLERANCE)


def load_heads(
    checkpoint: checkpoints.Checkpoint, config: BertConfig
) -> tuple[MaskedLMHead, NextSentenceHead]:
    """The masked-LM head, and the next-sentence head where there is one."""
    masked_lm = MaskedLMHead(config, name="masked_lm")
    next_sentence = NextSentenceHead(config, name="next_sentence")
    for name, head in (("masked_lm", masked_lm), ("next_sentence", next_sentence)):
        head.build()
        if checkpoint.has_head(name):
            checkpoint.fill_head(name, head.named_weights())
    return masked_lm, next_sentence


def test_masked_lm_logits_equal_transformers(tiny_mlm, examples):
    recorded = np.load(GOLDEN / "masked_lm.npz")
    checkpoint = checkpoints.open_checkpoint(tiny_mlm)
    encoder = checkpoint.encoder()
    head, _ = load_heads(checkpoint, encoder.config)
    numbers, positions = recorded["example_numbers"], recorded["mask_positions"]
    length = max(len(examples[number][0]) for number in numbers)
    token_ids = pad([examples[number][0] for number in numbers], length)
    np.put_along_axis(token_ids, positions, 103, axis=1)
    features = {
        "token_ids": token_ids,
        "segment_ids": pad([examples[number][1] for number in numbers], length),
    }

    output = ops.convert_to_numpy(encoder(features)["sequence_output"])
    rows = np.take_along_axis(output, positions[:, :, None], axis=1).reshape(-1, output.shape[-1])
    logits = ops.convert_to_numpy(head(rows, encoder.embeddings.word_embeddings))
    logits = logits.reshape(*positions.shape, -1)

    assert "pooled_output" not in encoder(features)
    np.testing.assert_allclose(logits[..., ::61], recorded["logits"], rtol=0, atol=LOGITS_TOLERANCE)
    np.testing.assert_array_equal(logits.argmax(-1), recorded["argmax"])
    log_sums = np.log(np.exp(logits.astype(np.float64)).sum(-1))
    np.testing.assert_allclose(log_sums, recorded["logsumexp"], rtol=0, atol=LOGITS_TOLERANCE)


@pytest.mark.parametrize("activation", FIXED["ACTIVATIONS"])
def test_activations_and_pretraining_heads(activation, tmp_path):
    save_file(FIXED["state"](FIXED["pretraining_shapes"]()), tmp_path / "model.safetensors")
    settings = {**FIXED["CONFIG"], "hidden_act": activation}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    checkpoint = checkpoints.open_checkpoint(tmp_path)
    encoder = checkpoint.encoder()
    masked_lm, next_sentence = load_heads(checkpoint, encoder.config)
    features = FIXED["features"]()
    real = features["padding_mask"] == 1

    output = encoder(features)
    sequence = ops.convert_to_numpy(output["sequence_output"])[real]
    found = {
        "sequence_output": sequence,
        "pooled_output": output["pooled_output"],
        "mlm_logits": masked_lm(sequence, encoder.embeddings.word_embeddings),
        "nsp_logits": next_sentence(output["pooled_output"]),
    }

    recorded = np.load(GOLDEN / "fixed.npz")
    for name, value in found.items():
        expected = recorded[f"{activation}/{name}"]
        np.testing.assert_allclose(
            ops.convert_to_numpy(value), expected, rtol=0, atol=TOLERANCE, err_msg=name
        )
