"""BertEncoder: the bidirectional transformer encoder of BERT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bert_keras.config import BertConfig
from bert_keras.layers import kernels
from bert_keras.layers.basic import named_weights
from bert_keras.layers.chosen_rows import ChosenRows
from bert_keras.layers.embeddings import BertEmbeddings
from bert_keras.layers.kernels import Tensor
from bert_keras.layers.pooler import Pooler
from bert_keras.layers.token_layout import TokenLayout, all_places, real_tokens
from bert_keras.layers.transformer_block import TransformerBlock


@keras.saving.register_keras_serializable(package="bert_keras")
class BertEncoder(keras.Model):
    """BERT's encoder (Devlin et al. 2018, https://arxiv.org/abs/1810.04805).

    All variables exist as soon as the encoder is constructed.

    Args:
        config: sizes and constants.
        add_pooler: whether there is a pooler, the dense layer with tanh on [CLS].
        gradient_checkpointing: compute each layer again for the gradient instead of keeping
            its intermediate results: less memory, about a third more time.
        lora_rank: rank of trainable low-rank updates (Hu et al. 2021) of the query and value
            projections; 0 for none. See `enable_lora`.
        lora_alpha: the updates are scaled by `lora_alpha / lora_rank`; `lora_rank` by default.
        dtype: Keras dtype policy, such as "float32" or "mixed_bfloat16". Layer normalisation
            and softmax are computed in float32 under every policy.

    Call arguments:
        features: dict of int tensors `[batch, length]`: `token_ids`; optionally `segment_ids`
            (default 0), `padding_mask` (default: 1 where the token is not padding). A packed
            batch, with several examples in a row, also has `position_ids`, `sequence_ids`
            (1, 2, … per example, 0 for padding) and `cls_positions` `[batch, per_row]` (index
            of each example's [CLS], -1 for none). `dropout_seed`, int32 `[2]`, makes dropout a
            pure function of it; without it the encoder draws from its own saved generator.
        training: whether dropout is applied.
        output_hidden_states: also return the embedding output and each layer's output.
        output_attentions: also return each layer's attention probabilities.
        output_positions: int `[batch, n]`, of tokens that are not padding: the sequence output is
            wanted there alone, and the last layer computes it for these and for [CLS] alone.

    Returns a dict: `sequence_output` `[batch, length, hidden]`; `pooled_output`
    `[batch, hidden]`, or `[batch, per_row, hidden]` when packed (absent without a pooler);
    with `output_positions`, `position_output` `[batch, n, hidden]` instead of `sequence_output`;
    on request `hidden_states`, a list of layers + 1 tensors `[batch, length, hidden]`, and
    `attentions`, a list of `[batch, heads, length, length]`. What padding holds in them is not
    defined: where the graph leaves the batch's shape open, no dense layer works on it.

    Attributes:
        skips_padding: set to False for graphs of any batch's shape without the operations that
            find the real tokens; dense layers then work on padding too.
        large_batches: set to True while a graph of any batch's shape is traced for predictions
            on hundreds of tokens at a time, where some operations are better than others.

    Example:

        encoder = BertEncoder(BertConfig.named("tiny"))
        output = encoder({"token_ids": [[101, 7592, 102]]})
        output["sequence_output"].shape   # (1, 3, 128)
    """

    def __init__(
        self,
        config: BertConfig,
        add_pooler: bool = True,
        gradient_checkpointing: bool = False,
        lora_rank: int = 0,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", "bert_encoder")
        super().__init__(**kwargs)
        self.config = config
        self.add_pooler = add_pooler
        self.gradient_checkpointing = gradient_checkpointing
        self.skips_padding = True
        self.large_batches = False
        self.lora_rank = 0
        self.lora_alpha: float | None = None
        policy = self.dtype_policy
        self.embeddings = BertEmbeddings(config, name="embeddings", dtype=policy)
        self.blocks = [
            TransformerBlock(config, name=f"layer_{index}", dtype=policy)
            for index in range(config.num_hidden_layers)
        ]
        self.pooler = Pooler(config, name="pooler", dtype=policy) if add_pooler else None
        self.seed_generator = keras.random.SeedGenerator(seed=0)
        self.build()
        if lora_rank:
            self.enable_lora(lora_rank, lora_alpha)

    def build(self, input_shape: Any = None) -> None:
        self.embeddings.build()
        for block in self.blocks:
            block.build()
        if self.pooler is not None:
            self.pooler.build()

    def enable_lora(self, rank: int, alpha: float | None = None) -> None:
        """Freezes the encoder and adds trainable low-rank updates to query and value.

        Raises:
            ValueError: the rank is not positive or LoRA is enabled already.
        """
        if rank < 1:
            raise ValueError(f"the rank of LoRA must be positive, received {rank}")
        if self.lora_rank:
            raise ValueError(f"LoRA is already enabled, with rank {self.lora_rank}")
        self.lora_rank = rank
        self.lora_alpha = float(rank if alpha is None else alpha)
        for weight in self.weights:
            weight.trainable = False
        for block in self.blocks:
            block.self_attention.add_lora(rank, self.lora_alpha)

    def named_weights(self) -> dict[str, keras.Variable]:
        """The weights by their path inside the encoder, such as `layer_0/output/kernel`."""
        return named_weights(self)

    def merged_weights(self) -> dict[str, np.ndarray]:
        """Values by path, float32, with LoRA's updates added to the kernels they belong to."""
        values = {
            path: np.asarray(ops.convert_to_numpy(weight.value), np.float32)
            for path, weight in self.named_weights().items()
            if "/lora_" not in path
        }
        if self.lora_rank:
            for index, block in enumerate(self.blocks):
                delta = ops.convert_to_numpy(block.self_attention.lora_delta())
                values[f"layer_{index}/self_attention/qkv/kernel"] += delta
        return values

    def call(
        self,
        features: Mapping[str, Tensor],
        training: bool = False,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
        output_positions: Tensor | None = None,
    ) -> dict[str, Any]:
        features = {name: ops.cast(value, "int32") for name, value in features.items()}
        token_ids = features["token_ids"]
        segment_ids = features.get("segment_ids")
        if segment_ids is None:
            segment_ids = ops.zeros_like(token_ids)
        padding_mask = features.get("padding_mask")
        if padding_mask is None:
            padding_mask = ops.cast(token_ids != self.config.pad_token_id, "int32")
        seed = self._dropout_seed(features) if training else None

        layout = self._layout(token_ids, padding_mask, features, training, output_attentions)
        rows = self.embeddings(
            layout.pack(token_ids),
            layout.pack(segment_ids),
            self._position_ids(layout, features, token_ids),
            seed,
            predicts=layout.predicts,
        )
        wanted, chosen = None, None
        if output_positions is not None:
            wanted = self._wanted(features, ops.cast(output_positions, "int32"))
            if not (output_hidden_states or output_attentions):
                chosen = layout.choose(wanted)
        hidden_states, attentions = [rows], []
        for index, block in enumerate(self.blocks):
            block_seed = None if seed is None else kernels.fold_seed(seed, index + 1)
            of_block = chosen if block is self.blocks[-1] else None
            rows, probabilities = self._run_block(block, rows, layout, block_seed, of_block)
            hidden_states.append(rows)
            attentions.append(probabilities)

        states = (layout if chosen is None else chosen).unpack(rows)
        if wanted is not None and chosen is None:
            states = kernels.gather_positions(states, wanted)
        outputs = self._outputs(states, features, whole=wanted is None)
        if output_hidden_states:
            outputs["hidden_states"] = [layout.unpack(state) for state in hidden_states]
        if output_attentions:
            outputs["attentions"] = attentions
        return outputs

    def pooled(self, features: Mapping[str, Tensor], training: bool = False) -> Tensor:
        """`pooled_output` of a call, for which the last layer computes [CLS] alone."""
        none = ops.zeros((ops.shape(features["token_ids"])[0], 0), "int32")
        return self(features, training=training, output_positions=none)["pooled_output"]

    def _first_tokens(self, features: Mapping[str, Tensor]) -> Tensor:
        """The positions of [CLS], int32 `[batch, per_row]`."""
        cls_positions = features.get("cls_positions")
        if cls_positions is None:
            return ops.zeros((ops.shape(features["token_ids"])[0], 1), "int32")
        # Absent examples (-1) read the row's first token; their weight of 0 discards them.
        return ops.maximum(cls_positions, 0)

    def _wanted(self, features: Mapping[str, Tensor], positions: Tensor) -> Tensor:
        """Where the last layer's output is wanted: for the pooler, and at `positions`."""
        if self.pooler is None:
            return positions
        return ops.concatenate([self._first_tokens(features), positions], axis=1)

    def _outputs(
        self, states: Tensor, features: Mapping[str, Tensor], whole: bool
    ) -> dict[str, Any]:
        """The outputs that follow from the last layer's states: of all tokens, or, if they are
        not the `whole`, of those that `_wanted` names."""
        name = "sequence_output" if whole else "position_output"
        if self.pooler is None:
            return {name: states}
        firsts = self._first_tokens(features)
        batch, per_row = ops.shape(firsts)
        packed = "cls_positions" in features
        if whole:
            own = kernels.gather_positions(states, firsts) if packed else states[:, :1]
        else:
            own, states = states[:, :per_row], states[:, per_row:]
        pooled = self.pooler(ops.reshape(own, (-1, self.config.hidden_size)))
        if packed:
            pooled = ops.reshape(pooled, (batch, per_row, self.config.hidden_size))
        return {name: states, "pooled_output": pooled}

    def _dropout_seed(self, features: Mapping[str, Tensor]) -> Tensor:
        seed = features.get("dropout_seed")
        return ops.cast(self.seed_generator.next(), "int32") if seed is None else seed

    def _layout(
        self,
        token_ids: Tensor,
        padding_mask: Tensor,
        features: Mapping[str, Tensor],
        training: bool,
        output_attentions: bool,
    ) -> TokenLayout:
        """Where shapes are left open, as in predictions and in servables, the rows are the real
        tokens alone; where they are fixed (and for a gradient, which gathering would slow down)
        they are all places."""
        sequence_ids = features.get("sequence_ids")
        if training or not self.skips_padding:
            return all_places(padding_mask, sequence_ids, training)
        if kernels.is_static(token_ids):
            return all_places(padding_mask, sequence_ids, training, predicts=True)
        split = sequence_ids is None and not output_attentions
        return real_tokens(padding_mask, sequence_ids, split, predicts=self.large_batches)

    def _position_ids(
        self, layout: TokenLayout, features: Mapping[str, Tensor], token_ids: Tensor
    ) -> Tensor | None:
        """The positions of the layout's rows; None for 0, 1, 2, … in each row of the batch."""
        given = features.get("position_ids")
        if given is None and not layout.skips_padding:
            return None
        if given is None:
            length = ops.shape(token_ids)[1]
            kernels.check_at_most(length, self.config.max_position_embeddings, "sequence length")
            given = ops.broadcast_to(ops.arange(length, dtype="int32"), ops.shape(token_ids))
        return layout.pack(given)

    def _run_block(
        self,
        block: TransformerBlock,
        rows: Tensor,
        layout: TokenLayout,
        seed: Tensor | None,
        chosen: ChosenRows | None,
    ) -> tuple[Tensor, Tensor]:
        if not (self.gradient_checkpointing and seed is not None):
            return block(rows, layout=layout, seed=seed, chosen=chosen)

        def layer(rows: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
            return block(rows, layout=layout, seed=seed, chosen=chosen)

        return kernels.recompute(layer)(rows, seed)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "config": self.config.to_dict(),
            "add_pooler": self.add_pooler,
            "gradient_checkpointing": self.gradient_checkpointing,
            "lora_rank": self.lora_rank,
            "lora_alpha": self.lora_alpha,
            "frozen": [p for p, weight in self.named_weights().items() if not weight.trainable],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> BertEncoder:
        values = dict(config)
        frozen = values.pop("frozen", [])
        encoder = cls(BertConfig.from_dict(values.pop("config")), **values)
        weights = encoder.named_weights()
        for path in frozen:
            weights[path].trainable = False
        return encoder
