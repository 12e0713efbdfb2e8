"""Flags that say which weights of a pretrained model are trained, how far, and by whom."""

from __future__ import annotations

import re

from absl import flags


def define(values: flags.FlagValues) -> None:
    """LoRA, freezing, layer-wise decay, a new head and a teacher."""
    _define_lora(values)
    flags.DEFINE_boolean(
        "new_head",
        False,
        "whether the head starts from random weights even if --init has one for the task",
        flag_values=values,
    )
    flags.DEFINE(
        _Frozen(),
        "freeze",
        "none",
        "what stays as it is: embeddings; layers:N, the embeddings and the N lowest layers; or "
        "encoder",
        flag_values=values,
    )
    flags.DEFINE_float(
        "layer_decay",
        1.0,
        "learning rate of a layer over that of the layer above it; the head has the full rate, "
        "the embeddings the lowest",
        lower_bound=1e-3,
        upper_bound=1.0,
        flag_values=values,
    )
    _define_teacher(values)


class _Frozen(flags.ArgumentParser):  # type: ignore[misc]
    """What `tasks.freezing.freeze` takes."""

    syntactic_help = "none, embeddings, layers:N or encoder"

    def parse(self, argument: str) -> str:
        if not re.fullmatch(r"none|embeddings|encoder|layers:[0-9]+", argument):
            raise ValueError(self.syntactic_help)
        return argument


def _define_lora(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "lora_rank",
        0,
        "rank of LoRA on queries and values; 0 trains the weights themselves",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "lora_alpha",
        None,
        "LoRA's updates are scaled by this over the rank; by default the rank, a scale of 1",
        lower_bound=0.0,
        flag_values=values,
    )


def _define_teacher(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "teacher",
        None,
        "a fine-tuned model directory of the same task, labels and vocabulary, whose outputs the "
        "model learns from besides the labels",
        flag_values=values,
    )
    flags.DEFINE_float(
        "distill_temperature",
        2.0,
        "with --teacher: what the logits of both are divided by before they are compared",
        lower_bound=0.1,
        flag_values=values,
    )
    flags.DEFINE_float(
        "distill_weight",
        0.5,
        "with --teacher: share of the loss that is the distance from the teacher, the rest is "
        "the task's own",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
