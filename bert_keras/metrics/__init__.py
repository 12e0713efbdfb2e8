"""Metrics of the published benchmarks."""
