"""Tokenizers: from cleaned texts to token ids and back, and the vocabulary they learn."""
