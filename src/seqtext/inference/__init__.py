"""Load trained models, predict, explain, evaluate and export."""
