"""Compiled CPU kernels and their Python side."""
