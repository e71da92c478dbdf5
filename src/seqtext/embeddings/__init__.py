"""Embedding modules, and readers of pretrained vectors."""
