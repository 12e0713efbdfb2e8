"""The names of BERT's weights here and in every checkpoint format: one table, read both ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from bert_keras.config import BertConfig

FORMATS = ("huggingface", "google_tf1", "keras_hub")
_PARTS = ("query", "key", "value")

# Our path, then the name in each of FORMATS. `{}` is the number of a layer. `*` stands for
# query, key and value, which are three tensors there and the columns of one here. `^T` marks
# a matrix stored as [out, in], which is [in, out] here.
_Row = tuple[str, str, str, str]

_EMBEDDINGS: tuple[_Row, ...] = (
    (
        "embeddings/word_embeddings",
        "embeddings.word_embeddings.weight",
        "bert/embeddings/word_embeddings",
        "token_embedding/embeddings",
    ),
    (
        "embeddings/position_embeddings",
        "embeddings.position_embeddings.weight",
        "bert/embeddings/position_embeddings",
        "position_embedding/embeddings",
    ),
    (
        "embeddings/segment_embeddings",
        "embeddings.token_type_embeddings.weight",
        "bert/embeddings/token_type_embeddings",
        "segment_embedding/embeddings",
    ),
    (
        "embeddings/layer_norm/gamma",
        "embeddings.LayerNorm.weight",
        "bert/embeddings/LayerNorm/gamma",
        "embeddings_layer_norm/gamma",
    ),
    (
        "embeddings/layer_norm/beta",
        "embeddings.LayerNorm.bias",
        "bert/embeddings/LayerNorm/beta",
        "embeddings_layer_norm/beta",
    ),
)

# The parts of one layer: ours, Hugging Face's, Google's, KerasHub's; all are dense layers but
# those called layer_norm.
_LAYER_PARTS: tuple[_Row, ...] = (
    (
        "self_attention/qkv",
        "attention.self.*",
        "attention/self/*",
        "self_attention_layer/*",
    ),
    (
        "self_attention/output",
        "attention.output.dense",
        "attention/output/dense",
        "self_attention_layer/attention_output",
    ),
    (
        "self_attention/layer_norm",
        "attention.output.LayerNorm",
        "attention/output/LayerNorm",
        "self_attention_layer_norm",
    ),
    (
        "intermediate",
        "intermediate.dense",
        "intermediate/dense",
        "feedforward_intermediate_dense",
    ),
    ("output", "output.dense", "output/dense", "feedforward_output_dense"),
    ("layer_norm", "output.LayerNorm", "output/LayerNorm", "feedforward_layer_norm"),
)

_DENSE = (("kernel", "weight^T", "kernel", "kernel"), ("bias", "bias", "bias", "bias"))
_LAYER_NORM = (("gamma", "weight", "gamma", "gamma"), ("beta", "bias", "beta", "beta"))
_SEPARATORS = ("/", ".", "/", "/")


def _weights_of(part: _Row) -> list[_Row]:
    """The rows of a part's two weights."""
    kind = _LAYER_NORM if part[0].endswith("layer_norm") else _DENSE
    return [
        tuple(map("".join, zip(part, _SEPARATORS, leaf, strict=True)))  # type: ignore[misc]
        for leaf in kind
    ]


_LAYER: tuple[_Row, ...] = tuple(
    (
        f"layer_{{}}/{ours}",
        f"encoder.layer.{{}}.{huggingface}",
        f"bert/encoder/layer_{{}}/{google}",
        f"transformer_layer_{{}}/{keras_hub}",
    )
    for part in _LAYER_PARTS
    for ours, huggingface, google, keras_hub in _weights_of(part)
)

_POOLER = tuple(_weights_of(("pooler/dense", "pooler.dense", "bert/pooler/dense", "pooled_dense")))

# The heads' weights, by the name that `load_head` and `save_pretrained` know a head by.
# An empty name says that the format has no such weight.
_HEADS: dict[str, tuple[_Row, ...]] = {
    "masked_lm": (
        *_weights_of(
            (
                "dense",
                "cls.predictions.transform.dense",
                "cls/predictions/transform/dense",
                "mlm_head/intermediate_dense",
            )
        ),
        *_weights_of(
            (
                "layer_norm",
                "cls.predictions.transform.LayerNorm",
                "cls/predictions/transform/LayerNorm",
                "mlm_head/intermediate_layer_norm",
            )
        ),
        (
            "output_bias",
            "cls.predictions.bias",
            "cls/predictions/output_bias",
            "mlm_head/output_bias",
        ),
    ),
    "next_sentence": (
        (
            "dense/kernel",
            "cls.seq_relationship.weight^T",
            "cls/seq_relationship/output_weights^T",
            "",
        ),
        ("dense/bias", "cls.seq_relationship.bias", "cls/seq_relationship/output_bias", ""),
    ),
    "classifier": (
        ("classifier/kernel", "classifier.weight^T", "output_weights^T", "logits/kernel"),
        ("classifier/bias", "classifier.bias", "output_bias", "logits/bias"),
    ),
    "question_answering": (
        ("qa_outputs/kernel", "qa_outputs.weight^T", "cls/squad/output_weights^T", ""),
        ("qa_outputs/bias", "qa_outputs.bias", "cls/squad/output_bias", ""),
    ),
    # Known to this library alone; transformers leaves it out.
    "crf": tuple(
        (name, f"crf.{name}", "", "")
        for name in ("transitions", "start_transitions", "end_transitions")
    ),
}
HEADS = tuple(_HEADS)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One weight of ours and the tensors that hold it in one checkpoint format.

    Attributes:
        path: our name, such as `layer_0/self_attention/qkv/kernel`.
        names: the tensor's name there; three names where query, key and value are separate.
        transposed: whether the tensors there are `[out, in]`.
    """

    path: str
    names: tuple[str, ...]
    transposed: bool

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of each tensor there, given the shape of our weight."""
        stored = (*shape[:-1], shape[-1] // len(self.names))
        return stored[::-1] if self.transposed else stored


def _entries(rows: Iterable[_Row], format: str) -> list[Entry]:
    column = 1 + FORMATS.index(format)
    entries = []
    for row in rows:
        name = row[column].removesuffix("^T")
        names = tuple(name.replace("*", part) for part in _PARTS) if "*" in name else (name,)
        entries.append(Entry(row[0], names, row[column].endswith("^T")))
    return [entry for entry in entries if entry.names != ("",)]


def encoder_entries(config: BertConfig, add_pooler: bool, format: str) -> list[Entry]:
    """Every weight of an encoder, in the order of the forward pass.

    Args:
        config: says how many layers there are.
        add_pooler: whether the pooler's two weights are listed.
        format: one of FORMATS.
    """
    rows = list(_EMBEDDINGS)
    for index in range(config.num_hidden_layers):
        rows += [tuple(name.format(index) for name in row) for row in _LAYER]  # type: ignore[misc]
    return _entries([*rows, *(_POOLER if add_pooler else ())], format)


def encoder_shape(path: str, config: BertConfig) -> tuple[int, ...]:
    """Returns the shape of an encoder's weight by our path."""
    width, inner = config.hidden_size, config.intermediate_size
    *parents, leaf = path.split("/")
    tables = {
        "word_embeddings": config.vocab_size,
        "position_embeddings": config.max_position_embeddings,
        "segment_embeddings": config.type_vocab_size,
    }
    if leaf in tables:
        return tables[leaf], width
    outputs = {"qkv": 3 * width, "intermediate": inner}.get(parents[-1], width)
    inputs = inner if parents[-1] == "output" and parents[-2] != "self_attention" else width
    return (inputs, outputs) if leaf == "kernel" else (outputs,)


def head_entries(head: str, format: str) -> list[Entry]:
    """The weights of one of HEADS; empty when the format has no such head.

    Raises:
        ValueError: the head is unknown.
    """
    if head not in _HEADS:
        raise ValueError(f"head {head!r} is unknown; expected {', '.join(HEADS)}")
    return _entries(_HEADS[head], format)
