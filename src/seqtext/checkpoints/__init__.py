"""Write, read and verify checkpoint files without executing code in them."""
