"""Prefixes of tensor names that come from modules around a BERT."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bert_keras.errors import UserError

# Every BERT has exactly one; what is in front of it is in front of all its tensors.
_ANCHOR = "embeddings.word_embeddings.weight"
# Names of modules that hold nothing but the model: those of PyTorch's DataParallel ("module"),
# Lightning ("model"), PEFT ("base_model"), sentence-transformers ("auto_model", "0"), and
# attributes that training scripts usually keep a BERT in.
_WRAPPERS = frozenset(
    "module model bert bert_model base_model auto_model encoder backbone transformer net network "
    "lm plm pretrained pretrained_model text_encoder 0".split()
)
# torch.compile, FSDP and activation checkpointing put these around any module inside a model.
_INSIDE = re.compile(r"(^|(?<=\.))(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


def without_inner(name: str) -> str:
    """Returns a name without the marks that PyTorch leaves inside of it."""
    return _INSIDE.sub("", name)


def wrapper_of(names: Iterable[str], source: str) -> str:
    """Returns what precedes `bert.`, or the encoder's own names, in all names of a BERT.

    Args:
        names: of all tensors, as `without_inner` gives them.
        source: the file or folder, for the message.

    Raises:
        UserError: there are encoders, but under names that are not known to be wrappers', or
            several of them.
    """
    prefixes = sorted(name.removesuffix(_ANCHOR) for name in names if _is_anchor(name))
    if not prefixes or "" in prefixes or "bert." in prefixes:
        return ""
    known = [prefix for prefix in prefixes if set(prefix.split(".")[:-1]) <= _WRAPPERS]
    if len(prefixes) == 1 and known:
        return known[0].removesuffix("bert.")
    listed = ", ".join(repr(prefix) for prefix in prefixes)
    raise UserError(
        f"{source}: BERT's tensors are there under the prefix {listed}, expected none, 'bert.' or "
        "a wrapper's such as 'module.': save that module alone, or rename its tensors"
    )


def without_wrapper(name: str, wrapper: str) -> str:
    """Returns a name without a wrapper's prefix, or without the part of it that it has.

    A head stands beside the encoder: of `model.encoder.` its name has `model.` only.
    """
    parts = wrapper.split(".")[:-1]
    for count in range(len(parts), 0, -1):
        prefix = ".".join(parts[:count]) + "."
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _is_anchor(name: str) -> bool:
    return name == _ANCHOR or name.endswith(f".{_ANCHOR}")
