"""Matplotlib figures of data and predictions."""
