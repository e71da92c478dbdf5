"""Ids of special tokens, equal in all vocabularies."""

PAD, UNKNOWN = 0, 1
