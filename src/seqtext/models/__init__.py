"""From batches to logits: one LightningModule per architecture over one shared TextClassifier."""
