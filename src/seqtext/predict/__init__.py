"""A trained model is used: on texts, on files, from Python."""
