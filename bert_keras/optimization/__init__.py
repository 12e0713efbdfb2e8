"""Optimizers and learning-rate schedules of BERT."""

from bert_keras.optimization.adamw import AdamW
from bert_keras.optimization.lamb import LAMB
from bert_keras.optimization.layer_decay import layer_decay_factors
from bert_keras.optimization.schedules import WarmupDecay

__all__ = ["LAMB", "AdamW", "WarmupDecay", "layer_decay_factors"]
