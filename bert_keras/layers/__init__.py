"""Keras layers that BERT is built from, and the kernels under them."""
