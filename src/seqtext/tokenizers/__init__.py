"""Tokenizers, which convert cleaned texts to token ids and back, and their vocabulary."""
