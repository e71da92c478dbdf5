"""Metrics, with one definition each for training, final scores, predict and the report."""
