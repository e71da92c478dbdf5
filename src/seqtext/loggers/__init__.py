"""Loggers: TensorBoard."""
