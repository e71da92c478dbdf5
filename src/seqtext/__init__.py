"""Compare sequence models on text: every architecture on every data set, from configuration."""

__version__ = "0.1.0"
