"""The architecture of a BERT, read from and written to the field's two file formats."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from bert_keras.errors import UserError

# Layers and width of the sizes of Devlin et al. 2018 (base, large) and Turc et al. 2019.
NAMED_SIZES: dict[str, tuple[int, int]] = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}

# Every spelling in use, and which function it means. Hugging Face's "gelu" and "gelu_python"
# are the exact one, by the Gaussian error function; its other names here are the tanh
# approximation, written out in different ways. Its "quick_gelu" and "gelu_10" are other functions.
ACTIVATIONS: dict[str, str] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

_REQUIRED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)

# Beyond these a damaged number would ask for more memory or time than there is.
_LARGEST_SIZE = 2**24
_LARGEST = {"num_hidden_layers": 4096, "vocab_size": 2**31 - 1}

_REQUIRED_BY_GOOGLE = (*_REQUIRED, "type_vocab_size", "max_position_embeddings", "hidden_act")


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Sizes and constants of a BERT encoder, under Hugging Face's names.

    `hidden_act` is "gelu" (exact, by the error function), "gelu_new" (tanh approximation,
    as google-research/bert computes it since 2019), "relu", "silu", or another name
    of one of these; see `ACTIVATIONS`. The position table is always learned and absolute.

    Raises:
        UserError: a size is not a positive whole number or is absurdly large, the width is not
            divisible by the number of heads, a rate is outside [0, 1), another number is not
            positive and finite, or the activation or the position type is not one that BERT has.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    position_embedding_type: str = "absolute"
    classifier_dropout: float | None = None

    def __post_init__(self) -> None:
        for name in (*_REQUIRED, "max_position_embeddings", "type_vocab_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UserError(f"config: {name} must be a positive whole number, not {value!r}")
            if value > _LARGEST.get(name, _LARGEST_SIZE):
                raise UserError(
                    f"config: {name} must be at most {_LARGEST.get(name, _LARGEST_SIZE):,}, "
                    f"not {value}"
                )
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and 0 <= value < 1):
                raise UserError(f"config: {name} must be at least 0 and below 1, not {value!r}")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise UserError(
                    f"config: {name} must be a finite number of at least 0, not {value!r}"
                )
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"config: hidden_size {self.hidden_size} is not divisible by "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if not isinstance(self.hidden_act, str) or self.hidden_act not in ACTIVATIONS:
            raise UserError(
                f"config: hidden_act {self.hidden_act!r} is unknown; "
                f"known are {', '.join(sorted(ACTIVATIONS))}"
            )
        if self.position_embedding_type != "absolute":
            raise UserError(
                f"config: position_embedding_type {self.position_embedding_type!r} is not "
                "supported; BERT's is 'absolute'"
            )

    @property
    def activation(self) -> str:
        """The function that `hidden_act` means: gelu, gelu_tanh, relu or silu."""
        return ACTIVATIONS[self.hidden_act]

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def named(cls, name: str, **overrides: Any) -> BertConfig:
        """A published size: tiny, mini, small, medium, base, large, or `L-4_H-256`.

        One attention head per 64 units of width and a feed-forward layer four times as wide
        as the model, as in all published sizes.

        Raises:
            UserError: the name is neither a size nor of the form `L-<layers>_H-<width>`.
        """
        if name in NAMED_SIZES:
            layers, hidden = NAMED_SIZES[name]
        else:
            match = re.fullmatch(r"L-(\d+)_H-(\d+)", name)
            if not match:
                raise UserError(
                    f"size {name!r} is unknown; expected {', '.join(NAMED_SIZES)} "
                    "or a pattern like L-4_H-256"
                )
            layers, hidden = int(match[1]), int(match[2])
        sizes: dict[str, Any] = {
            "num_hidden_layers": layers,
            "hidden_size": hidden,
            "num_attention_heads": max(1, hidden // 64),
            "intermediate_size": 4 * hidden,
        }
        return cls(**{**sizes, **overrides})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "config") -> BertConfig:
        """From the contents of Hugging Face's `config.json`; keys of other concerns are ignored.

        Raises:
            UserError: the model is not a BERT, a size is missing, or a value is not valid.
        """
        model_type = values.get("model_type", "bert")
        if model_type != "bert":
            raise UserError(f"{source}: model_type is {model_type!r}, expected 'bert'")
        for name in ("is_decoder", "add_cross_attention"):
            if values.get(name):
                raise UserError(f"{source}: {name} is true, expected an encoder")
        missing = [name for name in _REQUIRED if name not in values]
        if missing:
            raise UserError(f"{source}: missing {', '.join(missing)}")
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            return cls(**{name: values[name] for name in values if name in known})
        except UserError as error:
            raise UserError(str(error).replace("config", source, 1)) from None

    @classmethod
    def from_google_dict(
        cls, values: Mapping[str, Any], source: str = "bert_config.json"
    ) -> BertConfig:
        """From the contents of google-research/bert's `bert_config.json`.

        There "gelu" has been the tanh approximation since February 2019, so it is read as
        "gelu_new"; use `dataclasses.replace` for a checkpoint trained with the exact form.
        """
        values = {**values, "model_type": "bert"}
        # Their class defaults to 16 segments, all released checkpoints have 2: never guess.
        missing = [name for name in _REQUIRED_BY_GOOGLE if name not in values]
        if missing:
            raise UserError(f"{source}: missing {', '.join(missing)}")
        if values.get("hidden_act") == "gelu":
            values["hidden_act"] = "gelu_new"
        return cls.from_dict(values, source)

    @classmethod
    def from_file(cls, path: str | pathlib.Path) -> BertConfig:
        """From `config.json` (Hugging Face) or `bert_config.json` (Google), told by its keys.

        Raises:
            UserError: the file is missing, is not JSON, or does not describe a BERT.
        """
        path = pathlib.Path(path)
        values = read_json(path)
        is_google = path.name == "bert_config.json" and "model_type" not in values
        return (cls.from_google_dict if is_google else cls.from_dict)(values, str(path))

    def to_dict(self) -> dict[str, Any]:
        """As Hugging Face's `config.json` has it, with `model_type`."""
        values = dataclasses.asdict(self)
        if values["hidden_act"] == "gelu_tanh":
            values["hidden_act"] = "gelu_pytorch_tanh"
        return {"model_type": "bert", **values}


def check_not_pointer(path: pathlib.Path) -> None:
    """Raises a UserError if a file is what git leaves in place of one that git-lfs keeps."""
    mark = b"version https://git-lfs.github.com/spec/"
    if not path.is_file():
        return
    with open(path, "rb") as file:
        if file.read(len(mark)) == mark:
            raise UserError(
                f"{path}: is a git-lfs pointer, not the file itself: install git-lfs and run "
                "`git lfs pull` in the repository"
            )


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """The object in a JSON file; a UserError with file and line when there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        check_not_pointer(path)
        raise UserError(f"{path}:{error.lineno}: is not JSON: {error.msg}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object, received {type(values).__name__}")
    return values
