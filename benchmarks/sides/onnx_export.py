"""Writes a classifier as ONNX: exported from PyTorch, fused by ONNX Runtime's tools, quantized.

Run in a process of its own, so that PyTorch is not loaded beside ONNX Runtime's sessions:

    python -m benchmarks.sides.onnx_export WEIGHTS OUTPUT

writes `OUTPUT/float32.onnx` and `OUTPUT/int8.onnx`.
"""

from __future__ import annotations

import pathlib
import sys

import onnx
import torch
import transformers
from onnxruntime import quantization
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions


class _Logits(torch.nn.Module):
    """The classifier with two inputs and one output."""

    def __init__(self, model: transformers.PreTrainedModel) -> None:
        super().__init__()
        self._model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self._model(input_ids=ids, attention_mask=mask).logits


def export(weights: str, output: pathlib.Path) -> None:
    """Writes both models."""
    # The plain form of attention is the one that ONNX Runtime's tools know how to fuse.
    model = transformers.BertForSequenceClassification.from_pretrained(
        weights, attn_implementation="eager"
    ).eval()
    ids = torch.tensor([[101, 2023, 2003, 102]] * 2)
    axes = {0: "batch", 1: "length"}
    torch.onnx.export(
        _Logits(model),
        (ids, torch.ones_like(ids)),
        output / "plain.onnx",
        input_names=["ids", "mask"],
        output_names=["logits"],
        dynamic_axes={"ids": axes, "mask": axes, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    fused = optimizer.optimize_model(
        str(output / "plain.onnx"),
        model_type="bert",
        num_heads=model.config.num_attention_heads,
        hidden_size=model.config.hidden_size,
        optimization_options=FusionOptions("bert"),
    )
    fused.save_model_to_file(str(output / "float32.onnx"))
    print(fused.get_fused_operator_statistics(), flush=True)
    quantization.quantize_dynamic(
        output / "float32.onnx",
        output / "int8.onnx",
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        # Of what lies behind the fused operators, whose shapes it does not know.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


if __name__ == "__main__":
    export(sys.argv[1], pathlib.Path(sys.argv[2]))
