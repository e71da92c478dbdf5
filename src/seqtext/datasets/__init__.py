"""One module per data set, on `TextDataModule`."""
