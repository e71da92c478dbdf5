"""Lightning callbacks: checkpoints, early stopping, progress."""
