"""Keras models: the encoder and what is pretrained on it."""
