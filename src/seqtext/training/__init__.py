"""One training run: fit, evaluate, write the artifacts."""
