"""Readers of training and evaluation data, and the order in which examples are visited."""
