"""Additional terms of the training loss: the choices of ``objectives=``."""
