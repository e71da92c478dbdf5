"""From files to batches: one DataModule per data set over one shared TextDataModule."""
