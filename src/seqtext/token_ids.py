"""Ids that mean the same in every vocabulary."""

PAD, UNKNOWN = 0, 1
