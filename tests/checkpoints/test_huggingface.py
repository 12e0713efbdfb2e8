"""Hugging Face directories: every variant in, the same tensors out, and damaged ones refused."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import stat

import numpy as np
import pytest
from keras import ops
from ml_dtypes import bfloat16
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from bert_keras import checkpoints
from bert_keras.checkpoints import names
from bert_keras.checkpoints.huggingface import canonical_name
from bert_keras.config import BertConfig
from bert_keras.errors import UserError
from bert_keras.models.encoder import BertEncoder
from bert_keras.tasks import FillMask, TextClassifier

LAYER = "bert.encoder.layer.1"


def values(encoder: BertEncoder) -> dict[str, np.ndarray]:
    return {k: ops.convert_to_numpy(v.value) for k, v in encoder.named_weights().items()}


def assert_holds(encoder: BertEncoder, state: dict[str, np.ndarray]) -> None:
    """The encoder's weights are those of `state`; the names are written out here once more."""
    found = values(encoder)
    expected = {
        "embeddings/word_embeddings": state["bert.embeddings.word_embeddings.weight"],
        "embeddings/position_embeddings": state["bert.embeddings.position_embeddings.weight"],
        "embeddings/segment_embeddings": state["bert.embeddings.token_type_embeddings.weight"],
        "embeddings/layer_norm/gamma": state["bert.embeddings.LayerNorm.weight"],
        "embeddings/layer_norm/beta": state["bert.embeddings.LayerNorm.bias"],
    }
    for number in range(2):
        theirs, ours = f"bert.encoder.layer.{number}", f"layer_{number}"
        projections = [f"{theirs}.attention.self.{part}" for part in ("query", "key", "value")]
        for leaf, stored in (("kernel", "weight"), ("bias", "bias")):
            parts = [state[f"{name}.{stored}"].T for name in projections]
            expected[f"{ours}/self_attention/qkv/{leaf}"] = np.concatenate(parts, -1)
            for to, name in (
                ("self_attention/output", "attention.output.dense"),
                ("intermediate", "intermediate.dense"),
                ("output", "output.dense"),
            ):
                expected[f"{ours}/{to}/{leaf}"] = state[f"{theirs}.{name}.{stored}"].T
        for leaf, stored in (("gamma", "weight"), ("beta", "bias")):
            norm = state[f"{theirs}.attention.output.LayerNorm.{stored}"]
            expected[f"{ours}/self_attention/layer_norm/{leaf}"] = norm
            expected[f"{ours}/layer_norm/{leaf}"] = state[f"{theirs}.output.LayerNorm.{stored}"]
    if encoder.add_pooler:
        expected["pooler/dense/kernel"] = state["bert.pooler.dense.weight"].T
        expected["pooler/dense/bias"] = state["bert.pooler.dense.bias"]
    assert set(found) == set(expected)
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, err_msg=path)


def old_spelling(name: str) -> str:
    if "LayerNorm" not in name:
        return name
    return name.replace(".weight", ".gamma").replace(".bias", ".beta")


def test_every_tensor_lands_in_its_place(write, state):
    assert_holds(checkpoints.load_encoder(write(state)), state)


def test_without_prefix_and_with_old_layer_norm_names(write, state):
    stored = {old_spelling(name).removeprefix("bert."): value for name, value in state.items()}
    assert_holds(checkpoints.load_encoder(write(stored)), state)


def test_buffers_and_heads_of_other_tasks_are_ignored(write, state):
    extra = {
        "bert.embeddings.position_ids": np.arange(40)[None],
        "classifier.weight": np.zeros((3, 32), np.float32),
        "some_new_head.weight": np.zeros((3, 32), np.float32),
    }
    assert_holds(checkpoints.load_encoder(write(state | extra)), state)


@pytest.mark.parametrize("dtype", [np.float16, bfloat16, np.float64])
def test_other_float_types_are_read_as_float32(dtype, write, state):
    encoder = checkpoints.load_encoder(write({k: v.astype(dtype) for k, v in state.items()}))

    assert_holds(encoder, {k: v.astype(dtype).astype(np.float32) for k, v in state.items()})
    assert {value.dtype for value in values(encoder).values()} == {np.dtype(np.float32)}


def shard(folder: pathlib.Path, state: dict[str, np.ndarray], files: int = 3) -> None:
    """Spreads the tensors over several files, with an index."""
    weight_map = {}
    for number in range(files):
        file = f"model-{number + 1:05}-of-{files:05}.safetensors"
        part = dict(list(state.items())[number::files])
        save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_sharded_weights(write, state):
    folder = write(None)
    shard(folder, state)

    assert_holds(checkpoints.load_encoder(folder), state)


def test_pooler_follows_the_checkpoint_or_the_argument(write, state):
    folder = write(state)
    assert checkpoints.load_encoder(folder).add_pooler
    assert_holds(checkpoints.load_encoder(folder, add_pooler=False), state)

    for name in ("weight", "bias"):
        del state[f"bert.pooler.dense.{name}"]
    folder = write(state)
    assert_holds(checkpoints.load_encoder(folder), state)
    new = values(checkpoints.load_encoder(folder, add_pooler=True))
    assert np.std(new["pooler/dense/kernel"]) > 0.01


def test_settings_of_the_caller_win(write, state):
    encoder = checkpoints.load_encoder(
        write(state), hidden_act="gelu_new", dtype="mixed_bfloat16", config={"pad_token_id": 5}
    )
    assert encoder.config.activation == "gelu_tanh"
    assert encoder.config.pad_token_id == 5
    assert encoder.compute_dtype == "bfloat16"
    assert_holds(encoder, state)


def test_heads_by_our_names(write, state):
    classifier = {
        "classifier.weight": np.arange(96, dtype=np.float32).reshape(3, 32),
        "classifier.bias": np.arange(3, dtype=np.float32),
    }
    checkpoint = checkpoints.open_checkpoint(write(state | classifier))

    masked_lm = checkpoint.head("masked_lm")
    transform = "cls.predictions.transform"
    np.testing.assert_array_equal(masked_lm["dense/kernel"], state[f"{transform}.dense.weight"].T)
    np.testing.assert_array_equal(masked_lm["dense/bias"], state[f"{transform}.dense.bias"])
    np.testing.assert_array_equal(
        masked_lm["layer_norm/gamma"], state[f"{transform}.LayerNorm.weight"]
    )
    np.testing.assert_array_equal(
        masked_lm["layer_norm/beta"], state[f"{transform}.LayerNorm.bias"]
    )
    np.testing.assert_array_equal(masked_lm["output_bias"], state["cls.predictions.bias"])
    next_sentence = checkpoint.head("next_sentence")
    np.testing.assert_array_equal(
        next_sentence["dense/kernel"], state["cls.seq_relationship.weight"].T
    )
    np.testing.assert_array_equal(next_sentence["dense/bias"], state["cls.seq_relationship.bias"])
    head = checkpoint.head("classifier")
    np.testing.assert_array_equal(head["classifier/kernel"], classifier["classifier.weight"].T)
    np.testing.assert_array_equal(head["classifier/bias"], classifier["classifier.bias"])
    assert not checkpoint.has_head("question_answering")


def test_stored_copies_of_the_output_table_and_bias(write, state):
    table = state["bert.embeddings.word_embeddings.weight"]
    bias = state.pop("cls.predictions.bias")
    copies = {"cls.predictions.decoder.weight": table, "cls.predictions.decoder.bias": bias}
    head = checkpoints.open_checkpoint(write(state | copies)).head("masked_lm")
    np.testing.assert_array_equal(head["output_bias"], bias)

    untied = copies | {"cls.predictions.decoder.weight": table + 1}
    with pytest.raises(UserError, match="decoder.weight' differs from the word embeddings"):
        checkpoints.open_checkpoint(write(state | untied)).head("masked_lm")


def without(state: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    return {name: value for name, value in state.items() if name not in names}


def _one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_missing_and_unexpected_tensors_are_named(write, state):
    broken = without(state, f"{LAYER}.output.dense.bias", "bert.embeddings.LayerNorm.weight")
    broken["bert.encoder.layer.2.output.dense.bias"] = np.zeros(32, np.float32)

    with pytest.raises(UserError) as error:
        checkpoints.load_encoder(write(broken))

    message = _one_line(error)
    assert "model.safetensors: 2 missing tensors: " in message
    assert "embeddings.LayerNorm.weight, encoder.layer.1.output.dense.bias" in message
    assert "1 unexpected tensor: encoder.layer.2.output.dense.bias" in message


def test_half_a_pooler_or_head_is_not_taken_for_none(write, state):
    broken = without(state, "bert.pooler.dense.bias", "cls.predictions.transform.dense.weight")
    checkpoint = checkpoints.open_checkpoint(write(broken))

    with pytest.raises(UserError, match="1 missing tensor: pooler.dense.bias"):
        checkpoint.encoder()
    assert checkpoint.has_head("masked_lm")
    with pytest.raises(UserError, match="missing tensor: cls.predictions.transform.dense.weight"):
        checkpoint.head("masked_lm")
    checkpoint.encoder(add_pooler=False)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        (f"{LAYER}.intermediate.dense.weight", (48, 31), r"\[48, 31\].*\[48, 32\]"),
        (f"{LAYER}.attention.self.key.weight", (32, 16), r"\[32, 16\].*\[32, 32\]"),
        ("bert.embeddings.word_embeddings.weight", (96, 32), r"\[96, 32\].*\[97, 32\]"),
        ("bert.embeddings.LayerNorm.bias", (1, 32), r"\[1, 32\].*\[32\]"),
    ],
)
def test_wrong_shapes_are_named_with_both_shapes(name, shape, expected, write, state):
    state[name] = np.zeros(shape, np.float32)

    with pytest.raises(UserError) as error:
        checkpoints.load_encoder(write(state))

    assert re.search(
        re.escape(f"model.safetensors: tensor '{name}'") + f".*{expected}", _one_line(error)
    )


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_truncated_files_are_refused(keep, write, state):
    path = write(state) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(UserError, match=r"model\.safetensors: truncated or not a safetensors") as e:
        checkpoints.load_encoder(path.parent)
    _one_line(e)


def test_a_file_of_something_else_is_refused(write):
    folder = write(None)
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.example/spec/v1\n" * 9)

    with pytest.raises(UserError, match="truncated or not a safetensors file"):
        checkpoints.load_encoder(folder)


def test_weights_that_are_not_floats_are_refused(write, state):
    name = f"{LAYER}.output.dense.bias"
    state[name] = np.zeros(32, np.int8)

    with pytest.raises(UserError, match=f"'{name}' is I8, expected F64, F32, F16, BF16"):
        checkpoints.load_encoder(write(state))


def test_a_tensor_under_two_names_is_refused(write, state):
    state["embeddings.LayerNorm.gamma"] = np.ones(32, np.float32)

    with pytest.raises(UserError, match="embeddings.LayerNorm.* again"):
        checkpoints.load_encoder(write(state))


def test_damaged_shards_are_refused(write, state):
    folder = write(None)
    shard(folder, state)
    index = folder / "model.safetensors.index.json"
    stored = json.loads(index.read_text())

    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match="model-00002-of-00003.safetensors: no such file"):
        checkpoints.load_encoder(folder)
    shard(folder, without(state, f"{LAYER}.output.dense.bias"))
    index.write_text(json.dumps(stored))
    with pytest.raises(UserError, match="missing tensors of model.safetensors.index.json: bert"):
        checkpoints.load_encoder(folder)
    index.write_text(json.dumps({"weight_map": {"x": "../other/model.safetensors"}}))
    with pytest.raises(UserError, match="is not a file of the same folder"):
        checkpoints.load_encoder(folder)
    index.write_text(json.dumps({"weights": 3}))
    with pytest.raises(UserError, match="expected an object 'weight_map'"):
        checkpoints.load_encoder(folder)
    index.write_text('{"weight_map": ')
    with pytest.raises(UserError, match="index.json:1: is not JSON"):
        checkpoints.load_encoder(folder)


def test_other_weight_formats_are_named(write):
    folder = write(None)
    with pytest.raises(UserError, match="has neither model.safetensors nor"):
        checkpoints.load_encoder(folder)
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match="has pytorch_model.bin only, expected model.safet"):
        checkpoints.load_encoder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "config.json: model_type is 'roberta'"),
        ({"hidden_act": "mish"}, "config.json: hidden_act 'mish' is unknown"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"num_attention_heads": 5}, "hidden_size 32 is not divisible by"),
    ],
)
def test_configs_of_other_models_are_refused(change, message, write, state):
    with pytest.raises(UserError, match=message):
        checkpoints.load_encoder(write(state, **change))


def test_load_gives_encoder_and_tokenizer(write, state):
    encoder, tokenizer = checkpoints.load(write(state))

    output = encoder(tokenizer(["the cats sat."], ["the cat"]))

    assert output["sequence_output"].shape == (1, 10, 32)
    assert output["pooled_output"].shape == (1, 32)


def test_a_tokenizer_cuts_at_the_positions_of_the_model(write, state):
    folder = write(state)
    positions = checkpoints.open_checkpoint(folder).config.max_position_embeddings
    encoder, tokenizer = checkpoints.load(folder)

    text = "the cats sat. " * 600

    assert tokenizer.max_length == positions < 512
    assert encoder(tokenizer([text]))["sequence_output"].shape == (1, positions, 32)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 9}')
    assert checkpoints.load(folder)[1].max_length == 9
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    assert checkpoints.load(folder)[1].max_length == positions


def test_a_table_with_fewer_rows_than_the_vocabulary_is_refused(write, state, pieces):
    folder = write(state)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in [*pieces, "more"]))

    with pytest.raises(
        UserError, match="vocab.txt: the vocabulary has 98 entries, the model's vocab_size is 97;"
    ):
        checkpoints.load(folder)


@pytest.mark.parametrize("change", [-1, -40])
def test_a_table_with_more_rows_than_the_vocabulary_is_warned_of(change, write, state, pieces):
    folder = write(state)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces[:change]))

    with pytest.warns(
        UserWarning,
        match=f"vocab.txt: the vocabulary has {97 + change} entries, the model's vocab_size is 97; "
        f"rows {97 + change} to 96 of its table are no token's",
    ):
        encoder, tokenizer = checkpoints.load(folder)

    assert tokenizer.vocab_size == 97 + change
    assert encoder.embeddings.word_embeddings.shape[0] == 97


def test_a_table_padded_to_a_multiple_of_eight_is_accepted(write, state):
    name = "bert.embeddings.word_embeddings.weight"
    state[name] = np.pad(state[name], ((0, 7), (0, 0)))

    encoder, tokenizer = checkpoints.load(write(state, vocab_size=104))

    assert (encoder.config.vocab_size, tokenizer.vocab_size) == (104, 97)


def test_round_trip_is_bitwise(write, state, tmp_path):
    checkpoint = checkpoints.open_checkpoint(write(state))
    encoder = checkpoint.encoder()
    heads = {head: checkpoint.head(head) for head in ("masked_lm", "next_sentence")}
    extra = {**checkpoints.label_fields(["no", "yes"]), "problem_type": "regression"}

    out = tmp_path / "deep" / "saved"
    checkpoints.save_pretrained(
        out, encoder.config, "BertForPreTraining", encoder, heads, extra, checkpoint.tokenizer()
    )

    stored = load_file(out / "model.safetensors")
    assert set(stored) == set(state)
    for name, value in state.items():
        np.testing.assert_array_equal(stored[name], value, err_msg=name)
    with safe_open(out / "model.safetensors", framework="np") as file:
        assert file.metadata() == {"format": "pt"}
    settings = json.loads((out / "config.json").read_text())
    assert settings["architectures"] == ["BertForPreTraining"]
    assert settings["id2label"] == {"0": "no", "1": "yes"}
    assert settings["problem_type"] == "regression"
    again = checkpoints.open_checkpoint(out)
    assert again.config == checkpoint.config
    assert checkpoints.labels_of(again.settings) == ["no", "yes"]
    assert again.tokenizer().vocabulary == checkpoint.tokenizer().vocabulary
    assert [path.name for path in out.parent.iterdir()] == ["saved"]


def test_real_weights_round_trip_bitwise(tiny_mlm, tmp_path):
    checkpoint = checkpoints.open_checkpoint(tiny_mlm)
    checkpoints.save_pretrained(
        tmp_path / "out",
        checkpoint.config,
        "BertForMaskedLM",
        checkpoint.encoder(),
        {"masked_lm": checkpoint.head("masked_lm")},
    )

    before = load_file(tiny_mlm / "model.safetensors")
    after = load_file(tmp_path / "out" / "model.safetensors")

    assert set(map(canonical_name, before)) == set(map(canonical_name, after))
    after = {canonical_name(name): value for name, value in after.items()}
    for name, value in before.items():
        np.testing.assert_array_equal(after[canonical_name(name)], value, err_msg=name)


def test_plain_encoders_have_no_prefix_and_files_are_readable(write, state, tmp_path):
    encoder = checkpoints.load_encoder(write(state), add_pooler=False)
    checkpoints.save_pretrained(tmp_path / "out", encoder.config, "BertModel", encoder)

    names = set(load_file(tmp_path / "out" / "model.safetensors"))
    assert "embeddings.word_embeddings.weight" in names
    assert not any(name.startswith(("bert.", "pooler.")) for name in names)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert len(modes) == 1


def test_lora_is_merged_when_saved(write, state, tmp_path):
    encoder = checkpoints.load_encoder(write(state), lora_rank=2, lora_alpha=4)
    random = np.random.default_rng(0)
    factors = encoder.blocks[1].self_attention.lora_value
    for factor in factors:
        factor.assign(random.normal(size=factor.shape))
    down, up = (ops.convert_to_numpy(factor.value) for factor in factors)

    checkpoints.save_pretrained(tmp_path / "out", encoder.config, "BertModel", encoder)

    stored = load_file(tmp_path / "out" / "model.safetensors")
    name = "encoder.layer.1.attention.self.value.weight"
    expected = state[f"bert.{name}"] + 2.0 * (down @ up).T
    np.testing.assert_allclose(stored[name], expected, rtol=0, atol=1e-6)
    key = "encoder.layer.1.attention.self.key.weight"
    np.testing.assert_array_equal(stored[key], state[f"bert.{key}"])
    assert set(stored) == {n.removeprefix("bert.") for n in state if n.startswith("bert.")}


def test_an_interrupted_save_leaves_the_old_directory(write, state, tmp_path):
    encoder = checkpoints.load_encoder(write(state))
    out = tmp_path / "out"
    checkpoints.save_pretrained(out, encoder.config, "BertModel", encoder)
    (out / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    class FullDisk:
        def save_pretrained(self, directory: pathlib.Path) -> None:
            assert (directory / "model.safetensors").exists()
            raise OSError("no space left on device")

    encoder.embeddings.layer_norm.beta.assign(np.ones(32))
    with pytest.raises(OSError, match="no space left"):
        checkpoints.save_pretrained(out, encoder.config, "BertModel", encoder, tokenizer=FullDisk())
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    checkpoints.save_pretrained(out, encoder.config, "BertModel", encoder)
    assert (out / "notes.txt").read_text() == "mine"
    beta = load_file(out / "model.safetensors")["embeddings.LayerNorm.bias"]
    np.testing.assert_array_equal(beta, np.ones(32))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]


def test_heads_must_be_known_and_whole(write, state, tmp_path):
    encoder = checkpoints.load_encoder(write(state))
    for heads, message in (
        ({"classifier": {"kernel": np.zeros((32, 2))}}, "has the weights"),
        ({"summary": {}}, "head 'summary' is unknown"),
    ):
        with pytest.raises(ValueError, match=message):
            checkpoints.save_pretrained(
                tmp_path / "out", encoder.config, "BertForX", encoder, heads
            )
    assert not (tmp_path / "out").exists()


def test_labels_must_be_numbered_from_zero():
    assert checkpoints.labels_of({}) is None
    many = [f"label {number}" for number in range(12)]
    assert checkpoints.labels_of(checkpoints.label_fields(many)) == many
    with pytest.raises(UserError, match="must number the labels from 0"):
        checkpoints.labels_of({"id2label": {"1": "a", "2": "b"}})


def test_an_untied_output_table_is_refused_only_where_it_is_asked_for(write, state):
    decoder = "cls.predictions.decoder.weight"
    table = state["bert.embeddings.word_embeddings.weight"]
    folder = write(state | {decoder: table + np.float32(1e-3)}, tie_word_embeddings=False)
    assert_holds(checkpoints.load_encoder(folder), state)
    assert TextClassifier.from_pretrained(folder, labels=["a", "b"], max_length=8)
    with pytest.raises(UserError) as error:
        FillMask.from_pretrained(folder, max_length=8)
    message = str(error.value)
    assert f"tensor '{decoder}' differs from the word embeddings" in message
    assert "\n" not in message

    # A copy is a tied one, whatever the config says; none at all is not.
    folder = write(state | {decoder: table}, tie_word_embeddings=False)
    assert FillMask.from_pretrained(folder, max_length=8)
    with pytest.raises(UserError, match="tie_word_embeddings is false, but 'cls.predictions.dec"):
        FillMask.from_pretrained(write(state, tie_word_embeddings=False), max_length=8)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("gelu_python", "gelu"),
        ("gelu_fast", "gelu_tanh"),
        ("gelu_accurate", "gelu_tanh"),
        ("gelu_python_tanh", "gelu_tanh"),
    ],
)
def test_other_names_of_the_activations(name, function, write, state, tmp_path):
    encoder = checkpoints.load_encoder(write(state, hidden_act=name))
    assert encoder.config.activation == function
    checkpoints.save_pretrained(tmp_path / "saved", encoder.config, "BertModel", encoder)
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["hidden_act"] == name


@pytest.mark.parametrize("name", ["quick_gelu", "gelu_10", "mish"])
def test_other_activations_are_refused(name, write, state):
    with pytest.raises(UserError, match=f"hidden_act '{name}' is unknown; known are gelu, "):
        checkpoints.open_checkpoint(write(state, hidden_act=name))


def test_shapes_follow_from_the_config():
    config = dataclasses.replace(BertConfig.named("L-2_H-64"), vocab_size=30, type_vocab_size=3)
    weights = BertEncoder(config, add_pooler=True).named_weights()
    entries = names.encoder_entries(config, True, "huggingface")
    assert {entry.path for entry in entries} == set(weights)
    for path, weight in weights.items():
        assert names.encoder_shape(path, config) == tuple(weight.shape), path
