"""Modules from token ids to vectors, and the readers of pretrained vectors."""
