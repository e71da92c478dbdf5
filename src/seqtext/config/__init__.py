"""Configuration groups, validation, instantiation and stored settings."""
