"""Matplotlib figures of data statistics and predictions."""
