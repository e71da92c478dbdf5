"""Train, evaluate and write the artifacts of one run."""
