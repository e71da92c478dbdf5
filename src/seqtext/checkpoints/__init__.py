"""Checkpoint files: written, read and checked without running anything in them."""
