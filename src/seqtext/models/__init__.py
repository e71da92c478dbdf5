"""Models, one LightningModule per architecture, based on `TextClassifier`."""
