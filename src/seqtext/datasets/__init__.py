"""Data sets: one module each, based on `TextDataModule`."""
